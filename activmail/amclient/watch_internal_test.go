package amclient

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
)

// until starts a watch and returns how long it took to give up, and why.
func (w *watch) until(t *testing.T, ctx context.Context) (time.Duration, error) {
	t.Helper()
	start := time.Now()
	w.start()
	<-ctx.Done()
	w.stop()
	return time.Since(start), context.Cause(ctx)
}

// Silence is given up after the limit; a connection that still receives is given more
// time, and not without end.
func TestWatch(t *testing.T) {
	for _, row := range []struct {
		name  string
		every time.Duration // the connection receives an octet; 0: never
		known bool
		want  time.Duration
	}{
		{"silence", 0, true, 5 * time.Second},
		{"silence of a network that tells nothing", 0, false, 5 * time.Second},
		{"octets too rarely", 6 * time.Second, true, 5 * time.Second},
		{"bodies of others", time.Second, true, slowWindow},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			w := &watch{limit: 5 * time.Second, cancel: cancel}
			var octets atomic.Int64
			if row.known {
				w.received = octets.Load
			}
			if row.every > 0 {
				go func() {
					for tick := time.NewTicker(row.every); ctx.Err() == nil; octets.Add(1) {
						select {
						case <-tick.C:
						case <-ctx.Done():
						}
					}
				}()
			}
			took, err := w.until(t, ctx)
			if took != row.want || !errors.As(err, new(*stalledError)) {
				t.Errorf("%s: given up after %v with %v, want %v", row.name, took, err, row.want)
			}
		})
	}
}

// A watch that is stopped does not fire, and may be started again.
func TestWatchThatIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		w := &watch{limit: 5 * time.Second, cancel: cancel}
		for range 10 {
			w.start()
			time.Sleep(4 * time.Second)
			if took := w.stop(); took != 4*time.Second {
				t.Errorf("it took %v", took)
			}
			time.Sleep(time.Minute)
		}
		if ctx.Err() != nil {
			t.Errorf("it fired: %v", context.Cause(ctx))
		}
	})
}

// slowly gives n octets after each pause.
type slowly struct {
	pause time.Duration
	n     int
}

func (s slowly) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return min(s.n, len(p)), nil
}

func (slowly) Close() error { return nil }

// A body below 16 KiB/s over a minute of waiting is given up (AM-7.27, AM-10.22); one that is read
// slowly is not.
func TestSlowBodies(t *testing.T) {
	for _, row := range []struct {
		name   string
		source slowly
		reader time.Duration // what else the reader does between reads
		fails  bool
	}{
		{"trickle", slowly{time.Second, 100}, 0, true},
		{"just too slow", slowly{time.Second, 16<<10 - 1}, 0, true},
		{"just fast enough", slowly{time.Second, 16 << 10}, 0, false},
		{"a busy reader", slowly{time.Millisecond, 100}, time.Second, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := &Client{choice: newChoice(TCPOnly), ctx: t.Context()}
			c.options.Now = time.Now
			b := &body{
				ReadCloser: contextReader{row.source, ctx}, client: c, ctx: ctx, cancel: cancel, network: TCP, bulk: true,
				end:   func(_ bool, cause error) { cancel(cause) },
				watch: &watch{limit: 5 * time.Second, cancel: cancel},
			}
			var err error
			for range 200 {
				if _, err = b.Read(make([]byte, 32<<10)); err != nil {
					break
				}
				time.Sleep(row.reader)
			}
			b.Close()
			if (err != nil) != row.fails || (row.fails && vam.KindOf(err) != vam.Unavailable) {
				t.Errorf("%s: %v", row.name, err)
			}
			if _, _, failures := c.choice.snapshot(TCP); (failures > 0) != row.fails {
				t.Errorf("%s: %d failures of the network", row.name, failures)
			}
		})
	}
}

// contextReader fails when its context ends, as the body of an answer does.
type contextReader struct {
	io.ReadCloser
	ctx context.Context
}

func (r contextReader) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.ctx.Err()
	}
	return r.ReadCloser.Read(p)
}
