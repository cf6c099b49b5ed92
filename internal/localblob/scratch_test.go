package localblob_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/playback"
)

func openScratch(t *testing.T, path string) *localblob.Scratch {
	t.Helper()
	s, err := localblob.OpenScratch(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func scratchFolder(t *testing.T, s *localblob.Scratch) playback.Folder {
	t.Helper()
	f, err := s.Folder()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestScratch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "scratch")
	s := openScratch(t, path)
	a, b := scratchFolder(t, s), scratchFolder(t, s)
	if a.Path() == b.Path() || !filepath.IsAbs(a.Path()) {
		t.Errorf("two folders are %s and %s", a.Path(), b.Path())
	}
	if info, err := os.Stat(a.Path()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("a folder has the mode %v, %v", info.Mode(), err)
	}
	w, file, err := a.Create("original")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, "octets"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "octets" {
		t.Errorf("the file has %q, %v", text, err)
	}
	if _, _, err := a.Create("original"); err == nil {
		t.Error("a file was made twice")
	}
	r, size, err := a.Open("original")
	if err != nil || size != 6 {
		t.Fatalf("opened %d octets, %v", size, err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "octets" || r.Close() != nil {
		t.Errorf("read %q, %v", text, err)
	}
	if err := a.Remove(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
	// After a restart nobody holds a folder, and old names do not come back while they are there.
	s = openScratch(t, path)
	c := scratchFolder(t, s)
	if c.Path() == b.Path() {
		t.Error("a folder was lent twice")
	}
	if err := s.Clear(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(path); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// Whoever wrote into a folder may have been taken over: no link out of it is followed,
// and nothing but a file is opened.
func TestScratchIsNotTrusted(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := scratchFolder(t, openScratch(t, filepath.Join(dir, "scratch")))
	in := func(name string) string { return filepath.Join(f.Path(), name) }
	for _, err := range []error{
		os.Symlink(secret, in("absolute")), os.Symlink("../../secret", in("relative")), os.Symlink("good", in("inside")),
		os.WriteFile(in("good"), nil, 0o600), os.Mkdir(in("folder"), 0o700), os.WriteFile(in("folder/deep"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("unix", in("socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]vam.ErrorKind{
		"absolute": vam.Invalid, "relative": vam.Invalid, "inside": vam.Invalid, "folder": vam.Invalid, "folder/deep": vam.Invalid, "socket": vam.Invalid,
		"none": vam.NotFound, ".": vam.Invalid,
	} {
		if _, _, err := f.Open(name); err == nil || vam.KindOf(err) != want {
			t.Errorf("%s: %v, want kind %s", name, err, want)
		}
	}
	for _, name := range []string{"../../secret", secret, "/etc/passwd", "relative/x", ".."} {
		if _, _, err := f.Open(name); err == nil {
			t.Errorf("%s was opened", name)
		}
		if _, _, err := f.Create(name); err == nil {
			t.Errorf("%s was made", name)
		}
	}
	if err := f.Remove(); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
		t.Errorf("the file that a link pointed to has %q, %v", text, err)
	}
}

func TestScratchErrors(t *testing.T) {
	if _, err := localblob.OpenScratch(filepath.Join(t.TempDir(), "none", "scratch")); vam.KindOf(err) != vam.NotFound {
		t.Errorf("without its parent: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := localblob.OpenScratch(file); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// Another process may be let read an object.
func TestPath(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := localblob.Open("data", localblob.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := blob.NewID()
	if err := s.Create(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	obj, err := s.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer obj.Close()
	if _, err := obj.WriteAt([]byte("octets"), 0); err != nil {
		t.Fatal(err)
	}
	t.Chdir("/")
	path := obj.(interface{ Path() string }).Path()
	if text, err := os.ReadFile(path); err != nil || string(text) != "octets" || !filepath.IsAbs(path) {
		t.Errorf("%s has %q, %v", path, text, err)
	}
}
