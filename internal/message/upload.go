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
// the media until the log names it.
//
// Errors: Corrupt (digest-mismatch), TooLarge, Conflict (the message is sealed),
// NotFound, and those of body.
func (s *Service) Upload(ctx context.Context, k Key, p Piece, body io.Reader) (created bool, err error) {
	if p.Length < 1 || p.Length > int64(s.limits.Part) {
		return false, vam.Errorf(vam.TooLarge, "a blob has 1 to %d octets (this server's limit); cut the file into parts of 1 MiB", int64(s.limits.Part)).WithProblem("too-large")
	}
	t, err := s.acquire(ctx, k)
	if err != nil {
		return false, err
	}
	defer s.release(t)
	m, _ := t.snapshot()
	if m.Head.State != vam.Draft && m.Head.State != vam.Live {
		return false, vam.Errorf(vam.Conflict, "the message is %s; nothing can be added to it", m.Head.State).WithProblem("sealed")
	}
	obj, err := t.object(ctx, true)
	if err != nil {
		return false, err
	}
	there, err := t.present(ctx, obj, p)
	if err != nil || there {
		return false, err
	}
	buf, err := blob.ReceivePart(body, p.Sum, p.Length, &s.buffers)
	if err != nil {
		return false, err
	}
	defer s.buffers.Put(buf)
	if !t.reserve(p) {
		return true, obj.PutSide(ctx, p.Sum, buf)
	}
	if _, err := obj.WriteAt(buf, p.At); err != nil {
		t.unreserve(p)
		return false, err
	}
	if err := obj.Sync(ctx); err != nil {
		t.unreserve(p)
		return false, err
	}
	t.wrote(Range{p.At, p.At + p.Length})
	return true, nil
}

// present reports whether a blob is here, in memory's word or, after a restart, by
// its bytes.
func (t *tracker) present(ctx context.Context, obj blob.Object, p Piece) (bool, error) {
	t.mu.Lock()
	at, placed := t.placed[p.Sum]
	ready := placed && at.Len() == p.Length && t.have.Contains(at)
	t.mu.Unlock()
	if ready {
		return true, nil
	}
	if side, size, err := obj.Side(ctx, p.Sum); err == nil {
		_ = side.Close()
		return size == p.Length, nil
	} else if vam.KindOf(err) != vam.NotFound {
		return false, err
	}
	t.mu.Lock()
	old := p.At >= 0 && p.At < t.oldSize
	t.mu.Unlock()
	if !old || !t.reserve(p) {
		return false, nil
	}
	ok, err := blob.VerifyRange(ctx, obj, p.At, p.Length, p.Sum)
	if err != nil || !ok {
		t.unreserve(p)
		return false, err
	}
	if err := obj.Sync(ctx); err != nil { // it may be from before a crash
		return false, err
	}
	t.wrote(Range{p.At, p.At + p.Length})
	return true, nil
}

// reserve claims the piece's place in the media: behind what the log names, and
// not over another piece.
func (t *tracker) reserve(p Piece) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	want := Range{p.At, p.At + p.Length}
	if p.At < t.m.Head.MediaBytes || p.At > int64(t.s.limits.Message)-p.Length {
		return false
	}
	if r, ok := t.placed[p.Sum]; ok {
		return r == want
	}
	for _, r := range t.placed {
		if r.Start < want.End && want.Start < r.End {
			return false
		}
	}
	t.placed[p.Sum] = want
	return true
}

func (t *tracker) unreserve(p Piece) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.placed, p.Sum)
}

// Missing returns those pieces that are not here yet.
func (s *Service) Missing(ctx context.Context, k Key, pieces []Piece) ([]Piece, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	defer s.release(t)
	obj, err := t.object(ctx, true)
	if err != nil {
		return nil, err
	}
	var missing []Piece
	for _, p := range pieces {
		there, err := t.present(ctx, obj, p)
		if err != nil {
			return nil, err
		}
		if !there {
			missing = append(missing, p)
		}
	}
	return missing, nil
}

