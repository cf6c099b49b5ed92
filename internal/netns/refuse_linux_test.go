package netns_test

import (
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"testing"

	"github.com/videoactivmail/vam/internal/netns"
)

func TestDatagramsStayInside(t *testing.T) {
	ns := need(t)
	server, err := ns.ListenPacket(t.Context(), net.ListenConfig{}, "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := ns.Dial(t.Context(), net.Dialer{}, "udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Write([]byte("inside")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 16)
	n, from, err := server.ReadFrom(b)
	if err != nil || string(b[:n]) != "inside" || from.String() != client.LocalAddr().String() {
		t.Fatalf("%q from %v, %v", b[:n], from, err)
	}
	// The same port is free outside.
	outside, err := net.ListenPacket("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	_ = outside.Close()
}

func TestWhatCannotBeDoneIsSaid(t *testing.T) {
	ns := need(t)
	if err := netns.Available(); err != nil {
		t.Error(err)
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for name, err := range map[string]error{
		"a command that ends with its thread": ns.Start(cmd),
		"a command that is not there":         ns.Start(exec.Command("/no/such/command")),
		"an IPv6 network":                     ns.SetAddress("lo", netip.MustParsePrefix("2001:db8::/64")),
		"an address of a missing device":      ns.SetAddress("none", netip.MustParsePrefix("10.0.0.1/24")),
		"a device name that is too long":      ns.SetUp("a-name-of-more-than-fifteen-octets"),
		"an MTU of a missing device":          ns.SetMTU("none", 1),
		"a sysctl that does not exist":        ns.Sysctl("ipv4.no_such_thing", "1"),
		"a sysctl without sense":              ns.Sysctl("ipv4.tcp_fin_timeout", "soon"),
	} {
		if err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if _, err := ns.Listen(t.Context(), net.ListenConfig{}, "tcp", "192.0.2.1:0"); err == nil {
		t.Error("an address that nobody has was listened on")
	}
}
