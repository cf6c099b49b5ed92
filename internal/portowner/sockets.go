package portowner

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// Bounds of what is read from procfs. The list of sockets is as long as the
// machine is busy; a line of it has 150 octets.
const (
	maxLine    = 4096
	maxSockets = 1 << 20
	maxFile    = 4096
)

// States of include/net/tcp_states.h: a TCP socket that listens, and a UDP socket
// that is not connected to one peer.
const (
	stateListen      = 0x0a
	stateUnconnected = 0x07
)

// entry is one line of /proc/net/{tcp,tcp6,udp,udp6}.
type entry struct {
	local netip.AddrPort
	uid   int
	inode uint64
}

// parseSockets reads the sockets of one such file that wait for anybody. A line
// in another form is left out: the columns behind those that are used differ
// between kernels.
func parseSockets(r io.Reader, network Network) ([]entry, error) {
	want := uint64(stateListen)
	if network == UDP {
		want = stateUnconnected
	}
	var out []entry
	scan := bufio.NewScanner(r)
	scan.Buffer(nil, maxLine)
	for n := 0; scan.Scan() && n < maxSockets; n++ {
		if e, state, ok := parseSocket(scan.Text()); ok && state == want {
			out = append(out, e)
		}
	}
	if err := scan.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return nil, err
	}
	return out, nil
}

// parseSocket reads one line: number, local, remote, state, queues, timer,
// retransmits, uid, timeout, inode.
func parseSocket(line string) (e entry, state uint64, ok bool) {
	f := strings.Fields(line)
	if len(f) < 10 {
		return entry{}, 0, false
	}
	local, ok := parseAddrPort(f[1])
	if !ok {
		return entry{}, 0, false
	}
	state, err1 := strconv.ParseUint(f[3], 16, 8)
	uid, err2 := strconv.ParseUint(f[7], 10, 32)
	inode, err3 := strconv.ParseUint(f[9], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || inode == 0 {
		return entry{}, 0, false
	}
	return entry{local: local, uid: int(uid), inode: inode}, state, true
}

// parseAddrPort reads "0100007F:0576": the address as 32-bit words that the kernel
// prints in the byte order of the machine, and the port as a number. An IPv4
// address in an IPv6 socket comes back as IPv4.
func parseAddrPort(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil || (len(raw) != 4 && len(raw) != 16) {
		return netip.AddrPort{}, false
	}
	number, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for word := raw; len(word) > 0; word = word[4:] {
		binary.NativeEndian.PutUint32(word, binary.BigEndian.Uint32(word))
	}
	addr, _ := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), true
}

// read returns at most maxFile octets of a file, whose size procfs does not tell.
func (t *Table) read(name string) ([]byte, error) {
	f, err := t.proc.Open(name)
	if err != nil {
		return nil, err
	}
	defer func(f fs.File) { f.Close() }(f)
	return io.ReadAll(io.LimitReader(f, maxFile))
}
