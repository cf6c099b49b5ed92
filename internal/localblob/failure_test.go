package localblob_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/localblob"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, want vam.ErrorKind) {
	t.Helper()
	if err == nil || vam.KindOf(err) != want {
		t.Errorf("%s: %v, want kind %s", what, err, want)
	}
}

func create(t testing.TB, s *localblob.Store) blob.Object {
	t.Helper()
	id := blob.NewID()
	check(t, s.Create(t.Context(), id))
	obj, err := s.Open(t.Context(), id)
	check(t, err)
	t.Cleanup(func() { check(t, obj.Close()) })
	return obj
}

func write(t testing.TB, obj blob.Object, p string, off int64) {
	t.Helper()
	_, err := obj.WriteAt([]byte(p), off)
	check(t, err)
}

// One lost write ends all writing: a flush that succeeds after one that failed
// proves nothing. Reads go on, and the operator hears of it once.
func TestLostWriteStopsTheStore(t *testing.T) {
	var broken atomic.Bool
	var alarms []error
	dir := t.TempDir()
	s := open(t, dir, localblob.Options{OnFail: func(err error) { alarms = append(alarms, err) }})
	localblob.FailFlush(s, func() error {
		if broken.CompareAndSwap(true, false) { // the disk lies from the second time on
			return syscall.EIO
		}
		return nil
	})
	obj, other := create(t, s), create(t, s)
	write(t, obj, "before", 0)
	check(t, obj.Sync(t.Context()))
	write(t, obj, "after", 6)
	broken.Store(true)
	wantKind(t, "the failed flush", obj.Sync(t.Context()), vam.Unavailable)

	for what, do := range map[string]func() error{
		"Sync again":      func() error { return obj.Sync(t.Context()) },
		"Sync of another": func() error { return other.Sync(t.Context()) },
		"WriteAt":         func() error { _, err := other.WriteAt([]byte("x"), 0); return err },
		"Truncate":        func() error { return other.Truncate(0) },
		"PutSide":         func() error { return other.PutSide(t.Context(), sha256.Sum256([]byte("x")), []byte("x")) },
		"RemoveSide":      func() error { return other.RemoveSide(t.Context(), blob.Sum{}) },
		"Create":          func() error { return s.Create(t.Context(), blob.NewID()) },
		"Remove":          func() error { return s.Remove(t.Context(), other.ID()) },
		"a handle made anew": func() error {
			o, err := s.Open(t.Context(), other.ID())
			check(t, err)
			defer o.Close()
			return o.Sync(t.Context())
		},
	} {
		err := do()
		wantKind(t, what, err, vam.Unavailable)
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s does not tell the operator the cause: %v", what, err)
		}
	}
	got := make([]byte, 6)
	if _, err := obj.ReadAt(got, 0); err != nil || string(got) != "before" {
		t.Errorf("reading goes on: %q, %v", got, err)
	}
	if len(alarms) != 1 || !errors.Is(alarms[0], syscall.EIO) {
		t.Errorf("alarms %v, want one with the cause", alarms)
	}
	check(t, s.Close())

	again := open(t, dir, localblob.Options{})
	defer again.Close()
	o, err := again.Open(t.Context(), obj.ID())
	check(t, err)
	defer o.Close()
	write(t, o, "after", 6)
	check(t, o.Sync(t.Context()))
}

// A full disk that shows itself only at the flush costs the object's handles, not
// the store (AM-14.10).
func TestFullDiskAtFlush(t *testing.T) {
	full := false
	s := open(t, t.TempDir(), localblob.Options{OnFail: func(err error) { t.Errorf("alarm: %v", err) }})
	defer s.Close()
	localblob.FailFlush(s, func() error {
		if full {
			return syscall.ENOSPC
		}
		return nil
	})
	id := blob.NewID()
	check(t, s.Create(t.Context(), id))
	obj, err := s.Open(t.Context(), id)
	check(t, err)
	write(t, obj, "media", 0)
	full = true
	wantKind(t, "the flush", obj.Sync(t.Context()), vam.OverQuota)
	full = false
	wantKind(t, "the flush after it", obj.Sync(t.Context()), vam.OverQuota)
	check(t, obj.Close())

	obj, err = s.Open(t.Context(), id)
	check(t, err)
	defer obj.Close()
	write(t, obj, "media", 0)
	check(t, obj.Sync(t.Context()))
	check(t, create(t, s).Sync(t.Context()))
}

func TestReserve(t *testing.T) {
	now := time.Unix(0, 0)
	s := open(t, t.TempDir(), localblob.Options{Reserve: 100, Now: func() time.Time { return now }})
	defer s.Close()
	free := vam.Bytes(1100)
	localblob.FakeDisk(s, func() (vam.Bytes, vam.Bytes) { return 1 << 40, free })
	wantFree := func(want vam.Bytes) {
		t.Helper()
		if got, err := s.Free(t.Context()); got != want || err != nil {
			t.Errorf("free %v, %v; want %v", got, err, want)
		}
	}
	obj := create(t, s)
	wantFree(1000)
	write(t, obj, string(make([]byte, 900)), 0)
	// The answer of the disk is a moment old, but what was written since is known.
	free = 200
	_, err := obj.WriteAt(make([]byte, 101), 900)
	wantKind(t, "a write into the reserve", err, vam.OverQuota)
	wantFree(100)
	write(t, obj, string(make([]byte, 100)), 900)
	free = 50
	wantFree(0)
	wantKind(t, "a side blob into the reserve", obj.PutSide(t.Context(), sha256.Sum256([]byte("x")), []byte("x")), vam.OverQuota)
	check(t, obj.Sync(t.Context())) // what was written may still be made durable
	free = 5000
	write(t, obj, "room again", 0)
	free = 0 // somebody else took it
	now = now.Add(2 * time.Second)
	_, err = obj.WriteAt([]byte("x"), 0)
	wantKind(t, "a write after others filled the disk", err, vam.OverQuota)
	var e *vam.Error
	if !errors.As(err, &e) || e.RetryAfter == 0 || e.Cause == nil {
		t.Errorf("%#v names no time to come again or no cause", err)
	}
}

func TestIdleFilesAreBounded(t *testing.T) {
	s := open(t, t.TempDir(), localblob.Options{IdleFiles: 3})
	defer s.Close()
	for range 20 {
		id := blob.NewID()
		check(t, s.Create(t.Context(), id))
		obj, err := s.Open(t.Context(), id)
		check(t, err)
		write(t, obj, "never synced", 0)
		r := obj.Reader(0, 5)
		check(t, obj.Close())
		if _, err := io.ReadAll(r); err != nil {
			t.Error(err)
		}
		check(t, r.Close())
	}
	if n := localblob.OpenFiles(s); n != 3 {
		t.Errorf("%d files are open, want the 3 last used", n)
	}
}

// Bytes that nobody synced are flushed before their descriptor goes: a loss of them
// would otherwise be heard by nobody.
func TestIdleFileIsFlushedBeforeItIsClosed(t *testing.T) {
	alarmed := false
	s := open(t, t.TempDir(), localblob.Options{IdleFiles: -1, OnFail: func(error) { alarmed = true }})
	defer s.Close()
	obj := create(t, s)
	write(t, obj, "never synced", 0)
	localblob.FailFlush(s, func() error { return syscall.EIO })
	check(t, obj.Close())
	if !alarmed {
		t.Error("the loss went unnoticed")
	}
}
