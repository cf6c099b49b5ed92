package netem_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/netem"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func TestZeroShapePassesAtOnce(t *testing.T) {
	s := netem.NewShaper(netem.Shape{}, 1)
	for i := range 1000 {
		now := epoch.Add(time.Duration(i))
		if f := s.Admit(now, 1400); f.Copies != 1 || !f.At.Equal(now) {
			t.Fatalf("packet %d: %+v", i, f)
		}
	}
}

func TestRateAndDelay(t *testing.T) {
	s := netem.NewShaper(netem.Shape{Delay: 25 * time.Millisecond, Rate: 1_000_000, Queue: vam.MiB}, 1)
	for i := range 10 {
		want := epoch.Add(time.Duration(i+1)*time.Millisecond + 25*time.Millisecond)
		if f := s.Admit(epoch, 1000); !f.At.Equal(want) {
			t.Fatalf("packet %d comes out at %v, want %v", i, f.At.Sub(epoch), want.Sub(epoch))
		}
	}
	// An idle wire saves nothing up.
	later := epoch.Add(time.Minute)
	if f := s.Admit(later, 1000); f.At.Sub(later) != 26*time.Millisecond {
		t.Fatalf("after idling: %v", f.At.Sub(later))
	}
}

func TestFullQueueDrops(t *testing.T) {
	s := netem.NewShaper(netem.Shape{Rate: 1000, Queue: 2500}, 1)
	var full int
	for range 5 {
		if f := s.Admit(epoch, 1000); f.Full {
			full++
		}
	}
	if full != 3 {
		t.Fatalf("%d of 5 packets were dropped, want 3", full)
	}
}

func TestShares(t *testing.T) {
	const n = 20000
	s := netem.NewShaper(netem.Shape{Loss: 0.1, Duplicate: 0.05, Reorder: 0.2, ReorderBy: time.Millisecond}, 42)
	var lost, twice, late int
	for range n {
		f := s.Admit(epoch, 1)
		switch {
		case f.Copies == 0:
			lost++
			continue
		case f.Copies == 2:
			twice++
		}
		if f.At.After(epoch) {
			late++
		}
	}
	near := func(what string, got int, want float64) {
		if g := float64(got) / n; g < want*0.85 || g > want*1.15 {
			t.Errorf("%s: a share of %.4f, want about %.4f", what, g, want)
		}
	}
	near("lost", lost, 0.1)
	near("twice", twice, 0.05*0.9)
	near("late", late, 0.2*0.9)
}

func TestSameSeedSameFates(t *testing.T) {
	shape := netem.Shape{Loss: 0.3, Duplicate: 0.3, Reorder: 0.3}
	a, b := netem.NewShaper(shape, 7), netem.NewShaper(shape, 7)
	for i := range 1000 {
		if x, y := a.Admit(epoch, i), b.Admit(epoch, i); x != y {
			t.Fatalf("packet %d: %+v and %+v", i, x, y)
		}
	}
}

// No shape lets more through than its rate, brings a packet out before its delay,
// or changes the order of packets that it was not told to reorder.
func TestShaperLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shape := netem.Shape{
			Delay: time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "delay")),
			Rate:  vam.Bytes(rapid.Int64Range(1000, 1e9).Draw(t, "rate")),
			Queue: vam.Bytes(rapid.Int64Range(1, 1e6).Draw(t, "queue")),
			Loss:  rapid.Float64Range(0, 1).Draw(t, "loss"),
		}
		s := netem.NewShaper(shape, rapid.Uint64().Draw(t, "seed"))
		now, last := epoch, time.Time{}
		var sent int64
		for range rapid.IntRange(1, 100).Draw(t, "packets") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(10*time.Millisecond)).Draw(t, "gap")))
			size := rapid.IntRange(1, 65535).Draw(t, "size")
			f := s.Admit(now, size)
			if f.Copies == 0 {
				continue
			}
			sent += int64(size)
			if f.At.Sub(now) < shape.Delay {
				t.Fatalf("out %v after it came, the delay is %v", f.At.Sub(now), shape.Delay)
			}
			if f.At.Before(last) {
				t.Fatal("overtaken")
			}
			last = f.At
			busy := f.At.Add(-shape.Delay).Sub(epoch).Seconds()
			if float64(sent) > busy*float64(shape.Rate)*1.001+1 {
				t.Fatalf("%d octets in %.6f s at %d per second", sent, busy, shape.Rate)
			}
		}
	})
}
