package ffmpeg_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// launcher is what Main returned to this program of tests.
var launcher sandbox.Launcher

// impostor is the name under which this program takes the place of ffmpeg.
const impostor = "impostor"

func TestMain(m *testing.M) {
	launcher = sandbox.Main()
	if filepath.Base(os.Args[0]) == impostor {
		fmt.Println("ffmpeg version 0.0\n V....D libx264 \n A....D aac ")
		here, _ := os.Getwd()
		for _, a := range os.Args {
			// In a folder of its own, that is: not in the one of these sources.
			if input, ok := strings.CutPrefix(a, "file:"); ok && filepath.Base(here) != "ffmpeg" {
				_ = os.Symlink(input, media.RenditionFile(0))
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}
