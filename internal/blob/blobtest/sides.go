package blobtest

import (
	"crypto/sha256"
	"io"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
)

func sumOf(p []byte) blob.Sum { return sha256.Sum256(p) }

func testSides(t *testing.T, p *place) {
	obj := p.create(t)
	write(t, obj, []byte("media"), 0)
	_, _, err := obj.Side(t.Context(), sumOf([]byte("none")))
	wantKind(t, "opening no side blob", err, vam.NotFound)
	check(t, obj.RemoveSide(t.Context(), sumOf([]byte("none"))))

	contents := [][]byte{{}, []byte("poster"), bytesOf(5, 4<<20)}
	for _, c := range contents {
		putSide(t, obj, c)
		putSide(t, obj, c)
	}
	wantKind(t, "another hash", obj.PutSide(t.Context(), sumOf([]byte("good")), []byte("bad")), vam.Corrupt)
	_, _, err = obj.Side(t.Context(), sumOf([]byte("good")))
	wantKind(t, "opening what was refused", err, vam.NotFound)

	p.reopen(t)
	obj = p.get(t, obj.ID())
	for _, c := range contents {
		wantSide(t, obj, c)
	}
	wantContent(t, obj, []byte("media"))

	testSideSeeks(t, obj, contents[1])
	sum := sumOf(contents[1])
	check(t, obj.RemoveSide(t.Context(), sum))
	_, _, err = obj.Side(t.Context(), sum)
	wantKind(t, "opening what was removed", err, vam.NotFound)
	putSide(t, obj, contents[1])
	wantSide(t, obj, contents[1])
	p.wantList(t, obj.ID())
}

func testSideSeeks(t *testing.T, obj blob.Object, content []byte) {
	r, size, err := obj.Side(t.Context(), sumOf(content))
	check(t, err)
	defer r.Close()
	end, err := r.Seek(0, io.SeekEnd)
	check(t, err)
	if end != size {
		t.Errorf("the end is at %d, the size is %d", end, size)
	}
	_, err = r.Seek(2, io.SeekStart)
	check(t, err)
	rest, err := io.ReadAll(r)
	check(t, err)
	if string(rest) != string(content[2:]) {
		t.Errorf("from octet 2 on: %q", rest)
	}
}
