package localblob_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault/powercut"
)

// TestPowerCut cuts the power under the child: what was promised was flushed (AM-14.10).
func TestPowerCut(t *testing.T) {
	disk := powercut.New(t, 256*vam.MiB)
	dir := filepath.Join(disk.Dir(), "data")
	check(t, unix.Mkdir(dir, 0o700))
	unix.Sync() // the folder itself is the operator's
	cuts := 10
	if testing.Short() {
		cuts = 2
	}
	var promises []string
	for range cuts {
		v := startVictim(t, dir)
		v.wait(1 + rand.IntN(300))
		stop(t, v.cmd.Process.Pid)
		disk.Cut()
		promises = append(promises, v.kill()...)
		disk.Restore()
		checkPromises(t, dir, promises)
	}
	t.Logf("%d promises kept over %d power cuts", len(promises), cuts)
}

// stop returns when every thread of the process stands still.
func stop(t *testing.T, pid int) {
	t.Helper()
	check(t, unix.Kill(pid, unix.SIGSTOP))
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("the child did not stop: %v, %v", status, err)
	}
}
