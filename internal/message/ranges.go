package message

import (
	"encoding/binary"
	"slices"

	"github.com/videoactivmail/vam"
)

// Range is the half-open span [Start, End) of a message's media, in octets.
type Range struct{ Start, End int64 }

// Len is the number of octets.
func (r Range) Len() int64 { return r.End - r.Start }

// Ranges is a set of octets as sorted, disjoint, non-adjacent, non-empty spans.
// The zero value is empty. Methods that change the set return it, as append does.
type Ranges []Range

// Add puts r into the set.
func (s Ranges) Add(r Range) Ranges {
	if r.Start >= r.End {
		return s
	}
	lo, _ := slices.BinarySearchFunc(s, r.Start, func(x Range, start int64) int {
		if x.End < start {
			return -1
		}
		return 1
	})
	hi := lo
	for hi < len(s) && s[hi].Start <= r.End {
		r.Start = min(r.Start, s[hi].Start)
		r.End = max(r.End, s[hi].End)
		hi++
	}
	return slices.Replace(s, lo, hi, r)
}

// Contains reports whether every octet of r is in the set.
func (s Ranges) Contains(r Range) bool {
	return r.Start >= r.End || s.Until(r.Start) >= r.End
}

// Until is the end of the span that holds off, or off itself when it is not in the
// set: what can be read from off without waiting.
func (s Ranges) Until(off int64) int64 {
	i, _ := slices.BinarySearchFunc(s, off, func(x Range, off int64) int {
		if x.End <= off {
			return -1
		}
		return 1
	})
	if i < len(s) && s[i].Start <= off {
		return s[i].End
	}
	return off
}

// Total is the number of octets in the set.
func (s Ranges) Total() int64 {
	var n int64
	for _, r := range s {
		n += r.Len()
	}
	return n
}

// MarshalBinary writes the gaps and lengths as unsigned varints.
func (s Ranges) MarshalBinary() ([]byte, error) {
	out := make([]byte, 0, 8*len(s))
	var at int64
	for _, r := range s {
		out = binary.AppendUvarint(out, uint64(r.Start-at))
		out = binary.AppendUvarint(out, uint64(r.Len()))
		at = r.End
	}
	return out, nil
}

// ParseRanges reads what MarshalBinary wrote. Corrupt.
func ParseRanges(b []byte) (Ranges, error) {
	var out Ranges
	var at uint64
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, errRanges()
		}
		length, m := binary.Uvarint(b[n:])
		if m <= 0 || length == 0 || gap == 0 && at > 0 || gap > 1<<62 || length > 1<<62 || at+gap+length > 1<<62 {
			return nil, errRanges()
		}
		b = b[n+m:]
		out = append(out, Range{int64(at + gap), int64(at + gap + length)})
		at += gap + length
	}
	return out, nil
}

func errRanges() error {
	return vam.Errorf(vam.Corrupt, "a stored list of media ranges cannot be read")
}
