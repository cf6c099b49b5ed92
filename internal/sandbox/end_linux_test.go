package sandbox_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/sandbox"
)

// TestBounds runs into each bound, and wants to be told which.
func TestBounds(t *testing.T) {
	b := box(t, nil)
	for deed, tc := range map[string]struct {
		bound string
		set   func(*sandbox.Bounds)
	}{
		"spin":       {"cpu", func(b *sandbox.Bounds) { b.CPU = time.Second }},
		"sleep":      {"wall", func(b *sandbox.Bounds) { b.Wall = 300 * time.Millisecond }},
		"many files": {"output", func(*sandbox.Bounds) {}},
	} {
		t.Run(deed, func(t *testing.T) {
			t.Parallel()
			c, _ := command(t, world(t), deed)
			tc.set(&c.Bounds)
			_, err := b.Run(t.Context(), c)
			var x *sandbox.Exit
			if !errors.As(err, &x) || x.Bound != tc.bound || vam.KindOf(err) != vam.TooLarge {
				t.Errorf("Run = %v (%+v), want the bound of %s", err, x, tc.bound)
			}
		})
	}
}

func TestStatusOfTheProgram(t *testing.T) {
	c, _ := command(t, world(t), "fail")
	var said bytes.Buffer
	c.Stderr = &said
	_, err := box(t, nil).Run(t.Context(), c)
	var x *sandbox.Exit
	if !errors.As(err, &x) || x.Code != 3 || vam.KindOf(err) != vam.Invalid || !strings.Contains(said.String(), "I do not like it") {
		t.Errorf("Run = %v (%+v), and it said %q", err, x, &said)
	}
}

// TestLargeFile: Go, unlike C, goes on after the signal that ends other programs here, and
// finds the file full.
func TestLargeFile(t *testing.T) {
	w := world(t)
	c, _ := command(t, w, "large file")
	_, err := box(t, nil).Run(t.Context(), c)
	if i, e := os.Stat(filepath.Join(w.Output, "large")); err == nil || e != nil || vam.Bytes(i.Size()) > c.Bounds.File {
		t.Errorf("Run = %v, and the file is %v, %v", err, i, e)
	}
}

// firstWrite calls back when the program says its first word.
type firstWrite struct{ call func() }

func (w firstWrite) Write(p []byte) (int, error) { w.call(); return len(p), nil }

// TestEndOfTheContext: the program ends, and the error says whose end it was.
func TestEndOfTheContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := errors.New("enough")
	c, _ := command(t, world(t), "sleep")
	c.Stdout = firstWrite{func() { cancel(mine) }}
	if _, err := box(t, nil).Run(ctx, c); !errors.Is(err, mine) {
		t.Errorf("Run = %v", err)
	}
}

// TestEndOfTheParent kills the program that runs a confined one; the confined one holds the
// other end of a pipe.
func TestEndOfTheParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self, parent, t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatalf("the confined program says nothing: %v", err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("the confined program outlives its parent")
	}
	_ = parent.Wait()
}

func TestMissingProgram(t *testing.T) {
	_, err := box(t, nil).Run(t.Context(), sandbox.Command{Path: filepath.Join(t.TempDir(), "nonesuch")})
	if vam.KindOf(err) != vam.Unavailable {
		t.Errorf("Run = %v", err)
	}
}

// TestNoInterpreter: a script needs a shell, which is not there.
func TestNoInterpreter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho ran\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err := box(t, nil).Run(t.Context(), sandbox.Command{Path: path, Stdout: &out})
	if vam.KindOf(err) != vam.Unavailable || out.Len() > 0 {
		t.Errorf("Run = %v, and it said %q", err, &out)
	}
}

// TestNice: a program stands back as far as it is told to.
func TestNice(t *testing.T) {
	c, _ := command(t, world(t), "nice")
	c.Bounds.Nice = 7
	var out bytes.Buffer
	c.Stdout = &out
	if _, err := box(t, nil).Run(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(out.String()); got != "7" {
		t.Errorf("it runs at %q", got)
	}
}

// TestSessionStandsBack: where the kernel shares the processor between sessions, the session
// stands back too, as often as programs are started.
func TestSessionStandsBack(t *testing.T) {
	program, want := "group", " nice 7"
	if on, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled"); err != nil || strings.TrimSpace(string(on)) != "1" {
		program, want = "nice", "7" // there is no session that counts, and nothing fails for it
	}
	open := box(t, []sandbox.LayerName{sandbox.Landlock, sandbox.Mounts}) // the program itself says it
	for range 3 {
		c, out := command(t, world(t), program)
		c.Bounds.Nice = 7
		if _, err := open.Run(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); !strings.HasSuffix(got, want) {
			t.Errorf("its priority is %q", got)
		}
	}
}
