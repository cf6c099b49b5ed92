package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"testing"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
)

func testCreateAndOpen(t *testing.T, p *place) {
	id := blob.NewID()
	_, err := p.Open(t.Context(), id)
	wantKind(t, "opening nothing", err, vam.NotFound)

	check(t, p.Create(t.Context(), id))
	obj := p.get(t, id)
	if obj.ID() != id || obj.Size() != 0 {
		t.Errorf("a new object: id %s, size %d", obj.ID(), obj.Size())
	}
	write(t, obj, []byte("kept"), 0)
	check(t, p.Create(t.Context(), id))
	wantContent(t, p.get(t, id), []byte("kept"))
}

// testSparseModel holds an object against a slice of octets: writes in any order,
// cuts, flushes and restarts.
func testSparseModel(t *testing.T, p *place) {
	rapid.Check(t, func(rt *rapid.T) {
		const most = 1 << 16
		id := blob.NewID()
		check(t, p.Create(t.Context(), id))
		obj, err := p.Open(t.Context(), id)
		check(t, err)
		defer func() { check(t, obj.Close()) }()
		var model []byte
		resize := func(n int) {
			if n <= len(model) {
				model = model[:n:n]
				return
			}
			model = append(model, make([]byte, n-len(model))...)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				b := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(rt, "bytes")
				off := rapid.IntRange(0, most).Draw(rt, "offset")
				write(t, obj, b, int64(off))
				resize(max(len(model), off+len(b)))
				copy(model[off:], b)
			},
			"cut": func(rt *rapid.T) {
				n := rapid.IntRange(0, most).Draw(rt, "length")
				check(t, obj.Truncate(int64(n)))
				resize(n)
			},
			"flush": func(*rapid.T) { check(t, obj.Sync(t.Context())) },
			"read": func(rt *rapid.T) {
				off := rapid.IntRange(0, most).Draw(rt, "offset")
				got := make([]byte, rapid.IntRange(0, 500).Draw(rt, "length"))
				n, err := obj.ReadAt(got, int64(off))
				want := model[min(off, len(model)):min(off+len(got), len(model))]
				if !bytes.Equal(got[:n], want) || (n < len(got)) != (err == io.EOF) {
					rt.Fatalf("ReadAt(%d octets, %d) of %d = %d, %v", len(got), off, len(model), n, err)
				}
			},
			"": func(rt *rapid.T) {
				if obj.Size() != int64(len(model)) {
					rt.Fatalf("size %d, want %d", obj.Size(), len(model))
				}
			},
		})
		wantContent(t, obj, model)
	})
}

func testReader(t *testing.T, p *place) {
	obj := p.create(t)
	content := bytesOf(1, 3<<20+17)
	write(t, obj, content, 0)
	size := int64(len(content))
	for _, tt := range []struct {
		off, n int64
		err    error
	}{
		{0, size, nil},
		{0, 0, nil},
		{0, 1, nil},
		{1 << 20, 1 << 20, nil},
		{size - 5, 5, nil},
		{size, 0, nil},
		{size - 5, 6, io.ErrUnexpectedEOF},
		{size, 1, io.ErrUnexpectedEOF},
		{size + 9, 1, io.ErrUnexpectedEOF},
		{0, -1, nil},
	} {
		want := content[min(tt.off, size):max(min(tt.off, size), min(tt.off+tt.n, size))]
		for name, read := range map[string]func(io.Reader) ([]byte, error){
			"large steps": func(r io.Reader) ([]byte, error) {
				var b bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, 1<<20))
				return b.Bytes(), err
			},
			"small steps": func(r io.Reader) ([]byte, error) {
				var b bytes.Buffer
				_, err := io.CopyBuffer(struct{ io.Writer }{&b}, struct{ io.Reader }{r}, make([]byte, 1000))
				return b.Bytes(), err
			},
			"WriteTo after a small read": func(r io.Reader) ([]byte, error) {
				head := make([]byte, 7)
				n, err := io.ReadFull(r, head)
				if err == io.EOF || err == io.ErrUnexpectedEOF && int64(n) == tt.n {
					return head[:n], nil
				}
				if err != nil {
					return head[:n], err
				}
				b := bytes.NewBuffer(head)
				_, err = r.(io.WriterTo).WriteTo(b)
				return b.Bytes(), err
			},
		} {
			r := obj.Reader(tt.off, tt.n)
			got, err := read(r)
			if !bytes.Equal(got, want) || !errors.Is(err, tt.err) {
				t.Errorf("Reader(%d, %d) in %s: %d octets, %v; want %d, %v", tt.off, tt.n, name, len(got), err, len(want), tt.err)
			}
			check(t, r.Close())
			check(t, r.Close())
			if _, err := r.Read(make([]byte, 1)); err == nil && tt.n > 1 {
				t.Errorf("a closed reader still reads")
			}
		}
	}
}

