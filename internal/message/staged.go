package message

import (
	"slices"

	"github.com/videoactivmail/vam/activmail"
)

// staged is what was uploaded and no line names yet: pieces at their place in the
// media, in order and disjoint, and whole blobs beside it. It is not safe for
// concurrent use.
type staged struct {
	bySum  map[activmail.Sum]*place
	order  []*place
	beside map[activmail.Sum]int64 // lengths; only those that came since the tracker was made
	octets int64                   // of all of them
	floor  int64                   // what the log names, or is about to
}

// place is a piece where its author said that the file will have it.
type place struct {
	sum activmail.Sum
	Range
	ready   bool // written, verified and durable
	writers int  // uploads that are at it
}

func newStaged() staged {
	return staged{bySum: map[activmail.Sum]*place{}, beside: map[activmail.Sum]int64{}}
}

// reserve claims a place with one more writer: behind what the log names, and not over
// another piece. nil: there is none.
func (s *staged) reserve(p Piece, limit int64) *place {
	if p.At < s.floor || p.At > limit-p.Length {
		return nil
	}
	want := Range{p.At, p.At + p.Length}
	if x := s.bySum[p.Sum]; x != nil {
		if x.Range != want {
			return nil
		}
		x.writers++
		return x
	}
	i := s.search(want.Start)
	if i < len(s.order) && s.order[i].Start < want.End {
		return nil
	}
	x := &place{sum: p.Sum, Range: want, writers: 1}
	s.bySum[p.Sum] = x
	s.order = slices.Insert(s.order, i, x)
	s.octets += want.Len()
	return x
}

// search is the index of the first place that ends after off.
func (s *staged) search(off int64) int {
	i, _ := slices.BinarySearchFunc(s.order, off, func(x *place, off int64) int {
		if x.End <= off {
			return -1
		}
		return 1
	})
	return i
}

// done takes a writer away, which wrote everything durably or did not.
func (s *staged) done(x *place, ok bool) {
	x.writers--
	x.ready = x.ready || ok
	if !x.ready && x.writers == 0 {
		s.remove(x)
	}
}

func (s *staged) remove(x *place) {
	if s.bySum[x.sum] != x {
		return
	}
	delete(s.bySum, x.sum)
	i := s.search(x.Start)
	s.order = slices.Delete(s.order, i, i+1)
	s.octets -= x.Len()
}

// put notes a blob beside the media.
func (s *staged) put(sum activmail.Sum, length int64) {
	if _, ok := s.beside[sum]; !ok {
		s.beside[sum] = length
		s.octets += length
	}
}

// drop notes that a line names a blob beside the media, or that it is gone.
func (s *staged) drop(sum activmail.Sum) {
	s.octets -= s.beside[sum]
	delete(s.beside, sum)
}

// within lists the places that reach into r.
func (s *staged) within(r Range) []*place {
	var out []*place
	for i := s.search(r.Start); i < len(s.order) && s.order[i].Start < r.End; i++ {
		out = append(out, s.order[i])
	}
	return out
}

// count is how many blobs are staged.
func (s *staged) count() int { return len(s.order) + len(s.beside) }
