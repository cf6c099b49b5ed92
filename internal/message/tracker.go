package message

import (
	"context"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// linePage is how many log lines are read at once.
const linePage = 1000

// tracker is the shared in-memory state of one message that is in use: the head,
// which spans of media are readable, and who waits for more.
//
// appending orders the appends of one message and is held while they are stored;
// mu guards the fields below it and is never held over I/O.
type tracker struct {
	s     *Service
	key   Key
	users int // guarded by Service.mu

	appending sync.Mutex
	validator *activmail.Validator // nil until the first append; guarded by appending

	mu      sync.Mutex
	stale   bool
	m       Message
	have    Ranges // readable: verified and written, durable or about to be
	placed  map[activmail.Sum]Range
	changed chan struct{} // closed and replaced at every change
	media   blob.Object   // nil until the first use
	oldSize int64         // of the media when it was opened: only below it can there be bytes from before

	digest   hash.Hash // of the media in log order, as far as digested
	digested int64
	digestUp bool  // a goroutine is at it
	digesErr error // why it stopped
}

func (t *tracker) snapshot() (Message, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m, !t.stale
}

func (t *tracker) markStale() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stale = true
	t.notify()
}

// notify wakes everybody who watches; mu is held.
func (t *tracker) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// refresh reads the rows when the tracker is new or was marked stale.
func (t *tracker) refresh(ctx context.Context) error {
	t.mu.Lock()
	stale := t.stale
	t.mu.Unlock()
	if !stale {
		return nil
	}
	t.appending.Lock()
	defer t.appending.Unlock()
	m, err := t.s.store.Message(ctx, t.key)
	if err != nil {
		return err
	}
	var have Ranges
	if m.Media != (blob.ID{}) {
		if have, err = t.s.store.Have(ctx, m.Media); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.stale {
		return nil
	}
	if t.m.Media != m.Media && t.media != nil {
		_ = t.media.Close() // a reader holds its own
		t.media, t.have = nil, nil
	}
	if t.m.Head.Lines != m.Head.Lines {
		t.validator = nil
	}
	t.m, t.stale = m, false
	for _, r := range have {
		t.have = t.have.Add(r)
	}
	if t.placed == nil {
		t.placed = map[activmail.Sum]Range{}
	}
	t.notify()
	return nil
}

// watch returns the message and a channel that closes at its next change.
func (t *tracker) watch(ctx context.Context) (Message, <-chan struct{}, error) {
	if err := t.refresh(ctx); err != nil {
		return Message{}, nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m, t.changed, nil
}

// log returns the validator with every stored line in it; appending is held.
func (t *tracker) log(ctx context.Context) (*activmail.Validator, error) {
	if t.validator != nil {
		return t.validator, nil
	}
	v := activmail.NewValidator(t.s.limits)
	for {
		lines, err := t.s.store.Lines(ctx, t.key, v.Size(), linePage)
		if err != nil {
			return nil, err
		}
		for _, l := range lines {
			if _, err := v.Append(l.Raw); err != nil {
				return nil, vam.Wrap(vam.Corrupt, err, "line %d of the stored log of %s is damaged", v.Size(), t.key)
			}
		}
		if len(lines) < linePage {
			break
		}
	}
	t.validator = v
	return v, nil
}

// object opens the media, creating it when create is set and there is none. The
// tracker keeps it open; do not close it.
func (t *tracker) object(ctx context.Context, create bool) (blob.Object, error) {
	t.mu.Lock()
	obj, id := t.media, t.m.Media
	t.mu.Unlock()
	if obj != nil {
		return obj, nil
	}
	if id == (blob.ID{}) {
		if !create {
			return nil, vam.Errorf(vam.NotFound, "nothing of this message's media is here yet")
		}
		fresh := blob.NewID()
		if err := t.s.blobs.Create(ctx, fresh); err != nil {
			return nil, err
		}
		var err error
		if id, err = t.s.store.AttachMedia(ctx, t.key, fresh); err != nil {
			return nil, err
		}
		if id != fresh {
			_ = t.s.blobs.Remove(ctx, fresh) // an orphan that the start-up sweep would find too
		}
	}
	obj, err := t.s.blobs.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.media != nil {
		_ = obj.Close()
		return t.media, nil
	}
	t.media, t.m.Media, t.oldSize = obj, id, obj.Size()
	return obj, nil
}

func (t *tracker) closeMedia() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.media != nil {
		_ = t.media.Close()
		t.media = nil
	}
	t.notify()
}

// wrote makes a span readable.
func (t *tracker) wrote(r Range) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have = t.have.Add(r)
	t.notify()
}

func (t *tracker) hashing() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.digestUp
}

// advanceDigest hashes the media that the log names so far in the background, so
// that the seal of a long recording has only its last piece to wait for. The media
// up to end is written.
func (t *tracker) advanceDigest(end int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.digestUp || t.digested >= end || t.media == nil || t.digesErr != nil {
		return
	}
	if t.digest == nil {
		t.digest = sha256.New()
	}
	t.digestUp = true
	t.s.background.Go(func() { t.runDigest() })
}

func (t *tracker) runDigest() {
	for {
		t.mu.Lock()
		from, to, media := t.digested, t.m.Head.MediaBytes, t.media
		if from >= to || media == nil || t.s.ctx.Err() != nil || t.digesErr != nil {
			t.digestUp = false
			t.notify()
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		err := hashInto(t.digest, media, from, to-from)
		t.mu.Lock()
		if err != nil {
			t.digesErr = err
		} else {
			t.digested = to
		}
		t.mu.Unlock()
	}
}

// wholeDigest returns the SHA-256 of the first end octets, which are written.
func (t *tracker) wholeDigest(ctx context.Context, end int64) (activmail.Sum, error) {
	if end == 0 {
		return sha256.Sum256(nil), nil
	}
	for {
		t.advanceDigest(end)
		t.mu.Lock()
		err, done, changed := t.digesErr, t.digested == end && !t.digestUp, t.changed
		var sum activmail.Sum
		if done {
			copy(sum[:], t.digest.Sum(nil))
		}
		t.mu.Unlock()
		if err != nil || done {
			return sum, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return activmail.Sum{}, ctx.Err()
		}
	}
}
