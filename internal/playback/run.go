package playback

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam/internal/media"
)

// Run takes up new media and works on jobs until ctx ends; then it stops what runs and
// gives it back. It begins with what a killed process left behind, so two must not run on
// one data folder.
func (s *Service) Run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
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

func (s *Service) begin(ctx context.Context) error           { return nil }
func (s *Service) adoptAll(ctx context.Context)              { <-ctx.Done() }
func (s *Service) worker(ctx context.Context, _ media.Class) { <-ctx.Done() }
