package userclient

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

const (
	// parallel is how many parts are on the way to the server at once.
	parallel = 6
	// batch is how many log lines one append has at most.
	batch = 64
	// appendEvery is how long an uploaded part waits for others before the log names it.
	appendEvery = time.Second
)

// Upload is one message on its way to the server. It is used once, by one goroutine.
type Upload struct {
	Client *Client
	ID     vam.MessageID
	Draft  userwire.Draft
	// Progress, if not nil, is told how many octets the server has; it must be quick.
	Progress func(done int64)
	// Verify, if not nil, is called when all of a file is uploaded and before it is
	// sealed: an error, such as "the file has changed", stops there.
	Verify func() error
}

// Send uploads size octets of file, seals and sends. Repeated under the same ID after a
// failure, it goes on with what the server does not have. The message is accepted when
// Send returns without an error.
//
// Errors: those of the server; Conflict when the file became shorter; Unavailable when it
// cannot be read.
func (u *Upload) Send(ctx context.Context, file io.ReaderAt, size int64) (userwire.Message, error) {
	u.Draft.Size = size
	m, made, err := u.Client.put(ctx, u.ID, u.Draft)
	if err != nil {
		return u.accepted(ctx, m, err)
	}
	if !m.Sent.IsZero() {
		return m, nil
	}
	if m.Sealed.IsZero() && u.Draft.MediaOf == "" {
		sum, err := u.file(ctx, file, size, m, !made)
		if err != nil {
			return m, err
		}
		if u.Verify != nil {
			if err := u.Verify(); err != nil {
				return m, err
			}
		}
		if m, err = u.Client.Seal(ctx, u.ID, sum); err != nil {
			return m, err
		}
	}
	return u.Client.Send(ctx, u.ID)
}

// accepted turns a draft that came too late, because an earlier try was accepted
// without our hearing of it, into that acceptance.
func (u *Upload) accepted(ctx context.Context, m userwire.Message, err error) (userwire.Message, error) {
	if vam.KindOf(err) != vam.Conflict {
		return m, err
	}
	if sent, serr := u.Client.Message(ctx, u.ID); serr == nil && !sent.Sent.IsZero() {
		return sent, nil
	}
	return m, err
}

// piece is one part of a file. It is hashed by the reader, so that the digest of the
// whole file and the uploads run side by side.
type piece struct {
	at, n int64
	sum   activmail.Sum
	data  []byte        // until it is uploaded
	ask   bool          // the server may have it, although the log does not name it
	named bool          // the log names it already
	done  chan struct{} // closed when the server has it
}

// file uploads every part and appends the lines in order, a batch at a time, as soon as
// the parts of the batch are there. again says that an earlier try may have left parts
// that no line names: those are asked for and not sent twice.
func (u *Upload) file(ctx context.Context, file io.ReaderAt, size int64, m userwire.Message, again bool) (activmail.Sum, error) {
	pieces := make(chan *piece)
	ordered := make(chan *piece, parallel+batch)
	pool := make(chan []byte, 2*parallel)
	var whole activmail.Sum
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pieces)
		defer close(ordered)
		r := &fileReader{file: file, size: size, known: m.Bytes, pool: pool}
		if again {
			r.ask = m.Bytes + (parallel+batch)*int64(activmail.FilePart)
		}
		var err error
		whole, err = r.run(ctx, pieces, ordered)
		return err
	})
	for range parallel {
		g.Go(func() error {
			for p := range pieces {
				if err := u.part(ctx, p); err != nil {
					return err
				}
				select {
				case pool <- p.data[:cap(p.data)]:
				default:
				}
				p.data = nil
				close(p.done)
			}
			return nil
		})
	}
	g.Go(func() error { return u.append(ctx, ordered, m.Lines) })
	err := g.Wait()
	return whole, err
}

// part brings one part to the server.
func (u *Upload) part(ctx context.Context, p *piece) error {
	if p.ask {
		missing, err := u.Client.Missing(ctx, u.ID, []userwire.Piece{{Blob: p.sum.String(), Length: p.n, At: p.at}})
		if err != nil || len(missing) == 0 {
			return err
		}
	}
	return u.Client.Upload(ctx, u.ID, p.sum, p.at, p.data)
}

// fileReader cuts a file into parts and hashes it.
type fileReader struct {
	file  io.ReaderAt
	size  int64
	known int64 // octets that the log names
	ask   int64 // below this offset, a part may be there although the log does not name it
	pool  chan []byte
}

// run hands out every part in ordered, and those that the log does not name in pieces.
func (r *fileReader) run(ctx context.Context, pieces, ordered chan<- *piece) (activmail.Sum, error) {
	digest := sha256.New()
	for at := int64(0); at < r.size; at += int64(activmail.FilePart) {
		n := min(int64(activmail.FilePart), r.size-at)
		p := &piece{at: at, n: n, named: at+n <= r.known, ask: at < r.ask, done: make(chan struct{})}
		var buf []byte
		select {
		case buf = <-r.pool:
		default:
			buf = make([]byte, activmail.FilePart)
		}
		p.data = buf[:n]
		if err := r.read(p); err != nil {
			return activmail.Sum{}, err
		}
		digest.Write(p.data)
		if p.named {
			p.data = nil
			select {
			case r.pool <- buf:
			default:
			}
			close(p.done)
		} else {
			p.sum = sha256.Sum256(p.data)
		}
		if err := hand(ctx, ordered, p); err != nil {
			return activmail.Sum{}, err
		}
		if !p.named {
			if err := hand(ctx, pieces, p); err != nil {
				return activmail.Sum{}, err
			}
		}
	}
	return activmail.Sum(digest.Sum(nil)), nil
}

func (r *fileReader) read(p *piece) error {
	got, err := r.file.ReadAt(p.data, p.at)
	switch {
	case int64(got) == p.n:
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return vam.Errorf(vam.Conflict, "the file became shorter while it was being sent; nothing was sent, try again when it is finished")
	}
	return vam.Wrap(vam.Unavailable, err, "the file cannot be read at octet %d", p.at)
}

func hand(ctx context.Context, to chan<- *piece, p *piece) error {
	select {
	case to <- p:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// append names uploaded parts in the log, in order.
func (u *Upload) append(ctx context.Context, ordered <-chan *piece, lines int64) error {
	var waiting [][]byte
	flushed := time.Now()
	flush := func() error {
		flushed = time.Now()
		if len(waiting) == 0 {
			return nil
		}
		m, err := u.appendLines(ctx, lines, waiting)
		if err != nil {
			return err
		}
		lines, waiting = m.Lines, waiting[:0]
		return nil
	}
	for p := range ordered {
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		if u.Progress != nil {
			u.Progress(p.at + p.n)
		}
		if p.named {
			continue
		}
		line, err := partLine(p.sum, p.n)
		if err != nil {
			return err
		}
		if waiting = append(waiting, line); len(waiting) == batch || time.Since(flushed) > appendEvery {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return flush()
}

func partLine(sum activmail.Sum, n int64) ([]byte, error) {
	return activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(n)}.MarshalLine()
}

// appendLines appends, and takes it for done when the answer to a first try was lost (AM-13.11).
func (u *Upload) appendLines(ctx context.Context, at int64, lines [][]byte) (userwire.Message, error) {
	m, err := u.Client.Append(ctx, u.ID, at, lines)
	var pos *activmail.PositionError
	if errors.As(err, &pos) && pos.Size == at+int64(len(lines)) {
		return u.Client.Message(ctx, u.ID)
	}
	return m, err
}
