package blob

import (
	"math/bits"
	"sync"
)

// Sizes of pooled buffers: powers of two from a live part to the largest part of
// VAM/1 (AM-10: 4 MiB).
const (
	minBufferBits = 16
	maxBufferBits = 22
)

// Buffers lends byte slices for parts, so that a long transfer costs no garbage.
// The zero value is ready; it is safe for concurrent use and must not be copied.
// It bounds no memory by itself: whoever borrows bounds how many are out.
type Buffers struct {
	class [maxBufferBits - minBufferBits + 1]sync.Pool
}

// Get returns a slice of length n with any content. Above 4 MiB, or from a nil
// *Buffers, it is freshly made.
func (b *Buffers) Get(n int) []byte {
	i := max(0, bits.Len(uint(max(n, 1)-1))-minBufferBits)
	if b == nil || i >= len(b.class) {
		return make([]byte, n)
	}
	if p, ok := b.class[i].Get().(*[]byte); ok {
		return (*p)[:n]
	}
	return make([]byte, n, 1<<(i+minBufferBits))
}

// Put gives a slice of Get back; nobody may use it afterwards. Slices of another
// origin are dropped.
func (b *Buffers) Put(p []byte) {
	c := cap(p)
	if b == nil || c < 1<<minBufferBits || c > 1<<maxBufferBits || c&(c-1) != 0 {
		return
	}
	p = p[:c]
	b.class[bits.TrailingZeros(uint(c))-minBufferBits].Put(&p)
}
