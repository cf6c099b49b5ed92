package localblob

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/fault"
)

const (
	sideSuffix = ".side"
	tempSuffix = ".tmp"
)

func sideDir(id blob.ID) string { return mediaPath(id) + sideSuffix }

func sidePath(id blob.ID, sum blob.Sum) string {
	return sideDir(id) + "/" + hex.EncodeToString(sum[:])
}

func (o *object) PutSide(ctx context.Context, sum blob.Sum, p []byte) error {
	if err := blob.Check(p, sum); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.canWrite(); err != nil {
		return err
	}
	if err := o.prepareSides(); err != nil {
		return err
	}
	// Remove waits for the blobs that are under way, and they for it.
	o.life.RLock()
	defer o.life.RUnlock()
	if o.removed {
		return errRemoved
	}
	if err := o.writeSide(sum, p); err != nil {
		return err
	}
	return o.sideFlush.do(ctx, func() error { return o.store.flushDir(sideDir(o.id)) })
}

// prepareSides makes the side folder durable, and removes what a crash left in it,
// once for as long as the file is held.
func (o *object) prepareSides() error {
	o.life.Lock()
	defer o.life.Unlock()
	if o.sides || o.removed {
		return nil
	}
	root := o.store.root
	switch err := root.Mkdir(sideDir(o.id), dirMode); {
	case errors.Is(err, fs.ErrExist):
		if err := o.removeTemps(); err != nil {
			return classify(err)
		}
	case err != nil:
		return classify(err)
	}
	// Also when it was there: the crash may have come before this flush.
	if err := o.store.flushShard(context.Background(), o.id); err != nil {
		return err
	}
	o.sides = true
	return nil
}

func (o *object) removeTemps() error {
	names, err := readNames(o.store.root, sideDir(o.id))
	for _, name := range names {
		if strings.HasSuffix(name, tempSuffix) {
			err = errors.Join(err, o.store.root.Remove(sideDir(o.id)+"/"+name))
		}
	}
	return err
}

// writeSide puts whole, flushed bytes under the name of sum.
func (o *object) writeSide(sum blob.Sum, p []byte) error {
	name := sidePath(o.id, sum)
	if info, err := o.store.root.Lstat(name); err == nil && info.Size() == int64(len(p)) {
		return nil // a name without .tmp has whole bytes
	}
	if err := o.store.space.take(int64(len(p)), o.store.sys.statfs); err != nil {
		return err
	}
	nonce := blob.NewID()
	temp := name + "." + nonce.String() + tempSuffix
	if err := o.writeTemp(temp, p); err != nil {
		_ = o.store.root.Remove(temp) // else the next PutSide after a restart does
		return err
	}
	err := fault.Point("localblob.side.before-rename")
	if err == nil {
		err = o.store.root.Rename(temp, name)
	}
	if err != nil {
		_ = o.store.root.Remove(temp)
		return classify(err)
	}
	return classify(fault.Point("localblob.side.before-dirsync"))
}

func (o *object) writeTemp(name string, p []byte) error {
	f, err := o.store.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return classify(err)
	}
	defer f.Close()
	if _, err := f.Write(p); err != nil {
		return classify(err)
	}
	err = fault.Point("localblob.side.before-fsync")
	if err == nil {
		err = o.store.sys.fsync(f)
	}
	if err != nil {
		return o.store.lost(err)
	}
	return classify(f.Close())
}

func (o *object) Side(ctx context.Context, sum blob.Sum) (io.ReadSeekCloser, int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	if o.closed.Load() {
		return nil, 0, errClosed
	}
	f, err := o.store.root.Open(sidePath(o.id, sum))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, vam.Errorf(vam.NotFound, "there is no blob %x… beside this media", sum[:6])
	}
	if err != nil {
		return nil, 0, classify(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, classify(err)
	}
	return f, info.Size(), nil
}

func (o *object) RemoveSide(ctx context.Context, sum blob.Sum) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := o.canWrite(); err != nil {
		return err
	}
	if err := o.store.root.Remove(sidePath(o.id, sum)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify(err)
	}
	return nil
}
