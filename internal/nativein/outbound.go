package nativein

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/message"
)

// Outbound answers those who pull messages of this server.
type Outbound struct {
	Messages *message.Service
	Delivery *delivery.Service
	Places   *Places // required
	// Stopping, if not nil, ends when the server stops: those who wait for news are then
	// answered at once, so that the stop does not wait for them.
	Stopping context.Context
	// Receipts is the limit of receipts of one recipient of a message (AM-10.29); nil is none.
	// Errors: Busy.
	Receipts func(message.Key, vam.Address) error
}

var _ amserver.Outbound = Outbound{}

// open returns the message that the token opens, and the domain that has the token.
func (o Outbound) open(ctx context.Context, pull amserver.Pull) (message.Message, vam.Domain, error) {
	k, domain, err := o.Delivery.PullToken(ctx, pull.Token)
	if err != nil {
		return message.Message{}, domain, givenUp(ctx, err)
	}
	if k.ID != pull.MessageID {
		return message.Message{}, domain, vam.Errorf(vam.Unauthenticated, "the pull token is for another message").WithProblem("token-invalid")
	}
	m, err := o.Messages.Get(ctx, k)
	return m, domain, givenUp(ctx, err)
}

// openMedia opens the media of a message in a place of the domain, which is given back
// when the closer is closed.
func (o Outbound) openMedia(ctx context.Context, k message.Key, d vam.Domain) (*message.Media, io.Closer, error) {
	leave, err := o.Places.body(d)
	if err != nil {
		return nil, nil, err
	}
	media, err := o.Messages.OpenMedia(ctx, k)
	if err != nil {
		leave()
		return nil, nil, err
	}
	return media, closers{media, leaver(leave)}, nil
}

// givenUp is Unavailable in the place of err where it comes of nobody waiting for the
// answer any more, which is how a follower ends: it is no failure of this server.
func givenUp(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil {
		return err
	}
	return vam.Wrap(vam.Unavailable, err, "the request was given up")
}

// Head implements amserver.Outbound.
func (o Outbound) Head(ctx context.Context, pull amserver.Pull) (activmail.Head, error) {
	m, _, err := o.open(ctx, pull)
	if err == nil {
		err = o.Messages.Gone(m)
	}
	if err != nil {
		return activmail.Head{}, err
	}
	h := activmail.Head{
		MessageID: m.ID, Origin: m.Origin, Kind: m.Kind, State: vam.Live, LogSize: m.Head.Lines, Size: vam.Bytes(m.Head.MediaBytes),
		Duration: m.Head.Duration, Created: m.Created.Truncate(time.Second), Expires: m.Expires.Truncate(time.Second), Checkpoint: m.Head.Checkpoint,
	}
	if !m.Head.SealedAt.IsZero() {
		h.State = vam.Sealed
		if seal, err := o.Messages.SealRecord(ctx, m); err == nil {
			h.ContentType = seal.ContentType
		}
	}
	return h, nil
}

// Log implements amserver.Outbound.
func (o Outbound) Log(ctx context.Context, pull amserver.Pull, from int64, wait time.Duration) (amserver.Log, error) {
	m, domain, err := o.open(ctx, pull)
	if err != nil {
		return amserver.Log{}, err
	}
	if from == m.Head.Lines && wait > 0 { // AM-7.6: beyond that it is wrong at once
		if m, err = o.await(ctx, m.Key, domain, from, wait); err != nil {
			return amserver.Log{}, err
		}
	}
	out := amserver.Log{Size: m.Head.Lines, Ended: m.State == vam.Revoked, Checkpoint: m.Head.Checkpoint, Octets: -1}
	if from < m.Head.Lines {
		out.Lines = &logReader{ctx: ctx, messages: o.Messages, k: m.Key, next: from, end: m.Head.Lines}
	}
	return out, nil
}

