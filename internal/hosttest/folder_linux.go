package hosttest

import (
	"os"
	"syscall"
	"testing"
)

// folder is a temporary folder in memory where the system has room for one: whether
// the stores outlive a power cut is asked elsewhere, and here thousands of flushes
// would only wait for a disk.
func folder(t testing.TB) string {
	t.Helper()
	const memory, room = "/dev/shm", 1 << 30
	var fs syscall.Statfs_t
	if err := syscall.Statfs(memory, &fs); err != nil || fs.Bavail*uint64(fs.Bsize) < room {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "vam-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
