package ffmpeg_test

import (
	"os"
	"testing"

	"github.com/videoactivmail/vam/internal/sandbox"
)

// launcher is what Main returned to this program of tests.
var launcher sandbox.Launcher

func TestMain(m *testing.M) {
	launcher = sandbox.Main()
	os.Exit(m.Run())
}
