package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// rounds is how often chance is tried: more in the long form.
func rounds(short int) int {
	if n, err := strconv.Atoi(os.Getenv("VAM_SOAK")); err == nil && n > 0 {
		return max(short, 100)
	}
	return short
}

func clip(t *testing.T, size int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "clip.mp4")
	if err := os.WriteFile(name, bytes.Repeat([]byte("video "), size/6), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestTryLeavesNothing: neither goroutine nor file, in whatever moment it is interrupted.
func TestTryLeavesNothing(t *testing.T) {
	file := clip(t, 600_000)
	tmp := inMemory(t)
	t.Setenv("TMPDIR", tmp)
	one := func(ctx context.Context) (int, trialResult) {
		ignore := goleak.IgnoreCurrent()
		e, out, errs := scratch()
		code := run(ctx, e, []string{"try", "--port", "0", "--send", file, "--json"})
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%v is left (%v)", left, err)
		}
		goleak.VerifyNone(t, ignore)
		var r trialResult
		if code == exitOK {
			if err := json.Unmarshal(out.Bytes(), &r); err != nil || !r.Equal {
				t.Errorf("%s (%v)", out, err)
			}
		} else if code != exitInterrupted {
			t.Errorf("it ended with %d: %s", code, errs)
		}
		return code, r
	}
	begun := time.Now()
	if code, _ := one(t.Context()); code != exitOK {
		t.Fatal("it does not work")
	}
	took := time.Since(begun)
	n := rounds(6)
	for i := range n {
		ctx, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(took*time.Duration(i)/time.Duration(n), cancel) // the moment that is tried
		one(ctx)
		timer.Stop()
		cancel()
	}
}

// TestSignals: the program itself ends in order at the first signal, whenever it comes, and
// at once at the second.
func TestSignals(t *testing.T) {
	vam, err := exec.LookPath("vam")
	if err != nil {
		t.Fatal(err) // testscript.Main puts it there
	}
	file := clip(t, 6_000_000)
	for i := range rounds(4) {
		tmp := inMemory(t)
		cmd := exec.Command(vam, "try", "--port", "0", "--send", file)
		cmd.Env = append(os.Environ(), "TMPDIR="+tmp, "HOME="+tmp)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i%12) * 150 * time.Millisecond) // the moment that is tried
		signal := syscall.SIGINT
		if i%2 == 1 {
			signal = syscall.SIGTERM
		}
		_ = cmd.Process.Signal(signal)
		err := cmd.Wait()
		var exit *exec.ExitError
		// Before the program looks at signals, one ends it.
		before := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled()
		if err != nil && !before && exit.ExitCode() != exitInterrupted {
			t.Errorf("%v after %s: %s", err, signal, &errs)
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
			t.Errorf("%v is left (%v)", left, err)
		}
	}

	// A program that waits for something that does not come.
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(vam, "send", "--live", fifo, "bob@b.test")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "VAM_SERVER=127.0.0.1:1", "VAM_TOKEN=vd_"+strings.Repeat("A", 43))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for {
		_ = cmd.Process.Signal(syscall.SIGINT)
		select {
		case err := <-over:
			if err == nil {
				t.Error("it ended well")
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}
