package amclient_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amtest"
	"github.com/videoactivmail/vam/internal/netem"
)

// paths is a world whose a.test is reached through links.
type paths struct {
	*world
	tcp *netem.TCPLink
	udp *netem.UDPLink
}

func newPaths(t *testing.T, tcp, udp [2]netem.Shape) *paths {
	t.Helper()
	p := &paths{world: newWorld(t, amtest.PeerOptions{})}
	var err error
	if p.tcp, err = netem.OpenTCP(netem.Config{Listen: "127.0.0.1:0", Target: p.a.TCP.String(), Shapes: tcp}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.tcp.Close() })
	if p.udp, err = netem.OpenUDP(netem.Config{Listen: "127.0.0.1:0", Target: p.a.UDP.String(), Shapes: udp, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.udp.Close() })
	return p
}

func (p *paths) endpoints() []amclient.Endpoint {
	addr := func(a net.Addr) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(a.String())} }
	return []amclient.Endpoint{
		{Network: amclient.TCP, Addrs: addr(p.tcp.Addr()), ServerName: p.a.ServerName},
		{Network: amclient.UDP, Addrs: addr(p.udp.Addr()), ServerName: p.a.ServerName},
	}
}

func (p *paths) client(t *testing.T, options amclient.Options) *amclient.Client {
	t.Helper()
	dialer := amclient.NewDialer(amclient.DialerOptions{
		Roots: p.network.Roots, Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8")), HandshakeTimeout: time.Second,
	})
	options.Endpoints, options.Key = p.endpoints(), p.b.Key
	c, err := amclient.New(dialer, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); dialer.Close() })
	return c
}

// fetch reads a range to its end.
func fetch(t *testing.T, c *amclient.Client, pull amclient.Pull, from, to int) ([]byte, amclient.Network, error) {
	t.Helper()
	m, err := c.Media(t.Context(), pull, vam.Bytes(from), vam.Bytes(to))
	if err != nil {
		return nil, "", err
	}
	defer m.Close()
	b, err := io.ReadAll(m)
	return b, m.Network, err
}

// A network that does not let anything through costs a moment and no request, whichever
// it is (AM-11.11).
func TestNetworkThatIsShut(t *testing.T) {
	t.Parallel()
	content := randomBytes(100_000)
	for _, row := range []struct {
		name string
		shut func(p *paths) error
		want amclient.Network
	}{
		{"UDP is a black hole", func(p *paths) error { p.udp.Outage(true); return nil }, amclient.TCP},
		{"TCP is refused", func(p *paths) error { return p.tcp.Refuse() }, amclient.UDP},
		{"TCP is reset", func(p *paths) error { p.tcp.ResetNew(true); return nil }, amclient.UDP},
		{"TCP is a black hole", func(p *paths) error { p.tcp.Stall(); return nil }, amclient.UDP},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
			if err := row.shut(p); err != nil {
				t.Fatal(err)
			}
			_, pull := p.fileMessage(t, content)
			c := p.client(t, amclient.Options{})
			if _, err := c.Head(t.Context(), pull); err != nil {
				t.Error(err)
			}
			got, network, err := fetch(t, c, pull, 0, 0)
			if err != nil || !bytes.Equal(got, content) || network != row.want {
				t.Errorf("%d octets over %s, %v", len(got), network, err)
			}
		})
	}
	t.Run("both", func(t *testing.T) {
		p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
		p.udp.Outage(true)
		if err := p.tcp.Refuse(); err != nil {
			t.Fatal(err)
		}
		_, err := p.client(t, amclient.Options{}).Head(t.Context(), somebody())
		wantProblem(t, err, vam.Unavailable, "")
	})
}

// preferUDP makes transfers until UDP, which is the faster one, carries them.
func (p *paths) preferUDP(t *testing.T, c *amclient.Client, pull amclient.Pull, content []byte) {
	t.Helper()
	for range 5 {
		got, network, err := fetch(t, c, pull, 0, 0)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("%d octets over %s, %v", len(got), network, err)
		}
		if network == amclient.UDP {
			if _, network, _ = fetch(t, c, pull, 0, 0); network == amclient.UDP {
				return
			}
		}
	}
	t.Fatalf("UDP, which is faster, is not used: %+v", c.Stats().Networks)
}

