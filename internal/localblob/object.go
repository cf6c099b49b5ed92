package localblob

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync/atomic"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/fault"
)

// writeBack is how many octets are written before the disk is set to work on them,
// so that a Sync at the end of a long transfer finds little to do.
const writeBack = 8 << 20

// object is one handle on a file.
type object struct {
	*file
	closed atomic.Bool
}

var (
	_ blob.Object = (*object)(nil)
	_ io.WriterAt = (*object)(nil)
)

func (o *object) ID() blob.ID { return o.id }

// Path is where the file lies, for another process that is let read it.
func (o *object) Path() string { return filepath.Join(o.store.path, mediaPath(o.id)) }

func (o *object) Size() int64 { return o.size.Load() }

func (o *object) Close() error {
	if o.closed.CompareAndSwap(false, true) {
		o.store.letGo(o.file)
	}
	return nil
}

var errClosed = vam.Errorf(vam.Internal, "a media handle was used after it was closed")

// canWrite says why the object takes no bytes.
func (o *object) canWrite() error {
	if o.closed.Load() {
		return errClosed
	}
	if err := o.store.err(); err != nil {
		return err
	}
	if b := o.broken.Load(); b != nil {
		return b.err
	}
	o.life.RLock()
	defer o.life.RUnlock()
	if o.removed {
		return errRemoved
	}
	if o.readOnly {
		return errReadOnly
	}
	return nil
}

func (o *object) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, vam.Errorf(vam.Invalid, "media has no octet %d", off)
	}
	if err := o.canWrite(); err != nil {
		return 0, err
	}
	if err := o.store.space.take(int64(len(p)), o.store.sys.statfs); err != nil {
		return 0, err
	}
	if err := fault.Point("localblob.write"); err != nil {
		return 0, classify(err)
	}
	n, err := o.f.WriteAt(p, off)
	o.grew(off + int64(n))
	o.written.Add(1)
	if err != nil {
		return n, classify(err)
	}
	if o.unflushed.Add(int64(n)) >= writeBack {
		o.unflushed.Store(0)
		beginWriteBack(o.f)
	}
	return n, nil
}

// grew raises the size to end.
func (f *file) grew(end int64) {
	for {
		old := f.size.Load()
		if end <= old || f.size.CompareAndSwap(old, end) {
			return
		}
	}
}

func (o *object) Truncate(n int64) error {
	if n < 0 {
		return vam.Errorf(vam.Invalid, "media cannot be %d octets long", n)
	}
	if err := o.canWrite(); err != nil {
		return err
	}
	if err := o.f.Truncate(n); err != nil {
		return classify(err)
	}
	o.size.Store(n)
	o.written.Add(1)
	return nil
}

// Sync is AM-14.10.
func (o *object) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.canWrite(); err != nil {
		return err
	}
	return o.flush.do(ctx, o.flushNow)
}

// flushNow makes what is written durable; with the first flush also the file's name,
// which a crash in Create may have left behind unflushed.
func (f *file) flushNow() error {
	if b := f.broken.Load(); b != nil {
		return b.err
	}
	if err := f.store.err(); err != nil {
		return err
	}
	now := f.written.Load()
	if now == f.flushed {
		return nil
	}
	err := fault.Point("localblob.sync.before-flush")
	if err == nil {
		err = f.store.sys.fdatasync(f.f)
	}
	if err != nil {
		return f.doubt(err)
	}
	if f.flushed == 0 {
		if err := f.store.flushShard(context.Background(), f.id); err != nil {
			return err
		}
	}
	f.flushed = now
	return classify(fault.Point("localblob.sync.after-flush"))
}

// doubt marks the file after a failed flush. Its pages are dropped from memory,
// so that whoever reads the file later sees what the disk has, not what it should
// have.
func (f *file) doubt(cause error) error {
	dropCache(f.f)
	err := f.store.lost(cause)
	f.broken.CompareAndSwap(nil, &flushError{err})
	return err
}

func (o *object) ReadAt(p []byte, off int64) (int, error) {
	if o.closed.Load() {
		return 0, errClosed
	}
	if off < 0 {
		return 0, vam.Errorf(vam.Invalid, "media has no octet %d", off)
	}
	return readAt(o.file, p, off)
}

func readAt(f *file, p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = classify(err)
	}
	return n, err
}
