package activmail_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// leaves are n leaf hashes.
func leaves(n int) []activmail.Hash {
	out := make([]activmail.Hash, n)
	for i := range out {
		out[i] = activmail.LeafHash(fmt.Append(nil, "line ", i))
	}
	return out
}

// stored are the hashes that package tlog keeps for a log of these leaves.
func stored(t testing.TB, leaves []activmail.Hash) tlog.HashReaderFunc {
	t.Helper()
	var all []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = all[x]
		}
		return out, nil
	})
	for i, leaf := range leaves {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), leaf, read)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hashes...)
	}
	return read
}

func treeOf(leaves []activmail.Hash) *activmail.Tree {
	var t activmail.Tree
	for _, leaf := range leaves {
		t.Append(leaf)
	}
	return &t
}

// rfcRoot is RFC 6962 section 2.1, word by word.
func rfcRoot(d []activmail.Hash) activmail.Hash {
	if len(d) == 1 {
		return d[0]
	}
	k := 1
	for k*2 < len(d) {
		k *= 2
	}
	return tlog.NodeHash(rfcRoot(d[:k]), rfcRoot(d[k:]))
}

// TestTreeRoots compares every root up to 300 leaves with package tlog and with the RFC
// (AM-5.1, AM-5.2).
func TestTreeRoots(t *testing.T) {
	const most = 300
	all := leaves(most)
	read := stored(t, all)
	var tree activmail.Tree
	for n := range most + 1 {
		want, err := tlog.TreeHash(int64(n), read)
		if err != nil {
			t.Fatal(err)
		}
		if tree.Root() != want || tree.Size() != int64(n) || n > 0 && want != rfcRoot(all[:n]) {
			t.Fatalf("the root of %d leaves is %s, not %s", n, tree.Root(), want)
		}
		if tree.Checkpoint() != (activmail.Checkpoint{Size: int64(n), Root: want}) {
			t.Fatalf("the checkpoint of %d leaves is %+v", n, tree.Checkpoint())
		}
		if n < most {
			tree.Append(all[n])
		}
	}
}

// TestTreeIsKept: a stored tree goes on as if it had never been away, and a clone is
// independent.
func TestTreeIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, more := rapid.IntRange(0, 200).Draw(t, "n"), rapid.IntRange(0, 70).Draw(t, "more")
		all := leaves(n + more)
		tree := treeOf(all[:n])
		b, err := tree.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var back activmail.Tree
		if err := back.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		clear(b) // the tree must not live in it
		clone := tree.Clone()
		root := tree.Root()
		for _, leaf := range all[n:] {
			back.Append(leaf)
			clone.Append(leaf)
		}
		want := treeOf(all).Root()
		if back.Root() != want || clone.Root() != want || back.Size() != int64(n+more) {
			t.Fatalf("%d leaves and %d more lead to %s and %s, not %s", n, more, back.Root(), clone.Root(), want)
		}
		if tree.Root() != root || tree.Size() != int64(n) {
			t.Fatal("the clone changed its original")
		}
	})
}

func TestBrokenStoredTree(t *testing.T) {
	good, err := treeOf(leaves(5)).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	huge := binary.BigEndian.AppendUint64(nil, 1<<63)
	for name, b := range map[string][]byte{
		"nothing": nil, "cut in the size": good[:7], "cut in a hash": good[:len(good)-1], "a hash too few": good[:len(good)-32], "a hash too many": append(bytes.Clone(good), make([]byte, 32)...),
		"another size": append([]byte{0, 0, 0, 0, 0, 0, 0, 7}, good[8:]...), "a size that is none": append(huge, make([]byte, 32)...),
	} {
		tree := treeOf(leaves(3))
		before := tree.Root()
		err := tree.UnmarshalBinary(b)
		if vam.KindOf(err) != vam.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
		if tree.Root() != before {
			t.Errorf("%s changed the tree", name)
		}
	}
}

// counting reads leaves and counts how often each is read.
func counting(all []activmail.Hash, seen map[int64]int) activmail.LeafReader {
	return func(from, to int64) ([]activmail.Hash, error) {
		for i := from; i < to; i++ {
			seen[i]++
		}
		return all[from:to], nil
	}
}

