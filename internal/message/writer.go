package message

import (
	"context"
	"sync/atomic"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Writer puts the media of another origin's message into place. Its methods are
// safe for concurrent use. Close it after the last Flush.
type Writer struct {
	t      *tracker
	obj    blob.Object
	closed atomic.Bool
}

// Writer opens a message for pulling. Those who wait for it wait on.
func (s *Service) Writer(ctx context.Context, k Key) (*Writer, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	obj, err := t.open(ctx, true)
	if err != nil {
		s.release(t)
		return nil, err
	}
	t.giveUp(nil)
	return &Writer{t: t, obj: obj}, nil
}

// Has reports whether every octet of r is here.
func (w *Writer) Has(r Range) bool { return w.t.contains(r) }

// Have is the set of octets that are here.
func (w *Writer) Have() Ranges {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	return append(Ranges{}, w.t.have...)
}

// Total is how many octets are here.
func (w *Writer) Total() int64 {
	w.t.mu.Lock()
	defer w.t.mu.Unlock()
	return w.t.have.Total()
}

// WritePart writes the verified bytes of a main-track record at its offset. They
// can be read at once and are durable after the next Flush (AM-4.22).
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
	w.t.mu.Lock()
	have := append(Ranges{}, w.t.have...)
	w.t.mu.Unlock()
	if err := w.t.sync(ctx, w.obj); err != nil {
		return err
	}
	return w.t.s.store.SaveHave(ctx, w.obj.ID(), have)
}

// Rescan looks for octets of line that are written but not known to be: what came
// in after the last Flush before a crash. It reads below the end that the file had
// when it was opened.
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
	if w.closed.Swap(true) {
		return nil
	}
	err := w.obj.Close()
	w.t.s.release(w.t)
	return err
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
