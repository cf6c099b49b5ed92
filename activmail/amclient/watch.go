package amclient

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// AM-10.22: a body that moves less than 16 KiB/s over 60 s is given up.
const (
	slowWindow = time.Minute
	slowOctets = 60 * 16 << 10
)

// stalledError is an answer that fell silent.
type stalledError struct{ after time.Duration }

func (e *stalledError) Error() string { return fmt.Sprintf("no octet came for %v", e.after) }

func errStalled(after time.Duration) error { return &stalledError{after} }

func errSlow() error {
	return vam.Errorf(vam.Unavailable, "less than 16 KiB/s came over %v", slowWindow).WithProblem("timeout")
}

// watch gives up what makes no progress while somebody waits for it. On a slow path one
// frame of HTTP/2 takes longer than the limit, so octets of bodies that the connection
// receives are progress, but not for longer than slowWindow: they may be others'.
type watch struct {
	limit    time.Duration
	received func() int64 // by the connection; nil: only what somebody waits for counts
	cancel   context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
	began   time.Time
	seen    int64
}

// start begins to wait.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.began = true, time.Now()
	if w.received != nil {
		w.seen = w.received()
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(w.limit, w.check)
	} else {
		w.timer.Reset(w.limit)
	}
}

// stop ends the waiting and returns how long it took.
func (w *watch) stop() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = false
	w.timer.Stop()
	return time.Since(w.began)
}

func (w *watch) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waiting {
		return
	}
	if w.received != nil && time.Since(w.began) < max(slowWindow, w.limit) {
		if now := w.received(); now > w.seen {
			w.seen = now
			w.timer.Reset(w.limit)
			return
		}
	}
	w.cancel(errStalled(w.limit))
}
