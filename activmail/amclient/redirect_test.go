package amclient_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
)

// theatre is a peer that redirects to stores, and the stores. Whatever is dialled at
// port 443 of a loopback address is the server of stores.
type theatre struct {
	peer, store stage
	client      *amclient.Client
	location    atomic.Value
	resolved    atomic.Int64 // how often a name was resolved
	dialled     chan netip.AddrPort
}

func newTheatre(t *testing.T) *theatre {
	t.Helper()
	th := &theatre{dialled: make(chan netip.AddrPort, 100)}
	w := newWorld(t, th.peer.options())
	th.peer.play(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Location", th.location.Load().(string))
		rw.WriteHeader(http.StatusTemporaryRedirect)
	})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { (*th.store.handler.Load())(rw, r) }))
	cert, err := w.network.Certificate("store.test")
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	stores := server.Listener.Addr().String()

	deaf, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { deaf.Close() })
	names := map[string][]netip.Addr{
		"store.test":   {netip.MustParseAddr("127.0.0.1")},
		"other.test":   {netip.MustParseAddr("127.0.0.1")},
		"deaf.test":    {netip.MustParseAddr("127.0.0.2")},
		"private.test": {netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("::ffff:192.168.0.1")},
		"mixed.test":   {netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("192.0.2.1")},
		"nowhere.test": {},
	}
	dialer := amclient.NewDialer(amclient.DialerOptions{
		Roots: w.network.Roots, HandshakeTimeout: time.Second,
		Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")),
		Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
			th.resolved.Add(1)
			return names[host], nil
		},
		DialTCP: func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			th.dialled <- addr
			target := addr.String()
			switch {
			case addr.Port() == 443 && addr.Addr() == names["deaf.test"][0]:
				target = deaf.Addr().String()
			case addr.Port() == 443 && addr.Addr().IsLoopback():
				target = stores
			case addr.Port() == 443:
				return nil, net.ErrClosed
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", target)
		},
	})
	t.Cleanup(func() { dialer.Close() })
	th.client, err = amclient.New(dialer, amclient.Options{Endpoints: w.a.Endpoints(), Mode: amclient.TCPOnly, Stall: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { th.client.Close() })
	return th
}

