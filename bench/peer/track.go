package peer

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/netns"
)

// Track is the path between a server and its client. The zero Track is this
// machine's loopback device with the system's congestion control.
type Track struct {
	// Congestion is set on both sides of every TCP connection that this process makes
	// and on what nginx sends; "" is the system's default. Foreign programs that only
	// receive keep the default: it is the sender's that counts. QUIC has its own.
	Congestion string

	shapes *[2]netem.Shape // a relay in between, where set
	wire   *netem.Wire     // two namespaces, where set
}

// Loopback is a direct track.
func Loopback(congestion string) *Track { return &Track{Congestion: congestion} }

// Relayed is a track through user-space links with these shapes. They end TCP.
func Relayed(congestion string, shapes [2]netem.Shape) *Track {
	return &Track{Congestion: congestion, shapes: &shapes}
}

// OverWire is a track between two network namespaces.
func OverWire(w *netem.Wire, congestion string) *Track {
	return &Track{Congestion: congestion, wire: w}
}

func (t *Track) server() *netns.Namespace {
	if t.wire == nil {
		return nil
	}
	return t.wire.Target.Namespace
}

func (t *Track) client() *netns.Namespace {
	if t.wire == nil {
		return nil
	}
	return t.wire.Client.Namespace
}

// Host is the address that servers bind.
func (t *Track) Host() string {
	if t.wire != nil {
		return t.wire.Target.Addr.String()
	}
	return "127.0.0.1"
}

// Listen announces a TCP server on a free port.
func (t *Track) Listen(ctx context.Context) (net.Listener, error) {
	lc := net.ListenConfig{Control: setCongestion(t.Congestion)}
	at := net.JoinHostPort(t.Host(), "0")
	if ns := t.server(); ns != nil {
		return ns.Listen(ctx, lc, "tcp", at)
	}
	return lc.Listen(ctx, "tcp", at)
}

// ListenPacket announces a UDP server on a free port.
func (t *Track) ListenPacket(ctx context.Context) (net.PacketConn, error) {
	at := net.JoinHostPort(t.Host(), "0")
	if ns := t.server(); ns != nil {
		return ns.ListenPacket(ctx, net.ListenConfig{}, "udp", at)
	}
	return (&net.ListenConfig{}).ListenPacket(ctx, "udp", at)
}

// ClientPacket is a UDP socket on the client's side.
func (t *Track) ClientPacket(ctx context.Context) (net.PacketConn, error) {
	if ns := t.client(); ns != nil {
		return ns.ListenPacket(ctx, net.ListenConfig{}, "udp", net.JoinHostPort(t.wire.Client.Addr.String(), "0"))
	}
	return (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
}

// Dial connects from the client's side.
func (t *Track) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Control: setCongestion(t.Congestion), Timeout: 30 * time.Second}
	if ns := t.client(); ns != nil {
		return ns.Dial(ctx, d, "tcp", addr)
	}
	return d.DialContext(ctx, "tcp", addr)
}

// startServer starts a program where servers run, startClient where clients do.
func (t *Track) startServer(cmd *exec.Cmd) error { return startIn(t.server(), cmd) }
func (t *Track) startClient(cmd *exec.Cmd) error { return startIn(t.client(), cmd) }

func startIn(ns *netns.Namespace, cmd *exec.Cmd) error {
	if ns == nil {
		return cmd.Start()
	}
	return ns.Start(cmd)
}

// passage is how a client reaches a server.
type passage struct {
	addr    string
	carried func() int64 // octets both ways, payload of TCP or UDP; nil on a direct way
	close   func() error
}

// through returns the way to a server at addr.
func (t *Track) through(network, addr string) (passage, error) {
	if t.shapes == nil {
		return passage{addr: addr, close: func() error { return nil }}, nil
	}
	c := netem.Config{Listen: "127.0.0.1:0", Target: addr, Shapes: *t.shapes, Seed: 1}
	if network == "udp" {
		link, err := netem.OpenUDP(c)
		if err != nil {
			return passage{}, err
		}
		return passage{addr: link.Addr().String(), close: link.Close, carried: func() int64 {
			return link.Stats(netem.ToTarget).InBytes + link.Stats(netem.ToClient).InBytes
		}}, nil
	}
	link, err := netem.OpenTCP(c)
	if err != nil {
		return passage{}, err
	}
	return passage{addr: link.Addr().String(), close: link.Close, carried: func() int64 { return link.Stats().Total() }}, nil
}

// Counted is a track through relays that change nothing and count octets.
func Counted(congestion string) *Track { return Relayed(congestion, netem.Even(0, 0)) }

// Transfer is what one transfer of a file took.
type Transfer struct {
	// Seconds is from the first connection until the receiving side has said, or
	// shown, that it has all of it.
	Seconds float64
	// Bytes is the size of the file; Wire counts what passed in both directions, 0
	// where the track does not count.
	Bytes, Wire vam.Bytes
	// CPU is the processor time in seconds that this process used meanwhile: that of
	// both sides where both are in it.
	CPU float64
}

// Rate is in 10^6 octets per second.
func (t Transfer) Rate() float64 { return float64(t.Bytes) / t.Seconds / 1e6 }

// timed runs f over the way to addr.
func (t *Track) timed(network, addr string, file File, f func(addr string) error) (Transfer, error) {
	way, err := t.through(network, addr)
	if err != nil {
		return Transfer{}, err
	}
	start, used := time.Now(), cpu()
	err = f(way.addr)
	out := Transfer{Seconds: time.Since(start).Seconds(), Bytes: vam.Bytes(file.Size), CPU: cpu() - used}
	if way.carried != nil {
		out.Wire = vam.Bytes(way.carried())
	}
	return out, errors.Join(err, way.close())
}

// cpu is the processor time that this process has used, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}
