package doctor_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/doctor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// listen serves every TCP connection by handle until the test ends.
func listen(t *testing.T, handle func(net.Conn)) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return netip.MustParseAddrPort(ln.Addr().String())
}

func probe(t *testing.T, network string, addr netip.AddrPort) doctor.Answer {
	t.Helper()
	return doctor.NetProber{Timeout: time.Minute}.Probe(t.Context(), doctor.Target{Network: network, Addr: addr, ServerName: "vam.a.example"})
}

func TestVAMServerIsRecognised(t *testing.T) {
	cert := newAuthority(t).issue(t, time.Now().AddDate(1, 0, 0), "vam.a.example")
	s, err := amserver.New(amserver.Options{
		Handler: amserver.NewHandler(amserver.HandlerOptions{}),
		TLS:     &tls.Config{Certificates: []tls.Certificate{cert}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 2)
	go func() { ended <- s.ServeTCP(ln) }()
	go func() { ended <- s.ServeUDP(pc) }()
	defer func() {
		s.Close()
		for range 2 {
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}
	}()
	for network, addr := range map[string]net.Addr{doctor.TCP: ln.Addr(), doctor.UDP: pc.LocalAddr()} {
		a := probe(t, network, netip.MustParseAddrPort(addr.String()))
		if !a.Speaks || a.TLS == nil || len(a.TLS.PeerCertificates) != 1 || a.At.IsZero() {
			t.Errorf("%s: %+v", network, a)
		}
	}
}

func TestStrangersAreDescribed(t *testing.T) {
	cert := newAuthority(t).issue(t, time.Now().AddDate(1, 0, 0), "vam.a.example")
	says := func(text string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, text); io.Copy(io.Discard, c) }
	}
	serveTLS := func(conf *tls.Config) func(net.Conn) {
		conf.Certificates = []tls.Certificate{cert}
		return func(c net.Conn) { tc := tls.Server(c, conf); tc.Handshake(); io.Copy(io.Discard, tc) }
	}
	for _, tc := range []struct {
		name   string
		handle func(net.Conn)
		want   string
	}{
		{"ssh", says("SSH-2.0-OpenSSH_9.2\r\n"), "an SSH server"},
		{"mail", says("220 mx.a.example ESMTP\r\n"), "a mail or FTP server"},
		{"plain http", says("HTTP/1.1 400 Bad Request\r\n\r\n"), "an HTTP server without TLS"},
		{"binary", says("\x1b[2Jx\x00\x00\x00"), `a server without TLS; its answer begins "\x1b[2Jx"`},
		{"old TLS", serveTLS(&tls.Config{MaxVersion: tls.VersionTLS12}), "a TLS server that does not speak TLS 1.3"},
		{"no ALPN", serveTLS(&tls.Config{}), "a TLS service that does not choose HTTP/2 by ALPN"},
		{"other ALPN", serveTLS(&tls.Config{NextProtos: []string{"imap"}}), "a TLS server of something else: it refuses HTTP/2 by ALPN"},
		{"hangs up", func(net.Conn) {}, "no TLS: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := probe(t, doctor.TCP, listen(t, tc.handle))
			if a.Speaks || a.Silent || !strings.Contains(a.Found, tc.want) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestOtherWebServersAreNotVAM(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		io.WriteString(w, `{"type":"about:blank"}`)
	})
	web := httptest.NewUnstartedServer(handler)
	web.EnableHTTP2 = true
	web.StartTLS()
	defer web.Close()
	a := probe(t, doctor.TCP, netip.MustParseAddrPort(web.Listener.Addr().String()))
	if a.Speaks || !strings.Contains(a.Found, `an HTTP server that is not VAM: status 200, "application/problem+json"`) || a.TLS == nil || a.Date.IsZero() {
		t.Errorf("%+v", a)
	}

	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h3 := &http3.Server{Handler: handler, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: web.TLS.Certificates})}
	done := make(chan struct{})
	go func() { defer close(done); h3.Serve(pc) }()
	defer func() { h3.Close(); pc.Close(); <-done }()
	a = probe(t, doctor.UDP, netip.MustParseAddrPort(pc.LocalAddr().String()))
	if a.Speaks || !strings.Contains(a.Found, "an HTTP server that is not VAM") || a.TLS == nil {
		t.Errorf("%+v", a)
	}
}

func TestSilence(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := netip.MustParseAddrPort(ln.Addr().String())
	ln.Close()
	if a := probe(t, doctor.TCP, closed); a.Speaks || !a.Silent || !strings.Contains(a.Found, "refused") {
		t.Errorf("closed port: %+v", a)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0") // takes datagrams and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	mute := netip.MustParseAddrPort(pc.LocalAddr().String())
	hold := listen(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	for network, addr := range map[string]netip.AddrPort{doctor.UDP: mute, doctor.TCP: hold} {
		a := doctor.NetProber{Timeout: 100 * time.Millisecond}.Probe(context.Background(), doctor.Target{Network: network, Addr: addr})
		if a.Speaks || a.Found == "" || a.Silent != (network == doctor.UDP) {
			t.Errorf("%s: %+v", network, a)
		}
	}
}
