package amclient_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func discard(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// The certificate must be that of the server name, or please the Verify of its endpoint,
// at every handshake; what fails may pass when it is renewed.
func TestIdentity(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		_, pull := w.fileMessage(t, randomBytes(10))
		head := func(change func(e *amclient.Endpoint)) error {
			endpoints := w.a.Endpoints()
			for i := range endpoints {
				change(&endpoints[i])
			}
			c, err := amclient.New(w.dialer, amclient.Options{Endpoints: endpoints, Key: w.b.Key, Mode: mode})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, err = c.Head(t.Context(), pull)
			return err
		}
		if err := head(func(*amclient.Endpoint) {}); err != nil {
			t.Error(err)
		}
		err := head(func(e *amclient.Endpoint) { e.ServerName = "vam.c.test" })
		wantProblem(t, err, vam.Unavailable, "")
		if !strings.Contains(vam.Public(err), "certificate of vam.c.test") {
			t.Errorf("a wrong certificate is told as %q", vam.Public(err))
		}
		// Verify takes the place of the ordinary check, both ways.
		var mu sync.Mutex
		asked := 0
		err = head(func(e *amclient.Endpoint) {
			e.ServerName = "vam.c.test"
			e.Verify = func(s tls.ConnectionState) error {
				mu.Lock()
				defer mu.Unlock()
				asked++
				return s.PeerCertificates[0].VerifyHostname("vam.a.test")
			}
		})
		if err != nil || asked != 1 {
			t.Errorf("with a Verify that is pleased: %v, asked %d times", err, asked)
		}
		err = head(func(e *amclient.Endpoint) {
			e.Verify = func(tls.ConnectionState) error {
				return vam.Errorf(vam.Unavailable, "the TLSA record names another certificate")
			}
		})
		wantProblem(t, err, vam.Unavailable, "")
		if vam.Public(err) != "the TLSA record names another certificate" {
			t.Errorf("the reason is told as %q", vam.Public(err))
		}
		err = head(func(e *amclient.Endpoint) { e.Verify = func(tls.ConnectionState) error { return errors.New("no") } })
		wantProblem(t, err, vam.Unavailable, "")
	})
}

// tlsServer is a TLS server on loopback that does what a test wants with a connection.
func tlsServer(t *testing.T, w *world, config *tls.Config, serve func(*tls.Conn)) amclient.Endpoint {
	t.Helper()
	cert, err := w.network.Certificate("vam.c.test")
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{cert}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				if c.(*tls.Conn).Handshake() == nil {
					serve(c.(*tls.Conn))
				}
			})
		}
	})
	t.Cleanup(func() { ln.Close(); serving.Wait() })
	return amclient.Endpoint{
		Network: amclient.TCP, Addrs: []netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())}, ServerName: "vam.c.test",
	}
}

// A server must speak TLS 1.3 and h2 (AM-11.2, AM-11.3).
func TestServersThatSpeakSomethingElse(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	for name, config := range map[string]*tls.Config{
		"TLS 1.2":  {MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}},
		"HTTP/1.1": {NextProtos: []string{"http/1.1"}},
		"no ALPN":  {},
	} {
		e := tlsServer(t, w, config, func(c *tls.Conn) { _, _ = io.Copy(io.Discard, c) })
		c, err := amclient.New(w.dialer, amclient.Options{Endpoints: []amclient.Endpoint{e}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Head(t.Context(), somebody()); vam.KindOf(err) != vam.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
		c.Close()
	}
}

// What a client announces: large windows and frames (AM-11.7), and no push (AM-11.5).
func TestClientSettings(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	type announced struct {
		settings map[http2.SettingID]uint32
		window   uint32
	}
	got := make(chan announced, 10)
	e := tlsServer(t, w, &tls.Config{NextProtos: []string{"h2"}}, func(c *tls.Conn) {
		a := announced{map[http2.SettingID]uint32{}, 65535}
		if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			switch frame := frame.(type) {
			case *http2.SettingsFrame:
				_ = frame.ForeachSetting(func(s http2.Setting) error { a.settings[s.ID] = s.Val; return nil })
			case *http2.WindowUpdateFrame:
				a.window += frame.Increment
			case *http2.HeadersFrame:
				got <- a
				return
			}
		}
	})
	for _, bulk := range []bool{false, true} {
		c, err := amclient.New(w.dialer, amclient.Options{Endpoints: []amclient.Endpoint{e}})
		if err != nil {
			t.Fatal(err)
		}
		if bulk {
			_, err = c.Media(t.Context(), somebody(), 0, 0)
		} else {
			_, err = c.Head(t.Context(), somebody())
		}
		wantProblem(t, err, vam.Unavailable, "")
		a := <-got
		for len(got) > 0 { // further attempts
			<-got
		}
		c.Close()
		frame := uint32(64 << 10)
		if bulk {
			frame = 256 << 10
		}
		if a.settings[http2.SettingInitialWindowSize] < 8<<20 || a.window < 16<<20 || a.settings[http2.SettingMaxFrameSize] < frame {
			t.Errorf("bulk %v: settings %v, window %d", bulk, a.settings, a.window)
		}
		if push, ok := a.settings[http2.SettingEnablePush]; !ok || push != 0 {
			t.Errorf("bulk %v: push is %d, %v", bulk, push, ok)
		}
	}
}

// The congestion control of sockets is the one that was asked for; the socket of all
// HTTP/3 connections is made anew when it fails.
func TestSockets(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	_, pull := w.fileMessage(t, randomBytes(10))
	var sockets []net.PacketConn
	dialer := amclient.NewDialer(amclient.DialerOptions{
		Roots: w.network.Roots, Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8")), Congestion: "reno",
		HandshakeTimeout: time.Second,
		ListenUDP: func() (net.PacketConn, error) {
			s, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			sockets = append(sockets, s)
			return s, err
		},
	})
	clients := map[amclient.Mode]*amclient.Client{}
	for _, mode := range []amclient.Mode{amclient.TCPOnly, amclient.UDPOnly} {
		c, err := amclient.New(dialer, amclient.Options{Endpoints: w.a.Endpoints(), Key: w.b.Key, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[mode] = c
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Fatal(err)
		}
	}
	if s := dialer.Congestion(); s != "reno" && s != "" {
		t.Errorf("the congestion control is %q", s)
	}
	sockets[0].Close()
	var err error
	for range 10 { // quic-go may need a moment to see it
		if _, err = clients[amclient.UDPOnly].Head(t.Context(), pull); err == nil {
			break
		}
	}
	if err != nil || len(sockets) < 2 {
		t.Errorf("after its socket failed: %v, %d sockets", err, len(sockets))
	}
	for range 2 {
		if err := dialer.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	_, err = clients[amclient.UDPOnly].Head(t.Context(), pull)
	wantProblem(t, err, vam.Unavailable, "")
}
