package amserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// refusals collects what a server refuses.
func refusals() (report func(amserver.Refusal), next func(t *testing.T) amserver.Refusal) {
	all := make(chan amserver.Refusal, 1000)
	return func(r amserver.Refusal) { all <- r }, func(t *testing.T) amserver.Refusal {
		t.Helper()
		select {
		case r := <-all:
			return r
		case <-t.Context().Done():
			t.Fatal("nothing was refused")
			return amserver.Refusal{}
		}
	}
}

// AM-11.2 and AM-11.3: TLS 1.3 with h2 and nothing else, and the operator hears of it.
func TestHellosThatAreRefused(t *testing.T) {
	report, next := refusals()
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Refused: report}})
	for _, row := range []struct {
		name         string
		alpn         []string
		version      uint16
		alert        string
		wantVersions []uint16
	}{
		{"no ALPN", nil, tls.VersionTLS13, "no application protocol", []uint16{tls.VersionTLS13}},
		{"HTTP/1.1", []string{"http/1.1"}, tls.VersionTLS13, "no application protocol", []uint16{tls.VersionTLS13}},
		{"h3", []string{"h3"}, tls.VersionTLS13, "no application protocol", []uint16{tls.VersionTLS13}},
		{"TLS 1.2", []string{"h2"}, tls.VersionTLS12, "protocol version", []uint16{tls.VersionTLS12}},
		{"TLS 1.2 without ALPN", nil, tls.VersionTLS12, "protocol version", []uint16{tls.VersionTLS12}},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := w.tls()
			config.NextProtos, config.MinVersion, config.MaxVersion = row.alpn, row.version, row.version
			conn, err := tls.Dial("tcp", w.peer.TCP.String(), config)
			if err == nil {
				conn.Close()
			}
			if err == nil || !strings.Contains(err.Error(), row.alert) {
				t.Errorf("the handshake ended with %v, want %q", err, row.alert)
			}
			got := next(t)
			if got.Network != "tcp" || got.Reason == "" || got.Err != nil || got.Remote.Addr().String() != "127.0.0.1" ||
				!slices.Equal(got.ALPN, row.alpn) || !slices.Equal(got.Versions, row.wantVersions) {
				t.Errorf("reported as %+v", got)
			}
		})
	}
	config := w.tls()
	config.NextProtos = []string{"http/1.1", "h2"}
	conn, err := tls.Dial("tcp", w.peer.TCP.String(), config)
	if err != nil {
		t.Fatalf("h2 beside others: %v", err)
	}
	if s := conn.ConnectionState(); s.NegotiatedProtocol != "h2" || s.Version != tls.VersionTLS13 {
		t.Errorf("h2 beside others: %q, version %x", s.NegotiatedProtocol, s.Version)
	}
	conn.Close()
}

// Over QUIC the handshake fails with the alert of TLS, and is reported too.
func TestQUICHellosThatAreRefused(t *testing.T) {
	report, next := refusals()
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Refused: report}})
	for _, alpn := range [][]string{{"h2"}, {"h3-29"}, {"hq-interop"}} {
		config := w.tls()
		config.NextProtos = alpn
		_, err := quic.DialAddr(t.Context(), w.peer.UDP.String(), config, nil)
		var transport *quic.TransportError
		if !errors.As(err, &transport) || transport.ErrorCode != 0x100+120 {
			t.Errorf("%v: the handshake ended with %v", alpn, err)
		}
		if got := next(t); got.Network != "udp" || got.Err == nil || got.Remote.Addr().String() != "127.0.0.1" {
			t.Errorf("%v: reported as %+v (%v)", alpn, got, got.Err)
		}
	}
}

