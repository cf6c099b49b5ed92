package nativeout_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativein"
	"github.com/videoactivmail/vam/internal/nativeout"
	"github.com/videoactivmail/vam/internal/submission"
)

// finder knows where the servers of domains are.
type finder struct {
	mu     sync.Mutex
	known  map[vam.Domain]*discovery.Result
	forgot []vam.Domain
}

func (f *finder) Lookup(_ context.Context, d vam.Domain) (*discovery.Result, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.known[d]; r != nil {
		found := *r
		return &found, nil
	}
	return nil, vam.Errorf(vam.NotVAM, "%s does not accept video mail", d)
}

func (f *finder) Forget(d vam.Domain) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgot = append(f.forgot, d)
}

// forgotten is what was forgotten since the last call.
func (f *finder) forgotten() []vam.Domain {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.forgot = nil }()
	return f.forgot
}

// move says where a domain is now.
func (f *finder) move(d vam.Domain, tcp, udp netip.AddrPort) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := &discovery.Result{Domain: d, Expires: time.Now().Add(time.Hour), Policy: &activmail.Policy{Features: []string{activmail.FeatureLive}}}
	at := func(network string, ap netip.AddrPort) discovery.Endpoint {
		return discovery.Endpoint{Host: "vam." + string(d), ServerName: "vam." + string(d), Port: ap.Port(), Network: network, Addrs: []netip.Addr{ap.Addr()}}
	}
	if tcp.IsValid() {
		r.TCP = append(r.TCP, at(discovery.TCP, tcp))
	}
	if udp.IsValid() {
		r.UDP = append(r.UDP, at(discovery.UDP, udp))
	}
	if f.known == nil {
		f.known = map[vam.Domain]*discovery.Result{}
	}
	f.known[d] = r
}

// world is all servers and what they know of each other.
type world struct {
	*finder
	net  *amtest.Network
	zone *mailauthtest.Zone
	keys map[vam.Domain]activmail.RequestKey
}

func newWorld(t testing.TB) *world {
	t.Helper()
	n, err := amtest.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	return &world{finder: &finder{}, net: n, zone: new(mailauthtest.Zone), keys: map[vam.Domain]activmail.RequestKey{}}
}

// peers is the way of a server to all others.
func (w *world) peers(t testing.TB, mode amclient.Mode, own vam.Domain) *nativeout.Peers {
	t.Helper()
	key, err := w.net.RequestKey(own)
	if err != nil {
		t.Fatal(err)
	}
	w.keys[own] = *key
	d := w.net.NewDialer()
	p := nativeout.New(nativeout.Options{
		Finder: w, Dialer: d, Mode: mode, Limits: activmail.DefaultLimits(),
		Key: func(d vam.Domain) (activmail.RequestKey, error) {
			if k, ok := w.keys[d]; ok {
				return k, nil
			}
			return activmail.RequestKey{}, vam.Errorf(vam.Internal, "there is no key of %s", d)
		},
	})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// side is one server with a door to the others.
type side struct {
	*hosttest.Host
	domain vam.Domain
	peers  *nativeout.Peers
	asked  *requests
	user   account.Account
}

// start makes a server for a domain and opens its door.
func (w *world) start(t testing.TB, mode amclient.Mode, user string, o hosttest.Options) *side {
	t.Helper()
	domain := hosttest.Address(t, user).Domain
	s := &side{domain: domain, peers: w.peers(t, mode, domain), asked: &requests{}}
	o.Domains, o.Zone, o.Native, o.Peers = []vam.Domain{domain}, w.zone, s.peers, s.peers
	s.Host = hosttest.New(t, o)
	s.user = s.Account(user, 0)
	tcp, udp := w.serve(t, domain, s.asked.twice(amserver.NewHandler(amserver.HandlerOptions{
		Inbound:  nativein.Inbound{Reception: s.Reception, Hosts: s.Accounts.Hosts},
		Outbound: nativein.Outbound{Messages: s.Messages, Delivery: s.Delivery, Places: new(nativein.Places)},
		Keys:     w.net.Lookup,
	})))
	w.move(domain, tcp, udp)
	return s
}

// serve listens on loopback until the test ends.
func (w *world) serve(t testing.TB, domain vam.Domain, h http.Handler) (tcp, udp netip.AddrPort) {
	t.Helper()
	cert, err := w.net.Certificate("vam." + string(domain))
	if err != nil {
		t.Fatal(err)
	}
	srv, err := amserver.New(amserver.Options{Handler: h, TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.ServeTCP(ln) })
	serving.Go(func() { _ = srv.ServeUDP(socket) })
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort(), socket.LocalAddr().(*net.UDPAddr).AddrPort()
}

// requests notes what was asked for.
type requests struct {
	mu   sync.Mutex
	seen map[string]int
}

// twice does every request two times, as if its first answer had been lost, but for those
// of a token, whose replay is refused (AM-3.8).
func (q *requests) twice(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if strings.HasSuffix(r.URL.Path, "/token") {
			r.Body = io.NopCloser(bytes.NewReader(body))
			h.ServeHTTP(&kept{ResponseWriter: w, q: q, first: &lost{}, what: r.Method + " " + kindOf(r.URL.Path)}, r)
			return
		}
		first := &lost{header: http.Header{}}
		for _, out := range []http.ResponseWriter{first, &kept{ResponseWriter: w, q: q, first: first, what: r.Method + " " + kindOf(r.URL.Path)}} {
			if r.Context().Err() != nil {
				return // nobody waits for it any more
			}
			again := r.Clone(r.Context())
			again.Body = io.NopCloser(bytes.NewReader(body))
			h.ServeHTTP(out, again)
		}
	})
}

