package activmail

import "github.com/videoactivmail/vam"

// LeafReader returns the leaf hashes [from, to) of a log, exactly to-from of them.
type LeafReader func(from, to int64) ([]Hash, error)

// Proof is the body of GET proof: {"hashes":["base64",…]}.
type Proof struct {
	Hashes []Hash `json:"hashes"`
}

// ProveInclusion proves that leaf is in the tree of the first size leaves.
// Errors: Invalid, and those of read.
func ProveInclusion(leaf, size int64, read LeafReader) (Proof, error) { return Proof{}, nil }

// ProveConsistency proves that the tree of the first from leaves is a prefix of the
// tree of the first size leaves. Errors: Invalid, and those of read.
func ProveConsistency(from, size int64, read LeafReader) (Proof, error) { return Proof{}, nil }

// VerifyInclusion checks p. Errors: Corrupt (checkpoint-inconsistent), Invalid.
func VerifyInclusion(p Proof, leaf int64, hash Hash, cp Checkpoint) error {
	return vam.Errorf(vam.Internal, "not written yet")
}

// VerifyConsistency checks p. Errors: Corrupt (checkpoint-inconsistent), Invalid.
func VerifyConsistency(p Proof, old, cp Checkpoint) error {
	return vam.Errorf(vam.Internal, "not written yet")
}

// ParseProof reads the JSON form. Errors: Invalid, TooLarge.
func ParseProof(b []byte, limits Limits) (Proof, error) {
	return Proof{}, vam.Errorf(vam.Internal, "not written yet")
}
