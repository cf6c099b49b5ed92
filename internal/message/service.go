package message

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
)

// idleTrackers is how many messages that nobody uses just now are kept in memory,
// so that the requests of one upload do not read the same rows again and again. A
// message may have 64 KiB of text.
const idleTrackers = 256

// Options of New; the zero value of each field has the default named.
type Options struct {
	Limits activmail.Limits // activmail.DefaultLimits
	Now    func() time.Time // time.Now
	Log    *slog.Logger     // discards
}

// Service is safe for concurrent use. Close it after everything that uses it.
type Service struct {
	store  Store
	blobs  blob.Store
	limits activmail.Limits
	now    func() time.Time
	log    *slog.Logger

	buffers blob.Buffers

	mu       sync.Mutex
	trackers map[Key]*tracker
	idle     list.List // of *tracker without users, least recently used first

	background sync.WaitGroup
	ctx        context.Context
	stop       context.CancelFunc
}

// New returns a Service over a metadata store and a media store.
func New(store Store, blobs blob.Store, o Options) *Service {
	if o.Limits == (activmail.Limits{}) {
		o.Limits = activmail.DefaultLimits()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	ctx, stop := context.WithCancel(context.Background())
	return &Service{
		store: store, blobs: blobs, limits: o.Limits, now: o.Now, log: o.Log,
		trackers: map[Key]*tracker{}, ctx: ctx, stop: stop,
	}
}

// Close stops background hashing.
func (s *Service) Close() error {
	s.stop()
	s.background.Wait()
	return nil
}

// Limits are those that the service enforces.
func (s *Service) Limits() activmail.Limits { return s.limits }

// Get returns the message as it stands. NotFound.
func (s *Service) Get(ctx context.Context, k Key) (Message, error) {
	if t := s.known(k); t != nil {
		if m, ok := t.snapshot(); ok {
			return m, nil
		}
	}
	return s.store.Message(ctx, k)
}

// Mail returns the RFC 5322 mail of the message. NotFound for a draft.
func (s *Service) Mail(ctx context.Context, k Key) ([]byte, error) { return s.store.Mail(ctx, k) }

// Forget drops what is kept in memory of a message whose rows another service
// changed (sent, state, media), so that the next use reads them again.
func (s *Service) Forget(k Key) {
	if t := s.known(k); t != nil {
		t.markStale()
	}
}

// GiveUp ends the waiting of everybody who reads the media of a message that will not
// arrive; they get why. What is here stays, and a later Writer begins anew.
func (s *Service) GiveUp(k Key, why error) {
	if t := s.known(k); t != nil {
		t.giveUp(why)
	}
}

// Wait returns the message as soon as its log has more than lines lines or it left
// the states in which a log grows; on the end of ctx it returns the message as it
// stands and no error.
func (s *Service) Wait(ctx context.Context, k Key, lines int64) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	for {
		m, changed, err := t.watch(ctx)
		if err != nil && ctx.Err() != nil {
			m, _ = t.snapshot()
			return m, nil
		}
		if err != nil || m.Head.Lines > lines || !growing(m.Head.State) {
			return m, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return m, nil
		}
	}
}

func growing(st vam.State) bool { return st == vam.Draft || st == vam.Live || st == vam.Sealed }

// Lines returns up to max log lines from from on.
func (s *Service) Lines(ctx context.Context, k Key, from, max int64) ([]Line, error) {
	return s.store.Lines(ctx, k, from, max)
}

// Leaves reads leaf hashes for activmail's proofs.
func (s *Service) Leaves(ctx context.Context, k Key) activmail.LeafReader {
	return func(from, to int64) ([]activmail.Hash, error) {
		out := make([]activmail.Hash, 0, to-from)
		for from < to {
			lines, err := s.store.Lines(ctx, k, from, min(to-from, linePage))
			if err != nil {
				return nil, err
			}
			if len(lines) == 0 {
				return nil, vam.Errorf(vam.Invalid, "the log has %d lines, not %d", from, to)
			}
			for _, l := range lines {
				out = append(out, activmail.LeafHash(l.Raw))
			}
			from += int64(len(lines))
		}
		return out, nil
	}
}

// known is the tracker of a message that has one.
func (s *Service) known(k Key) *tracker {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trackers[k]
}

// acquire returns the tracker of a message with one more user. Pair with release.
func (s *Service) acquire(ctx context.Context, k Key) (*tracker, error) {
	s.mu.Lock()
	t := s.trackers[k]
	if t == nil {
		t = newTracker(s, k)
		s.trackers[k] = t
	}
	if t.idle != nil {
		s.idle.Remove(t.idle)
		t.idle = nil
	}
	t.users++
	s.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		s.release(t)
		return nil, err
	}
	return t, nil
}

// release takes a user away. A tracker without users stays for a while, unless it
// never learnt anything: of a message that is not here.
func (s *Service) release(t *tracker) {
	empty := t.empty()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users > 0 {
		return
	}
	if empty {
		delete(s.trackers, t.key)
		return
	}
	t.idle = s.idle.PushBack(t)
	if s.idle.Len() > idleTrackers {
		old := s.idle.Remove(s.idle.Front()).(*tracker)
		old.idle = nil
		delete(s.trackers, old.key)
	}
}
