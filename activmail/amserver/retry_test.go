package amserver_test

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// listening counts the octets and the Retry packets that a socket receives, and the
// octets that it sends.
type listening struct {
	net.PacketConn
	mu                      sync.Mutex
	sent, received, retries int
}

func (l *listening) ReadFrom(p []byte) (int, net.Addr, error) {
	n, addr, err := l.PacketConn.ReadFrom(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.received += n
	if n > 0 && p[0]&0xf0 == 0xf0 { // RFC 9000 section 17.2.5: long header, type 3
		l.retries++
	}
	return n, addr, err
}

func (l *listening) WriteTo(p []byte, addr net.Addr) (int, error) {
	l.mu.Lock()
	l.sent += len(p)
	l.mu.Unlock()
	return l.PacketConn.WriteTo(p, addr)
}

// handshake makes a connection and returns how many Retry packets it took.
func (w *world) handshake(t *testing.T) (retries int) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	l := &listening{PacketConn: socket}
	transport := &quic.Transport{Conn: l}
	defer socket.Close()
	defer transport.Close()
	config := w.tls()
	config.NextProtos = []string{"h3"}
	conn, err := transport.Dial(t.Context(), net.UDPAddrFromAddrPort(w.peer.UDP), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWithError(0x100, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.retries
}

// AM-11.15: while many handshakes of unvalidated addresses are under way, a new one must
// first show that its address is its own; otherwise it need not.
func TestRetryUnderLoad(t *testing.T) {
	for _, row := range []struct {
		underWay int
		retry    bool
	}{{0, false}, {1, false}, {2, true}} {
		w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Limits: amserver.ConnLimits{Unvalidated: 2}}})
		for range row.underWay {
			defer w.halfHandshake(t)()
		}
		if n := w.handshake(t); (n > 0) != row.retry { // one for each Initial of its first flight
			t.Errorf("a handshake beside %d others took %d Retry packets", row.underWay, n)
		}
	}
}

// Under load nobody can be flooded through the server: an address that does not answer
// gets no more than it sent.
func TestNoAmplificationUnderLoad(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Limits: amserver.ConnLimits{Unvalidated: 1}}})
	end := w.halfHandshake(t)
	defer end()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	l := &listening{PacketConn: socket}
	deaf := &deafSocket{PacketConn: l, heard: make(chan struct{}, 1000)}
	transport := &quic.Transport{Conn: deaf}
	defer transport.Close()
	config := w.tls()
	config.NextProtos = []string{"h3"}
	ctx, cancel := context.WithCancel(t.Context())
	var dialling sync.WaitGroup
	dialling.Go(func() { _, _ = transport.Dial(ctx, net.UDPAddrFromAddrPort(w.peer.UDP), config, nil) })
	for range 3 { // the client repeats itself, and so does the server
		<-deaf.heard
	}
	cancel()
	dialling.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.received > l.sent {
		t.Errorf("%d octets were sent and %d came back", l.sent, l.received)
	}
}

// Datagrams that are no QUIC reach the operator, and get no answer (AM-11.18).
func TestStrangeDatagrams(t *testing.T) {
	got := make(chan string, 10)
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{NonQUIC: func(p []byte, _ netip.AddrPort) {
		select {
		case got <- string(p):
		default:
		}
	}}})
	socket, err := net.Dial("udp", w.peer.UDP.String())
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	const hello = "\x00\x01 a question to a name server"
	for arrived := false; !arrived && t.Context().Err() == nil; { // datagrams get lost
		if _, err := socket.Write([]byte(hello)); err != nil {
			t.Fatal(err)
		}
		select {
		case s := <-got:
			arrived = true
			if s != hello {
				t.Errorf("%q arrived", s)
			}
		case <-time.After(10 * time.Millisecond):
		}
	}
	if n := w.handshake(t); n != 0 {
		t.Error("a handshake after that took a Retry")
	}
}
