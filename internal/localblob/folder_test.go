package localblob_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/localblob"
)

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, localblob.Options{})
	defer s.Close()
	obj := create(t, s)
	write(t, obj, "media", 0)
	check(t, obj.PutSide(t.Context(), sha256.Sum256([]byte("poster")), []byte("poster")))
	l, err := localblob.Lock(dir)
	check(t, err)
	defer l.Close()
	files := 0
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		check(t, err)
		info, err := d.Info()
		check(t, err)
		if path != dir && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return nil
	}))
	if files != 3 {
		t.Errorf("%d files, want media, side blob and lock", files)
	}
}

// What a crash or an operator leaves lying about harms nothing.
func TestStrangeFilesInTheFolder(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, localblob.Options{})
	obj := create(t, s)
	poster := []byte("poster")
	check(t, obj.PutSide(t.Context(), sha256.Sum256(poster), poster))
	id := obj.ID()
	check(t, s.Close())

	media := filepath.Join(dir, "media", id.String()[:2], id.String())
	leftover := filepath.Join(media+".side", fmt.Sprintf("%x.0.tmp", sha256.Sum256([]byte("cut"))))
	orphan := blob.NewID()
	for _, path := range []string{leftover, filepath.Join(dir, "media", "00", "README"), filepath.Join(dir, "media", "notes.txt")} {
		check(t, os.WriteFile(path, []byte("?"), 0o600))
	}
	check(t, os.Mkdir(filepath.Join(dir, "media", orphan.String()[:2], orphan.String()+".side"), 0o700))

	s = open(t, dir, localblob.Options{})
	defer s.Close()
	ids := map[blob.ID]bool{}
	for id, err := range s.List(t.Context()) {
		check(t, err)
		ids[id] = true
	}
	if len(ids) != 2 || !ids[id] || !ids[orphan] {
		t.Errorf("listed %v, want %s and the half-removed %s", ids, id, orphan)
	}
	_, err := s.Open(t.Context(), orphan)
	wantKind(t, "opening what is half removed", err, vam.NotFound)
	check(t, s.Remove(t.Context(), orphan))
	obj2, err := s.Open(t.Context(), id)
	check(t, err)
	defer obj2.Close()
	check(t, obj2.PutSide(t.Context(), sha256.Sum256([]byte("new")), []byte("new")))
	if _, err := os.Stat(leftover); err == nil {
		t.Error("an interrupted side blob was left")
	}
}

// A link that somebody puts into the folder leads nowhere outside it.
func TestLinksLeadNowhere(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	check(t, os.WriteFile(outside, []byte("secret"), 0o600))
	s := open(t, dir, localblob.Options{})
	defer s.Close()
	id := blob.NewID()
	check(t, os.Symlink(outside, filepath.Join(dir, "media", id.String()[:2], id.String())))
	if obj, err := s.Open(t.Context(), id); err == nil {
		defer obj.Close()
		t.Error("a link out of the data folder was followed")
	}
}

func TestNoFolder(t *testing.T) {
	_, err := localblob.Open(filepath.Join(t.TempDir(), "none"), localblob.Options{})
	wantKind(t, "a folder that is not there", err, vam.NotFound)
	_, err = localblob.Lock(filepath.Join(t.TempDir(), "none"))
	wantKind(t, "locking a folder that is not there", err, vam.NotFound)
}

func TestLock(t *testing.T) {
	const child = "LOCALBLOB_TEST_LOCK"
	if dir := os.Getenv(child); dir != "" {
		if _, err := localblob.Lock(dir); err != nil {
			fmt.Print(vam.KindOf(err), ": ", err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	dir := t.TempDir()
	tryInChild := func() (string, bool) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLock$")
		cmd.Env = append(os.Environ(), child+"="+dir)
		out, err := cmd.Output()
		return string(out), err == nil
	}
	l, err := localblob.Lock(dir)
	check(t, err)
	_, err = localblob.Lock(dir)
	wantKind(t, "locking twice in one process", err, vam.Conflict)
	out, ok := tryInChild()
	if ok || !strings.HasPrefix(out, "conflict: ") || !strings.Contains(out, fmt.Sprintf("process %d", os.Getpid())) || !strings.Contains(out, dir) {
		t.Errorf("another process was told %q (%v), want a conflict with our number and the folder", out, ok)
	}
	check(t, l.Close())
	if out, ok := tryInChild(); !ok {
		t.Errorf("the lock was given up, and another process was told %q", out)
	}
	// That child ended without giving it up.
	l, err = localblob.Lock(dir)
	check(t, err)
	check(t, l.Close())
}
