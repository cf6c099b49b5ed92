// Package localblob keeps media in files of the local disk.
//
// On disk, below the folder that Open is given:
//
//	media/ab/ab3f…           the media of object ab3f… (32 hex digits), sparse while it arrives
//	media/ab/ab3f….side/     made with the first side blob
//	media/ab/ab3f….side/SUM  one side blob under its SHA-256
//	media/ab/ab3f….side/SUM.*.tmp   one that a crash interrupted; removed at the next PutSide
//
// The legal states and the order of writes behind them:
//
//   - A media file's name is flushed (fsync of media/ab) before Create returns, its
//     bytes (fdatasync) before Sync returns.
//   - A side blob is written to a temporary name, flushed, renamed, and its folder is
//     flushed before PutSide returns; so a name without .tmp always has whole bytes.
//   - Remove unlinks the media first and the side folder after it, so what a crash
//     leaves is a side folder without media: List still names it, Open does not find
//     it, and Remove can be called again.
//
// A folder per object lost: it costs a second directory flush for each message and
// halved the rate of small messages with one writer.
package localblob

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/fault"
)

// Files and folders are for the owner alone: they hold people's recordings.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

const (
	mediaDir = "media"
	shards   = 256
)

// Options of Open. The zero value is good.
type Options struct {
	// Reserve is kept free on the disk for everything else. 0 is 256 MiB, or 1 % of
	// the disk where that is less; negative is none.
	Reserve vam.Bytes
	// IdleFiles is how many media files are kept open without a user, so that a
	// message that is read part by part is not opened each time. 0 is 64, negative is
	// none.
	IdleFiles int
	// OnFail is called once, with the cause, when the disk lost written data and the
	// store takes nothing more until a restart. It must not call the store.
	OnFail func(error)
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Store implements blob.Store. Only one process may use a folder; see Lock.
type Store struct {
	root   *os.Root
	path   string // of the folder, absolute
	space  space
	sys    syscalls
	onFail func(error)
	buffer blob.Buffers

	failure atomic.Pointer[vam.Error] // set once: nothing may be written any more
	shard   [shards]group             // shares the flushes of each media/ab

	mu      sync.Mutex
	files   map[blob.ID]*file
	idle    *list.List // of *file without a user, most recent first
	maxIdle int
	closed  bool
}

var _ blob.Store = (*Store)(nil)

// syscalls are replaced by tests that need a disk which fails.
type syscalls struct {
	fdatasync func(*os.File) error
	fsync     func(*os.File) error
	statfs    func(*os.File) (disk, error)
}

// Open opens the store below dir, which must exist; it makes what is missing. A
// folder that cannot be written is opened for reading. Errors: NotFound, Denied,
// OverQuota, Unavailable.
func Open(dir string, o Options) (*Store, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, classify(err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, classify(err)
	}
	s := &Store{
		root:    root,
		path:    path,
		onFail:  o.OnFail,
		sys:     syscalls{fdatasync: fdatasync, fsync: (*os.File).Sync, statfs: statfs},
		files:   map[blob.ID]*file{},
		idle:    list.New(),
		maxIdle: o.IdleFiles,
	}
	if s.maxIdle == 0 {
		s.maxIdle = 64
	}
	if err := s.space.open(root, o); err != nil {
		root.Close()
		return nil, classify(err)
	}
	if err := s.makeDirs(); err != nil && !isReadOnly(err) {
		s.Close()
		return nil, err
	}
	return s, nil
}

// makeDirs makes the shard folders once, so that no message pays for them.
func (s *Store) makeDirs() error {
	made := false
	mkdir := func(name string) error {
		err := s.root.Mkdir(name, dirMode)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		made = made || err == nil
		return err
	}
	if err := mkdir(mediaDir); err != nil {
		return classify(err)
	}
	for i := range shards {
		if err := mkdir(shardDir(byte(i))); err != nil {
			return classify(err)
		}
	}
	if !made {
		return nil
	}
	return errors.Join(s.flushDir(mediaDir), s.flushDir("."))
}

func shardDir(b byte) string      { return fmt.Sprintf("%s/%02x", mediaDir, b) }
func mediaPath(id blob.ID) string { return shardDir(id[0]) + "/" + id.String() }

// err is why the store takes nothing more, or nil.
func (s *Store) err() error {
	if e := s.failure.Load(); e != nil {
		return e
	}
	return nil
}

// Close flushes and closes the files that nobody uses. Handles that are still open
// stay usable for reading. Closing twice is no error.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	var idle []*file
	for e := s.idle.Front(); e != nil; e = s.idle.Front() {
		idle = append(idle, s.dropIdle(e))
	}
	s.mu.Unlock()
	var errs []error
	for _, f := range idle {
		errs = append(errs, f.shut())
	}
	return errors.Join(append(errs, s.space.close(), s.root.Close())...)
}

// Create implements blob.Store.
func (s *Store) Create(ctx context.Context, id blob.ID) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	f, err := s.hold(id, true)
	if err != nil {
		return err
	}
	defer s.letGo(f)
	if err := fault.Point("localblob.create.before-dirsync"); err != nil {
		return classify(err)
	}
	return s.flushShard(ctx, id)
}

// Open implements blob.Store.
func (s *Store) Open(ctx context.Context, id blob.ID) (blob.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := s.hold(id, false)
	if err != nil {
		return nil, err
	}
	return &object{file: f}, nil
}

// Remove implements blob.Store.
func (s *Store) Remove(ctx context.Context, id blob.ID) error {
	if err := s.writable(ctx); err != nil {
		return err
	}
	f := s.entry(id)
	defer s.letGo(f)
	if err := f.unlink(); err != nil {
		return err
	}
	s.forget(f)
	return s.flushShard(ctx, id)
}

// Free implements blob.Store.
func (s *Store) Free(ctx context.Context) (vam.Bytes, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return s.space.free(s.sys.statfs)
}

// writable says why nothing can be written, before anything is begun.
func (s *Store) writable(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.err()
}

func (s *Store) flushShard(ctx context.Context, id blob.ID) error {
	return s.shard[id[0]].do(ctx, func() error {
		return s.flushDir(shardDir(id[0]))
	})
}

// flushDir makes the names in a folder durable. A failure says that names which
// other calls were told to be durable may be gone: the store stops.
func (s *Store) flushDir(name string) error {
	if err := s.err(); err != nil {
		return err
	}
	d, err := s.root.Open(name)
	if err != nil {
		return classify(err)
	}
	defer d.Close()
	if err := s.sys.fsync(d); err != nil {
		return s.lost(err)
	}
	return nil
}

// lost turns a failed flush into the store's last word. The kernel reports a lost
// write once and calls the page clean afterwards, so a second flush that succeeds
// proves nothing (the PostgreSQL project's "fsyncgate"). A full disk is not a broken
// one: there the caller writes again and the store goes on.
func (s *Store) lost(cause error) error {
	if isFull(cause) {
		return classify(cause)
	}
	e := vam.Wrap(vam.Unavailable, cause,
		"this server's disk lost data that was written to it; it takes nothing new until its operator has looked at the disk and restarted it")
	if s.failure.CompareAndSwap(nil, e) && s.onFail != nil {
		s.onFail(cause)
	}
	return e
}
