package message

import (
	"bytes"
	"context"
	"encoding/hex"
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// place makes sure that the bytes of entries are where the log says, and durable. It
// returns the blobs beside the media that are not needed there once the entries are
// stored. appending is held, so what the log names cannot move meanwhile.
func (t *tracker) place(ctx context.Context, l *logState, entries []activmail.Entry) (spent []activmail.Sum, err error) {
	first := slices.IndexFunc(entries, func(e activmail.Entry) bool { return e.Record.HasBlob() })
	if first < 0 {
		return nil, nil
	}
	obj, err := t.open(ctx, false)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return nil, blobMissing(entries[first])
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = obj.Close() }()
	if err := t.clear(ctx, obj, entries); err != nil {
		return nil, err
	}
	flush := false
	for _, e := range entries {
		if !e.Record.HasBlob() {
			continue
		}
		wrote, fromSide, err := t.placeOne(ctx, obj, e)
		if err != nil {
			return nil, err
		}
		flush = flush || wrote
		if fromSide && !l.beside[e.Record.Blob] {
			spent = append(spent, e.Record.Blob)
		}
	}
	if flush {
		return spent, t.sync(ctx, obj)
	}
	return spent, nil
}

// spanOf is where a piece of the main track stands.
func spanOf(e activmail.Entry) Range {
	return Range{int64(e.Offset), int64(e.Offset) + int64(e.Record.Length)}
}

