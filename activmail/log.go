package activmail

import "github.com/videoactivmail/vam"

// Tree is the right edge of an RFC 6962 tree: enough to append and to know the
// root, 32 octets for each set bit of the size. The zero value is the empty tree. A
// Tree is not safe for concurrent use; Clone it to look ahead.
type Tree struct {
	size int64
	edge []Hash
}

// Append adds the hash of the next leaf.
func (t *Tree) Append(leaf Hash) {}

// Size is the number of leaves.
func (t *Tree) Size() int64 { return t.size }

// Root is the tree head; that of the empty tree is the SHA-256 of nothing.
func (t *Tree) Root() Hash { return Hash{} }

// Clone returns an independent copy.
func (t *Tree) Clone() Tree { return Tree{} }

// MarshalBinary writes the size and the edge, so that a log can be continued without
// reading it again.
func (t *Tree) MarshalBinary() ([]byte, error) { return nil, nil }

// UnmarshalBinary reads what MarshalBinary wrote. Errors: Corrupt.
func (t *Tree) UnmarshalBinary(b []byte) error { return nil }

// Entry is a record at its place in a log.
type Entry struct {
	Index  int64
	Record Record
	Leaf   Hash
	// Offset is where the blob stands in the media file; -1 for a blob that is no
	// piece of the main track and for records without blob.
	Offset vam.Bytes
}

// Validator accepts the lines of one log in order and keeps its tree. It is not safe
// for concurrent use. A refused line leaves it as it was.
type Validator struct {
	limits Limits
	tree   Tree
}

// NewValidator starts an empty log.
func NewValidator(limits Limits) *Validator { return &Validator{limits: limits} }

// Append parses, checks and adds one line without LF. Errors: Invalid, TooLarge,
// Gone (after a revoke).
func (v *Validator) Append(line []byte) (Entry, error) { return Entry{}, nil }

// Tree is the tree over the accepted lines; do not append to it.
func (v *Validator) Tree() *Tree { return &v.tree }

// Size is the number of accepted lines.
func (v *Validator) Size() int64 { return v.tree.Size() }

// MediaBytes is the length of the main track so far, and so the offset of its next
// blob.
func (v *Validator) MediaBytes() vam.Bytes { return 0 }

// Sealed returns the seal record, if there is one.
func (v *Validator) Sealed() (Record, bool) { return Record{}, false }

// Revoked returns the revoke record, if there is one.
func (v *Validator) Revoked() (Record, bool) { return Record{}, false }

// Expires returns the last expire record, if there is one.
func (v *Validator) Expires() (Record, bool) { return Record{}, false }

// MediaIdentity names the main track so far by the hashes and lengths of its pieces.
// It identifies media for reuse once the log is sealed.
func (v *Validator) MediaIdentity() Sum { return Sum{} }
