package harness

import (
	"context"
	"log/slog"
	"os"

	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// inside is a server that runs in the test's own process.
type inside struct {
	d    *daemon.Daemon
	stop context.CancelFunc
	done chan error
}

// Open runs the server inside of the test, with the clock and the configuration of its
// Options, and returns when it answers.
func (s *Server) Open() *daemon.Daemon {
	s.w.T.Helper()
	if s.Running() {
		s.w.T.Fatalf("%s runs already", s.Domain)
	}
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	s.w.must(err)
	c := s.Config
	if s.o.Tune != nil {
		s.o.Tune(&c)
	}
	d, err := daemon.Open(s.w.T.Context(), daemon.Options{
		Config: c, Version: "test", Revision: "test", Roots: s.w.Roots(), Now: s.o.Now, Sandbox: s.o.Sandbox,
		Log: telemetry.NewLogger(log, telemetry.LogOptions{Level: slog.LevelInfo}),
	})
	if err != nil {
		_ = log.Close()
		s.w.T.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.w.T.Context()))
	in := &inside{d: d, stop: stop, done: make(chan error, 1)}
	ready := make(chan struct{})
	go func() {
		err := d.Run(ctx, func() { close(ready) })
		_ = log.Close()
		in.done <- err
	}()
	<-ready
	s.inside = in
	return d
}

func (s *Server) stopInside() {
	s.w.T.Helper()
	in := s.inside
	s.inside = nil
	in.stop()
	if err := <-in.done; err != nil {
		s.w.T.Errorf("%s ended with: %v", s.Domain, err)
	}
	s.checkRaces()
}
