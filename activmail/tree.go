package activmail

import (
	"encoding/binary"
	"math/bits"

	"github.com/videoactivmail/vam"
	"golang.org/x/mod/sumdb/tlog"
)

// maxTreeSize bounds the sizes that a stranger may name in a checkpoint or a proof; no
// arithmetic on trees overflows below it.
const maxTreeSize = 1 << 48

// Tree is the right edge of an RFC 6962 tree: enough to append and to know the root,
// 32 octets for each set bit of the size. The zero value is the empty tree. A Tree is
// not safe for concurrent use; Clone it to look ahead.
type Tree struct {
	size int64
	// edge holds the roots of the perfect subtrees, the largest first: one for each
	// bit that is set in size.
	edge []Hash
}

// Append adds the hash of the next leaf.
func (t *Tree) Append(leaf Hash) {
	h := leaf
	for n := t.size; n&1 == 1; n >>= 1 {
		last := len(t.edge) - 1
		h = tlog.NodeHash(t.edge[last], h)
		t.edge = t.edge[:last]
	}
	t.edge = append(t.edge, h)
	t.size++
}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root is the tree head (AM-5.1, RFC 6962 section 2.1); that of the empty tree is the
// SHA-256 of nothing (AM-5.2).
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return emptyRoot()
	}
	last := len(t.edge) - 1
	h := t.edge[last]
	for i := last - 1; i >= 0; i-- {
		h = tlog.NodeHash(t.edge[i], h)
	}
	return h
}

func emptyRoot() Hash {
	h, _ := tlog.TreeHash(0, nil) // reads nothing for size 0
	return h
}

// Checkpoint is the size and the root, as they are signed.
func (t *Tree) Checkpoint() Checkpoint { return Checkpoint{Size: t.size, Root: t.Root()} }

// Clone returns an independent copy.
func (t *Tree) Clone() Tree { return Tree{size: t.size, edge: append([]Hash(nil), t.edge...)} }

// MarshalBinary writes the size (8 octets, big endian) and the edge, so that a log can
// be continued without reading it again. It never fails.
func (t *Tree) MarshalBinary() ([]byte, error) {
	out := make([]byte, 8, 8+len(t.edge)*tlog.HashSize)
	binary.BigEndian.PutUint64(out, uint64(t.size))
	for _, h := range t.edge {
		out = append(out, h[:]...)
	}
	return out, nil
}

// UnmarshalBinary reads what MarshalBinary wrote. Errors: Corrupt.
func (t *Tree) UnmarshalBinary(b []byte) error {
	if len(b) < 8 {
		return vam.Errorf(vam.Corrupt, "a stored tree of %d octets is cut short", len(b))
	}
	size := binary.BigEndian.Uint64(b)
	n := bits.OnesCount64(size)
	if size > maxTreeSize || len(b) != 8+n*tlog.HashSize {
		return vam.Errorf(vam.Corrupt, "a stored tree of %d octets does not fit its size", len(b))
	}
	edge := make([]Hash, n)
	for i := range edge {
		copy(edge[i][:], b[8+i*tlog.HashSize:])
	}
	t.size, t.edge = int64(size), edge
	return nil
}