// place makes sure that the bytes of entries are where the log says, and durable.
// appending is held, so what the log names cannot move meanwhile.
func (t *tracker) place(ctx context.Context, entries []activmail.Entry) error {
	var moved []activmail.Sum
	for _, e := range entries {
		if !e.Record.HasBlob() {
			continue
		}
		obj, err := t.object(ctx, false)
		if err != nil {
			return err
		}
		side, err := t.placeOne(ctx, obj, e)
		if err != nil {
			return err
		}
		if side {
			moved = append(moved, e.Record.Blob)
		}
	}
	if len(moved) == 0 {
		return nil
	}
	obj, err := t.object(ctx, false)
	if err != nil {
		return err
	}
	if err := obj.Sync(ctx); err != nil {
		return err
	}
	for _, sum := range moved {
		// A poster may name the same bytes as a part: keep what a record still needs.
		if err := obj.RemoveSide(ctx, sum); err != nil {
			t.s.log.Warn("a staged blob was not removed", "message", t.key, "err", err)
		}
	}
	return nil
}

// placeOne reports whether it moved the blob from beside the media into it.
func (t *tracker) placeOne(ctx context.Context, obj blob.Object, e activmail.Entry) (bool, error) {
	sum, length := e.Record.Blob, int64(e.Record.Length)
	if !e.Record.IsMedia() {
		side, size, err := obj.Side(ctx, sum)
		if vam.KindOf(err) == vam.NotFound && err != nil || err == nil && size != length {
			return false, blobMissing(e)
		}
		if err != nil {
			return false, err
		}
		return false, side.Close()
	}
	span := Range{int64(e.Offset), int64(e.Offset) + length}
	t.mu.Lock()
	at, ok := t.placed[sum]
	ready := ok && at == span && t.have.Contains(span)
	t.mu.Unlock()
	if ready {
		return false, nil
	}
	side, size, err := obj.Side(ctx, sum)
	if err == nil && size == length {
		defer func() { _ = side.Close() }()
		buf, err := blob.ReceivePart(side, sum, length, &t.s.buffers)
		if err != nil {
			return false, err
		}
		defer t.s.buffers.Put(buf)
		if _, err := obj.WriteAt(buf, span.Start); err != nil {
			return false, err
		}
		t.wrote(span)
		return true, nil
	}
	if err != nil && vam.KindOf(err) != vam.NotFound {
		return false, err
	}
	// It may stand at its place already: from before a restart, or shared media.
	good, err := blob.VerifyRange(ctx, obj, span.Start, length, sum)
	if err != nil {
		return false, err
	}
	if !good {
		return false, t.blobElsewhere(ctx, obj, e)
	}
	if err := obj.Sync(ctx); err != nil {
		return false, err
	}
	t.wrote(span)
	return false, nil
}

// blobElsewhere handles a part that was uploaded with another place than the one
// that the log gives it.
func (t *tracker) blobElsewhere(ctx context.Context, obj blob.Object, e activmail.Entry) error {
	t.mu.Lock()
	at, ok := t.placed[e.Record.Blob]
	t.mu.Unlock()
	if !ok || at.Len() != int64(e.Record.Length) {
		return blobMissing(e)
	}
	buf := t.s.buffers.Get(int(at.Len()))
	defer t.s.buffers.Put(buf)
	if _, err := obj.ReadAt(buf, at.Start); err != nil || blob.Check(buf, e.Record.Blob) != nil {
		return blobMissing(e)
	}
	if _, err := obj.WriteAt(buf, int64(e.Offset)); err != nil {
		return err
	}
	if err := obj.Sync(ctx); err != nil {
		return err
	}
	t.wrote(Range{int64(e.Offset), int64(e.Offset) + at.Len()})
	return nil
}

func blobMissing(e activmail.Entry) error {
	return vam.Errorf(vam.Conflict, "the bytes of line %d (%x…) are not here; upload them first, then append again", e.Index, e.Record.Blob[:8]).WithProblem("blob-missing")
}
