//go:build linux

// Package powercut gives tests a small file system whose power can be cut: what was
// not flushed is gone. Killing a process shows only half of what a crash does, for
// the kernel still writes what the process left behind.
//
// The file system is an ext4 image on a loop device. Cut shuts it down without
// writing its journal (EXT4_IOC_SHUTDOWN, NOLOGFLUSH); Restore mounts it again, which
// replays the journal as after a power cut. The image's own cache survives: a disk
// that lies about flushes is beyond this fixture.
package powercut

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

// CI is the environment variable under whose value "1" a test that cannot run here
// fails instead of being skipped.
const CI = "VAM_CI"

// Unavailable skips the test, or fails it where everything has to run.
func Unavailable(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv(CI) == "1" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Disk is a mounted file system. It is for one goroutine.
type Disk struct {
	t       testing.TB
	image   string
	dir     string
	mounted bool
}

// New makes a file system of the given size and mounts it until the end of the
// test. Without root, mkfs.ext4 or loop devices the test is skipped; see
// Unavailable.
func New(t testing.TB, size vam.Bytes) *Disk {
	t.Helper()
	if os.Getuid() != 0 {
		Unavailable(t, "cutting the power of a file system needs root")
	}
	base := t.TempDir()
	d := &Disk{t: t, image: filepath.Join(base, "image"), dir: filepath.Join(base, "disk")}
	f, err := os.Create(d.image)
	if err == nil {
		err = f.Truncate(int64(size))
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", d.image).CombinedOutput(); err != nil {
		Unavailable(t, "mkfs.ext4: %v %s", err, out)
	}
	t.Cleanup(d.unmount)
	if err := d.mount(); err != "" {
		Unavailable(t, "no loop device can be mounted: %s", err)
	}
	return d
}

// Dir is where the file system is mounted.
func (d *Disk) Dir() string { return d.dir }

func (d *Disk) mount() string {
	out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput()
	if err != nil {
		return err.Error() + " " + strings.TrimSpace(string(out))
	}
	d.mounted = true
	return ""
}

func (d *Disk) unmount() {
	if !d.mounted {
		return
	}
	if out, err := exec.Command("umount", d.dir).CombinedOutput(); err != nil {
		d.t.Errorf("umount: %v %s", err, out)
		return
	}
	d.mounted = false
}

// Cut takes the power away: every later access to the file system fails. A process
// that writes there is best stopped (SIGSTOP) before and killed after; else it may be
// told of a flush in the very instant of the cut.
func (d *Disk) Cut() {
	d.t.Helper()
	const shutdown, noLogFlush = 0x8004587d, uint32(2) // _IOR('X', 125, __u32)
	f, err := os.Open(d.dir)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	flag := noLogFlush
	if _, _, errno := unix.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flag))); errno != 0 {
		Unavailable(d.t, "this kernel cannot shut ext4 down: %v", errno)
	}
}

// Restore gives the power back. Nobody may have files open there.
func (d *Disk) Restore() {
	d.t.Helper()
	d.unmount()
	if d.mounted {
		d.t.FailNow()
	}
	// A mount namespace that some program has made meanwhile, as sandboxes do, still holds the
	// dead file system, and a mount of the same image would find it again. A copy is another
	// disk.
	old := d.image
	d.image += "+"
	if out, err := exec.Command("cp", "--sparse=always", old, d.image).CombinedOutput(); err != nil {
		d.t.Fatalf("copying the disk: %v %s", err, out)
	}
	if err := os.Remove(old); err != nil {
		d.t.Fatal(err)
	}
	if err := d.mount(); err != "" {
		d.t.Fatalf("mounting after the cut: %s", err)
	}
}
