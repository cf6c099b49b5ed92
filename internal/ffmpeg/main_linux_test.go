package ffmpeg_test

import (
	"os"
	"testing"

	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// launcher is what Main returned to this program of tests.
var launcher sandbox.Launcher

func TestMain(m *testing.M) {
	launcher = sandbox.Main()
	os.Exit(m.Run())
}

// open opens the tool of this machine with the layers that it has.
func open(t testing.TB, without ...sandbox.LayerName) *ffmpeg.Tool {
	t.Helper()
	b, err := sandbox.New(t.Context(), sandbox.Options{Launcher: launcher, Without: without, AllowUnconfined: len(without) > 0})
	if err != nil {
		t.Fatal(err)
	}
	tool, err := ffmpeg.Open(t.Context(), ffmpeg.Options{Box: b})
	if err != nil {
		t.Fatal(err)
	}
	return tool
}
