package sqlite_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// TestPowerCut cuts the power under the child: what was accepted was flushed. With
// synchronous=NORMAL it loses some of the last promises in most cuts.
func TestPowerCut(t *testing.T) {
	disk := powercut.New(t, 64*vam.MiB)
	place := filepath.Join(disk.Dir(), "data")
	check(t, os.Mkdir(place, 0o700))
	unix.Sync() // the folder itself is the operator's; the database is not flushed by it
	cuts := 6
	if testing.Short() {
		cuts = 2
	}
	var lines []string
	for i := range cuts {
		c := startChild(t, "accept", place, nil)
		c.wait(1 + rand.IntN(200))
		stop(t, c.cmd.Process.Pid)
		disk.Cut()
		lines = append(lines, c.kill()...)
		disk.Restore()
		if i%2 == 0 {
			checkPromises(t, place, lines)
		}
	}
	checkPromises(t, place, lines)
	t.Logf("%d promises kept over %d power cuts", len(lines), cuts)
}

// TestPowerCutOfANewFile cuts the power as soon as the database is open.
func TestPowerCutOfANewFile(t *testing.T) {
	disk := powercut.New(t, 32*vam.MiB)
	path := filepath.Join(disk.Dir(), "vam.db")
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	check(t, err)
	check(t, db.Queue().Enqueue(t.Context(), offerJob("first")))
	disk.Cut()
	wantKind(t, "a write to a disk without power", db.Queue().Enqueue(t.Context(), offerJob("second")), vam.Unavailable)
	_ = db.Close() // nothing can be put in order any more
	disk.Restore()
	checkPromises(t, disk.Dir(), []string{"made first"})
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
