package corpus_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/e2e/watch"
	"github.com/videoactivmail/vam/internal/media"
)

// TestTry: the link that `vam try` prints plays what went from one domain to the other.
func TestTry(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "vam")
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/vam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	film := filepath.Join(folder, "bbb-480p-30s.mp4")
	x := want{play: media.PlayView, width: 854, height: 480, seconds: 30, sound: true}
	if _, err := os.Stat(film); err != nil {
		made := generated(t)[0]
		film, x = made.name, made.want
	}
	cmd := exec.Command(bin, "try", "--send", film, "--stay", "--port", "0", "--json")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		if err := cmd.Wait(); err != nil {
			t.Errorf("vam try ended with %v", err)
		}
	})
	var sent struct{ Equal bool }
	var running struct {
		Watch string `json:"watch_url"`
	}
	said := json.NewDecoder(out)
	must(t, said.Decode(&sent))
	must(t, said.Decode(&running))
	if !sent.Equal || running.Watch == "" {
		t.Fatalf("%+v, %+v", sent, running)
	}
	s := &sample{want: x}
	s.checkPlayed(t, watch.Chromium, watch.Run(t, watch.Chromium, watch.Job{Name: "try", URL: running.Watch, Play: true, PlayMS: 1500})[0])
}
