package userclient_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a real server of a.test with alice and bob, which can be stopped and started
// again, and a middle before it, which does to requests what networks do.
type server struct {
	t      *testing.T
	ca     *certs.CA
	conf   config.Config
	tokens map[string]activmail.Token
	direct *http.Transport // to the server itself
	middle *middle

	mu   sync.Mutex
	stop func()
}

func newServer(t *testing.T) *server {
	t.Helper()
	ca, err := certs.NewCA("", nil)
	must(t, err)
	zone, err := dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	must(t, err)
	t.Cleanup(func() { _ = zone.Close() })
	none, dir := "", folder(t)
	listen := []string{freeAddr(t)}
	s := &server{t: t, ca: ca, tokens: map[string]activmail.Token{}}
	for _, name := range []string{"alice", "bob"} {
		r, err := daemon.Setup(t.Context(), daemon.SetupOptions{
			Domain: "a.test", DataDir: dir, TCP: listen, Resolvers: []string{zone.Addr().String()}, Metrics: &none,
			Authority: ca, Account: vam.Address{Local: name, Domain: "a.test"},
		})
		must(t, err)
		s.conf, s.tokens[name] = r.Config, r.Token
	}
	s.conf.Limits.Reserve = vam.MiB
	s.conf.Contacts.HoldFirst = false
	s.start()
	t.Cleanup(func() { s.end() })
	s.direct = transport(ca, listen[0])
	t.Cleanup(s.direct.CloseIdleConnections)
	s.middle = newMiddle(t, ca, s.direct)
	return s
}

// folder is a data folder, in memory where the system has such a place: these tests are
// not about disks.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "vam-test-")
	if err != nil {
		return filepath.Join(t.TempDir(), "data")
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "data")
}

// start runs the server; end stops it at once, as a crash would.
func (s *server) start() {
	d, err := daemon.Open(context.Background(), daemon.Options{Config: s.conf, Roots: s.ca.Pool()})
	must(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx, nil) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the server ended with %v", err)
		}
	}
}

func (s *server) end() {
	s.mu.Lock()
	stop := s.stop
	s.stop = func() {}
	s.mu.Unlock()
	stop()
}

// client speaks to the middle.
func (s *server) client(name string, change ...func(*userclient.Options)) *userclient.Client {
	o := userclient.Options{Address: s.middle.addr, ServerName: "a.test", Token: s.tokens[name], Roots: s.ca.Pool(), Patience: time.Minute}
	for _, f := range change {
		f(&o)
	}
	c := userclient.New(o)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// box is what bob has.
func (s *server) box() []userwire.Entry {
	s.t.Helper()
	box, err := s.client("bob").Entries(s.t.Context(), userclient.List{})
	must(s.t, err)
	return box.Entries
}

// arrives waits until bob has the message, and returns its media.
func (s *server) arrives(id vam.MessageID) []byte {
	s.t.Helper()
	bob := s.client("bob")
	for {
		e, err := bob.Entry(s.t.Context(), "a.test", id)
		if err == nil && e.State == "stored" && e.Sealed {
			break
		}
		if err != nil && vam.KindOf(err) != vam.NotFound {
			s.t.Fatal(err)
		}
		if s.t.Context().Err() != nil {
			s.t.Fatal("it did not arrive")
		}
	}
	body, _, err := bob.Media(s.t.Context(), "a.test", id, 0)
	must(s.t, err)
	defer body.Close()
	b, err := io.ReadAll(body)
	must(s.t, err)
	return b
}

// middle forwards requests to the server, and does to some what handle says.
type middle struct {
	addr string

	mu     sync.Mutex
	handle func(w http.ResponseWriter, r *http.Request, forward func() *answer) bool
	blobs  int64           // octets of blobs that came
	stored map[string]bool // paths of blobs whose storing was answered
	again  int             // blobs that came once more after that
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func newMiddle(t *testing.T, ca *certs.CA, direct http.RoundTripper) *middle {
	t.Helper()
	cert, err := ca.Issue(certs.Leaf{DNSNames: []string{"a.test"}})
	must(t, err)
	m := &middle{stored: map[string]bool{}}
	m.addr = serveTLS(t, cert, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { m.serve(w, r, direct) }))
	return m
}

// serveTLS runs an HTTP/2 server with the certificate until the test ends.
func serveTLS(t *testing.T, cert tls.Certificate, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	srv := &http.Server{
		Handler: h, Protocols: protocols, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 4 << 20, MaxReceiveBufferPerConnection: 32 << 20}, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String()
}

func (m *middle) serve(w http.ResponseWriter, r *http.Request, direct http.RoundTripper) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	blob := strings.Contains(r.URL.Path, "/b/")
	m.mu.Lock()
	handle := m.handle
	if blob {
		m.blobs += int64(len(body))
		if m.stored[r.URL.Path] {
			m.again++
		}
	}
	m.mu.Unlock()
	forward := func() *answer {
		u := *r.URL
		u.Scheme, u.Host = "https", "a.test"
		out, err := http.NewRequestWithContext(r.Context(), r.Method, u.String(), bytes.NewReader(body))
		if err != nil {
			panic(err)
		}
		out.Header = r.Header.Clone()
		res, err := direct.RoundTrip(out)
		if err != nil {
			panic(http.ErrAbortHandler) // the connection is cut
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if blob && res.StatusCode < 300 {
			m.mu.Lock()
			m.stored[r.URL.Path] = true
			m.mu.Unlock()
		}
		return &answer{res.StatusCode, res.Header, text}
	}
	if handle != nil && handle(w, r, forward) {
		return
	}
	forward().write(w)
}

func (a *answer) write(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// does sets what happens to requests; true from handle says that it answered.
func (m *middle) does(handle func(w http.ResponseWriter, r *http.Request, forward func() *answer) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handle = handle
}

// twice is how many blobs came again although their storing had been answered.
func (m *middle) twice() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.again
}

func (m *middle) blobBytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.blobs
}

func transport(ca *certs.CA, addr string) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: tls.VersionTLS13},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
}

// freeAddr is an address of loopback that nobody else uses.
func freeAddr(t *testing.T) string {
	t.Helper()
	ap, err := loopback.Own(0)
	must(t, err)
	return ap.String()
}

// content is n octets that repeat nowhere within 1 MiB.
func content(n int) []byte {
	b := make([]byte, n)
	var block [sha256.Size]byte
	for i := 0; i < n; i += copy(b[i:], block[:]) {
		block = sha256.Sum256(append(block[:], byte(i), byte(i>>8), byte(i>>16), byte(i>>24)))
	}
	return b
}

func draft() userwire.Draft {
	return userwire.Draft{To: []string{"bob@a.test"}, Subject: "test", Kind: "video", Name: "test.mp4", Type: "video/mp4"}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind vam.ErrorKind) {
	t.Helper()
	if err == nil || vam.KindOf(err) != kind {
		t.Fatalf("the error is %v (%v), not of kind %v", err, vam.KindOf(err), kind)
	}
}

// readerAt turns a function into an io.ReaderAt.
type readerAt func(p []byte, off int64) (int, error)

func (f readerAt) ReadAt(p []byte, off int64) (int, error) { return f(p, off) }

var errBroken = errors.New("the disk is broken")
