package daemon_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/telemetry"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is DNS and an authority for the servers of one test.
type world struct {
	t   *testing.T
	dns *dnszone.Server
	ca  *certs.CA
}

func newWorld(t *testing.T) *world {
	t.Helper()
	zone, err := dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	must(t, err)
	t.Cleanup(func() { _ = zone.Close() })
	_, err = zone.Zone("test")
	must(t, err)
	ca, err := certs.NewCA("", nil)
	must(t, err)
	return &world{t: t, dns: zone, ca: ca}
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

// node is one server.
type node struct {
	*world
	setup   daemon.SetupResult
	options daemon.Options
	account vam.Address
	listen  string
	log     *logBuffer

	mu   sync.Mutex
	stop context.CancelFunc
	over chan error
}

// logBuffer may be written and read at the same time.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// count is how many lines hold text.
func (l *logBuffer) count(text string) int {
	n := 0
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// setupOptions are those of a server of the domain on the loopback.
func (w *world) setupOptions(domain vam.Domain, local string) daemon.SetupOptions {
	listen, operator := []string{freeAddr(w.t)}, freeAddr(w.t)
	return daemon.SetupOptions{
		Domain: domain, DataDir: folder(w.t), TCP: listen, UDP: listen, Resolvers: []string{w.dns.Addr().String()},
		AllowPrivate: []string{"127.0.0.0/8"}, Metrics: &operator, Authority: w.ca, Account: vam.Address{Local: local, Domain: domain},
	}
}

// node makes a server and publishes its records; start runs it.
func (w *world) node(domain vam.Domain, local string, change ...func(*node)) *node {
	w.t.Helper()
	o := w.setupOptions(domain, local)
	r, err := daemon.Setup(w.t.Context(), o)
	must(w.t, err)
	n := &node{world: w, setup: r, account: o.Account, listen: o.TCP[0], log: &logBuffer{}}
	r.Config.Limits.Reserve = vam.MiB
	n.options = daemon.Options{
		Config: r.Config, Version: "test", Roots: w.ca.Pool(),
		Log: telemetry.NewLogger(n.log, telemetry.LogOptions{Level: slog.LevelDebug}),
	}
	w.publish(r, n.listen)
	for _, f := range change {
		f(n)
	}
	return n
}

// publish puts the records of a server into DNS; reach is where the others find it.
func (w *world) publish(r daemon.SetupResult, reach string) {
	w.t.Helper()
	zone, err := w.dns.Zone(r.Config.Domain.String())
	must(w.t, err)
	at := netip.MustParseAddrPort(reach)
	for _, d := range r.Records {
		zone.Remove(d.Name)
	}
	for _, d := range r.Records {
		if d.Type == "SRV" {
			d.Value = fmt.Sprintf("10 1 %d %s.", at.Port(), r.Config.Hostname)
		}
		d.TTL = 0
		must(w.t, zone.Parse(d.Line()))
	}
	zone.Remove(r.Config.Hostname)
	must(w.t, zone.Addr(r.Config.Hostname, 0, at.Addr()))
}

// start runs the server until end, or the end of the test.
func (n *node) start() *node {
	n.t.Helper()
	d, err := daemon.Open(n.t.Context(), n.options)
	must(n.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	ready := make(chan struct{})
	go func() { over <- d.Run(ctx, func() { close(ready) }) }()
	<-ready
	n.mu.Lock()
	n.stop, n.over = cancel, over
	n.mu.Unlock()
	n.t.Cleanup(n.end)
	return n
}

// signal begins a stop; the channel brings how it ended.
func (n *node) signal() <-chan error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stop()
	over := n.over
	n.over = nil
	return over
}

// end stops the server in order, if it runs.
func (n *node) end() {
	n.mu.Lock()
	runs := n.over != nil
	n.mu.Unlock()
	if !runs {
		return
	}
	if err := <-n.signal(); err != nil {
		n.t.Errorf("%s ended with %v", n.account.Domain, err)
	}
}

func (n *node) client() *userclient.Client {
	c := userclient.New(userclient.Options{
		Address: n.listen, ServerName: n.account.Domain.String(), Token: n.setup.Token, Roots: n.ca.Pool(), Patience: time.Minute,
	})
	n.t.Cleanup(func() { _ = c.Close() })
	return c
}

// knows makes other's account a contact.
func (n *node) knows(other *node) {
	n.t.Helper()
	must(n.t, n.client().SetContact(n.t.Context(), other.account, string(account.Known)))
}

// send sends data to the others and returns when it is accepted.
func (n *node) send(data []byte, to ...*node) vam.MessageID {
	n.t.Helper()
	up := userclient.Upload{Client: n.client(), ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{Subject: "test", Kind: "video", Name: "test.mp4"}}
	for _, x := range to {
		up.Draft.To = append(up.Draft.To, x.account.String())
	}
	_, err := up.Send(n.t.Context(), bytes.NewReader(data), int64(len(data)))
	must(n.t, err)
	return up.ID
}

// eventually polls until f is true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it did not come to pass", what)
		}
	}
}

// settles waits until every recipient of a message is in the state.
func (n *node) settles(id vam.MessageID, want vam.RecipientState) userwire.Message {
	n.t.Helper()
	var m userwire.Message
	c := n.client()
	eventually(n.t, "recipients are "+string(want), func() bool {
		var err error
		m, err = c.Message(n.t.Context(), id)
		must(n.t, err)
		return !slices.ContainsFunc(m.Recipients, func(r userwire.Recipient) bool { return r.State != want })
	})
	return m
}

// has compares what is stored here of a message with data.
func (n *node) has(origin vam.Domain, id vam.MessageID, data []byte) {
	n.t.Helper()
	body, _, err := n.client().Media(n.t.Context(), origin, id, 0)
	must(n.t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	must(n.t, err)
	if !bytes.Equal(got, data) {
		n.t.Errorf("%s has other octets of %s", n.account.Domain, id)
	}
}

// get asks the operator's listener.
func (n *node) get(path string) (int, string) {
	n.t.Helper()
	res, err := http.Get("http://" + n.setup.Config.Metrics.Listen + path)
	must(n.t, err)
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	text, err := io.ReadAll(res.Body)
	must(n.t, err)
	return res.StatusCode, string(text)
}

// metric is the sum of the samples of a series whose labels hold every one of these texts.
func (n *node) metric(name string, labels ...string) float64 {
	n.t.Helper()
	_, text := n.get("/metrics")
	return sum(n.t, text, name, labels...)
}

func sum(t *testing.T, text, name string, labels ...string) (total float64) {
	t.Helper()
	for line := range strings.Lines(text) {
		series, value, ok := cutLast(strings.TrimSpace(line), " ")
		base, _, _ := strings.Cut(series, "{")
		if !ok || base != name && base != name+"_count" {
			continue
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !strings.Contains(series, l) }) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		must(t, err)
		total += v
	}
	return total
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// freeAddr is an address of the loopback that nobody else uses.
func freeAddr(t *testing.T) string {
	t.Helper()
	ap, err := loopback.Own(0)
	must(t, err)
	return ap.String()
}

// content is n octets in which no part is like another.
func content(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(b) // never fails
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, kind vam.ErrorKind, texts ...string) {
	t.Helper()
	if err == nil || vam.KindOf(err) != kind {
		t.Fatalf("the error is %v (%v), not of kind %v", err, vam.KindOf(err), kind)
	}
	for _, text := range texts {
		if !strings.Contains(vam.Public(err), text) {
			t.Errorf("%q says nothing of %q", vam.Public(err), text)
		}
	}
}

// clock is one that tests set forward.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func newClock() *clock { return &clock{} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}
