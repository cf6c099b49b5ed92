package stranger_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/stranger"
)

// world is a server that speaks VAM/1 on one TCP and one UDP socket, connected to this
// package as a daemon does it.
type world struct {
	tcp, udp netip.AddrPort
	roots    *x509.CertPool
	seen     chan stranger.Sighting
	stop     func()
}

// patience is what a test sets that wants no clock to matter.
const patience = 5 * time.Minute

func newWorld(t *testing.T, o stranger.Options, handshake time.Duration) *world {
	t.Helper()
	cert, roots := certificate(t)
	// The server tells within its accept loop and must not be held up; nobody sends more.
	w := &world{roots: roots, seen: make(chan stranger.Sighting, 1<<14)}
	s, err := amserver.New(amserver.Options{
		Handler:      http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "VAM") }),
		TLS:          &tls.Config{Certificates: []tls.Certificate{cert}},
		WrapListener: func(ln net.Listener) net.Listener { return stranger.Wrap(ln, o) },
		NonQUIC:      func(p []byte, from netip.AddrPort) { w.seen <- stranger.Datagram(p, from) },
		Refused: func(r amserver.Refusal) {
			if s, ok := stranger.Handshake(r.Network, r.Remote, r.Err, r.Versions, r.ALPN); ok {
				w.seen <- s
			}
		},
		Limits: amserver.ConnLimits{PerAddress: 1 << 14, NewPerSecond: 1 << 14, Handshake: handshake},
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
	w.tcp, w.udp = netip.MustParseAddrPort(ln.Addr().String()), netip.MustParseAddrPort(pc.LocalAddr().String())
	ended := make(chan error, 2)
	go func() { ended <- s.ServeTCP(ln) }()
	go func() { ended <- s.ServeUDP(pc) }()
	stopped := false
	w.stop = func() {
		if stopped {
			return
		}
		stopped = true
		s.Close()
		for range 2 {
			if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
				t.Error(err)
			}
		}
		close(w.seen)
		for s := range w.seen {
			t.Errorf("one too many: %v", s)
		}
	}
	t.Cleanup(w.stop)
	return w
}

// dial makes a TCP connection that ends with the test.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", w.tcp.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// want takes the next sighting.
func (w *world) want(t *testing.T, network string, from net.Addr, kind stranger.Kind) stranger.Sighting {
	t.Helper()
	s := <-w.seen
	if s.Kind != kind || s.Network != network || from != nil && s.Remote.String() != from.String() {
		t.Errorf("seen: %v; want %s from %v over %s", s, kind, from, network)
	}
	return s
}

// works asserts that a client of VAM is served.
func (w *world) works(t *testing.T) {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP2(true)
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get("https://" + w.tcp.String())
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "VAM" {
		t.Errorf("%q, %v", body, err)
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}
