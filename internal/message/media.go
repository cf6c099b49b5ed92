package message

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Media reads the media of one message, also while it grows. Close it. A Media is
// safe for concurrent use; its readers are not.
type Media struct {
	t      *tracker
	obj    blob.Object
	closed atomic.Bool
}

// OpenMedia opens the media of a message. Gone after a revoke or an expiry, NotFound when nothing of it
// is here.
func (s *Service) OpenMedia(ctx context.Context, k Key) (*Media, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	m, _ := t.snapshot()
	if err := goneError(m); err != nil {
		s.release(t)
		return nil, err
	}
	obj, err := t.object(ctx, false)
	if err != nil {
		s.release(t)
		return nil, err
	}
	return &Media{t: t, obj: obj}, nil
}

func goneError(m Message) error {
	switch m.State {
	case vam.Revoked:
		return vam.Errorf(vam.Gone, "the sender took this message back").WithProblem("revoked")
	case vam.Expired, vam.Purged:
		return vam.Errorf(vam.Gone, "this message has expired").WithProblem("expired")
	}
	return nil
}

// Close releases the message.
func (m *Media) Close() error {
	if !m.closed.Swap(true) {
		m.t.s.release(m.t)
	}
	return nil
}

// Message returns the message as it stands.
func (m *Media) Message() Message {
	msg, _ := m.t.snapshot()
	return msg
}

// Size is the length that the log names so far, and whether it is final.
func (m *Media) Size() (size int64, final bool) {
	msg := m.Message()
	return msg.Head.MediaBytes, !msg.Head.SealedAt.IsZero()
}

// Available is the end of what can be read from off on without waiting.
func (m *Media) Available(off int64) int64 {
	m.t.mu.Lock()
	defer m.t.mu.Unlock()
	return min(m.t.have.Until(off), max(off, m.t.m.Head.MediaBytes))
}

