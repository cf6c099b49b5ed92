package discovery_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam/internal/discovery"
)

func targets(records []discovery.SRV) []string {
	out := make([]string, 0, len(records))
	for _, r := range records {
		out = append(out, r.Target)
	}
	return out
}

func TestOrderDrawsByWeight(t *testing.T) {
	records := []discovery.SRV{
		{Target: "late.b.example", Priority: 20, Weight: 100},
		{Target: "heavy.b.example", Priority: 10, Weight: 3},
		{Target: "light.b.example", Priority: 10, Weight: 1},
		{Target: "zero.b.example", Priority: 10, Weight: 0},
	}
	// The first draw is one of 0..4: 0 is the record of weight 0, 1 the one of weight 1,
	// and three of five are the one of weight 3.
	firsts := make(map[string]int)
	for draw := range 5 {
		drawn := false
		got := discovery.Order(records, func(n int) int {
			if drawn {
				return 0
			}
			if n != 5 {
				t.Errorf("the first draw is of %d numbers; 5 are wanted", n)
			}
			drawn = true
			return draw
		})
		firsts[got[0].Target]++
		if got[3].Target != "late.b.example" {
			t.Errorf("draw %d: %v", draw, targets(got))
		}
	}
	want := map[string]int{"zero.b.example": 1, "light.b.example": 1, "heavy.b.example": 3}
	if diff := cmp.Diff(want, firsts); diff != "" {
		t.Error(diff)
	}
	if records[0].Target != "late.b.example" {
		t.Error("Order changed its argument")
	}
}

func TestOrderKeepsAllAndPriorities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) discovery.SRV {
			return discovery.SRV{
				Port:     rapid.Uint16().Draw(t, "port"),
				Priority: rapid.Uint16Range(0, 3).Draw(t, "priority"),
				Weight:   rapid.Uint16().Draw(t, "weight"),
			}
		}), 0, 12).Draw(t, "records")
		got := discovery.Order(records, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "draw") })
		if !slices.IsSortedFunc(got, func(a, b discovery.SRV) int { return int(a.Priority) - int(b.Priority) }) {
			t.Fatalf("priorities are out of order: %v", got)
		}
		count := func(in []discovery.SRV) map[discovery.SRV]int {
			m := make(map[discovery.SRV]int)
			for _, r := range in {
				m[r]++
			}
			return m
		}
		if diff := cmp.Diff(count(records), count(got)); diff != "" {
			t.Fatal(diff)
		}
	})
}
