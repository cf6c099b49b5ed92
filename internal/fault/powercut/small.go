//go:build linux

package powercut

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Small mounts a file system in memory until the end of the test, with options of tmpfs(5)
// such as "size=3m", and returns its folder: a disk that is soon full.
func Small(t testing.TB, options string) string {
	t.Helper()
	if os.Getuid() != 0 {
		Unavailable(t, "mounting a small file system needs root")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		Unavailable(t, "no tmpfs can be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}