// A puller follows one redirect, to a public address over https, without its token, and
// believes the octets only (AM-7.8, AM-2.7).
func TestRedirects(t *testing.T) {
	t.Parallel()
	blob := bytes.Repeat([]byte("stored"), 500)
	sum := activmail.Sum(sha256.Sum256(blob))
	fine := answering(200, blob)
	th := newTheatre(t)
	for _, row := range []struct {
		name, location string
		store          http.HandlerFunc
		kind           vam.ErrorKind
		problem        string
	}{
		{"plain HTTP", "http://store.test/x", fine, vam.Denied, "policy"},
		{"another scheme", "ftp://store.test/x", fine, vam.Denied, "policy"},
		{"a file", "file:///etc/passwd", fine, vam.Invalid, ""},
		{"another port", "https://store.test:8443/x", fine, vam.Denied, "policy"},
		{"a password", "https://user:pw@store.test/x", fine, vam.Invalid, ""},
		{"a path", "/vam/v1/x", fine, vam.Invalid, ""},
		{"nothing", "", fine, vam.Invalid, ""},
		{"no URL", "https://[::1", fine, vam.Invalid, ""},
		{"a private name", "https://private.test/x", fine, vam.Denied, "policy"},
		{"a private address", "https://10.1.2.3/x", fine, vam.Denied, "policy"},
		{"a link-local address", "https://169.254.169.254/latest", fine, vam.Denied, "policy"},
		{"an address of IPv6", "https://[fd00::1]/x", fine, vam.Denied, "policy"},
		{"a mapped address", "https://[::ffff:10.1.2.3]/x", fine, vam.Denied, "policy"},
		{"private or silent", "https://mixed.test/x", fine, vam.Unavailable, ""},
		{"a name without address", "https://nowhere.test/x", fine, vam.Unavailable, ""},
		{"another name", "https://other.test/x", fine, vam.Unavailable, ""}, // its certificate is that of store.test
		{"a deaf store", "https://deaf.test/x", fine, vam.Unavailable, ""},
		{"a silent store", "https://store.test/x", silent, vam.Unavailable, ""},
		{"another redirect", "https://store.test/x", answering(307, nil, "Location", "https://store.test/y"), vam.Unavailable, ""},
		{"a moved store", "https://store.test/x", answering(302, nil, "Location", "https://127.0.0.1/y"), vam.Unavailable, ""},
		{"a failing store", "https://store.test/x", status(500, ""), vam.Unavailable, ""},
		{"an empty store", "https://store.test/x", status(404, ""), vam.Unavailable, ""},
		{"other octets", "https://store.test/x", answering(200, bytes.ToUpper(blob)), vam.Corrupt, "digest-mismatch"},
		{"fewer octets", "https://store.test/x", answering(200, blob[1:]), vam.Corrupt, "digest-mismatch"},
		{"endless octets", "https://store.test/x", endless(200), vam.Corrupt, "digest-mismatch"},
		{"no octets, for a while", "https://store.test/x", func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Content-Length", "3000")
			_, _ = rw.Write(blob[:100])
			_ = http.NewResponseController(rw).Flush()
			silent(rw, r)
		}, vam.Unavailable, ""},
		{"a header without end", "https://store.test/x", answering(200, blob, "X", strings.Repeat("x", 64<<10)), vam.Unavailable, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			th.location.Store(row.location)
			th.store.play(row.store)
			_, err := th.client.Blob(t.Context(), somebody(), sum, vam.Bytes(len(blob)))
			wantProblem(t, err, row.kind, row.problem)
		})
	}
	// Nothing but loopback and the one address that is allowed was ever dialled.
	for len(th.dialled) > 0 {
		if a := (<-th.dialled).Addr(); !a.IsLoopback() && a.String() != "192.0.2.1" {
			t.Errorf("%v was dialled", a)
		}
	}
}

func TestRedirectThatIsFine(t *testing.T) {
	content := randomBytes(5000)
	sum := activmail.Sum(sha256.Sum256(content))
	th := newTheatre(t)
	requests := make(chan *http.Request, 2)
	th.store.play(func(rw http.ResponseWriter, r *http.Request) {
		requests <- r
		http.ServeContent(rw, r, "", time.Time{}, bytes.NewReader(content))
	})
	th.location.Store("https://store.test/bucket/object?signature=abc#fragment")
	got, err := th.client.Blob(t.Context(), somebody(), sum, 5000)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("the blob: %d octets, %v", len(got), err)
	}
	media, err := th.client.Media(t.Context(), somebody(), 1000, 3000)
	if err != nil {
		t.Fatal(err)
	}
	got, err = io.ReadAll(media)
	media.Close()
	if err != nil || !bytes.Equal(got, content[1000:3000]) || media.Size != 5000 {
		t.Errorf("the range: %d octets of %d, %v", len(got), media.Size, err)
	}
	for range 2 {
		r := <-requests
		if r.Header.Get("Authorization") != "" || r.URL.RequestURI() != "/bucket/object?signature=abc" || r.Host != "store.test" {
			t.Errorf("the store was asked %v at %s with %v", r.URL, r.Host, r.Header)
		}
	}
	if n := th.resolved.Load(); n != 1 {
		t.Errorf("the name was resolved %d times for one connection", n)
	}
}

// Only media and blobs are redirected; for signed requests see TestHostileDocuments.
func TestRedirectOfOthers(t *testing.T) {
	s, c := onStage(t, amclient.TCPOnly)
	s.play(answering(307, nil, "Location", "https://store.test/x"))
	for name, err := range map[string]error{
		"head":  second(c.Head(t.Context(), somebody())),
		"log":   second(c.Log(t.Context(), somebody(), 0, 0)),
		"entry": second(c.Entry(t.Context(), somebody(), 0, 0)),
	} {
		if vam.KindOf(err) != vam.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
