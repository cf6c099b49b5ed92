package ffmpeg_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// bait is a playlist that names a recording with a colour that can be recognised, or a
// listener. It is run past each layer alone.
type bait struct {
	dir, playlist string
	calls         func() int // of the listener
}

func newBait(t *testing.T) bait {
	t.Helper()
	b := bait{dir: t.TempDir()}
	secret := synthesize(t, "secret.ts", "-f", "lavfi", "-i", "color=red:size=64x64:duration=1:rate=5", "-c:v", "mpeg2video", "-f", "mpegts")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	seen := make(chan struct{}, 100)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			seen <- struct{}{}
			c.Close()
		}
	}()
	b.calls = func() int { return len(seen) }
	text := "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\n" + secret + "\n#EXTINF:1.0,\nhttp://" + l.Addr().String() + "/x.ts\n#EXT-X-ENDLIST\n"
	b.playlist = file(t, "video.mp4", []byte(text))
	return b
}

// shows reports whether ffmpeg with these arguments before the input made a picture of the
// playlist.
func (b bait) shows(t *testing.T, c *sandbox.Box, before ...string) bool {
	t.Helper()
	dir := t.TempDir()
	program, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Fatal(err)
	}
	run := args([]string{"-nostdin", "-v", "error", "-y"}, before, []string{"-i", b.playlist, "-f", "rawvideo", "out"})
	_, _ = c.Run(t.Context(), sandbox.Command{Path: program, Args: run, Read: []string{b.playlist}, Dir: dir, Bounds: sandbox.Bounds{Wall: 20 * time.Second}})
	i, err := os.Stat(filepath.Join(dir, "out"))
	return err == nil && i.Size() > 0
}

// TestPlaylistsStopAtEveryLayer: without any layer ffmpeg shows a recording that it was not
// given and calls a server; each of the sniffing, the arguments and the sandbox is enough to
// stop both.
func TestPlaylistsStopAtEveryLayer(t *testing.T) {
	t.Parallel()
	confined, bare := open(t).Box(), bare(t)
	lax := []string{"-allowed_extensions", "ALL", "-protocol_whitelist", "file,http,tcp,crypto"}
	b := newBait(t)
	if !b.shows(t, bare, lax...) || b.calls() == 0 {
		t.Fatalf("the bait does not work without any layer: %d calls", b.calls())
	}
	before := b.calls()
	if b.shows(t, bare, ffmpeg.Reading("mp4")...) {
		t.Error("the arguments alone do not stop it")
	}
	if b.shows(t, bare, "-protocol_whitelist", "file", "-format_whitelist", "mov,matroska") {
		t.Error("the whitelists alone do not stop it, where the container is guessed")
	}
	if b.shows(t, confined, lax...) {
		t.Error("the sandbox alone does not stop it")
	}
	f, err := os.Open(b.playlist)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if name, err := ffmpeg.Sniff(f); name != "" || err != nil {
		t.Errorf("the sniffing alone does not stop it: %q, %v", name, err)
	}
	if n := b.calls() - before; n > 0 {
		t.Errorf("%d calls to the server", n)
	}
}

// TestReplacedProgram: a program that took the place of ffmpeg leaves a link to another file
// where its work should be.
func TestReplacedProgram(t *testing.T) {
	open(t) // needs ffmpeg
	program := filepath.Join(t.TempDir(), impostor)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	tool, err := ffmpeg.Open(t.Context(), ffmpeg.Options{Box: bare(t), FFmpeg: program})
	if err != nil {
		t.Fatal(err)
	}
	path := synthesize(t, "x.mp4", args(picture(""), []string{"-c:v", "libx264", "-pix_fmt", "yuv420p"})...)
	i, err := tool.Probe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if files, err := tool.Make(t.Context(), media.NewWork(media.Rendition), i, path, t.TempDir(), nil); err == nil {
		t.Errorf("Make = %+v", files)
	}
}