// WaitFor returns as soon as the octet at off can be read. io.EOF: off is the end
// of a sealed message. Gone when the message ends meanwhile.
func (m *Media) WaitFor(ctx context.Context, off int64) error {
	for {
		msg, changed, err := m.t.watch(ctx)
		if err != nil {
			return err
		}
		if err := goneError(msg); err != nil {
			return err
		}
		if m.Available(off) > off {
			return nil
		}
		if !msg.Head.SealedAt.IsZero() && off >= msg.Head.MediaBytes {
			return io.EOF
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Gone reports true as soon as the message is revoked or has expired, false when ctx
// ends first.
func (m *Media) Gone(ctx context.Context) bool {
	for {
		msg, changed, err := m.t.watch(ctx)
		if err != nil {
			return false
		}
		if goneError(msg) != nil {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Reader reads [off, off+n), waiting for octets that are not here yet until ctx
// ends. Close it.
func (m *Media) Reader(ctx context.Context, off, n int64) io.ReadCloser {
	return &mediaReader{ctx: ctx, m: m, at: off, end: off + n}
}

type mediaReader struct {
	ctx     context.Context
	m       *Media
	at, end int64
	cur     io.ReadCloser
	curEnd  int64
}

func (r *mediaReader) Read(p []byte) (int, error) {
	if r.at >= r.end {
		return 0, io.EOF
	}
	if r.cur == nil {
		if err := r.m.WaitFor(r.ctx, r.at); err != nil {
			return 0, err
		}
		r.curEnd = min(r.m.Available(r.at), r.end)
		r.cur = r.m.obj.Reader(r.at, r.curEnd-r.at)
	}
	n, err := r.cur.Read(p)
	r.at += int64(n)
	if r.at >= r.curEnd {
		_ = r.cur.Close()
		r.cur, err = nil, nil
	} else if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if n == 0 && err == nil && len(p) > 0 {
		return r.Read(p)
	}
	return n, err
}

func (r *mediaReader) Close() error {
	if r.cur != nil {
		err := r.cur.Close()
		r.cur = nil
		return err
	}
	return nil
}

// Side opens a blob that stands beside the media: a poster, a text, a blob of an
// extra track. NotFound.
func (m *Media) Side(ctx context.Context, sum activmail.Sum) (io.ReadSeekCloser, int64, error) {
	return m.obj.Side(ctx, sum)
}

// Writer puts the media of another origin's message into place. Its methods are
// safe for concurrent use. Close it after the last Flush.
type Writer struct {
	t      *tracker
	obj    blob.Object
	closed atomic.Bool
}

// Writer opens a message for pulling.
func (s *Service) Writer(ctx context.Context, k Key) (*Writer, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	obj, err := t.object(ctx, true)
	if err != nil {
		s.release(t)
		return nil, err
	}
	return &Writer{t: t, obj: obj}, nil
}

// Have is the set of octets that are here.
func (w *Writer) Have() Ranges {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	return append(Ranges{}, w.t.have...)
}

// WritePart writes the verified bytes of a main-track record at its offset. They
// can be read at once and are durable after the next Flush.
func (w *Writer) WritePart(off int64, p []byte) error {
	if _, err := w.obj.WriteAt(p, off); err != nil {
		return err
	}
	w.t.wrote(Range{off, off + int64(len(p))})
	return nil
}

// WriteSide stores a blob beside the media; it is durable when WriteSide returns.
func (w *Writer) WriteSide(ctx context.Context, sum activmail.Sum, p []byte) error {
	return w.obj.PutSide(ctx, sum, p)
}

// HasSide reports whether a blob stands beside the media.
func (w *Writer) HasSide(ctx context.Context, sum activmail.Sum) (bool, error) {
	r, _, err := w.obj.Side(ctx, sum)
	if err == nil {
		return true, r.Close()
	}
	if vam.KindOf(err) == vam.NotFound {
		return false, nil
	}
	return false, err
}

// Flush makes everything written before the call durable, and the knowledge of it.
func (w *Writer) Flush(ctx context.Context) error {
	have := w.Have()
	if err := w.obj.Sync(ctx); err != nil {
		return err
	}
	m, _ := w.t.snapshot()
	return w.t.s.store.SaveHave(ctx, m.Media, have)
}

// Rescan looks for octets of line that are written but not known to be: what came
// in after the last Flush before a crash. It reads only where the file has bytes.
func (w *Writer) Rescan(ctx context.Context, l Line) (bool, error) {
	w.t.mu.Lock()
	old := l.Offset < w.t.oldSize
	w.t.mu.Unlock()
	if !old {
		return false, nil
	}
	r, err := activmail.ParseRecord(l.Raw, w.t.s.limits)
	if err != nil {
		return false, err
	}
	ok, err := blob.VerifyRange(ctx, w.obj, l.Offset, l.Length, r.Blob)
	if ok {
		w.t.wrote(Range{l.Offset, l.Offset + l.Length})
	}
	return ok, err
}

// Close releases the message.
func (w *Writer) Close() error {
	if !w.closed.Swap(true) {
		w.t.s.release(w.t)
	}
	return nil
}

// Complete records that everything the sealed log of k names is durable here;
// peer, when not empty, has shown to hold it.
func (s *Service) Complete(ctx context.Context, k Key, peer vam.Domain) error {
	if err := s.store.SetComplete(ctx, k, peer); err != nil {
		return err
	}
	s.Forget(k)
	return nil
}

// Reuse points a sealed message without media of its own at the complete media
// with the same identity that peer is known to hold, and reports whether there was
// any. Only a holder may name media into place: otherwise a hash would be enough
// to fetch somebody else's file (AM-14).
func (s *Service) Reuse(ctx context.Context, k Key, peer vam.Domain) (bool, error) {
	m, err := s.Get(ctx, k)
	if err != nil || m.Head.SealedAt.IsZero() || m.Media != (blob.ID{}) || m.Head.MediaBytes == 0 {
		return false, err
	}
	id, err := s.store.FindMedia(ctx, m.Head.Identity, peer)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, s.link(ctx, k, id)
}

func (s *Service) link(ctx context.Context, k Key, id blob.ID) error {
	if err := s.store.LinkMedia(ctx, k, id); err != nil {
		return err
	}
	s.Forget(k)
	return nil
}

// CopyMedia gives a draft of this server the media and the media records of a
// complete message: a forward or a resend moves no byte.
func (s *Service) CopyMedia(ctx context.Context, dst, src Key) (Message, error) {
	from, err := s.Get(ctx, src)
	if err != nil {
		return Message{}, err
	}
	if err := goneError(from); err != nil {
		return Message{}, err
	}
	if !from.Complete {
		return Message{}, vam.Errorf(vam.Conflict, "the message %s has not fully arrived yet; forward it when it has", src).WithProblem("not-complete")
	}
	if err := s.link(ctx, dst, from.Media); err != nil {
		return Message{}, err
	}
	t, err := s.acquire(ctx, dst)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	priv, err := s.store.PrivateKey(ctx, dst)
	if err != nil {
		return Message{}, err
	}
	t.appending.Lock()
	defer t.appending.Unlock()
	return s.copyLines(ctx, t, src, from.Head.Lines, func(cp activmail.Checkpoint) ([]byte, error) {
		return activmail.SignCheckpoint(cp, dst.Origin, dst.ID, priv)
	})
}

func (s *Service) copyLines(ctx context.Context, t *tracker, src Key, lines int64, sign func(activmail.Checkpoint) ([]byte, error)) (Message, error) {
	m, _ := t.snapshot()
	for m.Head.Lines < lines && m.Head.SealedAt.IsZero() {
		page, err := s.store.Lines(ctx, src, m.Head.Lines, linePage)
		if err != nil {
			return m, err
		}
		raw := make([][]byte, 0, len(page))
		for _, l := range page {
			raw = append(raw, l.Raw)
			if r, err := activmail.ParseRecord(l.Raw, s.limits); err == nil && r.Kind == activmail.RecordSeal {
				break // what came after the seal was said of the other message
			}
		}
		if m, err = t.append(ctx, m.Head.Lines, raw, appending{sign: sign}); err != nil {
			return m, err
		}
	}
	if err := s.store.SetComplete(ctx, t.key, ""); err != nil {
		return m, err
	}
	t.markStale()
	return m, nil
}

// Check reads every byte of a message that is here against its record, calling
// bad for each record that does not match. It returns how many octets it read.
func (s *Service) Check(ctx context.Context, k Key, bad func(Line, error)) (int64, error) {
	w, err := s.OpenMedia(ctx, k)
	if vam.KindOf(err) == vam.Gone || vam.KindOf(err) == vam.NotFound && err != nil {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.Close() }()
	var read, next int64
	for {
		lines, err := s.store.Lines(ctx, k, next, linePage)
		if err != nil || len(lines) == 0 {
			return read, err
		}
		next += int64(len(lines))
		for _, l := range lines {
			if err := ctx.Err(); err != nil {
				return read, err
			}
			n, err := w.check(ctx, l, s.limits)
			read += n
			if err != nil {
				bad(l, err)
			}
		}
	}
}

func (m *Media) check(ctx context.Context, l Line, limits activmail.Limits) (int64, error) {
	r, err := activmail.ParseRecord(l.Raw, limits)
	if err != nil || !r.HasBlob() {
		return 0, err
	}
	complete := m.Message().Complete
	if !r.IsMedia() {
		side, size, err := m.obj.Side(ctx, r.Blob)
		if err != nil {
			if vam.KindOf(err) == vam.NotFound && !complete {
				return 0, nil // still to be pulled
			}
			return 0, err
		}
		defer func() { _ = side.Close() }()
		buf, err := blob.ReceivePart(side, r.Blob, size, &m.t.s.buffers)
		m.t.s.buffers.Put(buf)
		return size, err
	}
	if !complete && m.Available(l.Offset) < l.Offset+l.Length {
		return 0, nil
	}
	ok, err := blob.VerifyRange(ctx, m.obj, l.Offset, l.Length, r.Blob)
	if err == nil && !ok {
		err = vam.Errorf(vam.Corrupt, "the %d octets at %d do not match their record", l.Length, l.Offset)
	}
	return l.Length, err
}

// VerifyDigest reads a complete message's media and compares it with the digest in
// its seal: the parts are verified already, so this catches an origin whose seal
// contradicts its own records.
func (s *Service) VerifyDigest(ctx context.Context, k Key) error {
	media, err := s.OpenMedia(ctx, k)
	if err != nil {
		return err
	}
	defer func() { _ = media.Close() }()
	m := media.Message()
	start := time.Now()
	sum, err := blob.Digest(ctx, media.obj, 0, m.Head.MediaBytes)
	if err != nil {
		return err
	}
	if activmail.Hash(sum) != m.Head.Digest {
		return vam.Errorf(vam.Corrupt, "the whole file has another SHA-256 than its seal says").WithProblem("digest-mismatch")
	}
	s.log.Debug("whole-file digest verified", "message", k, "bytes", m.Head.MediaBytes, "took", time.Since(start))
	return nil
}
