package discovery

import (
	"cmp"
	"slices"
)

// Order sorts service records by the algorithm of RFC 2782: the lowest priority
// first, and within a priority a random draw in proportion to weight. intn returns
// a number in [0,n). The argument is left as it is.
func Order(records []SRV, intn func(n int) int) []SRV {
	return order(records, func(s SRV) SRV { return s }, intn)
}

func order[T any](in []T, srv func(T) SRV, intn func(n int) int) []T {
	left := slices.Clone(in)
	// Weight 0 goes first within its priority, so that it has its small chance.
	slices.SortStableFunc(left, func(a, b T) int {
		x, y := srv(a), srv(b)
		return cmp.Or(cmp.Compare(x.Priority, y.Priority), cmp.Compare(x.Weight, y.Weight))
	})
	out := make([]T, 0, len(left))
	for len(left) > 0 {
		same, sum := 0, 0
		for same < len(left) && srv(left[same]).Priority == srv(left[0]).Priority {
			sum += int(srv(left[same]).Weight)
			same++
		}
		pick, draw := 0, intn(sum+1)
		for running := int(srv(left[0]).Weight); running < draw; running += int(srv(left[pick]).Weight) {
			pick++
		}
		out = append(out, left[pick])
		left = slices.Delete(left, pick, pick+1)
	}
	return out
}
