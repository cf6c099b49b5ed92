package portowner_test

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/portowner"
)

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

// proc is a machine (little-endian, as the kernel would print it there) with a
// listener on 1398/tcp that two processes share, one whose process may not be
// read, a connection that is no listener, and two UDP sockets.
func proc() fstest.MapFS {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	link := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s), Mode: fs.ModeSymlink} }
	return fstest.MapFS{
		"net/tcp": file(head +
			"   0: 0100007F:0576 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0\n" +
			"   1: 0100007F:0576 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 112 1 0 100 0 0 10 0\n" +
			"   2: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 113 1 0 100 0 0 10 0\n" +
			"   3: nonsense\n"),
		"net/tcp6": file(head +
			"   0: 00000000000000000000000000000000:0576 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 211 1 0\n" +
			"   1: B80D0120000000000000000001000000:0576 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 212 1 0\n"),
		"net/udp": file(head +
			" 1234: 00000000:0576 00000000:0000 07 00000000:00000000 00:00000000 00000000  1000        0 311 2 0 0\n" +
			" 1234: 0100007F:0576 0100007F:0577 01 00000000:00000000 00:00000000 00000000  1000        0 312 2 0 0\n"),
		"10/comm": file("vam\n"), "10/cmdline": file("/usr/bin/vam\x00serve\x00"), "10/status": file("Name:\tvam\nUid:\t1000\t1001\t1000\t1000\n"),
		"10/fd/0": link("/dev/null"), "10/fd/3": link("socket:[111]"), "10/fd/4": link("socket:[311]"), "10/fd/5": link("socket:[112]"),
		"9/comm": file("parent\n"), "9/cmdline": file(""), "9/status": file("no user here\n"),
		"9/fd/7": link("socket:[111]"), "9/fd/8": link("socket:[x"), "9/fd/9": link("socket:[111]"),
		"self/fd/3": link("socket:[111]"),
	}
}

func names(uid int) string {
	return map[int]string{0: "root", 1000: "vam", 1001: "vam2"}[uid]
}

func TestFind(t *testing.T) {
	if runtime.GOARCH == "s390x" {
		t.Skip("the sample is of a little-endian machine")
	}
	shared := []portowner.Process{
		{PID: 9, Name: "parent", UID: -1, User: "unknown"},
		{PID: 10, Name: "vam", Command: []string{"/usr/bin/vam", "serve"}, UID: 1001, User: "vam2"},
	}
	for _, tc := range []struct {
		network portowner.Network
		port    uint16
		want    []portowner.Socket
	}{
		{portowner.TCP, 1398, []portowner.Socket{
			{Network: "tcp", Local: netip.MustParseAddrPort("127.0.0.1:1398"), UID: 1000, User: "vam", Processes: shared},
			{Network: "tcp", Local: netip.MustParseAddrPort("[::]:1398"), User: "root"},
			{Network: "tcp", Local: netip.MustParseAddrPort("[2001:db8::1]:1398"), User: "root"},
		}},
		{portowner.UDP, 1398, []portowner.Socket{
			{Network: "udp", Local: netip.MustParseAddrPort("0.0.0.0:1398"), UID: 1000, User: "vam", Processes: shared[1:]},
		}},
		{portowner.TCP, 1399, []portowner.Socket{}},
	} {
		got, err := portowner.NewTable(proc(), names).Find(t.Context(), tc.network, tc.port)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
			t.Errorf("%s %d: %s", tc.network, tc.port, diff)
		}
	}
}

func TestFindWithoutProc(t *testing.T) {
	_, err := portowner.NewTable(fstest.MapFS{}, nil).Find(t.Context(), portowner.TCP, 1398)
	if vam.KindOf(err) != vam.Unavailable || !strings.Contains(err.Error(), "lsof -nP -i :1398") {
		t.Errorf("got %v", err)
	}
}

// TestGivenUp: a context that has ended ends the search.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sockets, err := portowner.NewTable(proc(), nil).Find(ctx, portowner.TCP, 1398)
	if err == nil {
		t.Errorf("%v", sockets)
	}
}

func TestProcessNameIsEscaped(t *testing.T) {
	p := portowner.Process{PID: 1, Name: "x\x1b[2J\n", User: "u"}
	if got := p.String(); got != `"x\x1b[2J\n" (pid 1, user u)` {
		t.Error(got)
	}
}

func TestThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("procfs")
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	pc, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for network, addr := range map[portowner.Network]net.Addr{portowner.TCP: ln.Addr(), portowner.UDP: pc.LocalAddr()} {
		want := netip.MustParseAddrPort(addr.String())
		got, err := portowner.System().Find(t.Context(), network, want.Port())
		if err != nil {
			t.Fatal(err)
		}
		mine := slices.ContainsFunc(got, func(s portowner.Socket) bool {
			return s.Local == want && slices.ContainsFunc(s.Processes, func(p portowner.Process) bool {
				return p.PID == os.Getpid() && p.UID == os.Geteuid() && len(p.Command) > 0 && p.Name != ""
			})
		})
		if !mine {
			t.Errorf("%s %s: this process is not among %+v", network, want, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	p := proc()
	f.Add(p["net/tcp"].Data, p["net/tcp6"].Data, "socket:[111]")
	f.Add([]byte(head+strings.Repeat("9", 5000)), []byte("\x00"), "socket:[")
	f.Fuzz(func(t *testing.T, tcp, tcp6 []byte, target string) {
		p := proc()
		p["net/tcp"].Data, p["net/tcp6"].Data = tcp, tcp6
		p["10/fd/3"].Data = []byte(target)
		sockets, err := portowner.NewTable(p, nil).Find(t.Context(), portowner.TCP, 1398)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sockets {
			if s.Local.Port() != 1398 || !s.Local.IsValid() || s.UID < 0 {
				t.Fatalf("%+v", s)
			}
		}
	})
}
