package sandbox

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Offsets in struct seccomp_data (linux/seccomp.h); arguments are little-endian here, so the
// low half comes first.
const (
	dataNumber = 0
	dataArch   = 4
	dataArg0   = 16
	dataArg1   = 24
	dataArg2   = 32
)

// denied are the system calls that fail with EPERM. Landlock leaves the metadata of files
// open and, before its third version, truncate; what belongs to a same user's files must be
// closed here.
func denied() []uint32 {
	common := []uint32{
		// The network.
		unix.SYS_SOCKET, unix.SYS_SOCKETPAIR, unix.SYS_CONNECT, unix.SYS_BIND, unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4,
		unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_RECVFROM, unix.SYS_RECVMSG, unix.SYS_RECVMMSG,
		// Other processes.
		unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV, unix.SYS_PROCESS_MADVISE, unix.SYS_PROCESS_MRELEASE,
		unix.SYS_KCMP, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_KILL,
		unix.SYS_RT_SIGQUEUEINFO, unix.SYS_SETPRIORITY, unix.SYS_EXECVEAT, unix.SYS_MEMFD_CREATE, unix.SYS_MEMFD_SECRET,
		// Other worlds.
		unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_MOUNT, unix.SYS_UMOUNT2, unix.SYS_PIVOT_ROOT, unix.SYS_CHROOT, unix.SYS_OPEN_TREE,
		unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK, unix.SYS_MOUNT_SETATTR,
		unix.SYS_PERSONALITY, unix.SYS_SETHOSTNAME, unix.SYS_SETDOMAINNAME,
		// Large doors into the kernel.
		unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER,
		unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_KEYCTL, unix.SYS_FANOTIFY_INIT, unix.SYS_FANOTIFY_MARK, unix.SYS_INOTIFY_INIT1,
		unix.SYS_IO_SETUP, unix.SYS_VMSPLICE, unix.SYS_MQ_OPEN, unix.SYS_MSGGET, unix.SYS_SEMGET, unix.SYS_SHMGET,
		// The machine.
		unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD, unix.SYS_REBOOT,
		unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_ACCT, unix.SYS_QUOTACTL, unix.SYS_QUOTACTL_FD, unix.SYS_SYSLOG, unix.SYS_SETTIMEOFDAY,
		unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX, unix.SYS_VHANGUP,
		// Files by other ways than their paths, and what Landlock does not look at.
		unix.SYS_NAME_TO_HANDLE_AT, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_TRUNCATE,
		unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2, unix.SYS_FCHOWN, unix.SYS_FCHOWNAT, unix.SYS_UTIMENSAT,
		unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR, unix.SYS_SETXATTRAT, unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR,
		unix.SYS_FREMOVEXATTR, unix.SYS_REMOVEXATTRAT, unix.SYS_FILE_SETATTR, unix.SYS_OPEN_TREE_ATTR,
	}
	return append(common, deniedHere()...)
}

// program is a filter in the making: each rule stands alone and falls through.
type program []unix.SockFilter

func (p *program) load(offset uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset})
}

func (p *program) and(mask uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: mask})
}

func (p *program) answer(action uint32) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action})
}

// unless skips so many instructions when the accumulator is not k.
func (p *program) unless(k uint32, skip uint8) {
	*p = append(*p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jf: skip})
}

// refuse answers a call with an errno.
func (p *program) refuse(number uint32, errno unix.Errno) {
	p.unless(number, 1)
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(errno))
}

// refuseIf answers a call with EPERM when an argument, masked, has a value.
func (p *program) refuseIf(number, argument, mask, value uint32) {
	p.unless(number, 5)
	p.load(argument)
	p.and(mask)
	p.unless(value, 1)
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM))
	p.load(dataNumber)
}

// seccompFilter refuses what denied lists, new processes, and a few calls by their
// arguments; nil where the machine is not known.
func seccompFilter() []unix.SockFilter {
	if auditArch == 0 {
		return nil
	}
	var p program
	p.load(dataArch)
	p.unless(auditArch, 1)
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JA, K: 1})
	p.answer(unix.SECCOMP_RET_KILL_PROCESS)
	p.load(dataNumber)
	// The second table of numbers of x86-64.
	p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: x32Bit, Jf: 1})
	p.answer(unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS))
	// Threads, no processes. The arguments of clone3 cannot be seen; libraries go on with
	// clone where it is missing.
	p.refuseIf(unix.SYS_CLONE, dataArg0, unix.CLONE_THREAD, 0)
	p.refuse(unix.SYS_CLONE3, unix.ENOSYS)
	p.refuse(unix.SYS_OPENAT2, unix.ENOSYS)
	// Cutting a file while opening it for reading: Landlock asks for reading alone.
	p.refuseIf(unix.SYS_OPENAT, dataArg2, unix.O_TRUNC|unix.O_ACCMODE, unix.O_TRUNC|unix.O_RDONLY)
	p.refuseIf(unix.SYS_IOCTL, dataArg1, ^uint32(0), unix.TIOCSTI)
	p.refuseIf(unix.SYS_IOCTL, dataArg1, ^uint32(0), unix.TIOCLINUX)
	refuseHere(&p)
	for _, n := range denied() {
		p.refuse(n, unix.EPERM)
	}
	p.answer(unix.SECCOMP_RET_ALLOW)
	return p
}

// installFilter puts the filter on this thread. It allocates nothing afterwards.
func installFilter(filter []unix.SockFilter) error {
	if len(filter) == 0 {
		return unix.ENOTSUP
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0)
}
