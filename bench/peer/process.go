package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// stopFor is how long a program may take to end after SIGTERM.
const stopFor = 10 * time.Second

// process is a foreign program that this one started.
type process struct {
	cmd    *exec.Cmd
	output *tail
	done   chan struct{} // closed when it has ended
	err    error         // of Wait; valid after done
}

// startProcess starts a program by the given function and watches it. The caller
// calls stop.
func startProcess(cmd *exec.Cmd, start func(*exec.Cmd) error) (*process, error) {
	p := &process{cmd: cmd, output: &tail{}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.WaitDelay = time.Second
	if err := start(cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", cmd.Path, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// until waits for ready to hold, polling, and fails when the program ends first or
// ctx does.
func (p *process) until(ctx context.Context, ready func() bool) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ready() {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended early: %w\n%s", p.cmd.Path, errors.Join(p.err, errors.New("see its output")), p.output)
		case <-ctx.Done():
			return fmt.Errorf("%s: %w\n%s", p.cmd.Path, ctx.Err(), p.output)
		case <-tick.C:
		}
	}
	return nil
}

// wait waits for the program to end by itself.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop()
		return ctx.Err()
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.output)
	}
	return nil
}

// stop ends the program by its id, kindly first, and waits until it is gone.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return
	case <-time.After(stopFor):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// tail keeps the last output of a program.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if over := len(t.buf) - tailSize; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	return len(b), nil
}

// String is what is kept.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.buf))
}

// find looks for a program in PATH and in the folders where Debian keeps servers.
func find(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin/", "/usr/local/sbin/", "/sbin/"} {
		if path, err := exec.LookPath(dir + name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: %s is not installed", ErrMissing, name)
}

// ErrMissing is in the chain of an error when a program or a right is missing on
// this machine, so that a peer cannot be measured here.
var ErrMissing = errors.New("cannot be measured here")

// needRoot returns ErrMissing for anybody else.
func needRoot(what string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: %s needs root", ErrMissing, what)
	}
	return nil
}
