// Package blobtest is the conformance suite that every implementation of blob.Store
// passes.
package blobtest

import (
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
)

// Store is what is tested.
type Store interface {
	blob.Store
	io.Closer
}

// Opener opens the store at place, which exists and is empty at first. The suite
// closes a store before it opens the same place again.
type Opener func(t testing.TB, place string) Store

// Run tests the stores that open makes.
func Run(t *testing.T, open Opener) {
	for name, test := range map[string]func(*testing.T, *place){
		"CreateAndOpen":      testCreateAndOpen,
		"SparseModel":        testSparseModel,
		"Reader":             testReader,
		"ReaderOutlivesAll":  testReaderOutlivesAll,
		"SyncedIsThereAgain": testReopen,
		"SharedSync":         testSharedSync,
		"WriteReadSyncRace":  testRace,
		"Remove":             testRemove,
		"RemoveRace":         testRemoveRace,
		"List":               testList,
		"Sides":              testSides,
		"SidesRace":          testSidesRace,
		"BadArguments":       testBadArguments,
		"ClosedHandle":       testClosedHandle,
		"EndedContext":       testEndedContext,
		"VerifyRange":        testVerifyRange,
		"Free":               testFree,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPlace(t, open))
		})
	}
}

// place is a store that can be closed and opened again.
type place struct {
	Store
	open Opener
	name string
}

func newPlace(t *testing.T, open Opener) *place {
	p := &place{open: open, name: t.TempDir()}
	p.Store = open(t, p.name)
	t.Cleanup(func() { check(t, p.Close()) })
	return p
}

func (p *place) reopen(t testing.TB) {
	t.Helper()
	check(t, p.Close())
	p.Store = p.open(t, p.name)
}

// create makes an object and opens it.
func (p *place) create(t testing.TB) blob.Object {
	t.Helper()
	id := blob.NewID()
	check(t, p.Create(t.Context(), id))
	return p.get(t, id)
}

// get opens an object until the end of the test.
func (p *place) get(t testing.TB, id blob.ID) blob.Object {
	t.Helper()
	obj, err := p.Open(t.Context(), id)
	check(t, err)
	t.Cleanup(func() { check(t, obj.Close()) })
	return obj
}

func (p *place) list(t testing.TB) map[blob.ID]bool {
	t.Helper()
	ids := map[blob.ID]bool{}
	for id, err := range p.List(t.Context()) {
		check(t, err)
		if ids[id] {
			t.Errorf("%s is listed twice", id)
		}
		ids[id] = true
	}
	return ids
}

func (p *place) wantList(t testing.TB, want ...blob.ID) {
	t.Helper()
	ids := map[blob.ID]bool{}
	for _, id := range want {
		ids[id] = true
	}
	if diff := cmp.Diff(ids, maps.Clone(p.list(t))); diff != "" {
		t.Errorf("listed objects (-want +got):\n%s", diff)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, want vam.ErrorKind) {
	t.Helper()
	if err == nil || vam.KindOf(err) != want {
		t.Errorf("%s: error %v, want one of kind %s", what, err, want)
	}
}

// bytesOf makes n octets that differ between seeds.
func bytesOf(seed uint64, n int) []byte {
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)})
	p := make([]byte, n)
	_, _ = r.Read(p)
	return p
}

func write(t testing.TB, obj blob.Object, p []byte, off int64) {
	t.Helper()
	if n, err := obj.WriteAt(p, off); err != nil || n != len(p) {
		t.Fatalf("WriteAt(%d octets, %d) = %d, %v", len(p), off, n, err)
	}
}

func wantContent(t testing.TB, obj blob.Object, want []byte) {
	t.Helper()
	if size := obj.Size(); size != int64(len(want)) {
		t.Errorf("size %d, want %d", size, len(want))
	}
	r := obj.Reader(0, int64(len(want)))
	got, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	if sha256.Sum256(got) != sha256.Sum256(want) {
		t.Errorf("the content of %d octets differs from what was written", len(want))
	}
}

func putSide(t testing.TB, obj blob.Object, p []byte) blob.Sum {
	t.Helper()
	sum := blob.Sum(sha256.Sum256(p))
	check(t, obj.PutSide(context.Background(), sum, p))
	return sum
}

func wantSide(t testing.TB, obj blob.Object, want []byte) {
	t.Helper()
	r, size, err := obj.Side(t.Context(), sha256.Sum256(want))
	if err != nil {
		t.Errorf("a side blob: %v", err)
		return
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	check(t, err)
	if size != int64(len(want)) || string(got) != string(want) {
		t.Errorf("a side blob of %d octets was read as %d (size %d)", len(want), len(got), size)
	}
}