// There is no 0-RTT (AM-11.4), over neither transport.
func TestNoEarlyData(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	config := w.tls()
	config.NextProtos, config.ClientSessionCache = []string{"h3"}, tls.NewLRUClientSessionCache(1)
	// Without a ticket that allows it the second handshake is no early one either.
	for i := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), w.peer.UDP.String(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		if state := conn.ConnectionState(); state.Used0RTT {
			t.Errorf("connection %d used 0-RTT", i)
		}
		// The settings of HTTP/3 come after the ticket.
		str, err := conn.AcceptUniStream(t.Context())
		if err == nil {
			_, err = str.Read(make([]byte, 1))
		}
		if err != nil {
			t.Error(err)
		}
		_ = conn.CloseWithError(0x100, "")
	}
}

// Limits on connections (AM-11.20), with a clock of our own.
func TestConnectionLimits(t *testing.T) {
	for _, row := range []struct {
		name   string
		limits amserver.ConnLimits
		allow  int
		reason string
	}{
		{"in all", amserver.ConnLimits{Connections: 3}, 3, "to this server"},
		{"of an address", amserver.ConnLimits{PerAddress: 2}, 2, "from this address"},
		{"new ones", amserver.ConnLimits{NewPerSecond: 1}, 4, "too many new connections"},
	} {
		bothNetworks(t, func(t *testing.T, network string) {
			t.Run(row.name, func(t *testing.T) {
				var now atomic.Int64
				report, next := refusals()
				w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{
					Limits: row.limits, Refused: report, Now: func() time.Time { return time.Unix(1e9+now.Load(), 0) },
				}})
				var open []io.Closer
				for range row.allow {
					c, err := w.connect(t, network)
					if err != nil {
						t.Fatal(err)
					}
					open = append(open, c)
				}
				if c, err := w.connect(t, network); err == nil {
					t.Error("one connection too many was taken")
					c.Close()
				}
				if got := next(t); got.Network != network || !strings.Contains(got.Reason, row.reason) || got.Err != nil {
					t.Errorf("reported as %+v", got)
				}
				if n := w.peer.Server.Stats().Connections; n != row.allow {
					t.Errorf("%d connections are counted, of %d", n, row.allow)
				}
				// A place that is given back, or time that passes, makes room.
				open[0].Close()
				now.Store(2)
				var c io.Closer
				err := errors.New("none yet")
				for err != nil && t.Context().Err() == nil { // the server may not have noticed yet
					c, err = w.connect(t, network)
				}
				if err == nil {
					open = append(open, c)
				}
				for _, c := range open {
					c.Close()
				}
			})
		})
	}
}

type closeFunc func() error

func (f closeFunc) Close() error { return f() }

// connect makes one connection that the server has taken.
func (w *world) connect(t *testing.T, network string) (io.Closer, error) {
	t.Helper()
	config := w.tls()
	if network == "tcp" {
		config.NextProtos = []string{"h2"}
		c, err := tls.Dial("tcp", w.peer.TCP.String(), config)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	config.NextProtos = []string{"h3"}
	c, err := quic.DialAddr(t.Context(), w.peer.UDP.String(), config, nil)
	if err != nil {
		return nil, err
	}
	// Over QUIC a connection is refused after its handshake; one that is taken gets the
	// settings of HTTP/3.
	if _, err := c.AcceptUniStream(t.Context()); err != nil {
		return nil, err
	}
	return closeFunc(func() error { return c.CloseWithError(0x100, "") }), nil
}

// An address is a /64 of IPv6, and one of IPv4 in whatever form it comes.
func TestAddressesThatCountAsOne(t *testing.T) {
	addrs := make(chan net.Addr, 10)
	report, next := refusals()
	w := newWorld(t, amtest.PeerOptions{
		Server: amserver.Options{Limits: amserver.ConnLimits{PerAddress: 1}, Refused: report},
		WrapTCP: func(ln net.Listener) net.Listener {
			return relabelled{ln, addrs}
		},
	})
	for _, row := range []struct {
		addr  string
		taken bool
	}{
		{"2001:db8:1:2::1", true},
		{"2001:db8:1:2:ffff::9", false},
		{"2001:db8:1:3::1", true},
		{"192.0.2.1", true},
		{"::ffff:192.0.2.1", false},
		{"192.0.2.2", true},
	} {
		addrs <- &net.TCPAddr{IP: net.ParseIP(row.addr), Port: 1000}
		c, err := w.connect(t, "tcp")
		if (err == nil) != row.taken {
			t.Errorf("%s: %v", row.addr, err)
		}
		if err != nil {
			next(t)
			continue
		}
		defer c.Close()
	}
}

// relabelled gives connections other addresses.
type relabelled struct {
	net.Listener
	addrs <-chan net.Addr
}

func (l relabelled) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return from{c, <-l.addrs}, nil
}

