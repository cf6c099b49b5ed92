package portowner

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// Network is a transport.
type Network string

// The two transports.
const (
	TCP Network = "tcp"
	UDP Network = "udp"
)

// Socket is one that listens (TCP) or receives from anybody (UDP).
type Socket struct {
	Network Network
	// Local is the bound address. An IPv6 wildcard usually takes IPv4 too.
	Local netip.AddrPort
	// UID is the user that opened the socket, User its name or number.
	UID  int
	User string
	// Processes have the socket open, by PID; empty when this user may not look
	// into the process, or when it lives in another container.
	Processes []Process
}

// Process is one that has a socket open.
type Process struct {
	PID int
	// Name is the kernel's short name, at most 15 octets; Command is the command
	// line, cut at 4 KiB. The process chose both: escape them before printing.
	Name    string
	Command []string
	UID     int
	User    string
}

// String is for a report: name, pid and user.
func (p Process) String() string {
	return fmt.Sprintf("%q (pid %d, user %s)", p.Name, p.PID, p.User)
}

// Table looks processes up in a proc file system. The zero value is not usable.
type Table struct {
	proc fs.FS
	name func(uid int) string
}

// System reads this machine's /proc.
func System() *Table { return NewTable(os.DirFS("/proc"), userName) }

// NewTable reads another proc tree; name turns a user number into a name, and nil
// keeps the number. proc must implement fs.ReadLinkFS.
func NewTable(proc fs.FS, name func(uid int) string) *Table {
	if name == nil {
		name = strconv.Itoa
	}
	return &Table{proc: proc, name: name}
}

// userName falls back on the number, as lsof does.
func userName(uid int) string {
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		return strconv.Itoa(uid)
	}
	return u.Username
}

// Find returns the sockets that hold port, ordered by address; none is an empty
// list and no error. Errors: Unavailable where this system has no proc tree, with
// the command that can tell.
func (t *Table) Find(ctx context.Context, network Network, port uint16) ([]Socket, error) {
	var found []entry
	read := 0
	for _, suffix := range []string{"", "6"} {
		f, err := t.proc.Open("net/" + string(network) + suffix)
		if err != nil {
			continue // a kernel without IPv6 has no tcp6
		}
		read++
		entries, err := parseSockets(f, network)
		f.Close()
		if err != nil {
			return nil, vam.Wrap(vam.Unavailable, err, "cannot read the list of sockets")
		}
		for _, e := range entries {
			if e.local.Port() == port {
				found = append(found, e)
			}
		}
	}
	if read == 0 {
		return nil, vam.Errorf(vam.Unavailable, "cannot tell here which process holds a port; `%s` can", Command(port))
	}
	holders := t.holders(ctx, found)
	out := make([]Socket, 0, len(found))
	for _, e := range found {
		out = append(out, Socket{Network: network, Local: e.local, UID: e.uid, User: t.name(e.uid), Processes: holders[e.inode]})
	}
	slices.SortFunc(out, func(a, b Socket) int { return a.Local.Compare(b.Local) })
	return out, ctx.Err()
}

// Command is what a person can run to see the same.
func Command(port uint16) string {
	if runtime.GOOS == "windows" {
		return fmt.Sprintf("netstat -ano | findstr :%d", port)
	}
	return fmt.Sprintf("sudo lsof -nP -i :%d", port)
}

// holders maps the inode of each wanted socket to the processes that have it
// open. Processes that vanish or may not be read are left out.
func (t *Table) holders(ctx context.Context, wanted []entry) map[uint64][]Process {
	out := map[uint64][]Process{}
	for _, e := range wanted {
		out[e.inode] = nil
	}
	if len(out) == 0 {
		return out
	}
	dirs, err := fs.ReadDir(t.proc, ".")
	if err != nil {
		return out
	}
	for _, dir := range dirs {
		pid, err := strconv.Atoi(dir.Name())
		if err != nil || ctx.Err() != nil {
			continue
		}
		for inode := range t.socketsOf(pid, out) {
			out[inode] = append(out[inode], t.process(pid))
		}
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	}
	return out
}

// socketsOf returns the wanted inodes among the open files of a process.
func (t *Table) socketsOf(pid int, wanted map[uint64][]Process) map[uint64]bool {
	dir := strconv.Itoa(pid) + "/fd"
	fds, err := fs.ReadDir(t.proc, dir)
	if err != nil {
		return nil
	}
	var out map[uint64]bool
	for _, fd := range fds {
		target, err := fs.ReadLink(t.proc, dir+"/"+fd.Name())
		if err != nil {
			continue
		}
		inode, ok := socketInode(target)
		if _, want := wanted[inode]; ok && want {
			if out == nil {
				out = map[uint64]bool{}
			}
			out[inode] = true
		}
	}
	return out
}

// socketInode reads "socket:[12345]".
func socketInode(target string) (uint64, bool) {
	number, ok := strings.CutPrefix(target, "socket:[")
	if !ok {
		return 0, false
	}
	number, ok = strings.CutSuffix(number, "]")
	if !ok {
		return 0, false
	}
	inode, err := strconv.ParseUint(number, 10, 64)
	return inode, err == nil
}

// process reads what is known of one; a process that just ended keeps its PID.
func (t *Table) process(pid int) Process {
	dir := strconv.Itoa(pid) + "/"
	p := Process{PID: pid, UID: -1, User: "unknown"}
	if b, err := t.read(dir + "comm"); err == nil {
		p.Name = strings.TrimSuffix(string(b), "\n")
	}
	if b, err := t.read(dir + "cmdline"); err == nil && len(b) > 0 {
		p.Command = strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	}
	if b, err := t.read(dir + "status"); err == nil {
		if uid, ok := statusUID(string(b)); ok {
			p.UID, p.User = uid, t.name(uid)
		}
	}
	return p
}

// statusUID finds the effective user in /proc/PID/status.
func statusUID(status string) (int, bool) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "Uid:"); ok {
			fields := strings.Fields(rest)
			if len(fields) < 2 {
				return 0, false
			}
			uid, err := strconv.Atoi(fields[1])
			return uid, err == nil && uid >= 0
		}
	}
	return 0, false
}
