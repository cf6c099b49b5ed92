package ffmpeg_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// confined is the tool of this machine with all its layers; it is opened once, since that
// takes some processes.
var confined = sync.OnceValues(func() (*ffmpeg.Tool, error) {
	b, err := sandbox.New(context.Background(), sandbox.Options{Launcher: launcher})
	if err != nil {
		return nil, err
	}
	return ffmpeg.Open(context.Background(), ffmpeg.Options{Box: b})
})

// open is that tool, or the end of the test where there is none.
func open(t testing.TB) *ffmpeg.Tool {
	t.Helper()
	tool, err := confined()
	if err != nil {
		powercut.Unavailable(t, "no ffmpeg in a sandbox: %v", err)
	}
	return tool
}

// bare runs programs without any layer.
func bare(t testing.TB) *sandbox.Box {
	t.Helper()
	b, err := sandbox.New(t.Context(), sandbox.Options{Launcher: launcher, AllowUnconfined: true, Without: sandbox.LayerNames()})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// synthesize lets an unconfined ffmpeg write a recording, and returns its path.
func synthesize(t testing.TB, name string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args = append([]string{"-nostdin", "-v", "error", "-y"}, args...)
	if out, err := exec.Command("ffmpeg", append(args, path)...).CombinedOutput(); err != nil {
		powercut.Unavailable(t, "ffmpeg %v: %v %s", args, err, out)
	}
	return path
}

// picture and sound are inputs of one and a half seconds.
func picture(options string) []string {
	return []string{"-f", "lavfi", "-i", "testsrc2=duration=1.5:size=160x120:rate=10" + options}
}

func sound() []string { return []string{"-f", "lavfi", "-i", "sine=frequency=440:duration=1.5"} }

func args(parts ...[]string) []string {
	var out []string
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// shared is a recording of the shared corpus. A clone that is alone leaves the test out;
// there are others of the same things on recordings that are made here.
func shared(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "media", name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("left out: the shared media are not beside the project: %v", err)
	}
	return path
}

// file writes octets.
func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// box is one of ISO base media.
func box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(body))), kind...), body...)
}

// edit replaces the content of the first box of that path, such as "moov/mvhd", and mends
// the sizes of those around it.
func edit(movie []byte, path []string, change func(content []byte) []byte) []byte {
	for at := 0; at+8 <= len(movie); {
		size := int(binary.BigEndian.Uint32(movie[at:]))
		if size < 8 || at+size > len(movie) {
			break
		}
		if string(movie[at+4:at+8]) == path[0] {
			content := movie[at+8 : at+size]
			if len(path) == 1 {
				content = change(bytes.Clone(content))
			} else {
				content = edit(content, path[1:], change)
			}
			return bytes.Join([][]byte{movie[:at], box(path[0], content), movie[at+size:]}, nil)
		}
		at += size
	}
	return movie
}
