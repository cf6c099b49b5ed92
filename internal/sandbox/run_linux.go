package sandbox

import (
	"context"
	"debug/elf"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
)

// nobody is the user that a program sees itself as, in a user space of its own.
const nobody = 65534

// maxStatus bounds the child's complaint, in octets.
const maxStatus = 4096

// libraries are the places of shared libraries and the devices that a program may read.
func libraries() []string {
	return []string{
		"/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib", "/usr/local/lib64",
		"/nix/store", "/gnu/store", "/etc/ld.so.cache", "/etc/alternatives", "/dev/null", "/dev/zero", "/dev/urandom",
	}
}

func (b *Box) run(ctx context.Context, c Command) (Usage, error) {
	path, err := exec.LookPath(c.Path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return Usage{}, vam.Wrap(vam.Unavailable, err, "a program that is needed is not installed on this server")
	}
	p := &plan{
		Path: path, Args: append([]string{filepath.Base(c.Path)}, c.Args...), Env: c.Env,
		Read: append(append([]string(nil), b.libraries...), c.Read...), Execute: append([]string{path}, loader(path)...),
		Dir: c.Dir, Bounds: c.Bounds, Layers: b.use,
	}
	return start(ctx, p, c.Stdout, c.Stderr)
}

// loader is the program that the kernel starts to load a dynamically linked one.
func loader(path string) []string {
	f, err := elf.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP || p.Filesz > 4096 {
			continue
		}
		name := make([]byte, p.Filesz)
		if _, err := io.ReadFull(p.Open(), name); err == nil {
			return []string{strings.TrimRight(string(name), "\x00")}
		}
	}
	return nil
}

// start runs the child that follows the plan, and waits for its end.
func start(ctx context.Context, p *plan, stdout, stderr io.Writer) (Usage, error) {
	// The child dies with the thread that made it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, "/proc/self/exe", Argument)
	cmd.Env, cmd.Stdout, cmd.Stderr = []string{"GOMAXPROCS=1"}, stdout, stderr
	cmd.SysProcAttr = attributes(p)
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	began := time.Now()
	stop := sync.OnceFunc(watch(p, cancel)) // of what the child does before it is the program, too
	defer stop()
	status, err := launch(cmd, p)
	if err != nil {
		return Usage{}, err
	}
	err = cmd.Wait()
	stop()
	u := Usage{CPU: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), Wall: time.Since(began)}
	if r, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.Memory = vam.Bytes(r.Maxrss) * 1024
	}
	if status != "" {
		return u, vam.Wrap(vam.Unavailable, errors.New(status), "a program could not be confined on this server")
	}
	return u, conclude(ctx, p, cmd.ProcessState, u, err)
}

// launch starts the child, gives it the plan and reads its complaint, which is empty once
// it has become the program.
func launch(cmd *exec.Cmd, p *plan) (string, error) {
	planR, planW, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer planW.Close()
	defer planR.Close()
	statusR, statusW, err := os.Pipe()
	if err != nil {
		return "", err
	}
	defer statusR.Close()
	cmd.ExtraFiles = []*os.File{planR, statusW} // planFD, statusFD
	err = cmd.Start()
	statusW.Close()
	if err != nil {
		return "", vam.Wrap(vam.Unavailable, err, "a program could not be started on this server")
	}
	planR.Close()
	// The plan is larger than a pipe only if nobody reads it, and then the write fails.
	_ = p.write(planW)
	planW.Close()
	said, _ := io.ReadAll(io.LimitReader(statusR, maxStatus))
	return strings.TrimSpace(string(said)), nil
}

// attributes are what the kernel does between fork and exec.
func attributes(p *plan) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if p.has(Namespaces) {
		attr.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWPID | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS
	}
	if p.has(Mounts) {
		attr.Cloneflags |= unix.CLONE_NEWUSER | unix.CLONE_NEWNS
		attr.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN}
	}
	if attr.Cloneflags&unix.CLONE_NEWUSER != 0 {
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: nobody, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// The causes for which the parent ends a program.
var (
	errWall   = errors.New("the time is over")
	errOutput = errors.New("the output is too large")
)

// watch holds what no limit of the kernel holds: wall time, and the output folder as a whole.
func watch(p *plan, cancel context.CancelCauseFunc) (stop func()) {
	const every = 100 * time.Millisecond
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		wall := (<-chan time.Time)(nil)
		if p.Bounds.Wall > 0 {
			timer := time.NewTimer(p.Bounds.Wall)
			defer timer.Stop()
			wall = timer.C
		}
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-wall:
				cancel(errWall)
				return
			case <-tick.C:
				if p.Dir != "" && p.Bounds.Output > 0 && folderSize(p.Dir) > p.Bounds.Output {
					cancel(errOutput)
					return
				}
			}
		}
	}()
	return func() { close(done); <-ended }
}

// folderSize is what lies in the folder itself; nothing can make folders in it.
func folderSize(dir string) vam.Bytes {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	var sum vam.Bytes
	for _, e := range entries {
		if i, err := e.Info(); err == nil {
			sum += vam.Bytes(i.Size())
		}
	}
	return sum
}

// conclude turns the end of the program into an error.
func conclude(ctx context.Context, p *plan, state *os.ProcessState, u Usage, err error) error {
	x := &Exit{Code: state.ExitCode()}
	if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		x.Signal = unix.SignalName(ws.Signal())
	}
	cause := context.Cause(ctx)
	switch {
	case cause == errWall:
		x.Bound = "wall"
	case cause == errOutput:
		x.Bound = "output"
	case cause != nil:
		return cause
	case x.Signal == "SIGXFSZ":
		x.Bound = "file"
	case x.Signal == "SIGXCPU", err != nil && p.Bounds.CPU > 0 && u.CPU >= p.Bounds.CPU.Truncate(time.Second):
		x.Bound = "cpu"
	case err == nil:
		return nil
	case x.Code < 0 && x.Signal == "":
		return vam.Wrap(vam.Unavailable, err, "a program could not be run on this server")
	}
	if x.Bound != "" {
		return vam.Wrap(vam.TooLarge, x, "a program took more %s than one run may take on this server", boundWord(x.Bound))
	}
	return vam.Wrap(vam.Invalid, x, "a program did not accept its input")
}

func boundWord(bound string) string {
	switch bound {
	case "wall":
		return "time"
	case "cpu":
		return "processor time"
	}
	return "disk space"
}