type from struct {
	net.Conn
	addr net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.addr }

// Silence ends: before the handshake and after it (AM-11.16, AM-11.18).
func TestSilence(t *testing.T) {
	report, next := refusals()
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{
		Limits: amserver.ConnLimits{Handshake: 100 * time.Millisecond}, Refused: report,
	}})
	t.Run("before the handshake", func(t *testing.T) {
		for _, hello := range []string{"", "\x16\x03\x01\x02\x00", "GET / HTTP/1.0\r\n\r\n"} {
			conn, err := net.Dial("tcp", w.peer.TCP.String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(conn, hello)
			_, _ = io.Copy(io.Discard, conn) // ends when the server closes
			conn.Close()
			if got := next(t); got.Network != "tcp" || got.Err == nil {
				t.Errorf("%q was reported as %+v", hello, got)
			}
		}
	})
	t.Run("in a QUIC handshake", func(t *testing.T) {
		end := w.halfHandshake(t)
		defer end()
		if got := next(t); got.Network != "udp" || got.Err == nil {
			t.Errorf("reported as %+v", got)
		}
	})
	w = newWorld(t, amtest.PeerOptions{Server: amserver.Options{Limits: amserver.ConnLimits{Idle: 100 * time.Millisecond}}})
	t.Run("without a request", func(t *testing.T) {
		f := w.frames(t)
		_, _ = io.Copy(io.Discard, f.conn)
	})
	t.Run("without a request over QUIC", func(t *testing.T) {
		for name, begin := range map[string]func(*quic.Stream){
			"":                        nil,
			"in a frame header":       func(s *quic.Stream) { _, _ = s.Write([]byte{1}) },
			"in a header section":     func(s *quic.Stream) { _, _ = s.Write([]byte{1, 40, 0, 0}) },
			"in frames of no meaning": func(s *quic.Stream) { _, _ = s.Write([]byte{0x21, 1, 0, 0x21, 1, 0}) },
		} {
			config := w.tls()
			config.NextProtos = []string{"h3"}
			conn, err := quic.DialAddr(t.Context(), w.peer.UDP.String(), config, &quic.Config{KeepAlivePeriod: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			if begin != nil {
				stream, err := conn.OpenStreamSync(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				begin(stream)
			}
			<-conn.Context().Done()
			var closed *quic.ApplicationError
			if !errors.As(context.Cause(conn.Context()), &closed) || !closed.Remote {
				t.Errorf("silence %s ended with %v", name, context.Cause(conn.Context()))
			}
		}
	})
}

// halfHandshake begins a QUIC handshake that goes no further until end.
func (w *world) halfHandshake(t *testing.T) (end func()) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	deaf := &deafSocket{PacketConn: socket, heard: make(chan struct{}, 1000)}
	transport := &quic.Transport{Conn: deaf}
	config := w.tls()
	config.NextProtos = []string{"h3"}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = transport.Dial(ctx, net.UDPAddrFromAddrPort(w.peer.UDP), config, nil)
	}()
	<-deaf.heard // the server has answered
	return func() {
		cancel()
		<-done
		transport.Close()
		socket.Close()
	}
}

// deafSocket drops what it receives.
type deafSocket struct {
	net.PacketConn
	heard chan struct{}
}

func (s *deafSocket) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		if _, _, err := s.PacketConn.ReadFrom(p); err != nil {
			return 0, nil, err
		}
		s.heard <- struct{}{}
	}
}
