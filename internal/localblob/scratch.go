package localblob

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/playback"
)

// Scratch is a folder of this process for files that last as long as a job. What is in
// it is never flushed and is worth nothing after a restart. It is safe for concurrent
// use.
type Scratch struct {
	path string
	root *os.Root
	last atomic.Uint64
}

// OpenScratch opens the folder at path and makes it when it is not there. Nobody else
// puts anything there: Clear removes it.
func OpenScratch(path string) (*Scratch, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, classify(err)
	}
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, classify(err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, classify(err)
	}
	return &Scratch{path: path, root: root}, nil
}

// Clear removes everything; nobody may hold a Folder.
func (s *Scratch) Clear() error {
	names, err := readNames(s.root, ".")
	if err != nil {
		return classify(err)
	}
	var errs []error
	for _, name := range names {
		errs = append(errs, s.root.RemoveAll(name))
	}
	return classify(errors.Join(errs...))
}

// Close releases the folder; what is in it stays.
func (s *Scratch) Close() error { return s.root.Close() }

var _ playback.Scratch = (*Scratch)(nil)

// Folder implements playback.Scratch.
func (s *Scratch) Folder() (playback.Folder, error) {
	for {
		name := strconv.FormatUint(s.last.Add(1), 10)
		err := s.root.Mkdir(name, dirMode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, classify(err)
		}
		root, err := s.root.OpenRoot(name)
		if err != nil {
			return nil, classify(err)
		}
		return &folder{scratch: s, name: name, root: root}, nil
	}
}

// folder is one folder of a Scratch. Another process may have been let write into it:
// nothing in it is trusted, and no link out of it is followed.
type folder struct {
	scratch *Scratch
	name    string
	root    *os.Root
}

// Path is where the folder lies.
func (f *folder) Path() string { return filepath.Join(f.scratch.path, f.name) }

// Create makes a file and says where it lies.
func (f *folder) Create(name string) (io.WriteCloser, string, error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, "", classify(err)
	}
	return file, filepath.Join(f.Path(), name), nil
}

// Open opens a regular file that stands in the folder itself. NotFound; Invalid for
// anything else, such as a link or a pipe.
func (f *folder) Open(name string) (io.ReadCloser, int64, error) {
	info, err := f.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, 0, vam.Wrap(vam.NotFound, err, "there is no file %.64q", name)
	case err != nil:
		return nil, 0, classify(err)
	case !info.Mode().IsRegular() || filepath.Base(name) != name:
		return nil, 0, vam.Errorf(vam.Invalid, "%.64q is no file of this folder", name)
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return nil, 0, classify(err)
	}
	// It may have been another one meanwhile.
	if info, err = file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, 0, errors.Join(vam.Errorf(vam.Invalid, "%.64q is no file of this folder", name), err, file.Close())
	}
	return file, info.Size(), nil
}

// Remove removes the folder and all that is in it.
func (f *folder) Remove() error {
	return classify(errors.Join(f.root.Close(), f.scratch.root.RemoveAll(f.name)))
}
