package playback

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

const (
	// maxCuts is how often a job may be under way when the process dies before it is held
	// to be the cause.
	maxCuts = 8
	// adoptStep is how many recordings are taken up between two looks.
	adoptStep = 16
	// idlePoll is the net below the wake-ups of workers.
	idlePoll = 10 * time.Second
	// between is from one look of a worker that found nothing to its next: jobs that come
	// meanwhile share that.
	between = 5 * time.Millisecond
)

// Run takes up new media and works on jobs until ctx ends; then it stops what runs and
// gives it back. It begins with what a killed process left behind, so two must not run on
// one data folder. The error is that of a store that cannot be read at the start.
func (s *Service) Run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error { s.adoptAll(ctx); return nil })
	for class, n := range map[media.Class]int{media.Quick: s.o.Quick, media.Long: s.o.Long} {
		for range n {
			g.Go(func() error { s.worker(ctx, class); return nil })
		}
	}
	return g.Wait()
}

// begin ends the leases of processes that are gone, and tries again what a part of this
// server was missing for.
func (s *Service) begin(ctx context.Context) error {
	now := s.o.Now()
	if err := s.store.Release(ctx, s.o.Owner, maxCuts, now, media.Failed, "the server ended each time while it worked on this"); err != nil {
		return err
	}
	defer s.tell()
	if s.o.Scratch != nil {
		if err := s.o.Scratch.Clear(); err != nil {
			s.o.Log.Warn("the scratch folder was not emptied", "err", err)
		}
	}
	if s.o.Maker == nil {
		return nil
	}
	n, err := s.store.Revive(ctx, []media.Reason{media.NoFFmpeg, media.NoSandbox}, now)
	if n > 0 {
		s.o.Log.Info("working on recordings again that a part of this server was missing for", "jobs", n)
	}
	return err
}

// adoptAll takes up media as it is completed.
func (s *Service) adoptAll(ctx context.Context) {
	for ctx.Err() == nil {
		more, err := s.adoptSome(ctx)
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error("new recordings were not taken up; trying again", "err", err)
		}
		if more && err == nil {
			continue
		}
		pause(ctx, s.o.Poll, s.adopt)
	}
}

// pause returns after d, at a poke, or at the end of ctx.
func pause(ctx context.Context, d time.Duration, poke <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-poke:
	case <-ctx.Done():
	}
}

func (s *Service) adoptSome(ctx context.Context) (more bool, err error) {
	all, err := s.store.Fresh(ctx, adoptStep)
	for _, r := range all {
		if err := s.adoptOne(ctx, r); err != nil {
			return false, err
		}
	}
	if len(all) > 0 {
		s.tell()
	}
	return len(all) == adoptStep, err
}

// adoptOne makes the jobs of one recording. What its head does not say a probe finds out.
func (s *Service) adoptOne(ctx context.Context, r Recording) error {
	works := []media.Work{media.NewWork(media.Probe)}
	var known *media.Info
	if info, err := s.headOf(ctx, r); err == nil {
		known, works = &info, media.Plan(info, media.Judge(info))
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	err := s.store.Adopt(ctx, r.Media, known, works, s.o.Now())
	if err != nil && vam.KindOf(err) == vam.NotFound {
		return nil // it went away meanwhile
	}
	return err
}

func (s *Service) headOf(ctx context.Context, r Recording) (media.Info, error) {
	obj, err := s.o.Blobs.Open(ctx, r.Media)
	if err != nil {
		return media.Info{}, err
	}
	defer func() { _ = obj.Close() }()
	if err := s.heads.enter(ctx); err != nil {
		return media.Info{}, err
	}
	defer s.heads.leave()
	info, _, err := readHead(obj, r.Size)
	return info, err
}

// worker does one job of a class after the other.
func (s *Service) worker(ctx context.Context, class media.Class) {
	for ctx.Err() == nil {
		now := s.o.Now()
		j, ok, err := s.store.Lease(ctx, Want{Owner: s.o.Owner, Class: class, Now: now, Until: now.Add(s.o.Lease)})
		if ok {
			poke(s.work[class]) // there may be more: the next worker looks
			s.run(ctx, j)
			continue
		}
		wait := idlePoll
		if err == nil {
			var due time.Time
			if due, err = s.store.NextDue(ctx, class, now); err == nil && !due.IsZero() {
				wait = min(wait, max(0, due.Sub(s.o.Now())))
			}
		}
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error("the jobs cannot be read; trying again", "err", err)
			wait = time.Second
		}
		looked := time.Now()
		pause(ctx, wait, s.work[class])
		pause(ctx, between-time.Since(looked), nil)
	}
}
