package daemon

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/certs"
)

// shakes serves localhost until the test ends; a handshake may take that long.
func shakes(t *testing.T, within time.Duration) (addr string, trust *tls.Config, srv *http.Server) {
	t.Helper()
	ca, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(certs.Leaf{DNSNames: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
	l := newShakenListener(inner, conf, within)
	srv = &http.Server{
		TLSConfig:         conf,
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return inner.Addr().String(), &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.Pool(), ServerName: "localhost"}, srv
}

// A browser gets the protocol that it offers, whoever else says nothing.
func TestHandshakesAreApart(t *testing.T) {
	addr, trust, _ := shakes(t, time.Minute)
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for proto, want := range map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"} {
		var p http.Protocols
		p.SetHTTP1(!proto)
		p.SetHTTP2(proto)
		rt := &http.Transport{TLSClientConfig: trust.Clone(), Protocols: &p}
		res, err := (&http.Client{Transport: rt}).Get("https://" + addr)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		rt.CloseIdleConnections()
		if err != nil || string(body) != want {
			t.Errorf("%q, %v, want %q", body, err, want)
		}
	}
}

// Who speaks HTTP without TLS is told so.
func TestHTTPWithoutTLSIsAnswered(t *testing.T) {
	addr, _, _ := shakes(t, time.Minute)
	res, err := http.Get("http://" + addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "HTTPS") {
		t.Errorf("%s %q", res.Status, body)
	}
}

// A handshake that does not go on ends, by itself or with the listener.
func TestSilentHandshakesEnd(t *testing.T) {
	for _, within := range []time.Duration{10 * time.Millisecond, time.Hour} {
		addr, _, srv := shakes(t, within)
		silent, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if within == time.Hour {
			_ = srv.Close()
		}
		if _, err := silent.Read(make([]byte, 1)); err == nil {
			t.Errorf("it goes on: %v", err)
		}
		_ = silent.Close()
	}
}
