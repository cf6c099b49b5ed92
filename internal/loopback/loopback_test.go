package loopback_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/videoactivmail/vam/internal/loopback"
)

func TestOwn(t *testing.T) {
	seen := map[netip.AddrPort]bool{}
	for range 20 {
		ap, err := loopback.Own(0)
		if err != nil || !ap.Addr().IsLoopback() || ap.Port() == 0 || seen[ap] {
			t.Fatalf("%v, %v, after %v", ap, err, seen)
		}
		seen[ap] = true
		listen(t, ap)
	}
	if ap, err := loopback.Own(41398); err != nil || ap.Port() != 41398 && ap.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("with a port: %v, %v", ap, err)
	}
}

func TestFree(t *testing.T) {
	here := netip.MustParseAddr("127.0.0.1")
	ap, err := loopback.Free(here)
	if err != nil || ap.Addr() != here {
		t.Fatalf("%v, %v", ap, err)
	}
	listen(t, ap)
	if ap, err := loopback.Free(netip.MustParseAddr("192.0.2.1")); err == nil {
		t.Errorf("an address of somebody else: %v", ap)
	}
}

// listen has both protocols of an address until the end of the test.
func listen(t *testing.T, ap netip.AddrPort) {
	t.Helper()
	ln, err := net.Listen("tcp", ap.String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp", ap.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = ln.Close(), conn.Close() })
}
