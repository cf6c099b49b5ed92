package wellknown_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/wellknown"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The places of a policy of a.test, first and second.
const (
	first  = "a.test"
	second = "vam.a.test"
)

const document = `{"version":1,"mode":"enforce","mx":["mx.a.test"],"max_age":604800}`

// place is a web server; nil behaviour is none. Its zero certificate is valid for it.
type place struct {
	handler http.Handler
	leaf    certs.Leaf
}

// world is a web server for both places at one port of 127.0.0.1, and a resolver that
// leads there. Who asks for a place without a handler gets no handshake.
type world struct {
	ca    *certs.CA
	port  uint16
	addrs map[string][]netip.Addr

	mu    sync.Mutex
	asked []string // "host path protocol"
	conns int
}

var loopback = netip.MustParseAddr("127.0.0.1")

func newWorld(t *testing.T, places map[string]place) *world {
	t.Helper()
	ca, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{ca: ca, addrs: map[string][]netip.Addr{first: {loopback}, second: {loopback}}}
	pairs := make(map[string]tls.Certificate)
	for host, p := range places {
		if len(p.leaf.DNSNames) == 0 {
			p.leaf.DNSNames = []string{host}
		}
		if pairs[host], err = ca.Issue(p.leaf); err != nil {
			t.Fatal(err)
		}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.port = ln.Addr().(*net.TCPAddr).AddrPort().Port()
	server := &http.Server{
		ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			w.mu.Lock()
			w.asked = append(w.asked, r.TLS.ServerName+r.URL.Path)
			w.mu.Unlock()
			if r.Host != net.JoinHostPort(r.TLS.ServerName, portText(w.port)) || r.Method != http.MethodGet || r.ProtoMajor != 2 {
				t.Errorf("request %s %s %s for %s", r.Proto, r.Method, r.Host, r.TLS.ServerName)
			}
			places[r.TLS.ServerName].handler.ServeHTTP(rw, r)
		}),
		TLSConfig: &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if pair, ok := pairs[h.ServerName]; ok {
				return &pair, nil
			}
			return nil, errors.New("no such place")
		}},
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				w.mu.Lock()
				w.conns++
				w.mu.Unlock()
			}
		},
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { server.Close(); <-done })
	return w
}

func portText(p uint16) string { return netip.AddrPortFrom(loopback, p).String()[len("127.0.0.1:"):] }

// LookupAddrs and the rest make the world a discovery.Resolver.
func (w *world) LookupAddrs(_ context.Context, host string) (discovery.Answer[netip.Addr], error) {
	if addrs, ok := w.addrs[host]; ok {
		return discovery.Answer[netip.Addr]{Records: addrs, TTL: time.Minute}, nil
	}
	return discovery.Answer[netip.Addr]{}, &discovery.NotFoundError{Name: host, Type: "A/AAAA"}
}

func (w *world) LookupSRV(context.Context, string) (a discovery.Answer[discovery.SRV], err error) {
	return a, errors.ErrUnsupported
}

func (w *world) LookupTXT(context.Context, string) (a discovery.Answer[string], err error) {
	return a, errors.ErrUnsupported
}

func (w *world) LookupTLSA(context.Context, string) (a discovery.Answer[discovery.TLSA], err error) {
	return a, errors.ErrUnsupported
}

// fetcher reaches the world at 127.0.0.0/8 and ::1.
func (w *world) fetcher(t *testing.T, timeout time.Duration) *wellknown.Fetcher {
	t.Helper()
	guard, err := discovery.NewGuard(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	if err != nil {
		t.Fatal(err)
	}
	return wellknown.New(wellknown.Options{Resolver: w, Guard: guard, Roots: w.ca.Pool(), Port: w.port, Timeout: timeout})
}

// requests are the places that were asked, in order.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *world) connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conns
}

// says answers with a status, a body and headers by name and value.
func says(status int, body string, header ...string) http.Handler {
	h := map[string]string{"Content-Type": "application/json"}
	for pair := range slices.Chunk(header, 2) {
		h[pair[0]] = pair[1]
	}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for _, name := range slices.Sorted(maps.Keys(h)) {
			w.Header().Set(name, h[name])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}