func testReaderOutlivesAll(t *testing.T, p *place) {
	id := blob.NewID()
	check(t, p.Create(t.Context(), id))
	obj, err := p.Open(t.Context(), id)
	check(t, err)
	content := bytesOf(2, 2<<20)
	write(t, obj, content, 0)
	r := obj.Reader(0, int64(len(content)))
	head := make([]byte, 100)
	_, err = io.ReadFull(r, head)
	check(t, err)
	check(t, obj.Close())
	check(t, p.Remove(t.Context(), id))
	rest, err := io.ReadAll(r)
	check(t, err)
	check(t, r.Close())
	if !bytes.Equal(append(head, rest...), content) {
		t.Error("a reader that was open at the removal read something else")
	}
}

func testReopen(t *testing.T, p *place) {
	id := blob.NewID()
	check(t, p.Create(t.Context(), id))
	obj, err := p.Open(t.Context(), id)
	check(t, err)
	const part = 1 << 16
	content := bytesOf(3, 8*part)
	for _, i := range []int{7, 2, 0, 5, 1, 6, 3, 4} {
		write(t, obj, content[i*part:(i+1)*part], int64(i*part))
	}
	poster := []byte("poster")
	putSide(t, obj, poster)
	check(t, obj.Sync(t.Context()))
	check(t, obj.Close())
	p.reopen(t)
	obj = p.get(t, id)
	wantContent(t, obj, content)
	wantSide(t, obj, poster)
	check(t, obj.Sync(t.Context()))
	p.wantList(t, id)
}

func testBadArguments(t *testing.T, p *place) {
	obj := p.create(t)
	_, err := obj.WriteAt([]byte("x"), -1)
	wantKind(t, "writing before the beginning", err, vam.Invalid)
	_, err = obj.ReadAt(make([]byte, 1), -1)
	wantKind(t, "reading before the beginning", err, vam.Invalid)
	wantKind(t, "a negative size", obj.Truncate(-1), vam.Invalid)
	if _, err := io.ReadAll(obj.Reader(-1, 2)); err == nil {
		t.Error("a reader before the beginning reads")
	}
	if n, err := obj.WriteAt(nil, 5); n != 0 || err != nil {
		t.Errorf("writing nothing: %d, %v", n, err)
	}
}

func testClosedHandle(t *testing.T, p *place) {
	obj := p.create(t)
	check(t, obj.Close())
	check(t, obj.Close())
	_, werr := obj.WriteAt([]byte("x"), 0)
	_, rerr := obj.ReadAt(make([]byte, 1), 0)
	_, _, serr := obj.Side(t.Context(), blob.Sum{})
	_, nerr := io.ReadAll(obj.Reader(0, 1))
	for what, err := range map[string]error{
		"WriteAt": werr, "ReadAt": rerr, "Side": serr, "Reader": nerr,
		"Sync": obj.Sync(t.Context()), "Truncate": obj.Truncate(0),
		"PutSide":    obj.PutSide(t.Context(), sha256.Sum256(nil), nil),
		"RemoveSide": obj.RemoveSide(t.Context(), blob.Sum{}),
	} {
		if err == nil {
			t.Errorf("%s works on a closed handle", what)
		}
	}
}

func testEndedContext(t *testing.T, p *place) {
	obj := p.create(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, oerr := p.Open(ctx, obj.ID())
	_, _, serr := obj.Side(ctx, blob.Sum{})
	_, ferr := p.Free(ctx)
	var lerr error
	for _, lerr = range p.List(ctx) {
		break
	}
	for what, err := range map[string]error{
		"Create": p.Create(ctx, blob.NewID()), "Open": oerr, "Remove": p.Remove(ctx, obj.ID()),
		"List": lerr, "Free": ferr, "Sync": obj.Sync(ctx), "Side": serr,
		"PutSide":    obj.PutSide(ctx, sha256.Sum256(nil), nil),
		"RemoveSide": obj.RemoveSide(ctx, blob.Sum{}),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s under an ended context: %v", what, err)
		}
	}
	p.wantList(t, obj.ID())
}

func testVerifyRange(t *testing.T, p *place) {
	obj := p.create(t)
	content := bytesOf(4, 5<<20)
	write(t, obj, content, 0)
	whole := int64(len(content))
	good := sha256.Sum256(content)
	for _, tt := range []struct {
		what   string
		off, n int64
		sum    blob.Sum
		want   bool
	}{
		{"the whole", 0, whole, good, true},
		{"a part", 1000, 1 << 20, sha256.Sum256(content[1000 : 1000+1<<20]), true},
		{"nothing", 0, 0, sha256.Sum256(nil), true},
		{"the wrong place", 1, whole - 1, good, false},
		{"beyond the end", 0, whole + 1, good, false},
	} {
		if got, err := blob.VerifyRange(t.Context(), obj, tt.off, tt.n, tt.sum); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v; want %v", tt.what, got, err, tt.want)
		}
	}
	write(t, obj, []byte{^content[4<<20]}, 4<<20)
	if ok, err := blob.VerifyRange(t.Context(), obj, 0, whole, good); ok || err != nil {
		t.Errorf("a changed octet: %v, %v; want false", ok, err)
	}
}

func testFree(t *testing.T, p *place) {
	free, err := p.Free(t.Context())
	check(t, err)
	if free < 0 {
		t.Errorf("negative room: %d", free)
	}
}
