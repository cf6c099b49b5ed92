package message_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/videoactivmail/vam/internal/message"
	"pgregory.net/rapid"
)

// The set is held against the plainest model there is: one bool per octet.
func TestRangesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 64
		var set message.Ranges
		var model [size]bool
		for range rapid.IntRange(0, 20).Draw(t, "adds") {
			a := rapid.Int64Range(0, size).Draw(t, "a")
			b := rapid.Int64Range(a, size).Draw(t, "b")
			set = set.Add(message.Range{Start: a, End: b})
			for i := a; i < b; i++ {
				model[i] = true
			}
		}
		var total int64
		for i, in := range model {
			if got := set.Contains(message.Range{Start: int64(i), End: int64(i) + 1}); got != in {
				t.Fatalf("octet %d: in set %v, want %v (%v)", i, got, in, set)
			}
			until := i
			for until < size && model[until] {
				until++
			}
			if got := set.Until(int64(i)); got != int64(until) {
				t.Fatalf("Until(%d) = %d, want %d (%v)", i, got, until, set)
			}
			if in {
				total++
			}
		}
		for i := 1; i < len(set); i++ {
			if set[i-1].End >= set[i].Start {
				t.Fatalf("spans touch: %v", set)
			}
		}
		if set.Total() != total {
			t.Fatalf("Total = %d, want %d", set.Total(), total)
		}
		b, err := set.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		back, err := message.ParseRanges(b)
		if err != nil || len(back) != len(set) || len(set) > 0 && !cmp.Equal(back, set) {
			t.Fatalf("round trip: %v %v, want %v", back, err, set)
		}
	})
}

func FuzzParseRanges(f *testing.F) {
	f.Add([]byte{0, 5, 3, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		set, err := message.ParseRanges(b)
		if err != nil {
			return
		}
		for i, r := range set {
			if r.Start >= r.End || i > 0 && set[i-1].End >= r.Start {
				t.Fatalf("accepted a set that is not one: %v", set)
			}
		}
	})
}
