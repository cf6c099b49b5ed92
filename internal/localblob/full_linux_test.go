package localblob_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/localblob"
)

// Without a reserve the disk itself says that it is full, in the middle of a write.
func TestFullDisk(t *testing.T) {
	dir := powercut.Small(t, "size=3500k")
	s := open(t, dir, localblob.Options{Reserve: -1, OnFail: func(err error) { t.Errorf("alarm: %v", err) }})
	defer s.Close()
	localblob.FakeDisk(s, func() (vam.Bytes, vam.Bytes) { return vam.TiB, vam.TiB })
	obj := create(t, s)
	part := make([]byte, 1<<20)
	var durable int64
	var err error
	for err == nil {
		if _, err = obj.WriteAt(part, durable); err == nil {
			check(t, obj.Sync(t.Context()))
			durable += int64(len(part))
		}
	}
	wantKind(t, "writing to a full disk", err, vam.OverQuota)
	if durable == 0 {
		t.Fatal("nothing fitted")
	}
	check(t, obj.Truncate(durable))
	_ = os.WriteFile(filepath.Join(dir, "ballast"), part, 0o600) // as much as fits
	wantKind(t, "a side blob on a full disk", obj.PutSide(t.Context(), sha256.Sum256(part), part), vam.OverQuota)
	zeros := blob.Sum(sha256.Sum256(make([]byte, durable)))
	if ok, err := blob.VerifyRange(t.Context(), obj, 0, durable, zeros); !ok {
		t.Errorf("what was durable before is damaged: %v", err)
	}

	check(t, os.Remove(filepath.Join(dir, "ballast")))
	write(t, obj, "it heals by itself", durable)
	check(t, obj.Sync(t.Context()))
}

func TestNoFreeFileNumbers(t *testing.T) {
	s := open(t, powercut.Small(t, "size=8m,nr_inodes=264"), localblob.Options{})
	defer s.Close()
	var err error
	for range 20 {
		if err = s.Create(t.Context(), blob.NewID()); err != nil {
			break
		}
	}
	wantKind(t, "an object when the disk has no file numbers left", err, vam.OverQuota)
}

// A folder that cannot be written is read, and everything else is told why not.
func TestReadOnlyFolder(t *testing.T) {
	dir := powercut.Small(t, "size=8m")
	s := open(t, dir, localblob.Options{})
	obj := create(t, s)
	write(t, obj, "media", 0)
	poster := []byte("poster")
	check(t, obj.PutSide(t.Context(), sha256.Sum256(poster), poster))
	check(t, obj.Sync(t.Context()))
	check(t, obj.Close())
	check(t, s.Close())
	check(t, unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""))

	s = open(t, dir, localblob.Options{OnFail: func(err error) { t.Errorf("alarm: %v", err) }})
	defer s.Close()
	got, err := s.Open(t.Context(), obj.ID())
	check(t, err)
	defer got.Close()
	if ok, err := blob.VerifyRange(t.Context(), got, 0, 5, sha256.Sum256([]byte("media"))); !ok {
		t.Errorf("the media reads wrongly: %v", err)
	}
	side, _, err := got.Side(t.Context(), sha256.Sum256(poster))
	check(t, err)
	check(t, side.Close())
	_, werr := got.WriteAt([]byte("x"), 0)
	_, lerr := localblob.Lock(dir)
	for what, err := range map[string]error{
		"WriteAt":    werr,
		"Lock":       lerr,
		"Create":     s.Create(t.Context(), blob.NewID()),
		"Remove":     s.Remove(t.Context(), obj.ID()),
		"Truncate":   got.Truncate(0),
		"RemoveSide": got.RemoveSide(t.Context(), sha256.Sum256(poster)),
		"PutSide":    got.PutSide(t.Context(), sha256.Sum256([]byte("new")), []byte("new")),
	} {
		wantKind(t, what, err, vam.Unavailable)
	}
}
