package stranger_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"golang.org/x/net/http2"

	"github.com/videoactivmail/vam/internal/stranger"
)

// unknownVersion is a QUIC packet of a version that nobody has (RFC 9000 section 15).
func unknownVersion(octets int) []byte {
	p := make([]byte, octets)
	copy(p, "\xc0\x1a\x2a\x3a\x4a\x08abcdefgh\x08ijklmnop")
	return p
}

// awaitDatagrams returns when datagrams of c are seen; until a server is up, they are
// lost.
func (w *world) awaitDatagrams(t *testing.T, c net.Conn) {
	t.Helper()
	send := func(p string) {
		if _, err := io.WriteString(c, p); err != nil {
			t.Fatal(err)
		}
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for up := false; !up; {
		send("\x00")
		select {
		case <-w.seen:
			up = true
		case <-again.C:
		}
	}
	send("\x00\x01\x00\x00\x21\x12\xa4\x42transaction1")
	for s := range w.seen {
		if s.Kind == stranger.STUN { // and no copy of the octet comes after it
			return
		}
	}
}

// TestDatagramsAreNotAnswered: what is no QUIC gets nothing; QUIC of another version
// gets Version Negotiation, and no more octets than came.
func TestDatagramsAreNotAnswered(t *testing.T) {
	w := newWorld(t, stranger.Options{}, patience)
	c, err := net.Dial("udp", w.udp.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.awaitDatagrams(t, c)
	for _, tc := range datagrams(t) {
		if len(tc.p) == 0 || tc.p[0]&0xc0 != 0 {
			continue // looks like QUIC, or like nothing
		}
		if _, err := c.Write(tc.p); err != nil {
			t.Fatal(err)
		}
		w.want(t, "udp", c.LocalAddr(), tc.want)
	}
	for _, p := range [][]byte{{0x40}, []byte("\x7fshort header"), unknownVersion(1199), unknownVersion(1200)} {
		if _, err := c.Write(p); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 2048)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	// Version 0, and the connection ids in return.
	if want := "\x00\x00\x00\x00\x08ijklmnop\x08abcdefgh"; n > 1200 || n < 1+len(want) || buf[0]&0x80 == 0 || string(buf[1:1+len(want)]) != want {
		t.Errorf("answer %q", buf[:n])
	}
}

func TestStrangersOverQUIC(t *testing.T) {
	w := newWorld(t, stranger.Options{}, patience)
	for _, tc := range []struct {
		name   string
		config *tls.Config
		want   stranger.Kind
	}{
		{"another protocol", &tls.Config{NextProtos: []string{"doq"}, RootCAs: w.roots}, stranger.TLSOtherALPN},
		{"HTTP/2 over QUIC", &tls.Config{NextProtos: []string{http2.NextProtoTLS}, RootCAs: w.roots}, stranger.TLSOtherALPN},
		{"the certificate is not liked", &tls.Config{NextProtos: []string{"h3"}, RootCAs: x509.NewCertPool()}, stranger.TLSRefused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			defer socket.Close()
			transport := &quic.Transport{Conn: socket}
			defer transport.Close()
			tc.config.ServerName = "127.0.0.1"
			if _, err := transport.Dial(t.Context(), net.UDPAddrFromAddrPort(w.udp), tc.config, nil); err == nil {
				t.Error("the handshake succeeded")
			}
			w.want(t, "udp", socket.LocalAddr(), tc.want)
		})
	}
}