// TestInclusion proves every leaf of every tree up to 40, with our verifier, that of tlog
// and that of RFC 9162 as the judges (AM-5.15, AM-5.16).
func TestInclusion(t *testing.T) {
	all := leaves(40)
	for size := 1; size <= len(all); size++ {
		cp := treeOf(all[:size]).Checkpoint()
		for i := range size {
			seen := map[int64]int{}
			p, err := activmail.ProveInclusion(int64(i), int64(size), counting(all[:size], seen))
			if err != nil {
				t.Fatal(err)
			}
			for leaf, times := range seen {
				if times > 1 {
					t.Fatalf("leaf %d is read %d times", leaf, times)
				}
			}
			ours := activmail.VerifyInclusion(p, int64(i), all[i], cp)
			theirs := tlog.CheckRecord(p.Hashes, cp.Size, cp.Root, int64(i), all[i])
			if ours != nil || theirs != nil || !rfcInclusion(p.Hashes, i, size, all[i], cp.Root) {
				t.Fatalf("leaf %d of %d: %v, %v", i, size, ours, theirs)
			}
		}
	}
}

// TestConsistency does the same for every pair of sizes.
func TestConsistency(t *testing.T) {
	all := leaves(40)
	for size := range len(all) + 1 {
		cp := treeOf(all[:size]).Checkpoint()
		for from := range size + 1 {
			old := treeOf(all[:from]).Checkpoint()
			seen := map[int64]int{}
			p, err := activmail.ProveConsistency(int64(from), int64(size), counting(all[:size], seen))
			if err != nil {
				t.Fatal(err)
			}
			for leaf, times := range seen {
				if times > 1 {
					t.Fatalf("leaf %d is read %d times", leaf, times)
				}
			}
			if err := activmail.VerifyConsistency(p, old, cp); err != nil {
				t.Fatalf("%d to %d: %v", from, size, err)
			}
			if from == 0 {
				continue
			}
			theirs := tlog.CheckTree(p.Hashes, cp.Size, cp.Root, old.Size, old.Root)
			if theirs != nil || !rfcConsistency(p.Hashes, from, size, old.Root, cp.Root) {
				t.Fatalf("%d to %d: %v", from, size, theirs)
			}
		}
	}
}

