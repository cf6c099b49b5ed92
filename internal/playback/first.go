package playback

import (
	"context"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// posterPatience is how long other work on a recording lets its poster go first. Most are made
// in less than a second.
const posterPatience = 3 * time.Second

// letPosterFirst waits while the first attempt at the poster of the same recording is under
// way or due: everybody sees the poster, and together with other work that takes all
// processors it would come much later. Any error is that of ctx.
func (s *Service) letPosterFirst(ctx context.Context, j Job) error {
	if j.Work.Kind == media.Probe || j.Work.Kind == media.Poster {
		return nil
	}
	limit := time.NewTimer(posterPatience)
	defer limit.Stop()
	for {
		news := s.news()
		l, err := s.store.Look(ctx, j.Media)
		if err != nil || !posterComes(l.Jobs, s.o.Now()) {
			return ctx.Err() // what is wrong with the store shows in the work
		}
		select {
		case <-news:
		case <-limit.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// posterComes reports whether a poster is made or about to be for the first time.
func posterComes(jobs []Job, now time.Time) bool {
	for _, j := range jobs {
		if j.Work.Kind == media.Poster && j.Attempts == 0 && (j.State == Running || j.State == Waiting && !j.NextAt.After(now)) {
			return true
		}
	}
	return false
}
