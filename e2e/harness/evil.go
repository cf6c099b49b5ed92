package harness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Evil is a domain in the hands of a test: it has keys, a certificate and DNS records
// like any other, and answers and asks what the test wants. It is safe for concurrent
// use.
type Evil struct {
	Domain vam.Domain
	Addr   netip.AddrPort
	Keys   keyring.Keys
	Origin *amtest.Origin
	Inbox  *amtest.Inbox

	w      *World
	dialer *amclient.Dialer

	mu    sync.Mutex
	wrong map[vam.MessageID]Answer
}

// Answer answers a request about a message in place of an honest server, and reports
// whether it did. honest is what that would have been.
type Answer func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool

// Evil makes such a domain and runs its server until the end of the test.
func (w *World) Evil(domain vam.Domain) *Evil {
	w.T.Helper()
	e := &Evil{Domain: domain, Origin: amtest.NewOrigin(domain), Inbox: amtest.NewInbox(domain), w: w, wrong: map[vam.MessageID]Answer{}}
	dir := filepath.Join(w.dir, domain.String())
	w.must(keyring.Create(dir, domain))
	var err error
	e.Keys, err = keyring.Load(dir, domain)
	w.must(err)
	e.Addr, err = loopback.Own(1398)
	w.must(err)
	e.publish()
	e.serve()
	e.dialer = amclient.NewDialer(amclient.DialerOptions{Roots: w.Roots(), Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8"))})
	w.closing(e.dialer)
	return e
}

func (e *Evil) host() string { return "vam." + e.Domain.String() }

func (e *Evil) publish() {
	e.w.T.Helper()
	zone := e.w.Zone(e.Domain)
	for _, r := range e.Keys.Records {
		e.w.must(zone.TXT(r.Name, ttl, r.Text))
	}
	for _, network := range []string{"tcp", "udp"} {
		e.w.must(zone.SRV("_video-activmail._"+network+"."+e.Domain.String(), ttl, 10, 1, e.Addr.Port(), e.host()))
	}
	e.w.must(zone.Addr(e.host(), ttl, e.Addr.Addr()))
}

func (e *Evil) serve() {
	e.w.T.Helper()
	cert, err := e.w.CA.Issue(certs.Leaf{DNSNames: []string{e.Domain.String(), e.host()}, SRV: []vam.Domain{e.Domain}})
	e.w.must(err)
	resolver, err := dnsresolver.New(dnsresolver.Options{Servers: []netip.AddrPort{e.w.DNS.Addr()}})
	e.w.must(err)
	honest := amserver.NewHandler(amserver.HandlerOptions{
		Inbound: e.Inbox, Outbound: e.Origin, Keys: discovery.NewKeys(discovery.KeysOptions{Resolver: resolver}).Lookup,
		Authority: func(host string) bool { return host == e.host() || host == e.Domain.String() },
	})
	server, err := amserver.New(amserver.Options{Handler: e.handler(honest), TLS: &tls.Config{Certificates: []tls.Certificate{cert}}})
	e.w.must(err)
	ln, err := net.Listen("tcp", e.Addr.String())
	e.w.must(err)
	conn, err := net.ListenPacket("udp", e.Addr.String())
	e.w.must(err)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTCP(ln) })
	serving.Go(func() { _ = server.ServeUDP(conn) })
	e.w.T.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
		_ = conn.Close()
	})
}

// handler gives each request to what Misbehave set for its message.
func (e *Evil) handler(honest http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, path, _ := strings.Cut(r.URL.Path, amserver.BasePath+"/m/")
		mid, _, _ := strings.Cut(path, "/")
		e.mu.Lock()
		answer := e.wrong[vam.MessageID(mid)]
		e.mu.Unlock()
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					e.w.T.Errorf("%s %s: panic: %v\n%s", r.Method, r.URL, p, debug.Stack())
				}
				panic(http.ErrAbortHandler)
			}
		}()
		if answer == nil || !answer(w, r, honest) {
			honest.ServeHTTP(w, r)
		}
	})
}

// Misbehave answers requests about a message from now on; nil is honest again.
func (e *Evil) Misbehave(id vam.MessageID, answer Answer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wrong[id] = answer
}

// Message is a message of the domain with its file in parts of 1 MiB, sealed.
func (e *Evil) Message(content []byte) *amtest.Message {
	e.w.T.Helper()
	m := e.Live()
	e.w.must(m.AppendFile("application/octet-stream", content))
	e.w.must(m.Seal())
	return m
}

// Live is a message that has only begun.
func (e *Evil) Live() *amtest.Message {
	e.w.T.Helper()
	m, err := e.Origin.NewMessage(vam.File)
	e.w.must(err)
	return m
}

// From is who writes.
func (e *Evil) From() vam.Address { return vam.Address{Local: "mallory", Domain: e.Domain} }