// What was measured decides what carries a transfer, and a network that goes away during
// one costs the time of a stall: the rest comes over the other.
func TestMeasuredNetworkGoesAway(t *testing.T) {
	t.Parallel()
	slow := netem.Even(0, 400*vam.KiB)
	p := newPaths(t, slow, netem.Even(0, 0))
	content := randomBytes(300_000)
	_, pull := p.fileMessage(t, content)
	c := p.client(t, amclient.Options{Stall: time.Second, Lanes: 1})
	p.preferUDP(t, c, pull, content)

	p.udp.SetShape(netem.ToClient, netem.Shape{Rate: 100 * vam.KiB}) // so that the outage comes before the end
	m, err := c.Media(t.Context(), pull, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if m.Network != amclient.UDP {
		t.Fatalf("the transfer begins over %s", m.Network)
	}
	got := make([]byte, 20_000)
	if _, err := io.ReadFull(m, got); err != nil {
		t.Fatal(err)
	}
	p.udp.Outage(true)
	rest, err := io.ReadAll(m)
	m.Close()
	wantProblem(t, err, vam.Unavailable, "")
	got = append(got, rest...)
	rest, network, err := fetch(t, c, pull, len(got), 0)
	if err != nil || network != amclient.TCP {
		t.Fatalf("the rest comes over %s, %v", network, err)
	}
	if !bytes.Equal(append(got, rest...), content) {
		t.Error("the whole is not what was sent")
	}
	// It is not tried again at once.
	if _, network, err = fetch(t, c, pull, 0, 0); err != nil || network != amclient.TCP {
		t.Errorf("the next transfer goes over %s, %v", network, err)
	}
}

// A connection that is up and leads nowhere is found out by a request that gets no
// answer, which then goes over the other network within the same call.
func TestDeadConnection(t *testing.T) {
	t.Parallel()
	p := newPaths(t, netem.Even(0, 400*vam.KiB), netem.Even(0, 0))
	content := randomBytes(300_000)
	_, pull := p.fileMessage(t, content)
	c := p.client(t, amclient.Options{Stall: time.Second, Lanes: 1})
	p.preferUDP(t, c, pull, content)
	p.udp.Outage(true)
	got, network, err := fetch(t, c, pull, 0, 0)
	if err != nil || !bytes.Equal(got, content) || network != amclient.TCP {
		t.Errorf("%d octets over %s, %v", len(got), network, err)
	}
	p.udp.Outage(false)
	if err := p.tcp.Refuse(); err != nil {
		t.Fatal(err)
	}
	p.tcp.Cut(netem.Rst)
	got, network, err = fetch(t, c, pull, 0, 0)
	if err != nil || !bytes.Equal(got, content) || network != amclient.UDP {
		t.Errorf("back again: %d octets over %s, %v", len(got), network, err)
	}
}

// A download over TCP that is cut, wherever, is continued where it stopped.
func TestCuts(t *testing.T) {
	t.Parallel()
	content := randomBytes(300_000)
	for _, how := range []netem.Ending{netem.Fin, netem.Rst} {
		for _, at := range []int64{1, 1000, 5000, 20_000, 150_000, 299_000} {
			p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
			_, pull := p.fileMessage(t, content)
			c := p.client(t, amclient.Options{Mode: amclient.TCPOnly, Lanes: 1})
			if _, _, err := fetch(t, c, pull, 0, 1); err != nil { // connects
				t.Fatal(err)
			}
			cut := p.tcp.CutAfter(netem.ToClient, at, how)
			var got []byte
			rounds := 0
			for ; len(got) < len(content) && rounds < 4; rounds++ {
				part, _, err := fetch(t, c, pull, len(got), len(content))
				if err != nil && vam.KindOf(err) != vam.Unavailable {
					t.Errorf("cut after %d: %v", at, err)
				}
				got = append(got, part...)
			}
			<-cut
			if !bytes.Equal(got, content) || rounds > 2 {
				t.Errorf("cut after %d: %d octets of %d in %d rounds", at, len(got), len(content), rounds)
			}
		}
	}
}

// On a slow path one frame of HTTP/2 takes longer than the patience for silence, and
// silence it is not.
func TestSlowPath(t *testing.T) {
	t.Parallel()
	slow := netem.Even(0, 256*vam.KiB)
	p := newPaths(t, slow, slow)
	content := randomBytes(450_000) // in frames of 64, 128 and 247 KiB
	_, pull := p.fileMessage(t, content)
	c := p.client(t, amclient.Options{Mode: amclient.TCPOnly, Stall: 700 * time.Millisecond, Lanes: 1})
	if got, _, err := fetch(t, c, pull, 0, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

// A connection that ended while nobody used it is no failure of its network: the request
// is made on a new one (AM-11.17).
func TestConnectionThatEndedMeanwhile(t *testing.T) {
	p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
	_, pull := p.fileMessage(t, randomBytes(10))
	c := p.client(t, amclient.Options{})
	for range 5 {
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Fatal(err)
		}
		p.tcp.CutAfter(netem.ToTarget, 0, netem.Rst) // at the next octet of the client
	}
	if n := c.Stats().Networks; n[amclient.TCP].Failures != 0 || n[amclient.UDP].Latency != 0 {
		t.Errorf("the networks are %+v", n)
	}
}

// A NAT that gives the client another port during a download does not end it (AM-11.13).
func TestRebinding(t *testing.T) {
	t.Parallel()
	const rate = 2 * vam.MiB
	p := newPaths(t, netem.Even(0, 0), netem.Even(10*time.Millisecond, rate))
	content := randomBytes(3 << 20)
	_, pull := p.fileMessage(t, content)
	c := p.client(t, amclient.Options{Mode: amclient.UDPOnly, Lanes: 1})
	m, err := c.Media(t.Context(), pull, 0, vam.Bytes(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	got := make([]byte, 0, len(content))
	buf := make([]byte, 64<<10)
	rebinds := 0
	for len(got) < len(content) {
		n, err := m.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil && !errors.Is(err, io.EOF) {
			t.Fatalf("after %d octets and %d rebindings: %v", len(got), rebinds, err)
		}
		if rebinds < 2 && len(got) > (rebinds+1)*len(content)/4 {
			rebinds++
			if err := p.udp.Rebind(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !bytes.Equal(got, content) || rebinds != 2 {
		t.Errorf("%d octets after %d rebindings", len(got), rebinds)
	}
}

// Loss, doubles and disorder below QUIC do not reach the reader.
func TestBadUDP(t *testing.T) {
	t.Parallel()
	shapes := netem.Even(4*time.Millisecond, 0)
	for i := range shapes {
		shapes[i].Loss, shapes[i].Duplicate, shapes[i].Reorder = 0.02, 0.02, 0.05
	}
	p := newPaths(t, netem.Even(0, 0), shapes)
	content := randomBytes(500_000)
	_, pull := p.fileMessage(t, content)
	c := p.client(t, amclient.Options{Mode: amclient.UDPOnly})
	if got, _, err := fetch(t, c, pull, 0, 0); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d octets, %v", len(got), err)
	}
}

// A mode that forces a network uses no other, also where that one fails.
func TestForcedNetworks(t *testing.T) {
	t.Parallel()
	for _, mode := range []amclient.Mode{amclient.TCPOnly, amclient.UDPOnly} {
		t.Run(string(mode), func(t *testing.T) {
			p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
			content := randomBytes(100_000)
			_, pull := p.fileMessage(t, content)
			c := p.client(t, amclient.Options{Mode: mode, Stall: 100 * time.Millisecond})
			got, network, err := fetch(t, c, pull, 0, 0)
			if err != nil || !bytes.Equal(got, content) || string(network) != string(mode) {
				t.Errorf("%d octets over %s, %v", len(got), network, err)
			}
			p.udp.Outage(true)
			if err := p.tcp.Refuse(); err != nil {
				t.Fatal(err)
			}
			p.tcp.Cut(netem.Rst)
			_, err = c.Head(t.Context(), pull)
			wantProblem(t, err, vam.Unavailable, "")
			if n := p.tcp.Stats().Accepted; mode == amclient.UDPOnly && n > 0 {
				t.Errorf("%d TCP connections were made", n)
			}
			if n := p.udp.Stats(netem.ToTarget).In; mode == amclient.TCPOnly && n > 0 {
				t.Errorf("%d datagrams were sent", n)
			}
		})
	}
	p := newPaths(t, netem.Even(0, 0), netem.Even(0, 0))
	c := p.client(t, amclient.Options{Mode: amclient.UDPOnly})
	if err := c.SetEndpoints(p.endpoints()[:1]); err != nil {
		t.Fatal(err)
	}
	_, err := c.Head(t.Context(), somebody())
	wantProblem(t, err, vam.Unavailable, "")
	if n := p.tcp.Stats().Accepted; n > 0 {
		t.Errorf("without an endpoint of its own network %d TCP connections were made", n)
	}
}
