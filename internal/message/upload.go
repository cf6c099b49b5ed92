package message

import (
	"context"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// Piece is a blob of a message with the place that its author means it to have.
type Piece struct {
	Sum    activmail.Sum
	Length int64
	At     int64 // offset in the media; negative when the author does not say
}

// Upload receives one blob of a message of this server. It is durable when Upload
// returns, and again when it was there before (created is false then). A piece
// with a place is written where the file will have it; one without stands beside
// the media until the log names it. The place may be wrong: it costs a copy then.
// admit, if not nil, is asked before a blob is received that is not here, with the
// message and how many octets it will hold.
//
// Errors: Corrupt (digest-mismatch), TooLarge, Conflict (the message is sealed, or
// carries the media of another one), Gone, NotFound, and those of body and admit.
func (s *Service) Upload(ctx context.Context, k Key, p Piece, body io.Reader, admit func(m Message, total vam.Bytes) error) (created bool, err error) {
	if err := s.checkPiece(p); err != nil {
		return false, err
	}
	t, err := s.acquire(ctx, k)
	if err != nil {
		return false, err
	}
	defer s.release(t)
	if err := t.mayGrow(); err != nil {
		return false, err
	}
	obj, err := t.open(ctx, true)
	if err != nil {
		return false, err
	}
	defer func() { _ = obj.Close() }()
	if err := t.mayGrow(); err != nil { // opening may have shown whose media it is
		return false, err
	}
	there, err := t.present(ctx, obj, p)
	if err != nil || there {
		return false, err
	}
	if err := t.roomFor(p, admit); err != nil {
		return false, err
	}
	buf, err := blob.ReceivePart(body, p.Sum, p.Length, &s.buffers)
	if err != nil {
		return false, err
	}
	defer s.buffers.Put(buf)
	return true, t.stage(ctx, obj, p, buf)
}

func (s *Service) checkPiece(p Piece) error {
	if p.Length < 1 || p.Length > int64(s.limits.Part) {
		return vam.Errorf(vam.TooLarge, "a blob has 1 to %d octets (this server's limit); cut the file into parts of 1 MiB", int64(s.limits.Part)).WithProblem("too-large")
	}
	return nil
}

// Staged is how many octets the message holds, those included that were uploaded for
// lines to come.
func (s *Service) Staged(ctx context.Context, k Key) (vam.Bytes, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return 0, err
	}
	defer s.release(t)
	t.mu.Lock()
	defer t.mu.Unlock()
	return vam.Bytes(t.m.Head.MediaBytes + t.staged.octets), nil
}

// mayGrow says why bytes cannot be added to the message.
func (t *tracker) mayGrow() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.s.Gone(t.m); err != nil {
		return err
	}
	if st := t.m.Head.State; st != vam.Draft && st != vam.Live {
		return vam.Errorf(vam.Conflict, "the message is %s; nothing can be added to it", st).WithProblem("sealed")
	}
	if t.shared {
		return vam.Errorf(vam.Conflict, "the message carries the media of another one; nothing can be added to it").WithProblem("sealed")
	}
	return nil
}

// roomFor bounds what is uploaded and never named.
func (t *tracker) roomFor(p Piece, admit func(Message, vam.Bytes) error) error {
	t.mu.Lock()
	m, total, count := t.m, t.m.Head.MediaBytes+t.staged.octets+p.Length, t.staged.count()
	t.mu.Unlock()
	limits := t.s.limits
	if total > int64(limits.Message) || int64(count) >= limits.Lines {
		return vam.Errorf(vam.TooLarge, "a message has at most %s in %d parts (this server's limit)", limits.Message, limits.Lines).WithProblem("too-large")
	}
	if admit == nil {
		return nil
	}
	return admit(m, vam.Bytes(total))
}

// stage makes verified bytes durable, at their place or beside the media.
func (t *tracker) stage(ctx context.Context, obj blob.Object, p Piece, buf []byte) error {
	t.mu.Lock()
	x := t.staged.reserve(p, int64(t.s.limits.Message))
	t.mu.Unlock()
	if x == nil {
		if err := obj.PutSide(ctx, p.Sum, buf); err != nil {
			return err
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.staged.put(p.Sum, p.Length)
		return nil
	}
	_, err := obj.WriteAt(buf, p.At)
	if err == nil {
		err = t.sync(ctx, obj)
	}
	t.staging(x, err == nil)
	return err
}

// staging ends a reservation.
func (t *tracker) staging(x *place, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staged.done(x, ok)
	t.notify()
}

// present reports whether a blob is here: staged, by what memory knows; at its place,
// by its bytes; beside the media, by its name.
func (t *tracker) present(ctx context.Context, obj blob.Object, p Piece) (bool, error) {
	t.mu.Lock()
	x := t.staged.bySum[p.Sum]
	ready := x != nil && x.ready && x.Len() == p.Length
	named := p.At >= 0 && p.At <= t.m.Head.MediaBytes-p.Length
	old := p.At >= 0 && p.At < t.oldSize
	t.mu.Unlock()
	if ready {
		return true, nil
	}
	if named {
		ok, err := blob.VerifyRange(ctx, obj, p.At, p.Length, p.Sum)
		if err != nil || ok {
			return ok, err
		}
	}
	if side, size, err := obj.Side(ctx, p.Sum); err == nil {
		return size == p.Length, side.Close()
	} else if vam.KindOf(err) != vam.NotFound {
		return false, err
	}
	if !old {
		return false, nil
	}
	return t.recover(ctx, obj, p)
}

// recover stages a piece that was written before a restart.
func (t *tracker) recover(ctx context.Context, obj blob.Object, p Piece) (bool, error) {
	t.mu.Lock()
	x := t.staged.reserve(p, int64(t.s.limits.Message))
	t.mu.Unlock()
	if x == nil {
		return false, nil
	}
	ok, err := blob.VerifyRange(ctx, obj, p.At, p.Length, p.Sum)
	if err == nil && ok {
		err = t.sync(ctx, obj)
	}
	t.staging(x, ok && err == nil)
	return ok, err
}

// Missing returns those pieces that are not here yet for this message (AM-13.8) (AM-14.6).
func (s *Service) Missing(ctx context.Context, k Key, pieces []Piece) ([]Piece, error) {
	for _, p := range pieces {
		if err := s.checkPiece(p); err != nil {
			return nil, err
		}
	}
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	defer s.release(t)
	obj, err := t.open(ctx, false)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return pieces, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = obj.Close() }()
	var missing []Piece
	wanted := map[activmail.Sum]bool{}
	for _, p := range pieces {
		there, err := t.present(ctx, obj, p)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, p)
			wanted[p.Sum] = true
		}
	}
	named, err := t.named(ctx, wanted)
	if err != nil {
		return nil, err
	}
	out := missing[:0]
	for _, p := range missing {
		if l, ok := named[p.Sum]; !ok || l.Length != p.Length {
			out = append(out, p)
		}
	}
	return out, nil
}