func kindOf(path string) string {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i, p := range parts {
		if len(p) > 8 && p != "withdrawn" || strings.Contains(p, ".") || p != "" && p[0] >= '0' && p[0] <= '9' {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// lost is an answer that nobody gets.
type lost struct {
	header http.Header
	status int
}

func (l *lost) Header() http.Header { return l.header }
func (l *lost) WriteHeader(status int) {
	if l.status == 0 {
		l.status = status
	}
}

func (l *lost) Write(b []byte) (int, error) {
	l.WriteHeader(http.StatusOK)
	return len(b), nil
}
func (l *lost) Flush() {}

// kept is the second answer.
type kept struct {
	http.ResponseWriter
	q     *requests
	first *lost
	what  string
}

func (k *kept) Unwrap() http.ResponseWriter { return k.ResponseWriter }

func (k *kept) WriteHeader(status int) {
	if status == http.StatusServiceUnavailable {
		k.ResponseWriter.WriteHeader(status) // nobody waits for it any more
		return
	}
	k.q.mu.Lock()
	if k.q.seen == nil {
		k.q.seen = map[string]int{}
	}
	k.q.seen[fmt.Sprintf("%s %d %d", k.what, k.first.status, status)]++
	k.q.mu.Unlock()
	k.ResponseWriter.WriteHeader(status)
}

// answered lists "METHOD path first second" of all requests.
func (q *requests) answered() (out []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for s := range q.seen {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// work lets the servers do what there is to do until nothing is.
func work(t *testing.T, sides ...*side) {
	t.Helper()
	for range 4 { // an offer, its pull, a receipt, its effect
		for _, s := range sides {
			if errs := s.Work(t.Context()); len(errs) != 0 {
				t.Fatalf("%s: %v", s.domain, errs)
			}
		}
	}
}

func (s *side) draft(t *testing.T, x submission.Draft) message.Key {
	t.Helper()
	s.Clock.Advance(time.Millisecond)
	x.Kind, x.Subject = vam.Video, "The harbour"
	m, _, err := s.Submission.Put(t.Context(), s.user, vam.NewMessageID(s.Clock.Now()), x)
	if err != nil {
		t.Fatal(err)
	}
	return m.Key
}

// add uploads a blob and appends its record.
func (s *side) add(t *testing.T, k message.Key, r activmail.Record, content []byte) {
	t.Helper()
	m, err := s.Messages.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	p := message.Piece{Sum: sha256.Sum256(content), Length: int64(len(content)), At: -1}
	if r.IsMedia() {
		p.At = m.Head.MediaBytes
	}
	if _, err := s.Submission.Upload(t.Context(), s.user, k, p, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r.Blob, r.Length = p.Sum, vam.Bytes(p.Length)
	line, err := r.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Submission.Append(t.Context(), s.user, k, m.Head.Lines, [][]byte{line}); err != nil {
		t.Fatal(err)
	}
}

func (s *side) seal(t *testing.T, k message.Key) {
	t.Helper()
	if _, err := s.Submission.Seal(t.Context(), s.user, k, activmail.Sum{}); err != nil {
		t.Fatal(err)
	}
}

func (s *side) send(t *testing.T, k message.Key) {
	t.Helper()
	if _, err := s.Submission.Send(t.Context(), s.user, k); err != nil {
		t.Fatal(err)
	}
}

// states is "address state" of each recipient.
func (s *side) states(t *testing.T, k message.Key) (out []string) {
	t.Helper()
	rcpts, err := s.Delivery.Recipients(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rcpts {
		out = append(out, fmt.Sprintf("%s %s", r.Address, r.State))
	}
	slices.Sort(out)
	return out
}

// entry is the state of the user's entry of a message.
func (s *side) entry(t *testing.T, acct account.Account, k message.Key) mailbox.State {
	t.Helper()
	e, err := s.DB.Mailboxes().Entry(t.Context(), acct.ID, k.Origin, k.ID)
	if err != nil {
		t.Fatal(err)
	}
	return e.State
}

func (s *side) wantMedia(t *testing.T, k message.Key, want []byte) {
	t.Helper()
	media, err := s.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	rd := media.Reader(t.Context(), 0, int64(len(want)))
	defer rd.Close()
	if got, err := io.ReadAll(rd); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the media of %s is another one: %v", k, err)
	}
}

func to(t *testing.T, addresses ...string) (out []vam.Address) {
	t.Helper()
	for _, a := range addresses {
		out = append(out, hosttest.Address(t, a))
	}
	return out
}

// waitFor returns when so much of a message can be read at a server.
func waitFor(ctx context.Context, t *testing.T, s *side, k message.Key, octets int64) {
	t.Helper()
	media, err := s.Messages.OpenMedia(ctx, k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	for at := int64(0); at < octets; at = media.Available(at) {
		if err := media.WaitFor(ctx, at); err != nil {
			t.Fatalf("%d of %d octets: %v", at, octets, err)
		}
	}
}