// rfcInclusion is the algorithm of RFC 9162 section 2.1.3.2.
func rfcInclusion(path []activmail.Hash, leaf, size int, hash, root activmail.Hash) bool {
	fn, sn, r := leaf, size-1, hash
	for _, p := range path {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			r = tlog.NodeHash(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = tlog.NodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && r == root
}

// rfcConsistency is the algorithm of RFC 9162 section 2.1.4.2.
func rfcConsistency(path []activmail.Hash, first, second int, firstRoot, secondRoot activmail.Hash) bool {
	if first == second {
		return len(path) == 0 && firstRoot == secondRoot
	}
	if first&(first-1) == 0 {
		path = append([]activmail.Hash{firstRoot}, path...)
	}
	if len(path) == 0 {
		return false
	}
	fn, sn := first-1, second-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := path[0], path[0]
	for _, c := range path[1:] {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = tlog.NodeHash(c, fr), tlog.NodeHash(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = tlog.NodeHash(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && fr == firstRoot && sr == secondRoot
}

// TestWrongProofs changes one thing of a right proof: our verifier and that of the RFC agree,
// and nothing that proves something else is taken (AM-5.16) (AM-5.12).
func TestWrongProofs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(2, 100).Draw(t, "size")
		all := leaves(size)
		i := rapid.IntRange(0, size-1).Draw(t, "i")
		cp, old := treeOf(all).Checkpoint(), treeOf(all[:i+1]).Checkpoint()
		in, err1 := activmail.ProveInclusion(int64(i), int64(size), counting(all, map[int64]int{}))
		con, err2 := activmail.ProveConsistency(int64(i+1), int64(size), counting(all, map[int64]int{}))
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*activmail.Proof{&in, &con} {
			at := 0
			if n := len(p.Hashes); n > 0 {
				at = rapid.IntRange(0, n-1).Draw(t, "at")
			}
			switch how := rapid.SampledFrom([]string{"flip", "drop", "add", "swap"}).Draw(t, "how"); {
			case how == "add" || len(p.Hashes) == 0:
				p.Hashes = append(p.Hashes, all[0])
			case how == "flip":
				p.Hashes[at][0] ^= 1
			case how == "drop":
				p.Hashes = append(p.Hashes[:at:at], p.Hashes[at+1:]...)
			case at > 0:
				p.Hashes[at], p.Hashes[at-1] = p.Hashes[at-1], p.Hashes[at]
			default:
				p.Hashes[0] = all[size-1-i]
			}
		}
		ours := activmail.VerifyInclusion(in, int64(i), all[i], cp)
		if (ours == nil) != rfcInclusion(in.Hashes, i, size, all[i], cp.Root) {
			t.Fatalf("inclusion of %d in %d: %v", i, size, ours)
		}
		theirs := activmail.VerifyConsistency(con, old, cp)
		if (theirs == nil) != rfcConsistency(con.Hashes, i+1, size, old.Root, cp.Root) {
			t.Fatalf("consistency of %d and %d: %v", i+1, size, theirs)
		}
		for _, err := range []error{ours, theirs} {
			if fault := errorFault(err, vam.Corrupt, "checkpoint-inconsistent"); err != nil && fault != "" {
				t.Fatal(fault)
			}
		}
	})
}

// TestProofsOutOfRange: no arithmetic goes wrong on what a stranger names (AM-7.14).
func TestProofsOutOfRange(t *testing.T) {
	none := func(int64, int64) ([]activmail.Hash, error) { return nil, errors.New("nothing should be read") }
	for _, tc := range [][2]int64{{-1, 5}, {5, 5}, {6, 5}, {0, 0}, {0, -1}, {0, 1<<48 + 1}, {1 << 62, 1<<63 - 1}, {-1 << 63, -1 << 63}} {
		_, err := activmail.ProveInclusion(tc[0], tc[1], none)
		wantError(t, err, vam.Invalid, "malformed")
		wantError(t, activmail.VerifyInclusion(activmail.Proof{}, tc[0], activmail.Hash{}, activmail.Checkpoint{Size: tc[1]}), vam.Invalid, "malformed")
	}
	for _, tc := range [][2]int64{{-1, 5}, {6, 5}, {0, -1}, {1, 1<<48 + 1}, {1 << 62, 1<<63 - 1}} {
		_, err := activmail.ProveConsistency(tc[0], tc[1], none)
		wantError(t, err, vam.Invalid, "malformed")
		wantError(t, activmail.VerifyConsistency(activmail.Proof{}, activmail.Checkpoint{Size: tc[0]}, activmail.Checkpoint{Size: tc[1]}), vam.Invalid, "malformed")
	}
}

// TestProofReaderFails: what the reader of leaves says comes through, and one that gives
// too little is found out.
func TestProofReaderFails(t *testing.T) {
	broken := errors.New("the disk is dead")
	if _, err := activmail.ProveInclusion(3, 8, func(int64, int64) ([]activmail.Hash, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	short := func(from, to int64) ([]activmail.Hash, error) { return make([]activmail.Hash, to-from-1), nil }
	if _, err := activmail.ProveConsistency(3, 8, short); vam.KindOf(err) != vam.Internal || err == nil {
		t.Errorf("got %v", err)
	}
}

// TestProofOfALongLog: leaves are read in bounded batches, each once.
func TestProofOfALongLog(t *testing.T) {
	const size = 20_000
	all := leaves(size)
	longest, total := int64(0), int64(0)
	read := func(from, to int64) ([]activmail.Hash, error) {
		longest, total = max(longest, to-from), total+to-from
		return all[from:to], nil
	}
	p, err := activmail.ProveInclusion(12_345, size, read)
	if err != nil {
		t.Fatal(err)
	}
	if err := activmail.VerifyInclusion(p, 12_345, all[12_345], treeOf(all).Checkpoint()); err != nil {
		t.Error(err)
	}
	if longest > 4096 || total >= size+1 {
		t.Errorf("up to %d leaves at once and %d in all were read", longest, total)
	}
}

func TestProofComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.Proof{Hashes: rapid.SliceOfN(genHash(), 0, 64).Draw(t, "hashes")}
		got, err := activmail.ParseProof(want.Marshal(), activmail.DefaultLimits())
		if err != nil || len(got.Hashes) != len(want.Hashes) {
			t.Fatalf("%s: %v", want.Marshal(), err)
		}
		for i := range want.Hashes {
			if got.Hashes[i] != want.Hashes[i] {
				t.Fatalf("hash %d is %s", i, got.Hashes[i])
			}
		}
	})
	long := activmail.Proof{Hashes: make([]activmail.Hash, 65)}
	_, err := activmail.ParseProof(long.Marshal(), activmail.DefaultLimits())
	wantError(t, err, vam.TooLarge, "too-large")
}
