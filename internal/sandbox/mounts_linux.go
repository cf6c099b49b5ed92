package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ownTree gives the process a file system tree with the paths of the plan and nothing else.
// The process has a mount namespace of its own and may mount in it.
func ownTree(p *plan) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	binds, err := openAll(p)
	if err != nil {
		return err
	}
	// Any folder will do: it is covered in this namespace only, and what is needed from below
	// it was taken already.
	root := p.Dir
	if root == "" {
		root = os.TempDir()
	}
	if err := unix.Mount("tmpfs", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m,nr_inodes=4096"); err != nil {
		return fmt.Errorf("an empty tree: %w", err)
	}
	for _, b := range binds {
		if err := b.put(root); err != nil {
			return fmt.Errorf("%s: %w", b.path, err)
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	return unix.MountSetattr(unix.AT_FDCWD, "/", 0, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY})
}

// bind is one path that is taken over: a copy of its mount that hangs nowhere yet.
type bind struct {
	path string
	fd   int
	dir  bool
	dev  bool
	rw   bool
}

func openAll(p *plan) ([]bind, error) {
	var out []bind
	add := func(path string, rw bool) error {
		fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		var st unix.Stat_t
		if err == nil {
			err = unix.Fstat(fd, &st)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		kind := st.Mode & unix.S_IFMT
		out = append(out, bind{path: path, fd: fd, dir: kind == unix.S_IFDIR, dev: kind == unix.S_IFCHR, rw: rw})
		return nil
	}
	for _, path := range append(append([]string(nil), p.Read...), p.Execute...) {
		if err := add(path, false); err != nil {
			return nil, err
		}
	}
	if p.Dir != "" {
		if err := add(p.Dir, true); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (b bind) put(root string) error {
	target := filepath.Join(root, b.path)
	if _, err := os.Lstat(target); err == nil && !b.rw {
		return nil // within a folder that is there already
	}
	if err := b.place(target); err != nil {
		return err
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NOSUID}
	if !b.dev {
		attr.Attr_set |= unix.MOUNT_ATTR_NODEV
	}
	if b.rw {
		attr.Attr_set |= unix.MOUNT_ATTR_NOEXEC
	} else {
		attr.Attr_set |= unix.MOUNT_ATTR_RDONLY
	}
	if err := unix.MountSetattr(b.fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, &attr); err != nil {
		return err
	}
	return unix.MoveMount(b.fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// place makes the empty file or folder that is covered.
func (b bind) place(target string) error {
	if b.dir {
		return os.MkdirAll(target, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
