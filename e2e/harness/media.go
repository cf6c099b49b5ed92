package harness

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Content is size octets that follow from seed and cannot be compressed.
func Content(seed uint64, size int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	out := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(out) // never fails
	return out
}

// Sum is the SHA-256 of p in hexadecimal.
func Sum(p []byte) string {
	s := sha256.Sum256(p)
	return hex.EncodeToString(s[:])
}

// SumOf is the SHA-256 of what r brings, and its length.
func SumOf(r io.Reader) (string, int64, error) {
	h := sha256.New()
	n, err := io.Copy(h, r)
	return hex.EncodeToString(h.Sum(nil)), n, err
}

// Media is the content of a real file of the shared media, by its name. Where the
// machine does not have it, it is a made one: a test picture when ffmpeg is there, else
// noise of the same kind of size.
func Media(t testing.TB, name string) []byte {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "..", "shared", "media", name))
	if err == nil {
		return b
	}
	t.Logf("%s is not on this machine (%v); a made file takes its place", name, err)
	if b := testPicture(t); b != nil {
		return b
	}
	t.Log("ffmpeg is not on this machine either; the file is noise")
	return Content(uint64(len(name)), 3<<20)
}

// testPicture is some seconds of ffmpeg's test source; nil without ffmpeg.
func testPicture(t testing.TB) []byte {
	if _, err := exec.LookPath("ffmpeg"); err != nil {
		return nil
	}
	path := filepath.Join(t.TempDir(), "made.mp4")
	args := "-nostdin -loglevel error -f lavfi -i testsrc2=size=640x360:rate=25 -t 8 -b:v 4M -pix_fmt yuv420p"
	if out, err := exec.Command("ffmpeg", append(strings.Fields(args), path)...).CombinedOutput(); err != nil {
		t.Logf("ffmpeg: %v %s", err, out)
		return nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
