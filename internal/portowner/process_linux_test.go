package portowner_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/internal/portowner"
)

// childRole makes this test binary the other process.
const childRole = "PORTOWNER_TEST_CHILD"

// nobody is a user that every Linux has.
const nobody = 65534

// TestChild is no test but the other process: it holds two sockets of its own, as
// another user where it may, until its input ends.
func TestChild(t *testing.T) {
	if os.Getenv(childRole) == "" {
		return
	}
	if os.Geteuid() == 0 {
		if err := syscall.Setuid(nobody); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp6", "[::]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	fmt.Printf("\n%s %s\n", ln.Addr(), pc.LocalAddr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// startChild returns the process and its sockets; it also inherits shared.
func startChild(t *testing.T, shared *os.File) (pid int, tcp, udp netip.AddrPort) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childRole+"=1")
	cmd.ExtraFiles = []*os.File{shared}
	cmd.Stderr = os.Stderr
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		hold.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the other process: %v", err)
		}
	})
	for scan := bufio.NewScanner(out); scan.Scan(); {
		a, b, ok := strings.Cut(scan.Text(), " ")
		if !ok {
			continue
		}
		if tcp, err = netip.ParseAddrPort(a); err != nil {
			continue
		}
		if udp, err = netip.ParseAddrPort(b); err == nil {
			return cmd.Process.Pid, tcp, udp
		}
	}
	t.Fatal("the other process did not say where it listens")
	return 0, tcp, udp
}

// TestAnotherProcess is what vam doctor is asked for: who else holds the port.
func TestAnotherProcess(t *testing.T) {
	shared, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	file, err := shared.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	pid, tcp, udp := startChild(t, file)
	wantUID := os.Geteuid()
	if wantUID == 0 {
		wantUID = nobody
	}
	find := func(network portowner.Network, local netip.AddrPort) portowner.Socket {
		t.Helper()
		sockets, err := portowner.System().Find(t.Context(), network, local.Port())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(sockets, func(s portowner.Socket) bool { return s.Local == local })
		if i < 0 {
			t.Fatalf("%s %s is not among %+v", network, local, sockets)
		}
		return sockets[i]
	}
	for network, local := range map[portowner.Network]netip.AddrPort{portowner.TCP: tcp, portowner.UDP: udp} {
		s := find(network, local)
		if len(s.Processes) != 1 || s.UID != wantUID {
			t.Fatalf("%s: %+v", network, s)
		}
		p := s.Processes[0]
		name := filepath.Base(os.Args[0])
		if p.PID != pid || p.UID != wantUID || p.User != s.User || !slices.Contains(p.Command, "-test.run=^TestChild$") || p.Name != name[:min(len(name), 15)] {
			t.Errorf("%s: %+v", network, p)
		}
	}
	// A socket that was inherited belongs to both.
	s := find(portowner.TCP, netip.MustParseAddrPort(shared.Addr().String()))
	var pids []int
	for _, p := range s.Processes {
		pids = append(pids, p.PID)
	}
	if want := []int{os.Getpid(), pid}; !slices.Equal(pids, want) && !slices.Equal(pids, []int{pid, os.Getpid()}) || !slices.IsSorted(pids) {
		t.Errorf("held by %v, want %v", pids, want)
	}
}
