package discovery_test

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
)

func addrs(texts ...string) []netip.Addr {
	out := make([]netip.Addr, 0, len(texts))
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestDialOrder(t *testing.T) {
	for _, tc := range []struct{ in, want []netip.Addr }{
		{nil, nil},
		{addrs("192.0.2.1"), addrs("192.0.2.1")},
		{addrs("192.0.2.1", "192.0.2.2", "2001:db8::1"), addrs("2001:db8::1", "192.0.2.1", "192.0.2.2")},
		{addrs("192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8::3"), addrs("2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3")},
	} {
		got := discovery.DialOrder(tc.in)
		if len(got)+len(tc.want) > 0 && !cmp.Equal(tc.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
			t.Errorf("DialOrder(%v) = %v, want %v", tc.in, got, tc.want)
		}
	}
}

// racer dials by a script: after how long, and with which error.
type racer struct {
	script    map[string]attempt
	discarded atomic.Int32
	dialled   atomic.Int32
}

type attempt struct {
	after time.Duration
	err   error
}

func (r *racer) dial(ctx context.Context, a netip.Addr) (string, error) {
	r.dialled.Add(1)
	step := r.script[a.String()]
	select {
	case <-time.After(step.after):
		return a.String(), step.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (r *racer) discard(string) { r.discarded.Add(1) }

func TestRace(t *testing.T) {
	dead := errors.New("refused")
	for _, tc := range []struct {
		name   string
		script map[string]attempt
		order  []netip.Addr
		winner string
		kind   vam.ErrorKind // of the error, when winner is ""
		took   time.Duration
		dials  int32
	}{
		{"first answers at once", map[string]attempt{"2001:db8::1": {0, nil}}, addrs("192.0.2.1", "2001:db8::1"), "2001:db8::1", 0, 0, 1},
		{"black hole first", map[string]attempt{"2001:db8::1": {time.Hour, nil}, "192.0.2.1": {10 * time.Millisecond, nil}}, addrs("192.0.2.1", "2001:db8::1"), "192.0.2.1", 0, 260 * time.Millisecond, 2},
		{"refused first: no waiting", map[string]attempt{"2001:db8::1": {time.Millisecond, dead}, "192.0.2.1": {time.Millisecond, nil}}, addrs("192.0.2.1", "2001:db8::1"), "192.0.2.1", 0, 2 * time.Millisecond, 2},
		{"slow first still wins", map[string]attempt{"2001:db8::1": {300 * time.Millisecond, nil}, "192.0.2.1": {time.Second, nil}}, addrs("192.0.2.1", "2001:db8::1"), "2001:db8::1", 0, 300 * time.Millisecond, 2},
		{"all refused", map[string]attempt{"2001:db8::1": {0, dead}, "192.0.2.1": {0, dead}}, addrs("192.0.2.1", "2001:db8::1"), "", vam.Unavailable, 0, 2},
		{"no address", nil, nil, "", vam.Unavailable, 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &racer{script: tc.script}
				begin := time.Now()
				got, err := discovery.Race(t.Context(), tc.order, r.dial, r.discard)
				if got != tc.winner || (err == nil) != (tc.winner != "") {
					t.Fatalf("Race = %q, %v", got, err)
				}
				if err != nil && vam.KindOf(err) != tc.kind {
					t.Errorf("kind %v: %v", vam.KindOf(err), err)
				}
				if took := time.Since(begin); took != tc.took {
					t.Errorf("it took %v, want %v", took, tc.took)
				}
				if r.dialled.Load() != tc.dials {
					t.Errorf("%d dials, want %d", r.dialled.Load(), tc.dials)
				}
			})
		})
	}
}

func TestRaceDiscardsTheLoserAndObeysItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var discarded atomic.Int32
		stubborn := func(_ context.Context, a netip.Addr) (string, error) {
			if a.Is6() {
				time.Sleep(400 * time.Millisecond) // comes through although it has lost
			}
			return a.String(), nil
		}
		got, err := discovery.Race(t.Context(), addrs("192.0.2.1", "2001:db8::1"), stubborn, func(string) { discarded.Add(1) })
		if got != "192.0.2.1" || err != nil || discarded.Load() != 1 {
			t.Errorf("Race = %q, %v; %d discarded", got, err, discarded.Load())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
		defer cancel()
		r := &racer{script: map[string]attempt{"192.0.2.1": {time.Hour, nil}, "2001:db8::1": {time.Hour, nil}}}
		if _, err := discovery.Race(ctx, addrs("192.0.2.1", "2001:db8::1"), r.dial, r.discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Race = %v", err)
		}
	})
}
