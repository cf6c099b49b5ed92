package userclient

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

const (
	// parallel is how many parts are on the way to the server at once.
	parallel = 6
	// batch is how many log lines one append has.
	batch = 64
	// liveSlice is how long a part of a live recording collects what comes, livePart its
	// greatest length in octets.
	liveSlice = 100 * time.Millisecond
	livePart  = 1 << 20
)

// Upload is one message on its way to the server.
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
func (u *Upload) Send(ctx context.Context, file io.ReaderAt, size int64) (userwire.Message, error) {
	u.Draft.Size = size
	m, err := u.Client.Put(ctx, u.ID, u.Draft)
	if err != nil || !m.Sent.IsZero() {
		return m, err
	}
	if m.Sealed.IsZero() && u.Draft.MediaOf == "" {
		sum, err := u.file(ctx, file, size, m)
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

// piece is one part of a file. hash is done by the reader, so that the digest of the
// whole file and the uploads run side by side.
type piece struct {
	at   int64
	data []byte
	sum  activmail.Sum
	have bool // the log names it already
	done chan struct{}
}

// file uploads every part and appends the lines in order, a batch at a time, as soon as
// the parts of the batch are there.
func (u *Upload) file(ctx context.Context, file io.ReaderAt, size int64, m userwire.Message) (activmail.Sum, error) {
	pieces := make(chan *piece)
	ordered := make(chan *piece, parallel+batch)
	pool := make(chan []byte, 2*parallel)
	var whole activmail.Sum
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pieces)
		defer close(ordered)
		sum, err := u.read(ctx, file, size, m.Bytes, pool, pieces, ordered)
		whole = sum
		return err
	})
	for range parallel {
		g.Go(func() error {
			for p := range pieces {
				if err := u.Client.Upload(ctx, u.ID, p.sum, p.at, p.data); err != nil {
					return err
				}
				close(p.done)
				select {
				case pool <- p.data[:cap(p.data)]:
				default:
				}
			}
			return nil
		})
	}
	g.Go(func() error { return u.append(ctx, ordered, m.Lines) })
	err := g.Wait()
	return whole, err
}

// read cuts the file into parts, hashes, and hands out those that the log does not
// name. Parts below known octets are only hashed.
func (u *Upload) read(ctx context.Context, file io.ReaderAt, size, known int64, pool chan []byte, pieces, ordered chan<- *piece) (activmail.Sum, error) {
	digest := sha256.New()
	for at := int64(0); at < size; at += int64(activmail.FilePart) {
		n := min(int64(activmail.FilePart), size-at)
		var buf []byte
		select {
		case buf = <-pool:
		default:
			buf = make([]byte, activmail.FilePart)
		}
		p := &piece{at: at, data: buf[:n], have: at+n <= known, done: make(chan struct{})}
		if got, err := file.ReadAt(p.data, at); int64(got) < n {
			if errors.Is(err, io.EOF) || err == nil {
				return activmail.Sum{}, vam.Errorf(vam.Conflict, "the file became shorter while it was being sent; nothing was sent, try again when it is finished")
			}
			return activmail.Sum{}, vam.Wrap(vam.Unavailable, err, "the file cannot be read at octet %d", at)
		}
		digest.Write(p.data)
		if p.have {
			close(p.done)
		} else {
			p.sum = sha256.Sum256(p.data)
		}
		if err := hand(ctx, ordered, p); err != nil {
			return activmail.Sum{}, err
		}
		if !p.have {
			if err := hand(ctx, pieces, p); err != nil {
				return activmail.Sum{}, err
			}
		}
	}
	return activmail.Sum(digest.Sum(nil)), nil
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
	var done int64
	flush := func() error {
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
		done = p.at + int64(len(p.data))
		if u.Progress != nil {
			u.Progress(done)
		}
		if p.have {
			continue
		}
		line, err := activmail.Record{Kind: activmail.RecordPart, Blob: p.sum, Length: vam.Bytes(len(p.data))}.MarshalLine()
		if err != nil {
			return err
		}
		if waiting = append(waiting, line); len(waiting) == batch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// appendLines appends, and takes it for done when the answer to a first try was lost.
func (u *Upload) appendLines(ctx context.Context, at int64, lines [][]byte) (userwire.Message, error) {
	m, err := u.Client.Append(ctx, u.ID, at, lines)
	var pos *activmail.PositionError
	if errors.As(err, &pos) && pos.Size == at+int64(len(lines)) {
		return u.Client.Message(ctx, u.ID)
	}
	return m, err
}

// Live sends the message first and then what r brings, as it comes, until it ends;
// then it seals. A recipient watches meanwhile. A failure leaves the message
// interrupted: what came so far stays.
func (u *Upload) Live(ctx context.Context, r io.Reader) (userwire.Message, error) {
	m, err := u.Client.Put(ctx, u.ID, u.Draft)
	if err != nil {
		return m, err
	}
	if m, err = u.Client.Send(ctx, u.ID); err != nil {
		return m, err
	}
	slices := make(chan []byte)
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { defer close(slices); return slice(gctx, r, slices) })
	digest := sha256.New()
	g.Go(func() error {
		at, lines := m.Bytes, m.Lines
		for data := range slices {
			digest.Write(data)
			sum := activmail.Sum(sha256.Sum256(data))
			if err := u.Client.Upload(gctx, u.ID, sum, at, data); err != nil {
				return err
			}
			line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(data))}.MarshalLine()
			if err != nil {
				return err
			}
			after, err := u.appendLines(gctx, lines, [][]byte{line})
			if err != nil {
				return err
			}
			at, lines = after.Bytes, after.Lines
			if u.Progress != nil {
				u.Progress(at)
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return m, err
	}
	return u.Client.Seal(ctx, u.ID, activmail.Sum(digest.Sum(nil)))
}

// slice cuts a stream into what comes within liveSlice, at most livePart. The reading
// goroutine ends with r: a pipe that never brings anything holds it until the program
// ends.
func slice(ctx context.Context, r io.Reader, out chan<- []byte) error {
	type chunk struct {
		data []byte
		err  error
	}
	chunks := make(chan chunk, 4)
	var stopped atomic.Bool
	go func() {
		for !stopped.Load() {
			buf := make([]byte, 64<<10)
			n, err := r.Read(buf)
			select {
			case chunks <- chunk{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer stopped.Store(true)
	var part bytes.Buffer
	flush := func() error {
		if part.Len() == 0 {
			return nil
		}
		data := bytes.Clone(part.Bytes())
		part.Reset()
		select {
		case out <- data:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	timer := time.NewTimer(liveSlice)
	defer timer.Stop()
	for {
		select {
		case c := <-chunks:
			part.Write(c.data)
			if part.Len() >= livePart || c.err != nil {
				if err := flush(); err != nil {
					return err
				}
			}
			if errors.Is(c.err, io.EOF) {
				return nil
			}
			if c.err != nil {
				return vam.Wrap(vam.Unavailable, c.err, "the recording cannot be read on")
			}
		case <-timer.C:
			if err := flush(); err != nil {
				return err
			}
			timer.Reset(liveSlice)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
