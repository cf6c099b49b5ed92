package daemon

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// friends are the domains that somebody here writes with.
type friends map[vam.Domain]bool

func (f friends) KnowsDomain(_ context.Context, d vam.Domain) (bool, error) { return f[d], nil }

// TestPullsGoOn: a transfer that was cut costs the domain nothing when it goes on, also when
// the day's allowance is used up; the next day it does.
func TestPullsGoOn(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	g := newGate(config.Default().Limits, friends{}, telemetry.NewMetrics("", ""), func() time.Time { return now })
	key := func() message.Key { return message.Key{Origin: "a.example", ID: vam.NewMessageID(now)} }
	first, second := key(), key()
	for range 100 {
		if err := g.pull(first, 49*vam.GiB); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.pull(second, 2*vam.GiB); vam.KindOf(err) != vam.Busy {
		t.Errorf("more than a day's allowance: %v", err)
	}
	if err := g.pull(first, 49*vam.GiB); err != nil {
		t.Errorf("what had begun: %v", err)
	}
	if err := g.pull(message.Key{Origin: "b.example", ID: first.ID}, vam.TiB); err != nil {
		t.Errorf("one that is larger than a day's allowance, of another domain: %v", err)
	}
	now = now.Add(24 * time.Hour)
	if err := g.pull(second, 2*vam.GiB); err != nil {
		t.Errorf("the next day: %v", err)
	}
}

// TestPullsThatGrow: what a message turns out to have more than was announced costs its
// domain as much as if it had been announced.
func TestPullsThatGrow(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	g := newGate(config.Default().Limits, friends{}, telemetry.NewMetrics("", ""), func() time.Time { return now })
	k := message.Key{Origin: "a.example", ID: vam.NewMessageID(now)}
	if err := errors.Join(g.pull(k, 0), g.grew(k, 20*vam.GiB), g.grew(k, 20*vam.GiB)); err != nil {
		t.Fatal(err)
	}
	if err := g.grew(k, 20*vam.GiB); vam.KindOf(err) != vam.Busy {
		t.Errorf("more than a day's allowance: %v", err)
	}
	if err := g.pull(k, 20*vam.GiB); vam.KindOf(err) != vam.Busy {
		t.Errorf("the rest, at once: %v", err)
	}
	now = now.Add(24 * time.Hour)
	if err := g.pull(k, 20*vam.GiB); err != nil {
		t.Errorf("the rest, on the next day: %v", err)
	}
}

// TestGate counts how much of each kind passes at once, and after an hour.
func TestGate(t *testing.T) {
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	g := newGate(config.Default().Limits, friends{"known.example": true}, telemetry.NewMetrics("", ""), func() time.Time { return now })
	passed := func(ask func(i int) error) (n int) {
		t.Helper()
		for i := range 5000 {
			if err := ask(i); err == nil {
				n++
			} else if vam.KindOf(err) != vam.Busy || activmail.ProblemFor(err).Name != "rate" {
				t.Fatalf("refused with %v", err)
			}
		}
		return n
	}
	offer := func(from vam.Domain, to func(i int) string) func(int) error {
		return func(i int) error {
			a, err := vam.ParseAddress(to(i))
			if err != nil {
				t.Fatal(err)
			}
			return g.offer(t.Context(), &activmail.Offer{Origin: from, Envelope: activmail.Envelope{To: []vam.Address{a}}})
		}
	}
	bob := func(int) string { return "bob@b.example" }
	anybody := func(i int) string { return string(rune('a'+i%26)) + "x@b.example" }
	twice := func(i int) string { return anybody(i / 2) } // whom it was refused once it asks for again
	k := message.Key{Origin: "a.example", ID: vam.NewMessageID(now)}
	at := func(ip string) context.Context {
		return context.WithValue(t.Context(), remoteKey{}, netip.MustParseAddr(ip))
	}
	for _, tc := range []struct {
		name string
		ask  func(int) error
		want int
	}{
		{"offers of a stranger (AM-10.24)", offer("stranger.example", bob), 20},
		{"different recipients of a stranger (AM-10.24, AM-6.17)", offer("other.example", anybody), 5},
		{"the same twice (AM-10.24)", offer("third.example", twice), 10},
		{"offers of a known domain (AM-10.25)", offer("known.example", anybody), 2000},
		{"octets of a known domain in GiB (AM-10.25)", func(int) error {
			return g.pull(message.Key{Origin: "known.example", ID: vam.NewMessageID(now)}, vam.GiB)
		}, 50},
		{"pokes of one message (AM-10.26)", func(int) error { return g.poke(k) }, 10},
		{"keys for one network (AM-10.27, AM-3.14)", func(i int) error { return g.keyLookup(at("2001:db8::" + string(rune('1'+i%9)))) }, 60},
		{"keys for another network", func(int) error { return g.keyLookup(at("192.0.2.1")) }, 60},
		{"receipts of one recipient (AM-10.29)", func(int) error { return g.receipt(k, vam.Address{Local: "bob", Domain: "b.example"}) }, 20},
		{"receipts of another recipient", func(int) error { return g.receipt(k, vam.Address{Local: "carol", Domain: "b.example"}) }, 20},
		{"pokes of another message", func(int) error {
			return g.poke(message.Key{Origin: "c.example", ID: k.ID})
		}, 10},
	} {
		if got := passed(tc.ask); got != tc.want {
			t.Errorf("%s: %d passed, %d is right", tc.name, got, tc.want)
		}
	}
}
