package activmail

import (
	"github.com/videoactivmail/vam"
	"golang.org/x/mod/sumdb/tlog"
)

// LeafReader returns the leaf hashes [from, to) of a log, exactly to-from of them.
type LeafReader func(from, to int64) ([]Hash, error)

// Proof is the body of GET proof: {"hashes":["base64",…]}, in the order of RFC 6962
// section 2.1, which is that of RFC 9162 too: the nodes nearest to the leaves first
// (AM-5.15).
type Proof struct {
	Hashes []Hash
}

// ProveInclusion proves that leaf is in the tree of the first size leaves. It reads
// every one of those leaves once; a log is short enough for that. Errors: Invalid, and
// those of read.
func ProveInclusion(leaf, size int64, read LeafReader) (Proof, error) {
	if leaf < 0 || leaf >= size || size > maxTreeSize {
		return Proof{}, malformed("there is no leaf %d in a log of %d lines", leaf, size)
	}
	p, err := tlog.ProveRecord(size, leaf, subtrees{read})
	return Proof{p}, err
}

// ProveConsistency proves that the tree of the first from leaves is a prefix of the
// tree of the first size leaves. The proof for from 0 is empty, as everything begins
// with nothing. Errors: Invalid, and those of read.
func ProveConsistency(from, size int64, read LeafReader) (Proof, error) {
	if from < 0 || from > size || size > maxTreeSize {
		return Proof{}, malformed("a log of %d lines is no beginning of one of %d", from, size)
	}
	if from == 0 {
		return Proof{}, nil
	}
	p, err := tlog.ProveTree(size, from, subtrees{read})
	return Proof{p}, err
}

// VerifyInclusion checks that the leaf with that hash is in the log of cp (AM-5.16). Errors:
// Corrupt (checkpoint-inconsistent), Invalid (AM-5.12).
func VerifyInclusion(p Proof, leaf int64, hash Hash, cp Checkpoint) error {
	if leaf < 0 || leaf >= cp.Size || cp.Size > maxTreeSize {
		return malformed("there is no leaf %d in a log of %d lines", leaf, cp.Size)
	}
	if err := tlog.CheckRecord(p.Hashes, cp.Size, cp.Root, leaf, hash); err != nil {
		return inconsistent("the proof does not lead from line %d to the signed root of %d lines", leaf, cp.Size)
	}
	return nil
}

// VerifyConsistency checks that the log of old is a prefix of the log of cp. Two
// checkpoints of one size must have one root. Errors: Corrupt
// (checkpoint-inconsistent), Invalid.
func VerifyConsistency(p Proof, old, cp Checkpoint) error {
	if old.Size < 0 || old.Size > cp.Size || cp.Size > maxTreeSize {
		return malformed("a log of %d lines is no beginning of one of %d", old.Size, cp.Size)
	}
	if old.Size == 0 {
		if len(p.Hashes) != 0 || old.Root != emptyRoot() || cp.Size == 0 && cp.Root != old.Root {
			return inconsistent("the proof for the empty log is not empty")
		}
		return nil
	}
	if err := tlog.CheckTree(p.Hashes, cp.Size, cp.Root, old.Size, old.Root); err != nil {
		return inconsistent("the signed root of %d lines does not continue that of %d", cp.Size, old.Size)
	}
	return nil
}

// ParseProof reads the JSON form. Errors: Invalid, TooLarge.
func ParseProof(b []byte, limits Limits) (Proof, error) {
	d, err := openDocument(b, limits.Document, "proof")
	if err != nil {
		return Proof{}, err
	}
	d.require("hashes")
	p := Proof{Hashes: list(d, "hashes", limits.ProofHashes, decodeHash)}
	if d.err != nil {
		return Proof{}, d.err
	}
	return p, nil
}

// Marshal writes the JSON form.
func (p Proof) Marshal() []byte {
	out := []byte(`{"hashes":[`)
	for i, h := range p.Hashes {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(out, h.String())
	}
	return append(out, "]}"...)
}

func decodeHash(raw []byte) (Hash, string) {
	b, why := decodeBase64(raw)
	if why == "" && len(b) != len(Hash{}) {
		why = "has a hash that is not of 32 octets"
	}
	if why != "" {
		return Hash{}, why
	}
	return Hash(b), ""
}

// subtrees computes the stored hashes that tlog asks for from the leaves below them.
// tlog asks for disjoint subtrees, so every leaf is read at most once.
type subtrees struct{ read LeafReader }

func (s subtrees) ReadHashes(indexes []int64) ([]Hash, error) {
	out := make([]Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		h, err := s.root(n<<level, (n+1)<<level)
		if err != nil {
			return nil, err
		}
		out[i] = h
	}
	return out, nil
}

// root hashes the leaves [from, to), a bounded number at a time.
func (s subtrees) root(from, to int64) (Hash, error) {
	const batch = 4096
	var t Tree
	for from < to {
		upto := min(to, from+batch)
		leaves, err := s.read(from, upto)
		if err != nil {
			return Hash{}, err
		}
		if int64(len(leaves)) != upto-from {
			return Hash{}, vam.Errorf(vam.Internal, "read %d leaf hashes of [%d, %d)", len(leaves), from, upto)
		}
		for _, leaf := range leaves {
			t.Append(leaf)
		}
		from = upto
	}
	return t.Root(), nil
}
