package message

import (
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// hashAhead is how much media the log names more than was hashed before the background
// goes on with it, in octets.
const hashAhead = 4 << 20

// digest is the SHA-256 of the media of a message of this server, as far as it was
// computed beside the uploads, so that the seal of a long recording has only its last
// piece to wait for.
type digest struct {
	h    hash.Hash
	done int64 // octets from the start on
	busy bool  // a goroutine is at it
	err  error // why it stopped
}

// hashOn starts the background when there are at least least octets to do; mu is held.
func (t *tracker) hashOn(least int64) {
	d := &t.digest
	if d.busy || d.err != nil || t.m.Head.MediaBytes-d.done < least || t.m.Media == (blob.ID{}) || t.s.ctx.Err() != nil {
		return
	}
	if d.h == nil {
		d.h = sha256.New()
	}
	d.busy = true
	id := t.m.Media
	t.s.background.Go(func() { t.hash(id) })
}

func (t *tracker) hash(id blob.ID) {
	obj, err := t.s.blobs.Open(t.s.ctx, id)
	if err == nil {
		defer func() { _ = obj.Close() }()
	}
	for {
		t.mu.Lock()
		d := &t.digest
		from, to := d.done, t.m.Head.MediaBytes
		if t.m.Media != id || !d.busy { // another media meanwhile: this work is void
			t.mu.Unlock()
			return
		}
		if err != nil || from >= to || t.s.ctx.Err() != nil {
			d.busy = false
			if err != nil {
				*d = digest{err: err} // the hash may have taken half of a piece
			}
			t.notify()
			t.mu.Unlock()
			return
		}
		h := d.h
		t.mu.Unlock()
		err = hashInto(stopper{t.s.ctx, h}, obj, from, to-from)
		if err == nil {
			t.mu.Lock()
			if t.digest.h == h {
				t.digest.done = to
			}
			t.mu.Unlock()
		}
	}
}

// stopper ends a copy when ctx ends.
type stopper struct {
	ctx context.Context
	w   io.Writer
}

func (s stopper) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// hashInto writes n octets of the media from off on to w.
func hashInto(w io.Writer, obj blob.Object, off, n int64) error {
	r := obj.Reader(off, n)
	defer func() { _ = r.Close() }()
	got, err := io.Copy(w, r)
	if err == nil && got != n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// errMoved says that the log grew while it was looked at.
var errMoved = errors.New("the log has grown meanwhile")

// moved reports whether the same is worth another try at once.
func moved(err error) bool {
	var pos *activmail.PositionError
	return errors.Is(err, errMoved) || errors.As(err, &pos)
}

// wholeDigest returns the SHA-256 of the first end octets of the media, which is all
// that the log names. errMoved when it names more by now.
func (t *tracker) wholeDigest(ctx context.Context, end int64) (activmail.Sum, error) {
	if end == 0 {
		return sha256.Sum256(nil), nil
	}
	for {
		t.mu.Lock()
		t.hashOn(1)
		d, changed := t.digest, t.changed
		var sum activmail.Sum
		if !d.busy && d.done == end && d.h != nil {
			copy(sum[:], d.h.Sum(nil))
		}
		t.digest.err = nil // the next one tries again
		t.mu.Unlock()
		switch {
		case d.err != nil:
			return sum, d.err
		case d.done > end:
			return sum, errMoved
		case !d.busy && d.done == end:
			return sum, nil
		case t.s.ctx.Err() != nil:
			return sum, vam.Errorf(vam.Unavailable, "this server is stopping; try again in a moment")
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return sum, ctx.Err()
		}
	}
}
