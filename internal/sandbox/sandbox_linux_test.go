package sandbox_test

import (
	"os"
	"testing"

	"github.com/videoactivmail/vam/internal/sandbox"
)

// launcher is what Main returned to this program of tests.
var launcher sandbox.Launcher

// TestMain is also the child that confines itself, and the program that does harm.
func TestMain(m *testing.M) {
	launcher = sandbox.Main()
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case harm:
			os.Exit(doHarm(os.Args[2:]))
		case parent:
			os.Exit(doParent(os.Args[2:]))
		}
	}
	os.Exit(m.Run())
}
