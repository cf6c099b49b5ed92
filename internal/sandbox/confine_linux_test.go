package sandbox_test

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// all is every layer, to be left out.
func all() []sandbox.LayerName { return sandbox.LayerNames() }

// only leaves out everything but the layers named.
func only(keep ...sandbox.LayerName) []sandbox.LayerName {
	return slices.DeleteFunc(all(), func(n sandbox.LayerName) bool { return slices.Contains(keep, n) })
}

// world is a folder with a secret, an input and an output folder, and a listener.
func world(t *testing.T) target {
	t.Helper()
	dir := t.TempDir()
	w := target{Input: filepath.Join(dir, "input"), Output: filepath.Join(dir, "output"), Secret: filepath.Join(dir, "data", "secret"), Parent: os.Getpid()}
	for _, d := range []string{w.Output, filepath.Dir(w.Secret)} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{w.Input, w.Secret} {
		if err := os.WriteFile(f, []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	w.Address = l.Addr().String()
	return w
}

// command runs this program as the hostile one.
func command(t *testing.T, w target, deed string) (sandbox.Command, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	world, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	return sandbox.Command{
		Path: self, Args: []string{harm, deed, string(world)}, Env: []string{"GORACE=atexit_sleep_ms=0"}, Read: []string{w.Input}, Dir: w.Output, Stdout: &out, Stderr: os.Stderr,
		Bounds: sandbox.Bounds{Memory: memory, CPU: 20 * time.Second, Wall: time.Minute, File: 1 << 20, Output: 8 << 20, Open: 64, Tasks: 64},
	}, &out
}

// box makes one with the layers that are not left out, and wants exactly those.
func box(t *testing.T, without []sandbox.LayerName) *sandbox.Box {
	t.Helper()
	b, err := sandbox.New(t.Context(), sandbox.Options{Launcher: launcher, Without: without, AllowUnconfined: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range b.Layers() {
		if !l.Active && !slices.Contains(without, l.Name) {
			if l.Name == sandbox.Limits || l.Name == sandbox.Privileges {
				t.Fatalf("the layer %s works everywhere, and not here: %s", l.Name, l.Detail)
			}
			powercut.Unavailable(t, "the layer %s does not work here: %s", l.Name, l.Detail)
		}
	}
	return b
}

// TestNothingHostileWorks is AM-14.2: a program that took the place of ffmpeg does all it can. Each
// way of closing files and network is enough without the other.
func TestNothingHostileWorks(t *testing.T) {
	for name, without := range map[string][]sandbox.LayerName{
		"every layer":           nil,
		"the filters alone":     {sandbox.Namespaces, sandbox.Mounts},
		"the spaces and limits": {sandbox.Landlock, sandbox.Seccomp},
	} {
		t.Run(name, func(t *testing.T) {
			w := world(t)
			filtered := !slices.Contains(without, sandbox.Seccomp)
			what := "deeds"
			if filtered {
				what = "deeds and calls"
			}
			c, out := command(t, w, what)
			if _, err := box(t, without).Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			said := map[string]string{}
			if err := json.Unmarshal(out.Bytes(), &said); err != nil {
				t.Fatalf("%v in %q", err, out)
			}
			for _, d := range deeds() {
				if said[d.name] == "" && !slices.Contains(harmless(without), d.name) {
					t.Errorf("%s: worked", d.name)
				}
			}
			for _, d := range kernelDeeds() {
				if filtered && said[d.name] != "EPERM" {
					t.Errorf("%s: %q, want the filter's answer", d.name, said[d.name])
				}
			}
			intact(t, w)
		})
	}
}

// harmless lists what works without some layers and reaches nothing: processes that end
// with the first, and sockets that lead nowhere. The race detector takes much memory itself.
func harmless(without []sandbox.LayerName) []string {
	var out []string
	if slices.Contains(without, sandbox.Seccomp) {
		out = append(out, "make a process", "talk TCP")
	}
	if raceEnabled {
		out = append(out, "take much memory")
	}
	return out
}

// intact wants the world as it was, and the one thing made that may be made.
func intact(t *testing.T, w target) {
	t.Helper()
	for _, f := range []string{w.Input, w.Secret} {
		i, err := os.Stat(f)
		if err != nil || i.Mode() != 0o600 || i.Size() != int64(len("content")) {
			t.Errorf("%s is not what it was: %v %v", f, i, err)
		}
	}
	if _, err := os.Stat(w.Secret + ".new"); err == nil {
		t.Error("there is a new file outside")
	}
	entries, err := os.ReadDir(w.Output)
	if err != nil || len(entries) != 1 || entries[0].Name() != "out" {
		t.Errorf("the output folder has %v, %v", entries, err)
	}
}

// TestEachLayerAlone holds what each layer stops without any other.
func TestEachLayerAlone(t *testing.T) {
	files := []string{
		"read another file", "read /etc/passwd", "list the folder of another file", "list the root", "read the processes", "write another file",
		"make a file elsewhere", "write the input", "cut the input while reading it", "link another file", "move another file", "run a shell",
	}
	for layer, stops := range map[sandbox.LayerName][]string{
		sandbox.Landlock: files,
		sandbox.Mounts:   append([]string{"cut another file", "cut the input", "change who may read", "change who may read the input", "change the owner", "change the times"}, files...),
		sandbox.Seccomp: {
			"cut another file", "cut the input", "cut the input while reading it", "change who may read", "change who may read the input",
			"change the owner", "change the times", "run a shell", "make a process", "talk TCP", "reach a listener", "see the parent",
		},
		sandbox.Namespaces: {"reach a listener", "see the parent"},
		sandbox.Limits:     {"take much memory", "open many files"},
	} {
		t.Run(string(layer), func(t *testing.T) {
			what := "deeds"
			if layer == sandbox.Seccomp {
				what = "deeds and calls"
				for _, d := range kernelDeeds() {
					stops = append(stops, d.name)
				}
			}
			c, out := command(t, world(t), what)
			if _, err := box(t, only(layer)).Run(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			said := map[string]string{}
			if err := json.Unmarshal(out.Bytes(), &said); err != nil {
				t.Fatalf("%v in %q", err, out)
			}
			for _, name := range stops {
				if why, done := said[name]; !done || why == "" && !slices.Contains(harmless(nil), name) {
					t.Errorf("%s: worked", name)
				}
			}
		})
	}
}

// TestTheDeedsAreReal does the same without a sandbox, where all of it works: what fails
// above fails because of the sandbox.
func TestTheDeedsAreReal(t *testing.T) {
	c, out := command(t, world(t), "deeds")
	if _, err := box(t, all()).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	if err := json.Unmarshal(out.Bytes(), &said); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	for _, d := range deeds() {
		if said[d.name] != "" {
			t.Errorf("%s does not work anyway: %s", d.name, said[d.name])
		}
	}
}

// TestFailsClosed: without a layer for files or one for the network nothing is run unless
// the settings say so, and a program that forgot Main is no launcher.
func TestFailsClosed(t *testing.T) {
	for _, tc := range []struct {
		keep []sandbox.LayerName
		want bool
	}{
		{nil, false},
		{[]sandbox.LayerName{sandbox.Limits, sandbox.Privileges, sandbox.Seccomp, sandbox.Namespaces}, false},
		{[]sandbox.LayerName{sandbox.Landlock, sandbox.Mounts}, false},
		{[]sandbox.LayerName{sandbox.Landlock, sandbox.Seccomp}, true},
		{[]sandbox.LayerName{sandbox.Mounts, sandbox.Namespaces}, true},
	} {
		b, err := sandbox.New(t.Context(), sandbox.Options{Launcher: launcher, Without: only(tc.keep...)})
		if (err == nil) != tc.want || err != nil && vam.KindOf(err) != vam.Unavailable {
			t.Errorf("with %v: %v", tc.keep, err)
		}
		if b != nil && !b.Confined() {
			t.Errorf("with %v the box does not confine", tc.keep)
		}
	}
	if _, err := sandbox.New(t.Context(), sandbox.Options{AllowUnconfined: true}); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("without a launcher: %v", err)
	}
	for _, l := range sandbox.Probe(t.Context(), sandbox.Launcher{}) {
		if l.Active {
			t.Errorf("without a launcher %s is active", l.Name)
		}
	}
}

// TestAsOrdinaryUser runs the tests of this file again, as nobody.
func TestAsOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("this is an ordinary user already")
	}
	dir, err := os.MkdirTemp("", "sandbox-user-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "test")
	for _, err := range []error{os.WriteFile(program, self, 0o755), os.Chmod(dir, 0o755)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-test.run", "TestNothingHostileWorks|TestEachLayerAlone|TestTheDeedsAreReal|TestBounds|TestFailsClosed|TestEndOfTheParent|TestSessionStandsBack")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}, Pdeathsig: syscall.SIGKILL}
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
