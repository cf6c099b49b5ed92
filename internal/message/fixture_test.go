package message_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
)

const partSize = 1000

// pieces cuts content into parts as a file is uploaded.
func pieces(content []byte) (out []message.Piece, lines [][]byte) {
	for at := 0; at < len(content); at += partSize {
		data := content[at:min(at+partSize, len(content))]
		out = append(out, message.Piece{Sum: sha256.Sum256(data), Length: int64(len(data)), At: int64(at)})
		lines = append(lines, line(activmail.Record{Kind: activmail.RecordPart}, data))
	}
	return out, lines
}

// line is a record of data.
func line(r activmail.Record, data []byte) []byte {
	if r.HasBlob() {
		r.Blob, r.Length = sha256.Sum256(data), vam.Bytes(len(data))
	}
	b, err := r.MarshalLine()
	if err != nil {
		panic(err)
	}
	return b
}

func body(content []byte, p message.Piece) io.Reader {
	return bytes.NewReader(content[p.At : p.At+p.Length])
}

func mustUpload(t *testing.T, h *hosttest.Host, k message.Key, p message.Piece, content []byte) {
	t.Helper()
	if _, err := h.Messages.Upload(t.Context(), k, p, bytes.NewReader(content), nil); err != nil {
		t.Fatalf("upload at %d: %v", p.At, err)
	}
}

func mustAppend(t *testing.T, h *hosttest.Host, k message.Key, from int64, lines ...[]byte) message.Message {
	t.Helper()
	m, err := h.Messages.Append(t.Context(), k, from, lines)
	if err != nil {
		t.Fatalf("append at %d: %v", from, err)
	}
	return m
}

func mustSeal(t *testing.T, h *hosttest.Host, k message.Key) message.Message {
	t.Helper()
	m, err := h.Messages.Seal(t.Context(), k, activmail.Sum{}, activmail.Record{})
	if err != nil {
		t.Fatalf("seal: %v", err)
	}
	return m
}

// wantMedia reads the whole media without waiting for more.
func wantMedia(t *testing.T, h *hosttest.Host, k message.Key, want []byte) {
	t.Helper()
	media, err := h.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	if end := media.Available(0); end != int64(len(want)) {
		t.Fatalf("%d octets can be read, want %d", end, len(want))
	}
	r := media.Reader(t.Context(), 0, int64(len(want)))
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the media differs (%d octets, %v)", len(got), err)
	}
}

// wantKind fails unless err is of the kind and, when it is given, the problem.
func wantKind(t *testing.T, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != kind || problem != "" && e.Problem != problem {
		t.Fatalf("got %v, want %s %s", err, kind, problem)
	}
}

// mediaFile is the one media file of a host.
func mediaFile(t *testing.T, h *hosttest.Host) string {
	t.Helper()
	files := storedFiles(t, h)
	if len(files) != 1 {
		t.Fatalf("%d files in the media store, want 1: %v", len(files), files)
	}
	return files[0]
}

// storedFiles lists everything in the media store.
func storedFiles(t *testing.T, h *hosttest.Host) (out []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(h.Dir, "media"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// patch changes one octet of a file.
func patch(t *testing.T, path string, off int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x40
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

func newHost(t *testing.T) *hosttest.Host {
	t.Helper()
	return hosttest.New(t, hosttest.Options{})
}

// check is rapid.Check with so many examples, for properties that need a disk. An
// explicit -rapid.checks counts.
func check(t *testing.T, examples int, property func(*rapid.T)) {
	t.Helper()
	const name = "rapid.checks"
	if f := flag.Lookup(name); f.Value.String() == f.DefValue {
		if err := flag.Set(name, strconv.Itoa(examples)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = flag.Set(name, f.DefValue) }()
	}
	rapid.Check(t, property)
}

// follow gives a host lines from from on up to a size of what the origin has.
func follow(ctx context.Context, h *hosttest.Host, r *hosttest.Recording, from, to int64) (message.Message, error) {
	return h.Messages.Follow(ctx, r.Key, from, r.Lines(from, to-from), r.Checkpoint(to))
}
