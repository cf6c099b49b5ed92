// Package retention owns what goes away by itself: expired messages, holds that
// nobody decided, forgotten drafts, and media that nobody holds any more.
package retention

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
)

// batch is how much one step of a sweep does, so that it never holds up others.
const batch = 100

// Store finds what is to go. Writes are durable when they return.
type Store interface {
	// Expire moves sent messages whose time is over to expired, with their mailbox
	// entries, and returns them.
	Expire(ctx context.Context, now time.Time, limit int) ([]message.Key, error)
	// Detach takes the media from messages that nobody holds (no entry that shows it,
	// no recipient who may still fetch it; they become purged, and lose their letter with
	// their last entry) or that were revoked or have expired, and returns them. Their
	// rows stay, so that a repeated offer is recognised.
	Detach(ctx context.Context, limit int) ([]message.Key, error)
	// Condemn marks media that no message names any more, so that none can name it
	// again, and returns it, again and again until DropMedia. Media that was made after
	// before is left. With them it returns the objects of what was made of condemned media
	// or was made anew, which no row names any more. At most limit of each.
	Condemn(ctx context.Context, before time.Time, limit int) ([]blob.ID, error)
	// DropMedia forgets what Condemn returned after its bytes are gone; media that is not
	// condemned is left.
	DropMedia(ctx context.Context, id blob.ID) error
	// HasMedia reports whether there is a row for the object: of media, or of something
	// that was made of it.
	HasMedia(ctx context.Context, id blob.ID) (bool, error)
	// DropMessages removes the rows of ended messages that hold nothing, have no entry
	// and no offer left, and did not change since before. What has may wait as long
	// again.
	DropMessages(ctx context.Context, before time.Time, limit int) (int, error)
}

// Drafts ends drafts that were forgotten.
type Drafts interface {
	OldDrafts(ctx context.Context, before time.Time, limit int) ([]message.Key, error)
	DeleteDraft(ctx context.Context, k message.Key) error
}

// Recordings seals what was sent live and never ended (AM-4.21).
type Recordings interface {
	SealOverdue(ctx context.Context, limit int) (int, error)
}

// Holds ends holds and forgets old offers.
type Holds interface {
	Lapse(ctx context.Context, limit int) (int, error)
}

// Offers forgets answered offers.
type Offers interface {
	Forget(ctx context.Context, before time.Time, limit int) (int, error)
}

// Options of New; the zero value of each duration has the default named.
type Options struct {
	Store    Store
	Blobs    blob.Store
	Drafts   Drafts
	Live     Recordings // nil: there are none
	Holds    Holds
	Offers   Offers
	Forget   func(message.Key) // drops what is in memory of a message; nil is allowed
	DraftFor time.Duration     // an untouched draft lives this long; 30 days
	OfferFor time.Duration     // an answered offer is recognised this long; 60 days
	Every    time.Duration     // between sweeps; 1 min
	Now      func() time.Time
	Log      *slog.Logger
}

// Service sweeps. Run owns its one goroutine, the caller's.
type Service struct{ o Options }

// New returns a Service.
func New(o Options) *Service {
	if o.DraftFor == 0 {
		o.DraftFor = 30 * 24 * time.Hour
	}
	if o.OfferFor == 0 {
		o.OfferFor = 60 * 24 * time.Hour
	}
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Forget == nil {
		o.Forget = func(message.Key) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{o: o}
}

// maxOrphans is more than crashes leave behind: each start removes those of the last.
const maxOrphans = 100

// Recover removes media objects that no row names: what a crash between making the
// object and naming it left behind. Call it before anything else uses the store.
// Conflict when so many are not named that the database is not the one that the media
// belongs to: then nothing is removed.
func (s *Service) Recover(ctx context.Context) error {
	var orphans []blob.ID
	all := 0
	for id, err := range s.o.Blobs.List(ctx) {
		if err != nil {
			return err
		}
		all++
		known, err := s.o.Store.HasMedia(ctx, id)
		if err != nil {
			return err
		}
		if !known {
			orphans = append(orphans, id)
		}
	}
	if n := len(orphans); n > maxOrphans && n > all/2 {
		return vam.Errorf(vam.Conflict, "the database names only %d of the %d media files beside it: it was not restored together with them; restore it, or move the media away", all-n, all)
	}
	for _, id := range orphans {
		s.o.Log.Warn("removing media that no message names", "media", id)
		if err := s.o.Blobs.Remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Run sweeps until ctx ends. After the clock was set by more than minutes it waits for
// an hour.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	var clock steadiness
	for {
		if now := s.o.Now(); !clock.trust(now, time.Now()) {
			s.o.Log.Warn("the clock was set; nothing expires before it has gone on for an hour", "now", now)
		} else if err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("a sweep did not finish; it goes on at the next one", "err", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Sweep does everything that is due once.
func (s *Service) Sweep(ctx context.Context) error {
	now := s.o.Now()
	return errors.Join(
		repeat(ctx, func() (int, error) { return s.expire(ctx, now) }),
		repeat(ctx, func() (int, error) { return s.o.Holds.Lapse(ctx, batch) }),
		s.drafts(ctx, now),
		repeat(ctx, func() (int, error) { return s.o.Offers.Forget(ctx, now.Add(-s.o.OfferFor), batch) }),
		repeat(ctx, func() (int, error) { return s.recordings(ctx) }),
		repeat(ctx, func() (int, error) { return s.detach(ctx) }),
		repeat(ctx, func() (int, error) { return s.media(ctx, now) }),
		repeat(ctx, func() (int, error) { return s.o.Store.DropMessages(ctx, now.Add(-s.o.OfferFor), batch) }),
	)
}

// repeat calls step until it finds less than a batch.
func repeat(ctx context.Context, step func() (int, error)) error {
	for {
		n, err := step()
		if err != nil || n < batch || ctx.Err() != nil {
			return err
		}
	}
}

func (s *Service) expire(ctx context.Context, now time.Time) (int, error) {
	keys, err := s.o.Store.Expire(ctx, now, batch)
	for _, k := range keys {
		s.o.Forget(k)
		s.o.Log.Info("message expired", "message", k)
	}
	return len(keys), err
}

func (s *Service) recordings(ctx context.Context) (int, error) {
	if s.o.Live == nil {
		return 0, nil
	}
	return s.o.Live.SealOverdue(ctx, batch)
}

func (s *Service) detach(ctx context.Context) (int, error) {
	keys, err := s.o.Store.Detach(ctx, batch)
	for _, k := range keys {
		s.o.Forget(k)
	}
	return len(keys), err
}

func (s *Service) media(ctx context.Context, now time.Time) (int, error) {
	ids, err := s.o.Store.Condemn(ctx, now.Add(-time.Minute), batch)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, id := range ids {
		err := s.o.Blobs.Remove(ctx, id)
		if err == nil {
			err = s.o.Store.DropMedia(ctx, id)
		}
		if err != nil { // one that cannot be removed holds up no other
			errs = append(errs, err)
		}
	}
	return len(ids), errors.Join(errs...)
}

func (s *Service) drafts(ctx context.Context, now time.Time) error {
	keys, err := s.o.Drafts.OldDrafts(ctx, now.Add(-s.o.DraftFor), batch)
	if err != nil {
		return err
	}
	for _, k := range keys {
		// Sent or discarded in the meantime is no error.
		if err := s.o.Drafts.DeleteDraft(ctx, k); err != nil && vam.KindOf(err) != vam.Conflict && vam.KindOf(err) != vam.NotFound {
			return err
		}
		s.o.Forget(k)
	}
	return nil
}