// clear keeps other uploads out of what entries are about to name: it waits for those
// that write there, and moves those aside that stand there by a wrong guess.
func (t *tracker) clear(ctx context.Context, obj blob.Object, entries []activmail.Entry) error {
	t.mu.Lock()
	span := Range{t.m.Head.MediaBytes, t.m.Head.MediaBytes}
	t.mu.Unlock()
	right := map[activmail.Sum]Range{}
	for _, e := range entries {
		if e.Record.IsMedia() {
			span.End = spanOf(e).End
			if _, ok := right[e.Record.Blob]; !ok {
				right[e.Record.Blob] = spanOf(e)
			}
		}
	}
	for {
		t.mu.Lock()
		t.staged.floor = span.End
		var busy bool
		var wrong []*place
		for _, x := range t.staged.within(span) {
			busy = busy || x.writers > 0
			if x.ready && right[x.sum] != x.Range {
				wrong = append(wrong, x)
			}
		}
		changed := t.changed
		t.mu.Unlock()
		if !busy {
			return t.moveAside(ctx, obj, wrong)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (t *tracker) moveAside(ctx context.Context, obj blob.Object, wrong []*place) error {
	for _, x := range wrong {
		buf, err := t.read(obj, x.Range, x.sum)
		if err != nil {
			return err
		}
		err = obj.PutSide(ctx, x.sum, buf)
		t.s.buffers.Put(buf)
		if err != nil {
			return err
		}
		t.mu.Lock()
		t.staged.remove(x)
		t.staged.put(x.sum, x.Len())
		t.mu.Unlock()
	}
	return nil
}

// read returns the bytes of a span after checking them. Give them back to buffers.
func (t *tracker) read(obj blob.Object, r Range, sum activmail.Sum) ([]byte, error) {
	src := obj.Reader(r.Start, r.Len())
	defer func() { _ = src.Close() }()
	return blob.ReceivePart(src, sum, r.Len(), &t.s.buffers)
}

// placeOne reports whether it relied on bytes that are not known to be durable, and
// whether they came from beside the media.
func (t *tracker) placeOne(ctx context.Context, obj blob.Object, e activmail.Entry) (wrote, fromSide bool, err error) {
	sum, length := e.Record.Blob, int64(e.Record.Length)
	if !e.Record.IsMedia() {
		return false, false, t.standsBeside(ctx, obj, e)
	}
	span := spanOf(e)
	t.mu.Lock()
	x := t.staged.bySum[sum]
	ready := x != nil && x.ready && x.Len() == length
	t.mu.Unlock()
	if ready && x.Range == span {
		return false, false, nil
	}
	if ready {
		return true, false, t.copyPiece(obj, x.Range, sum, span.Start)
	}
	side, size, err := obj.Side(ctx, sum)
	if err == nil && size == length {
		defer func() { _ = side.Close() }()
		buf, err := blob.ReceivePart(side, sum, length, &t.s.buffers)
		if err != nil {
			return false, false, err
		}
		defer t.s.buffers.Put(buf)
		_, err = obj.WriteAt(buf, span.Start)
		return true, true, err
	}
	if err == nil {
		_ = side.Close()
	} else if vam.KindOf(err) != vam.NotFound {
		return false, false, err
	}
	// It may stand at its place already: from before a restart.
	good, err := blob.VerifyRange(ctx, obj, span.Start, length, sum)
	if err != nil || good {
		return good, false, err
	}
	// The same bytes may stand somewhere before: files repeat themselves.
	named, err := t.named(ctx, map[activmail.Sum]bool{sum: true})
	if err != nil {
		return false, false, err
	}
	if old, ok := named[sum]; ok && old.Offset >= 0 && old.Length == length {
		return true, false, t.copyPiece(obj, Range{old.Offset, old.Offset + length}, sum, span.Start)
	}
	return false, false, blobMissing(e)
}

// standsBeside checks a poster, a text or a blob of an extra track. One that was
// uploaded with a place in the media is moved.
func (t *tracker) standsBeside(ctx context.Context, obj blob.Object, e activmail.Entry) error {
	side, size, err := obj.Side(ctx, e.Record.Blob)
	if err == nil {
		if err := side.Close(); err != nil || size == int64(e.Record.Length) {
			return err
		}
		return blobMissing(e)
	}
	if vam.KindOf(err) != vam.NotFound {
		return err
	}
	t.mu.Lock()
	x := t.staged.bySum[e.Record.Blob]
	ready := x != nil && x.ready && x.Len() == int64(e.Record.Length)
	t.mu.Unlock()
	if !ready {
		return blobMissing(e)
	}
	buf, err := t.read(obj, x.Range, x.sum)
	if err != nil {
		return err
	}
	defer t.s.buffers.Put(buf)
	return obj.PutSide(ctx, x.sum, buf)
}

func (t *tracker) copyPiece(obj blob.Object, from Range, sum activmail.Sum, to int64) error {
	buf, err := t.read(obj, from, sum)
	if err != nil {
		return err
	}
	defer t.s.buffers.Put(buf)
	_, err = obj.WriteAt(buf, to)
	return err
}

// dropSpent removes blobs beside the media that stand in it now.
func (t *tracker) dropSpent(ctx context.Context, spent []activmail.Sum) {
	if len(spent) == 0 {
		return
	}
	obj, err := t.open(ctx, false)
	if err != nil {
		return
	}
	defer func() { _ = obj.Close() }()
	for _, sum := range spent {
		if err := obj.RemoveSide(ctx, sum); err != nil {
			t.s.log.Warn("a staged blob was not removed", "message", t.key, "err", err)
		}
	}
}

// named finds the lines that name blobs of the message.
func (t *tracker) named(ctx context.Context, wanted map[activmail.Sum]bool) (map[activmail.Sum]Line, error) {
	found := map[activmail.Sum]Line{}
	m, _ := t.snapshot()
	if len(wanted) == 0 || m.Head.Lines == 0 {
		return found, nil
	}
	for next := int64(0); len(found) < len(wanted); {
		lines, err := t.s.store.Lines(ctx, t.key, next, linePage)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			r, err := activmail.ParseRecord(l.Raw, t.s.limits)
			if err == nil && r.HasBlob() && wanted[r.Blob] {
				if _, ok := found[r.Blob]; !ok || l.Offset >= 0 {
					found[r.Blob] = l
				}
			}
		}
		if next += int64(len(lines)); len(lines) < linePage {
			break
		}
	}
	return found, nil
}

// FindBlob finds a record of the message that names a blob. NotFound. Whoever asks for
// one blob after the other in the order of the log does not read it anew each time.
func (s *Service) FindBlob(ctx context.Context, k Key, name activmail.Sum) (Line, activmail.Record, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Line{}, activmail.Record{}, err
	}
	defer s.release(t)
	t.mu.Lock()
	start, end := t.found, t.m.Head.Lines
	t.mu.Unlock()
	for _, part := range [2]Range{{start, end}, {0, min(start, end)}} {
		l, r, err := s.findBlob(ctx, k, part, name)
		if err == nil {
			t.mu.Lock()
			t.found = l.N
			t.mu.Unlock()
		}
		if err == nil || vam.KindOf(err) != vam.NotFound {
			return l, r, err
		}
	}
	return Line{}, activmail.Record{}, vam.Errorf(vam.NotFound, "no record of this message names that blob")
}

func (s *Service) findBlob(ctx context.Context, k Key, part Range, name activmail.Sum) (Line, activmail.Record, error) {
	text := hex.AppendEncode(nil, name[:])
	for next := part.Start; next < part.End; {
		lines, err := s.store.Lines(ctx, k, next, min(linePage, part.End-next))
		if err != nil {
			return Line{}, activmail.Record{}, err
		}
		if len(lines) == 0 {
			break
		}
		for _, l := range lines {
			// A name may be written with escapes; it is not worth more than this.
			if !bytes.Contains(l.Raw, text) && bytes.IndexByte(l.Raw, '\\') < 0 {
				continue
			}
			if r, err := activmail.ParseRecord(l.Raw, s.limits); err == nil && r.HasBlob() && r.Blob == name {
				return l, r, nil
			}
		}
		next += int64(len(lines))
	}
	return Line{}, activmail.Record{}, vam.Errorf(vam.NotFound, "no record of this message names that blob")
}

func blobMissing(e activmail.Entry) error {
	return vam.Errorf(vam.Conflict, "the bytes of line %d (%x…) are not here; upload them first, then append again", e.Index, e.Record.Blob[:8]).WithProblem("blob-missing")
}