// Letter is the signed mail of a message, whoever it says that it is from.
func (e *Evil) Letter(m *amtest.Message, from vam.Address, to ...*User) []byte {
	e.w.T.Helper()
	l := letter.Letter{
		From: rfc5322.Mailbox{Addr: from}, Subject: "trust me", Date: time.Now(), Kind: m.Kind,
		Header: activmail.MessageHeader{ID: m.ID, Origin: e.Domain, Key: publicKey(m)},
	}
	for _, u := range to {
		l.To = append(l.To, rfc5322.Mailbox{Addr: u.Addr})
	}
	mail, err := l.Compose()
	e.w.must(err)
	// Our own signer would not sign for others.
	var signed bytes.Buffer
	e.w.must(dkim.Sign(&signed, bytes.NewReader(mail), &dkim.SignOptions{
		Domain: e.Domain.String(), Selector: e.Keys.Mail.Selector, Signer: e.Keys.Mail.Key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	}))
	return signed.Bytes()
}

// Offer is an honest offer of a message; change it before it is put.
func (e *Evil) Offer(m *amtest.Message, to ...*User) *activmail.Offer {
	e.w.T.Helper()
	var addrs []vam.Address
	for _, u := range to {
		addrs = append(addrs, u.Addr)
	}
	o := m.Offer(e.From(), addrs, e.Letter(m, e.From(), to...))
	o.Envelope.DeliverBy = time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	return o
}

// Bytes is the offer as it is sent.
func (e *Evil) Bytes(o *activmail.Offer) []byte {
	e.w.T.Helper()
	body, err := o.Marshal(activmail.DefaultLimits())
	e.w.must(err)
	return body
}

// Put offers to a server, signed with key; nil is the domain's own.
func (e *Evil) Put(s *Server, o *activmail.Offer, body []byte, key *activmail.RequestKey) (amclient.OfferResult, error) {
	e.w.T.Helper()
	c := e.Client(s, key)
	defer func() { _ = c.Close() }()
	return c.PutOffer(e.w.T.Context(), amclient.OfferName{Origin: o.Origin, MessageID: o.MessageID, Offer: o.ID}, body)
}

// Poke says to a server that there is news of an offered message.
func (e *Evil) Poke(s *Server, o *activmail.Offer) {
	e.w.T.Helper()
	c := e.Client(s, nil)
	defer func() { _ = c.Close() }()
	e.w.must(c.Poke(e.w.T.Context(), o.Origin, o.MessageID, o.Checkpoint))
}

// Client speaks to a server in the name of the domain; close it. A nil key is the
// domain's own.
func (e *Evil) Client(s *Server, key *activmail.RequestKey) *amclient.Client {
	e.w.T.Helper()
	if key == nil {
		key = &e.Keys.Request
	}
	c, err := amclient.New(e.dialer, amclient.Options{
		Endpoints: []amclient.Endpoint{{Network: amclient.TCP, Addrs: []netip.AddrPort{s.Addr}, ServerName: s.Config.Hostname}}, Key: key,
	})
	e.w.must(err)
	return c
}

// Resident is the memory that a process of a server occupies, in octets.
func (s *Server) Resident() int64 {
	s.w.T.Helper()
	return int64(s.Metrics()["process_resident_memory_bytes"])
}

// URL is an address of the server below the base path of VAM/1.
func (s *Server) URL(format string, args ...any) string {
	return fmt.Sprintf("https://%s:%d%s"+format, append([]any{s.Config.Hostname, s.Addr.Port(), amserver.BasePath}, args...)...)
}

func publicKey(m *amtest.Message) ed25519.PublicKey { return m.Key.Public().(ed25519.PublicKey) }

// Request is an offer as a request that is signed now, to be sent over and over by
// Do.
func (e *Evil) Request(s *Server, o *activmail.Offer, body []byte, key activmail.RequestKey) *http.Request {
	e.w.T.Helper()
	url := s.URL("/in/%s/%s/%s", o.Origin, o.MessageID, o.ID)
	req, err := http.NewRequestWithContext(e.w.T.Context(), http.MethodPut, url, nil)
	e.w.must(err)
	req.Header.Set("Content-Type", activmail.OfferType)
	e.w.must(activmail.SignRequest(req, activmail.DigestOf(body), key, time.Now(), ""))
	return req
}

// HTTP2 is a plain client that reaches a server whatever the URL says.
func (s *Server) HTTP2() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	t := &http.Transport{
		Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: s.w.Roots(), MinVersion: tls.VersionTLS13},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.Addr.String())
		},
	}
	s.w.T.Cleanup(t.CloseIdleConnections)
	return &http.Client{Transport: t}
}

// Do sends a request with a body and returns status and answer.
func (s *Server) Do(c *http.Client, req *http.Request, body []byte) (int, string) {
	s.w.T.Helper()
	req = req.Clone(req.Context())
	req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	res, err := c.Do(req)
	s.w.must(err)
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	s.w.must(err)
	return res.StatusCode, string(answer)
}
