package localblob

import (
	"container/list"
	"errors"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/fault"
)

// file is what all handles of one object share. It lives while somebody uses it and
// for a while after, in the store's idle list.
type file struct {
	store *Store
	id    blob.ID

	refs int           // guarded by store.mu
	idle *list.Element // its place in the idle list; guarded by store.mu

	life     sync.RWMutex // held for writing while the files come and go
	f        *os.File     // nil until opened; then fixed until the last user is gone
	readOnly bool
	removed  bool
	sides    bool // the side folder is there and free of leftovers

	size      atomic.Int64
	written   atomic.Uint64 // grows after every write
	unflushed atomic.Int64  // octets since write-back was last begun
	flush     group
	flushed   uint64                     // value of written that the last flush covers; only inside flush
	broken    atomic.Pointer[flushError] // a flush failed: nothing since the last one may be believed
	sideFlush group
}

type flushError struct{ err error }

// entry returns the shared file of id, with one more user.
func (s *Store) entry(id blob.ID) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f == nil {
		f = &file{store: s, id: id}
		f.written.Store(1) // what an earlier process wrote is not known to be durable
		s.files[id] = f
	}
	if f.idle != nil {
		s.idle.Remove(f.idle)
		f.idle = nil
	}
	f.refs++
	return f
}

// share adds a user to a file that has one.
func (s *Store) share(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.refs++
}

// hold returns the open file of id with one more user, making it when create is
// set. NotFound.
func (s *Store) hold(id blob.ID, create bool) (*file, error) {
	for {
		f := s.entry(id)
		err := f.open(create)
		if err == nil {
			return f, nil
		}
		s.letGo(f)
		if !errors.Is(err, errRemoved) {
			return nil, err
		}
		// Removed between entry and open: the name is free for a new file.
	}
}

// letGo takes a user away. The last one leaves the file in the idle list.
func (s *Store) letGo(f *file) {
	s.mu.Lock()
	f.refs--
	var shut []*file
	if f.refs == 0 {
		if f.f == nil || f.removed || f.broken.Load() != nil || s.closed || s.maxIdle < 0 {
			s.drop(f)
			shut = append(shut, f)
		} else {
			f.idle = s.idle.PushFront(f)
			if s.idle.Len() > s.maxIdle {
				shut = append(shut, s.dropIdle(s.idle.Back()))
			}
		}
	}
	s.mu.Unlock()
	for _, f := range shut {
		// Its bytes were never promised to anybody; a loss stops the store by itself.
		_ = f.shut()
	}
}

// forget frees the name of a removed file for a new one.
func (s *Store) forget(f *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(f)
}

func (s *Store) drop(f *file) {
	if s.files[f.id] == f {
		delete(s.files, f.id)
	}
}

func (s *Store) dropIdle(e *list.Element) *file {
	f := s.idle.Remove(e).(*file)
	f.idle = nil
	s.drop(f)
	return f
}

var errRemoved = vam.Errorf(vam.NotFound, "this media was removed")

// open opens the media file once.
func (f *file) open(create bool) error {
	f.life.Lock()
	defer f.life.Unlock()
	if f.removed {
		return errRemoved
	}
	if f.f != nil {
		return nil
	}
	flag := os.O_RDWR
	if create {
		flag |= os.O_CREATE
	}
	name := mediaPath(f.id)
	file, err := f.store.root.OpenFile(name, flag, fileMode)
	if err != nil && isReadOnly(err) && !create {
		f.readOnly = true
		file, err = f.store.root.OpenFile(name, os.O_RDONLY, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return vam.Errorf(vam.NotFound, "there is no media %s", f.id)
	}
	if err != nil {
		return classify(err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return classify(err)
	}
	f.f = file
	f.size.Store(info.Size())
	return nil
}

// unlink removes the names. Those who have the file open keep its bytes.
func (f *file) unlink() error {
	f.life.Lock()
	defer f.life.Unlock()
	root := f.store.root
	if err := root.Remove(mediaPath(f.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify(err)
	}
	f.removed = true
	if err := fault.Point("localblob.remove.before-side"); err != nil {
		return classify(err)
	}
	// A blob that another handle is just putting there keeps the folder for a moment.
	const tries = 100
	for try := 1; ; try++ {
		err := root.RemoveAll(sideDir(f.id))
		if err == nil || !errors.Is(err, syscall.ENOTEMPTY) || try == tries {
			return classify(err)
		}
	}
}

// shut closes a file without users. Bytes that were written and never synced are
// flushed first: were the descriptor closed with them, nobody would hear of a loss.
func (f *file) shut() error {
	f.life.Lock()
	defer f.life.Unlock()
	if f.f == nil {
		return nil
	}
	var err error
	if !f.removed && f.written.Load() > max(1, f.flushed) && f.broken.Load() == nil {
		err = f.flushNow()
	}
	return errors.Join(err, f.f.Close())
}
