package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// maxThrottleKeys bounds the memory of a Throttle whose keys come from strangers.
const maxThrottleKeys = 1024

// Throttle writes at most one line for each key in each interval and says with
// the next one how many were left out, so that a flood from outside fills no
// disk. It is safe for concurrent use and starts no goroutine.
type Throttle struct {
	log   *slog.Logger
	every time.Duration
	now   func() time.Time

	mu   sync.Mutex
	keys map[string]*throttled
}

type throttled struct {
	next       time.Time
	suppressed int64
}

// NewThrottle writes to log at most once for each key in every. now nil is
// time.Now.
func NewThrottle(log *slog.Logger, every time.Duration, now func() time.Time) *Throttle {
	if now == nil {
		now = time.Now
	}
	return &Throttle{log: log, every: every, now: now, keys: map[string]*throttled{}}
}

// Log writes the event unless one with the same key was written less than the
// interval ago. The attribute "suppressed" counts the ones left out since. Keys
// should be few: kinds of event, not addresses. When there are more than 1,024 at
// once, the new ones share one line for each interval.
func (t *Throttle) Log(ctx context.Context, level slog.Level, key, msg string, attrs ...slog.Attr) {
	if !t.log.Enabled(ctx, level) {
		return
	}
	suppressed, ok := t.admit(key)
	if !ok {
		return
	}
	if suppressed > 0 {
		attrs = append(attrs[:len(attrs):len(attrs)], slog.Int64("suppressed", suppressed))
	}
	t.log.LogAttrs(ctx, level, msg, attrs...)
}

func (t *Throttle) admit(key string) (suppressed int64, ok bool) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.keys[key]
	if e == nil {
		if len(t.keys) >= maxThrottleKeys {
			t.forget(now)
		}
		if len(t.keys) >= maxThrottleKeys {
			key = ""
		}
		if e = t.keys[key]; e == nil {
			e = &throttled{}
			t.keys[key] = e
		}
	}
	if now.Before(e.next) {
		e.suppressed++
		return 0, false
	}
	suppressed, e.suppressed = e.suppressed, 0
	e.next = now.Add(t.every)
	return suppressed, true
}

// forget drops keys whose interval is over and that hide nothing.
func (t *Throttle) forget(now time.Time) {
	for k, e := range t.keys {
		if !now.Before(e.next) && e.suppressed == 0 {
			delete(t.keys, k)
		}
	}
}