// await returns when the log has more than n lines, or after wait.
func (o Outbound) await(ctx context.Context, k message.Key, d vam.Domain, n int64, wait time.Duration) (message.Message, error) {
	leave, err := o.Places.wait(d)
	if err != nil {
		return message.Message{}, err
	}
	defer leave()
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if o.Stopping != nil {
		defer context.AfterFunc(o.Stopping, cancel)()
	}
	m, err := o.Messages.Wait(waiting, k, n)
	if err == nil {
		err = ctx.Err()
	}
	return m, givenUp(ctx, err)
}

// logReader streams stored lines, each with its LF, a page at a time.
type logReader struct {
	ctx       context.Context
	messages  *message.Service
	k         message.Key
	next, end int64
	page      bytes.Buffer
}

func (r *logReader) Read(p []byte) (int, error) {
	for r.page.Len() == 0 {
		if r.next >= r.end {
			return 0, io.EOF
		}
		lines, err := r.messages.Lines(r.ctx, r.k, r.next, min(1000, r.end-r.next))
		if err != nil {
			return 0, err
		}
		if len(lines) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		for _, l := range lines {
			r.page.Write(l.Raw)
			r.page.WriteByte('\n')
		}
		r.next += int64(len(lines))
	}
	return r.page.Read(p)
}

func (r *logReader) Close() error { return nil }

// Entry implements amserver.Outbound.
func (o Outbound) Entry(ctx context.Context, pull amserver.Pull, n int64, wait time.Duration) (amserver.Entry, error) {
	m, domain, err := o.open(ctx, pull)
	if err != nil {
		return amserver.Entry{}, err
	}
	if n >= m.Head.Lines && wait > 0 {
		if m, err = o.await(ctx, m.Key, domain, n, wait); err != nil {
			return amserver.Entry{}, err
		}
	}
	out := amserver.Entry{Size: m.Head.Lines, Ended: m.State == vam.Revoked}
	if n >= m.Head.Lines {
		return out, nil
	}
	lines, err := o.Messages.Lines(ctx, m.Key, n, 1)
	if err != nil || len(lines) == 0 {
		return out, err
	}
	out.Line = lines[0].Raw
	if out.Checkpoint, err = o.Messages.SignEdge(ctx, m.Key, n); err != nil {
		return out, err
	}
	r, err := activmail.ParseRecord(out.Line, o.Messages.Limits())
	if err != nil || !r.HasBlob() {
		return out, err
	}
	if err := o.Messages.Gone(m); err != nil {
		return out, err
	}
	media, place, err := o.openMedia(ctx, m.Key, domain)
	if err != nil {
		return out, err
	}
	blob, err := section(ctx, media, place, lines[0], r)
	if err != nil {
		return out, err
	}
	out.Length, out.Blob, out.Withdrawn = r.Length, blob, withdrawn(ctx, media)
	return out, nil
}

// withdrawn is closed when the message is taken back or expires (AM-7.20); what watches
// for it ends with the request.
func withdrawn(ctx context.Context, media *message.Media) <-chan struct{} {
	gone := make(chan struct{})
	go func() {
		if media.Gone(ctx) {
			close(gone)
		}
	}()
	return gone
}

// section is the blob of a record, in the media or beside it. It owns place, which closes
// the media.
func section(ctx context.Context, media *message.Media, place io.Closer, l message.Line, r activmail.Record) (amserver.Content, error) {
	if r.IsMedia() {
		return content{io.NewSectionReader(media, l.Offset, l.Length), place}, nil
	}
	side, size, err := media.Side(ctx, r.Blob)
	if err != nil {
		_ = place.Close()
		return nil, err
	}
	return content{&seekerAt{r: side, size: size}, closers{side, place}}, nil
}

type content struct {
	io.ReaderAt
	io.Closer
}

type closers []io.Closer

func (c closers) Close() (err error) {
	for _, x := range c {
		if e := x.Close(); err == nil {
			err = e
		}
	}
	return err
}

