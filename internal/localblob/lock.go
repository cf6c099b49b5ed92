package localblob

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

// lockFile lies in the data folder. It stays there: a lock on a file that may be
// unlinked is none.
const lockFile = "vam.lock"

// Lock claims the data folder dir for this process until Close is called or the
// process ends, however it ends. Conflict, with the process id of the holder, when
// another one has it; also two claims in one process conflict. Other errors:
// NotFound, Unavailable.
func Lock(dir string) (io.Closer, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, classify(err)
	}
	defer root.Close()
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, classify(err)
	}
	if err := flock(f); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, vam.Errorf(vam.Conflict,
				"the data folder %s is in use by another vam%s: stop that one first, or give this one a folder of its own", dir, holder(f))
		}
		return nil, classify(err)
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, classify(err)
	}
	return lock{f}, nil
}

// lock is a held lock file.
type lock struct{ f *os.File }

// Close gives the folder up.
func (l lock) Close() error {
	// Whoever reads a number here is told of a process that is gone.
	return errors.Join(l.f.Truncate(0), l.f.Close())
}

func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// holder names the process that wrote the file, as far as it can be known.
func holder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}
