package sandbox

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The pipes of the child.
const (
	planFD   = 3 // the plan, read
	statusFD = 4 // why it could not be followed, written; closed when the program starts
)

// Main does nothing in an ordinary start. In a start by this package it does not return.
// It comes first in main, before anything reads arguments or opens files.
func Main() Launcher {
	if len(os.Args) < 2 {
		return Launcher{ready: true}
	}
	switch os.Args[1] {
	case Argument:
		err := become()
		fmt.Fprintln(os.NewFile(statusFD, "status"), err)
		os.Exit(125)
	case tryArgument:
		// Past the exit of Go, where the race detector waits for a second.
		unix.Exit(try(os.Args[2:]))
	}
	return Launcher{ready: true}
}

// become confines the process and turns it into the program. It returns only with an error.
// Everything that concerns one thread is done in this one, which then takes the whole
// process with it.
func become() error {
	runtime.LockOSThread()
	in := os.NewFile(planFD, "plan")
	p, err := readPlan(in)
	if err != nil {
		return err
	}
	in.Close()
	unix.CloseOnExec(statusFD)
	if p.Bounds.Nice > 0 {
		lowerGroup(p.Bounds.Nice)
	}
	if p.has(Mounts) {
		if err := ownTree(p); err != nil {
			return fmt.Errorf("mounts: %w", err)
		}
	}
	if p.Dir != "" {
		if err := os.Chdir(p.Dir); err != nil {
			return err
		}
	}
	// Without this the kernel lets nobody but root filter.
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no new privileges: %w", err)
	}
	if p.has(Privileges) {
		if err := dropPrivileges(); err != nil {
			return fmt.Errorf("privileges: %w", err)
		}
	}
	if p.has(Landlock) {
		if err := landlock(p); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
	}
	return execute(p)
}

// execute sets what would stand in the way of Go itself and starts the program. All memory
// is taken before the limit of memory holds.
func execute(p *plan) error {
	path, err := syscall.BytePtrFromString(p.Path)
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(p.Args)
	if err != nil {
		return err
	}
	envv, err := syscall.SlicePtrFromStrings(p.Env)
	if err != nil {
		return err
	}
	if p.Bounds.Nice > 0 {
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.Bounds.Nice); err != nil {
			return fmt.Errorf("priority: %w", err)
		}
	}
	limits := p.Bounds.limits(p.has(Namespaces))
	filter := seccompFilter()
	// The parent's death is this process's too, however it comes.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return err
	}
	if p.has(Seccomp) {
		if err := installFilter(filter); err != nil {
			return fmt.Errorf("seccomp: %w", err)
		}
	}
	if p.has(Limits) {
		for i := range limits {
			if _, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, limits[i].resource, uintptr(unsafe.Pointer(&limits[i].value)), 0, 0, 0); errno != 0 {
				return fmt.Errorf("limits: %w", errno)
			}
		}
	}
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])))
	return fmt.Errorf("%s: %w", p.Path, errno)
}

// limit is one setrlimit.
type limit struct {
	resource uintptr
	value    unix.Rlimit
}

// limits lists what is set, the memory last. A user's tasks are counted over the whole
// machine unless the process has a user space of its own.
func (b Bounds) limits(ownSpace bool) []limit {
	out := []limit{{unix.RLIMIT_CORE, unix.Rlimit{}}, {unix.RLIMIT_MSGQUEUE, unix.Rlimit{}}}
	set := func(resource uintptr, n uint64) {
		if n > 0 {
			out = append(out, limit{resource, unix.Rlimit{Cur: n, Max: n}})
		}
	}
	if s := uint64(b.CPU.Seconds()); s > 0 {
		// The signal comes at the first, the end at the second.
		out = append(out, limit{unix.RLIMIT_CPU, unix.Rlimit{Cur: s, Max: s + 1}})
	}
	set(unix.RLIMIT_FSIZE, uint64(b.File))
	set(unix.RLIMIT_NOFILE, uint64(b.Open))
	if ownSpace {
		set(unix.RLIMIT_NPROC, uint64(b.Tasks))
	}
	set(unix.RLIMIT_AS, uint64(b.Memory))
	return out
}

// dropPrivileges gives up every capability of this thread, and the ways to get one again.
func dropPrivileges() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		// EPERM: there is nothing to drop for an ordinary user; EINVAL: an older kernel does
		// not know it.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EPERM && err != unix.EINVAL {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return err
	}
	// Root keeps files of root, and nothing else; EPERM as above.
	const bits = secureNoRoot | secureNoRoot<<1 | secureNoFixup | secureNoFixup<<1
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, bits, 0, 0, 0); err != nil && err != unix.EPERM {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	return unix.Capset(&header, &none[0])
}

// linux/securebits.h: exec as root gains nothing, and neither does a change of the user. The
// bit above each locks it.
const (
	secureNoRoot  = 1 << 0
	secureNoFixup = 1 << 2
)
