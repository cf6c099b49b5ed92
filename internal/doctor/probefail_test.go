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

	"github.com/quic-go/quic-go"

	"github.com/videoactivmail/vam/internal/doctor"
)

// listenQUIC takes QUIC connections and gives each to handle until the test ends.
func listenQUIC(t *testing.T, conf *tls.Config, handle func(*quic.Conn)) netip.AddrPort {
	t.Helper()
	conf.Certificates = []tls.Certificate{newAuthority(t).issue(t, time.Now().AddDate(1, 0, 0), "vam.a.example")}
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	ln, err := transport.Listen(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept(ctx)
			if err != nil {
				return
			}
			handle(c)
		}
	}()
	t.Cleanup(func() { cancel(); <-done; transport.Close(); socket.Close() })
	return netip.MustParseAddrPort(socket.LocalAddr().String())
}

func TestStrangersOverQUICAreDescribed(t *testing.T) {
	refuse := func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("not today") }
	for _, tc := range []struct {
		name   string
		conf   *tls.Config
		handle func(*quic.Conn)
		want   string
	}{
		{"DNS over QUIC", &tls.Config{NextProtos: []string{"doq"}}, func(*quic.Conn) {}, "QUIC of something else: it refuses HTTP/3 by ALPN"},
		{"a handshake that is refused", &tls.Config{NextProtos: []string{"h3"}, GetConfigForClient: refuse}, func(*quic.Conn) {}, "the QUIC handshake was refused"},
		{"a connection that is closed", &tls.Config{NextProtos: []string{"h3"}}, func(c *quic.Conn) {
			_ = c.CloseWithError(7, "go away\x1b[2J"+strings.Repeat("!", 300))
		}, "the QUIC connection was closed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := probe(t, doctor.UDP, listenQUIC(t, tc.conf, tc.handle))
			if a.Speaks || a.Silent || !strings.Contains(a.Found, tc.want) || len(a.Found) > 200 {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestAlertsAreDescribed(t *testing.T) {
	for description, want := range map[byte]string{
		70:  "a TLS server that does not speak TLS 1.3",
		80:  "a TLS server that ends the handshake: ",
		112: "a TLS server that does not know this name",
		120: "a TLS server of something else: it refuses HTTP/2 by ALPN",
	} {
		addr := listen(t, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte{21, 3, 3, 0, 2, 2, description})
			_, _ = io.Copy(io.Discard, c)
		})
		if a := probe(t, doctor.TCP, addr); a.Speaks || a.Silent || !strings.HasPrefix(a.Found, want) {
			t.Errorf("alert %d: %+v", description, a)
		}
	}
}

func TestBrokenAnswersAreDescribed(t *testing.T) {
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("half"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}, "an answer that was cut: "},
		"none": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no answer: "},
		"long words": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", strings.Repeat("ä", 500))
		}, "…"},
	} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewUnstartedServer(tc.handler)
			web.EnableHTTP2 = true
			web.StartTLS()
			defer web.Close()
			a := probe(t, doctor.TCP, netip.MustParseAddrPort(web.Listener.Addr().String()))
			if a.Speaks || a.TLS == nil || !strings.Contains(a.Found, tc.want) || len(a.Found) > 400 {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestConnectionAndThenSilence(t *testing.T) {
	addr := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	a := doctor.NetProber{Timeout: 50 * time.Millisecond}.Probe(t.Context(), doctor.Target{Network: doctor.TCP, Addr: addr})
	if a.Speaks || a.Found != "a connection and then silence" {
		t.Errorf("%+v", a)
	}
}
