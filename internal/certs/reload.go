package certs

import (
	"context"
	"errors"
	"os"
	"time"
)

// DefaultInterval is how often Watch looks at the files.
const DefaultInterval = 10 * time.Second

// stamp tells whether files have changed; symbolic links are followed, as tools that
// renew certificates switch them.
type stamp [2]struct {
	modified time.Time
	size     int64
}

func stampOf(p Pair) stamp {
	var s stamp
	for i, name := range []string{p.Cert, p.Key} {
		if info, err := os.Stat(name); err == nil {
			s[i].modified, s[i].size = info.ModTime(), info.Size()
		}
	}
	return s
}

// Reload reads all files again, whether they look changed or not. A pair that cannot
// be used leaves the certificate from before in place. Errors: those of Open, joined;
// nil when every pair is in use as it is on disk.
func (s *Store) Reload() error {
	var errs []error
	for _, e := range s.all() {
		at := stampOf(e.pair)
		err := s.take(e, at)
		errs = append(errs, err)
		s.mu.Lock()
		e.reported = err != nil // by the return value
		s.mu.Unlock()
	}
	return errors.Join(errs...)
}

// Watch looks at the files every interval (0 is DefaultInterval) until ctx ends, and
// takes up what has changed. report is called, one call at a time, for each pair that
// was taken up (Err is nil) and once for each change that cannot be used (Err is
// not). A certificate and a key that do not fit are given one more interval before
// that: the two files are seldom replaced in one step.
func (s *Store) Watch(ctx context.Context, interval time.Duration, report func(Status)) {
	if interval <= 0 {
		interval = DefaultInterval
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, e := range s.all() {
			if status, news := s.look(e); news {
				report(status)
			}
		}
	}
}

func (s *Store) all() []*entry {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries // the slice is never changed after Open
}

// look takes up a changed pair and says whether there is something to tell.
func (s *Store) look(e *entry) (Status, bool) {
	at := stampOf(e.pair)
	s.mu.RLock()
	same, seenBad, wasBad := at == e.stamp, at == e.bad, e.err != nil
	s.mu.RUnlock()
	if same && !wasBad {
		return Status{}, false
	}
	err := s.take(e, at)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		return e.status(), true
	case seenBad && !e.reported:
		e.reported = true
		return e.status(), true
	}
	return Status{}, false
}

// take loads the pair of e, whose files had the stamp at before they were read.
func (s *Store) take(e *entry, at stamp) error {
	cert, err := load(e.pair)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if at != e.bad {
			e.reported = false
		}
		e.err, e.bad = err, at
		return err
	}
	e.cert, e.stamp, e.loaded = cert, at, s.now()
	e.err, e.bad, e.reported = nil, stamp{}, false
	return nil
}
