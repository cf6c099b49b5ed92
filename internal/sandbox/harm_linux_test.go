package sandbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam/internal/sandbox"
)

// harm makes this program the hostile one.
const harm = "harm"

// target is what the hostile program knows of the world outside.
type target struct {
	Input, Output string // what it was given
	Secret        string // another file of the same user
	Address       string // a listener of the parent
	Parent        int
}

// deed is one thing that a hostile program would like to do. It must leave nothing behind
// that makes another deed fail.
type deed struct {
	name string
	do   func(target) error
}

// errno turns a raw call's result into an error.
func errno(_, _ uintptr, e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

func call(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	return errno(unix.Syscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]))
}

func pointer(s string) uintptr {
	p, err := unix.BytePtrFromString(s)
	if err != nil {
		panic(err)
	}
	return uintptr(unsafe.Pointer(p))
}

func socket(domain, kind int) func(target) error {
	return func(target) error {
		fd, err := unix.Socket(domain, kind, 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func read(path string) func(target) error {
	return func(target) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.IsDir() {
			_, err = f.ReadDir(1)
			return err
		}
		_, err = f.Read(make([]byte, 1))
		return err
	}
}

func open(path func(target) string, flags int) func(target) error {
	return func(t target) error {
		fd, err := unix.Open(path(t), flags|unix.O_CLOEXEC, 0o600)
		if err == nil {
			unix.Close(fd)
		}
		return err
	}
}

func input(t target) string  { return t.Input }
func secret(t target) string { return t.Secret }
func beside(t target) string { return t.Secret + ".new" }

// deeds are what must fail under the sandbox and works without it, for any user.
func deeds() []deed {
	return []deed{
		{"read another file", func(t target) error { _, err := os.ReadFile(t.Secret); return err }},
		{"read /etc/passwd", read("/etc/passwd")},
		{"list the folder of another file", func(t target) error { _, err := os.ReadDir(filepath.Dir(t.Secret)); return err }},
		{"list the root", func(target) error {
			if _, err := os.Stat("/etc/passwd"); err != nil {
				return err // a root with nothing in it
			}
			return read("/")(target{})
		}},
		{"read the processes", read("/proc/self/status")},
		{"write another file", open(secret, unix.O_WRONLY)},
		{"cut another file", func(t target) error { return unix.Truncate(t.Secret, 0) }},
		{"make a file elsewhere", open(beside, unix.O_CREAT|unix.O_WRONLY)},
		{"write the input", open(input, unix.O_WRONLY)},
		{"cut the input", func(t target) error { return unix.Truncate(t.Input, 0) }},
		{"cut the input while reading it", open(input, unix.O_RDONLY|unix.O_TRUNC)},
		{"change who may read", func(t target) error { return unix.Chmod(t.Secret, 0o644) }},
		{"change who may read the input", func(t target) error { return unix.Chmod(t.Input, 0o644) }},
		{"change the owner", func(t target) error { return unix.Chown(t.Secret, -1, -1) }},
		{"change the times", func(t target) error { return os.Chtimes(t.Input, time.Now(), time.Now()) }},
		{"link another file", func(t target) error { return os.Link(t.Secret, filepath.Join(t.Output, "hard")) }},
		{"move another file", func(t target) error { return os.Rename(t.Secret, t.Secret) }},
		{"run a shell", func(target) error { return exec.Command("/bin/sh", "-c", "exit 0").Run() }},
		{"make a process", fork},
		{"talk TCP", socket(unix.AF_INET, unix.SOCK_STREAM)},
		{"reach a listener", func(t target) error {
			c, err := net.DialTimeout("tcp", t.Address, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		}},
		{"see the parent", func(t target) error { return unix.Kill(t.Parent, 0) }},
		{"take much memory", func(target) error {
			m, err := unix.Mmap(-1, 0, 64<<30, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
			if err == nil {
				return unix.Munmap(m)
			}
			return err
		}},
		{"open many files", func(t target) error {
			for range 200 {
				fd, err := unix.Open(t.Input, unix.O_RDONLY, 0)
				if err != nil {
					return err
				}
				defer unix.Close(fd)
			}
			return nil
		}},
	}
}

// fork makes a process that ends at once.
func fork(target) error {
	pid, _, e := unix.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if e != 0 {
		return e
	}
	if pid == 0 {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
	_, err := unix.Wait4(int(pid), nil, 0, nil)
	return err
}

// kernelDeeds are those that the filter of system calls stops, whether or not they would
// work otherwise for this user; with the filter the answer is EPERM. Their arguments make
// no sense, so that nothing happens on a machine where the filter is broken.
func kernelDeeds() []deed {
	raw := func(name string, number uintptr, args ...uintptr) deed {
		return deed{name, func(target) error { return call(number, args...) }}
	}
	return []deed{
		{"talk UDP", socket(unix.AF_INET, unix.SOCK_DGRAM)},
		{"talk to local programs", socket(unix.AF_UNIX, unix.SOCK_STREAM)},
		{"talk to the kernel", socket(unix.AF_NETLINK, unix.SOCK_RAW)},
		{"talk raw", socket(unix.AF_PACKET, unix.SOCK_RAW)},
		raw("trace", unix.SYS_PTRACE, unix.PTRACE_PEEKDATA, 0, 0, 0),
		raw("read another's memory", unix.SYS_PROCESS_VM_READV, 1, 0, 0, 0, 0, 0),
		raw("make a user space", unix.SYS_UNSHARE, 1),
		raw("enter a space", unix.SYS_SETNS, 0, 0),
		raw("mount", unix.SYS_MOUNT, pointer("none"), pointer("/nonesuch"), pointer("nonesuch"), 0, 0),
		raw("change the root", unix.SYS_CHROOT, pointer("/nonesuch")),
		raw("load a program into the kernel", unix.SYS_BPF, 0, 0, 0),
		raw("use rings", unix.SYS_IO_URING_SETUP, 1, 0),
		raw("use keys", unix.SYS_KEYCTL, 0, 0, 0),
		raw("use faults", unix.SYS_USERFAULTFD, 0),
		raw("watch the processor", unix.SYS_PERF_EVENT_OPEN, 0, 0, 0, 0, 0),
		raw("load a module", unix.SYS_INIT_MODULE, 0, 0, 0),
		raw("restart the machine", unix.SYS_REBOOT, 0, 0, 0, 0),
		raw("open by handle", unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, 0),
		raw("run from a descriptor", unix.SYS_EXECVEAT, 0, pointer(""), 0, 0, unix.AT_EMPTY_PATH),
		raw("make a file of memory", unix.SYS_MEMFD_CREATE, pointer("x"), 0),
		raw("set the clock", unix.SYS_CLOCK_SETTIME, 0, 0),
		{"change attributes", func(t target) error { return unix.Setxattr(t.Input, "user.x", []byte("x"), 0) }},
		{"type on a terminal", func(target) error { return call(unix.SYS_IOCTL, 0, unix.TIOCSTI, 0) }},
	}
}

// parent makes this program one that runs the hostile one and waits.
const parent = "parent"

// doParent lets a confined program sleep, with the standard output of this one.
func doParent(args []string) int {
	self, err := os.Executable()
	if err != nil || len(args) != 1 {
		return 1
	}
	b, err := sandbox.New(context.Background(), sandbox.Options{Launcher: launcher})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	world, err := json.Marshal(target{Output: args[0]})
	if err != nil {
		return 1
	}
	_, err = b.Run(context.Background(), sandbox.Command{Path: self, Args: []string{harm, "sleep", string(world)}, Dir: args[0], Stdout: os.Stdout, Stderr: os.Stderr})
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// doHarm does the deeds and prints, as JSON, why each did not work; or does one that ends
// the process.
func doHarm(args []string) int {
	var t target
	if len(args) != 2 || json.Unmarshal([]byte(args[1]), &t) != nil {
		return 1
	}
	switch args[0] {
	case "deeds":
		return doAll(t, deeds())
	case "deeds and calls":
		return doAll(t, append(deeds(), kernelDeeds()...))
	case "nice":
		n, _ := unix.Getpriority(unix.PRIO_PROCESS, 0)
		fmt.Println(20 - n) // as the kernel has it
	case "group":
		said, err := os.ReadFile("/proc/self/autogroup")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Print(string(said))
	case "spin":
		for n := 0; n >= 0; n = (n + 1) & 0xffff {
		}
	case "sleep":
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "large file":
		return write(filepath.Join(t.Output, "large"), 64<<20)
	case "many files":
		for n := range 1000 {
			if write(filepath.Join(t.Output, strconv.Itoa(n)), 1<<20) != 0 {
				return 1
			}
		}
		time.Sleep(time.Hour)
	case "fail":
		fmt.Fprintln(os.Stderr, "I do not like it")
		return 3
	}
	return 0
}

func doAll(t target, all []deed) int {
	// Without these the rest shows nothing.
	if _, err := os.ReadFile(t.Input); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.WriteFile(filepath.Join(t.Output, "out"), []byte("made"), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	said := map[string]string{}
	for _, d := range all {
		said[d.name] = ""
		if err := d.do(t); err != nil {
			said[d.name] = err.Error()
			if errors.Is(err, unix.EPERM) {
				said[d.name] = "EPERM"
			}
		}
	}
	if json.NewEncoder(os.Stdout).Encode(said) != nil {
		return 1
	}
	return 0
}

func write(path string, size int) int {
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		return 1
	}
	return 0
}
