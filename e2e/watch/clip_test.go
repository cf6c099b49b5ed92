package watch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// clip makes a recording with ffmpeg: a moving test picture with a tone.
func clip(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command("ffmpeg", append(append([]string{"-hide_banner", "-loglevel", "error", "-nostdin"}, args...), path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mp4 is seconds of H.264 and AAC with its index in front.
func mp4(t testing.TB, seconds, size string, more ...string) []byte {
	t.Helper()
	args := []string{
		"-f", "lavfi", "-i", "testsrc2=size=" + size + ":rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac", "-movflags", "+faststart",
	}
	return clip(t, "clip.mp4", append(args, more...)...)
}

// picture is a JPEG of that size.
func picture(t testing.TB, size string) []byte {
	t.Helper()
	return clip(t, "poster.jpg", "-f", "lavfi", "-i", "testsrc2=size="+size, "-frames:v", "1", "-ss", "1")
}
