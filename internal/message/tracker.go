package message

import (
	"cmp"
	"container/list"
	"context"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// linePage is how many log lines are read at once.
const linePage = 1000

// recentRoots is how many of the last roots are kept for followers of the live edge,
// who want a checkpoint that ends with the line that they wait for (AM-7.10).
const recentRoots = 16

// tracker is the shared in-memory state of one message that is in use: the head,
// which spans of media are readable, what was uploaded for lines to come, and who
// waits for more. It holds no file open.
//
// appending orders the appends of one message and is held while they are stored; mu
// guards the fields below it and is never held over I/O. Whoever changes rows of the
// message, or the fields that come from them, moves generation on, so that a refresh
// which read before cannot put old rows into place.
type tracker struct {
	s     *Service
	key   Key
	users int           // guarded by Service.mu
	idle  *list.Element // guarded by Service.mu

	appending sync.Mutex
	log       *logState // nil until the first append; guarded by appending

	mu         sync.Mutex
	generation uint64
	stale      bool
	m          Message
	have       Ranges // what the log names and is readable: verified and written
	shared     bool   // the media is that of another message: never written to
	staged     staged
	recent     []activmail.Checkpoint // of the last lines, oldest first
	changed    chan struct{}          // closed and replaced at every change
	failed     error                  // why nothing more arrives
	digest     digest
	found      int64 // where FindBlob found something last

	opened  blob.ID // the media that oldSize is of
	oldSize int64   // of the media when it was opened first: only below it can there be bytes from before
}

// logState is what appending needs to know of the lines before.
type logState struct {
	validator *activmail.Validator
	beside    map[activmail.Sum]bool // named by a record that is no piece of the main track
}

func newTracker(s *Service, k Key) *tracker {
	return &tracker{s: s, key: k, changed: make(chan struct{}), stale: true, staged: newStaged()}
}

// empty reports whether no row was ever read.
func (t *tracker) empty() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.m.Key == Key{}
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
	t.generation++
	t.notify()
}

func (t *tracker) giveUp(why error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = why
	t.notify()
}

// notify wakes everybody who watches; mu is held.
func (t *tracker) notify() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// refresh reads the rows when the tracker is new or was marked stale.
func (t *tracker) refresh(ctx context.Context) error {
	for {
		t.mu.Lock()
		stale, generation := t.stale, t.generation
		t.mu.Unlock()
		if !stale {
			return nil
		}
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
		if t.take(m, have, generation) {
			return nil
		}
	}
}

// take puts rows into place that were read at generation; false when they may be old.
func (t *tracker) take(m Message, have Ranges, generation uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.generation != generation {
		return false
	}
	if t.m.Media != m.Media {
		t.have, t.staged, t.digest = nil, newStaged(), digest{}
	}
	t.m, t.stale = m, false
	for _, r := range have {
		t.have = t.have.Add(r)
	}
	t.staged.floor = max(t.staged.floor, m.Head.MediaBytes)
	// Of its own a growing message has no more octets than its log names.
	t.shared = m.Head.SealedAt.IsZero() && have.Total() > m.Head.MediaBytes
	t.notify()
	return true
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

// lines returns the log state with every stored line in it; appending is held.
func (t *tracker) lines(ctx context.Context) (*logState, error) {
	if t.log != nil {
		return t.log, nil
	}
	l := &logState{validator: activmail.NewValidator(t.s.limits), beside: map[activmail.Sum]bool{}}
	for {
		lines, err := t.s.store.Lines(ctx, t.key, l.validator.Size(), linePage)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			if _, err := l.append(line.Raw); err != nil {
				return nil, vam.Wrap(vam.Corrupt, err, "line %d of the stored log of %s is damaged", line.N, t.key)
			}
		}
		if len(lines) < linePage {
			break
		}
	}
	t.log = l
	return l, nil
}

func (l *logState) append(line []byte) (activmail.Entry, error) {
	e, err := l.validator.Append(line)
	if err == nil && e.Record.HasBlob() && !e.Record.IsMedia() {
		l.beside[e.Record.Blob] = true
	}
	return e, err
}

// open opens the media, creating it when create is set and there is none. Close it.
func (t *tracker) open(ctx context.Context, create bool) (blob.Object, error) {
	m, _ := t.snapshot()
	id := m.Media
	if id == (blob.ID{}) {
		if !create {
			return nil, vam.Errorf(vam.NotFound, "nothing of this message's media is here yet")
		}
		var err error
		if id, err = t.attach(ctx); err != nil {
			return nil, err
		}
	}
	obj, err := t.s.blobs.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.opened != id {
		t.opened, t.oldSize = id, obj.Size()
	}
	return obj, nil
}

// attach gives the message a media object of its own, unless it has got one meanwhile.
func (t *tracker) attach(ctx context.Context) (blob.ID, error) {
	fresh := blob.NewID()
	if err := t.s.blobs.Create(ctx, fresh); err != nil {
		return fresh, err
	}
	id, err := t.s.store.AttachMedia(ctx, t.key, fresh)
	if err != nil || id != fresh {
		// An orphan that the start-up sweep would find too. After an error it is not known
		// whether the row names it: then it must stay.
		if err == nil {
			_ = t.s.blobs.Remove(ctx, fresh)
		}
		t.markStale()
		return id, cmp.Or(err, t.refresh(ctx))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.m.Media = id
	t.generation++
	return id, nil
}

// wrote makes a span readable.
func (t *tracker) wrote(r Range) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have = t.have.Add(r)
	t.notify()
}

// contains reports whether the span is readable.
func (t *tracker) contains(r Range) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.have.Contains(r)
}

// lost forgets what was written and is not recorded as durable, after a flush that
// failed: it may be gone (see blob.Object.Sync).
func (t *tracker) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.have, t.staged, t.opened = nil, newStaged(), blob.ID{}
	t.stale = true
	t.generation++
	t.notify()
}

// sync flushes the media, and draws the conclusion when that fails.
func (t *tracker) sync(ctx context.Context, obj blob.Object) error {
	err := obj.Sync(ctx)
	if err != nil && ctx.Err() == nil {
		t.lost()
	}
	return err
}
