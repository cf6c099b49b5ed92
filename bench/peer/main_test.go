package peer_test

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/internal/netem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// small is what the tests send: enough for several records, buffers and packets.
const small = 3<<20 + 123

func file(t *testing.T, size int64) peer.File {
	t.Helper()
	f, err := peer.MakeFile(t.TempDir(), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ran checks a transfer; it skips what the machine does not have, unless the
// environment promises everything.
func ran(t *testing.T, got peer.Transfer, err error) {
	t.Helper()
	skipMissing(t, err)
	if got.Seconds <= 0 || got.Bytes == 0 || got.Rate() <= 0 {
		t.Fatalf("%+v", got)
	}
}

func skipMissing(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, peer.ErrMissing) && os.Getenv("VAM_CI") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// empty fails when something was left in a folder.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Fatalf("left behind: %v, %v", left, err)
	}
}

func wire(t *testing.T, c netem.WireConfig) *netem.Wire {
	t.Helper()
	w, err := netem.OpenWire(c)
	if err != nil {
		if os.Getenv("VAM_CI") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func installed(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil && os.Getenv("VAM_CI") != "1" {
		t.Skip(err)
	}
}