// Media implements amserver.Outbound.
func (o Outbound) Media(ctx context.Context, pull amserver.Pull) (amserver.Media, error) {
	m, domain, err := o.open(ctx, pull)
	if err == nil {
		err = o.Messages.Gone(m)
	}
	if err != nil {
		return amserver.Media{}, err
	}
	out := amserver.Media{Size: vam.Bytes(m.Head.MediaBytes), Complete: !m.Head.SealedAt.IsZero(), ETag: string(m.ID)}
	if m.Head.MediaBytes == 0 {
		out.Content = content{bytes.NewReader(nil), closers(nil)}
		return out, nil
	}
	media, place, err := o.openMedia(ctx, m.Key, domain)
	if err != nil {
		return out, err
	}
	out.Content, out.Withdrawn = content{media, place}, withdrawn(ctx, media)
	return out, nil
}

// Blob implements amserver.Outbound.
func (o Outbound) Blob(ctx context.Context, pull amserver.Pull, name activmail.Sum) (amserver.Blob, error) {
	m, domain, err := o.open(ctx, pull)
	if err == nil {
		err = o.Messages.Gone(m)
	}
	if err != nil {
		return amserver.Blob{}, err
	}
	l, r, err := o.Messages.FindBlob(ctx, m.Key, name)
	if err != nil {
		return amserver.Blob{}, err
	}
	media, place, err := o.openMedia(ctx, m.Key, domain)
	if err != nil {
		return amserver.Blob{}, err
	}
	c, err := section(ctx, media, place, l, r)
	if err != nil {
		return amserver.Blob{}, err
	}
	return amserver.Blob{Content: c, Size: r.Length, ContentType: r.ContentType, Withdrawn: withdrawn(ctx, media)}, nil
}

// Proof implements amserver.Outbound.
func (o Outbound) Proof(ctx context.Context, pull amserver.Pull, req amserver.ProofRequest) (activmail.Proof, error) {
	m, _, err := o.open(ctx, pull)
	if err == nil {
		err = o.Messages.Gone(m)
	}
	if err != nil {
		return activmail.Proof{}, err
	}
	if req.Size > m.Head.Lines {
		return activmail.Proof{}, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: m.Head.Lines}, "the log has %d lines, not %d", m.Head.Lines, req.Size).
			WithProblem("log-position")
	}
	leaves := o.Messages.Leaves(ctx, m.Key)
	if req.Inclusion {
		return activmail.ProveInclusion(req.Leaf, req.Size, leaves)
	}
	return activmail.ProveConsistency(req.From, req.Size, leaves)
}

// PutReceipt implements amserver.Outbound.
func (o Outbound) PutReceipt(ctx context.Context, req amserver.ReceiptRequest) (bool, error) {
	k, err := o.Delivery.OfferedTo(ctx, req.MessageID, req.Signed.Domain)
	if err != nil {
		return false, err
	}
	if o.Receipts != nil && req.Receipt.Recipient.Domain == req.Signed.Domain { // others are refused for that
		if err := o.Receipts(k, req.Receipt.Recipient); err != nil {
			return false, err
		}
	}
	return o.Delivery.Receipt(ctx, req.Signed.Domain, k, req.Receipt)
}

// RenewToken implements amserver.Outbound.
func (o Outbound) RenewToken(ctx context.Context, req amserver.RenewRequest) (activmail.TokenGrant, error) {
	k, err := o.Delivery.OfferedTo(ctx, req.MessageID, req.Signed.Domain)
	if err != nil {
		return activmail.TokenGrant{}, err
	}
	token, expires, err := o.Delivery.RenewToken(ctx, req.Signed.Domain, req.Offer, k)
	return activmail.TokenGrant{Token: token, Expires: expires}, err
}

// seekerAt is an io.ReaderAt over a small seekable blob with one reader.
type seekerAt struct {
	r    io.ReadSeeker
	size int64
}

func (s *seekerAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	if _, err := s.r.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.r, p)
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	return n, err
}
