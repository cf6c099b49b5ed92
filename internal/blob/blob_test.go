package blob_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
)

func TestID(t *testing.T) {
	id := blob.NewID()
	if got, err := blob.ParseID(id.String()); got != id || err != nil {
		t.Errorf("ParseID(%s) = %s, %v", id, got, err)
	}
	for _, s := range []string{"", "ab", strings.Repeat("A", 32), strings.Repeat("g", 32), strings.Repeat("a", 33), "../" + strings.Repeat("a", 29)} {
		if _, err := blob.ParseID(s); vam.KindOf(err) != vam.Invalid {
			t.Errorf("ParseID(%q): %v, want Invalid", s, err)
		}
	}
}

func TestReceivePart(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 20000) // more than one step
	sum := blob.Sum(sha256.Sum256(content))
	n := int64(len(content))
	broken := errors.New("connection reset")
	slow := vam.Errorf(vam.Busy, "slower than 16 KiB/s")
	for _, tt := range []struct {
		name string
		r    func() io.Reader
		sum  blob.Sum
		n    int64
		kind vam.ErrorKind
		is   error
	}{
		{"good", func() io.Reader { return bytes.NewReader(content) }, sum, n, 0, nil},
		{"good, octet by octet", func() io.Reader { return iotest.OneByteReader(bytes.NewReader(content)) }, sum, n, 0, nil},
		{"good, ending with the data", func() io.Reader { return iotest.DataErrReader(bytes.NewReader(content)) }, sum, n, 0, nil},
		{"good, with more behind it", func() io.Reader { return io.MultiReader(bytes.NewReader(content), iotest.ErrReader(broken)) }, sum, n, 0, nil},
		{"empty", func() io.Reader { return strings.NewReader("") }, sha256.Sum256(nil), 0, 0, nil},
		{"empty with another hash", func() io.Reader { return strings.NewReader("") }, sum, 0, vam.Corrupt, nil},
		{"one octet changed", func() io.Reader { return io.MultiReader(strings.NewReader("X"), bytes.NewReader(content[1:])) }, sum, n, vam.Corrupt, nil},
		{"another length", func() io.Reader { return bytes.NewReader(content) }, sum, n - 1, vam.Corrupt, nil},
		{"cut short", func() io.Reader { return bytes.NewReader(content[:n-1]) }, sum, n, vam.Unavailable, io.ErrUnexpectedEOF},
		{"nothing", func() io.Reader { return strings.NewReader("") }, sum, n, vam.Unavailable, io.ErrUnexpectedEOF},
		{"broken", func() io.Reader { return io.MultiReader(bytes.NewReader(content[:9]), iotest.ErrReader(broken)) }, sum, n, vam.Unavailable, broken},
		{"classified", func() io.Reader { return iotest.ErrReader(slow) }, sum, n, vam.Busy, slow},
		{"negative", func() io.Reader { return strings.NewReader("") }, sum, -1, vam.Invalid, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var pool blob.Buffers
			for _, pool := range []*blob.Buffers{&pool, nil} {
				p, err := blob.ReceivePart(tt.r(), tt.sum, tt.n, pool)
				if tt.kind == 0 {
					if err != nil || int64(len(p)) != tt.n || !bytes.Equal(p, content[:tt.n]) {
						t.Fatalf("%d octets, %v", len(p), err)
					}
					pool.Put(p)
					continue
				}
				if p != nil || err == nil || vam.KindOf(err) != tt.kind || !errors.Is(err, tt.is) && tt.is != nil {
					t.Fatalf("%d octets, %v; want nothing, kind %s, %v", len(p), err, tt.kind, tt.is)
				}
				break
			}
		})
	}
}

func TestReceivePartTakesNoMore(t *testing.T) {
	stream := strings.NewReader("first" + "second")
	for _, want := range []string{"first", "second"} {
		p, err := blob.ReceivePart(stream, sha256.Sum256([]byte(want)), int64(len(want)), nil)
		if err != nil || string(p) != want {
			t.Fatalf("got %q, %v; want %q", p, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	p := []byte("media")
	if err := blob.Check(p, sha256.Sum256(p)); err != nil {
		t.Error(err)
	}
	if err := blob.Check(p, blob.Sum{}); vam.KindOf(err) != vam.Corrupt {
		t.Errorf("another hash: %v, want Corrupt", err)
	}
}

// Slices that are out at the same time never share memory, whatever their sizes.
func TestBuffers(t *testing.T) {
	var pool blob.Buffers
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 5<<20), 1, 8).Draw(t, "sizes")
		out := make([][]byte, len(sizes))
		for i, n := range sizes {
			if out[i] = pool.Get(n); len(out[i]) != n {
				t.Fatalf("Get(%d) has length %d", n, len(out[i]))
			}
			for j := range out[i] {
				out[i][j] = byte(i)
			}
		}
		for i, p := range out {
			if len(p) > 0 && (p[0] != byte(i) || p[len(p)-1] != byte(i)) {
				t.Fatalf("slice %d was overwritten", i)
			}
			pool.Put(p)
		}
	})
	pool.Put(make([]byte, 100)) // not from here: dropped
	var none *blob.Buffers
	none.Put(none.Get(10))
}

// fileObject is the least of an object that reading needs.
type fileObject struct {
	blob.Object
	f *os.File
}

func (f fileObject) Reader(off, n int64) io.ReadCloser {
	return io.NopCloser(exactly{io.NewSectionReader(f.f, off, n), n})
}

// exactly turns an early end into io.ErrUnexpectedEOF.
type exactly struct {
	r io.Reader
	n int64
}

func (e exactly) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, e.r)
	if err == nil && n < e.n {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (e exactly) Read(p []byte) (int, error) { return e.r.Read(p) }

func TestDigest(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	content := bytes.Repeat([]byte("vam"), 100000)
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	obj := fileObject{f: f}
	got, err := blob.Digest(t.Context(), obj, 3, 299997)
	if want := blob.Sum(sha256.Sum256(content[3:])); got != want || err != nil {
		t.Errorf("Digest = %x, %v; want %x", got, err, want)
	}
	if _, err := blob.Digest(t.Context(), obj, 3, 299998); vam.KindOf(err) != vam.Corrupt {
		t.Errorf("beyond the end: %v, want Corrupt", err)
	}
	if ok, err := blob.VerifyRange(t.Context(), obj, 3, 299998, got); ok || err != nil {
		t.Errorf("VerifyRange beyond the end: %v, %v; want false", ok, err)
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(strings.Repeat("ab", 16))
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := blob.ParseID(s); err == nil && id.String() != s {
			t.Errorf("%q was read as %s", s, id)
		}
	})
}
