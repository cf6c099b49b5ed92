package harness

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/loopback"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/sandbox"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// Options change a server; the zero value is right for most tests.
type Options struct {
	// Addr is where it listens, over TCP and UDP; the zero one is an address of its own.
	Addr netip.AddrPort
	// Dir is its data folder; empty is one in the world's folder.
	Dir string
	// Links puts links in front of it: other servers then find those in DNS.
	Links bool
	// Allow are the networks that it may dial; empty is 127.0.0.0/8.
	Allow []string
	// Env are settings as the environment gives them: VAM_LIMITS_MESSAGE=1MiB.
	Env []string
	// Tune changes the configuration of a server that runs inside of the test.
	Tune func(*config.Config)
	// Sandbox is what a server that runs inside of the test confines ffmpeg with; the zero
	// value confines nothing, so that nothing is made of recordings.
	Sandbox sandbox.Launcher
	// Now is the clock of a server that runs inside of the test; nil is time.Now.
	Now func() time.Time
}

// Server is one VAM server with its data folder. Start and Stop, Kill or Open are for
// one goroutine at a time; the rest is safe for concurrent use.
type Server struct {
	Domain vam.Domain
	Addr   netip.AddrPort
	Config config.Config
	Dir    string
	// TCP and UDP are the links in front of it, nil without Options.Links.
	TCP *netem.TCPLink
	UDP *netem.UDPLink
	// Env is added to the environment of the next Start.
	Env []string

	w      *World
	o      Options
	proc   *process
	inside *inside
}

// ttl is that of the records of a test, in which nothing changes that it does not want
// to be seen at once.
const ttl = 0

// manyMessages lets one account of a test send what would be too much for a person.
var manyMessages = config.Rate{Events: 1_000_000, Per: time.Hour, Burst: 1_000_000}

// drain bounds a stop: tests leave connections behind that nobody will end.
const drain = 5 * time.Second

// Add sets a server up, as `vam init` does, and publishes its records. It does not run
// yet.
func (w *World) Add(domain vam.Domain, o Options) *Server {
	w.T.Helper()
	s := &Server{Domain: domain, Addr: o.Addr, Dir: o.Dir, w: w, o: o}
	if !s.Addr.IsValid() {
		addr, err := loopback.Own(1398)
		w.must(err)
		s.Addr = addr
	}
	if s.Dir == "" {
		s.Dir = filepath.Join(w.dir, domain.String())
	}
	if len(o.Allow) == 0 {
		o.Allow = []string{"127.0.0.0/8"}
	}
	metrics := netip.AddrPortFrom(s.Addr.Addr(), 9398)
	if s.Addr.Port() != 1398 {
		var err error
		metrics, err = loopback.Free(s.Addr.Addr())
		w.must(err)
	}
	listen, metricsListen := []string{s.Addr.String()}, metrics.String()
	r, err := daemon.Setup(w.T.Context(), daemon.SetupOptions{
		Domain: domain, DataDir: s.Dir, TCP: listen, UDP: listen, Resolvers: []string{w.DNS.Addr().String()},
		AllowPrivate: o.Allow, Metrics: &metricsListen, Authority: w.CA, Now: o.Now,
	})
	w.must(err)
	s.Config = r.Config
	// For Open; environ says the same for Start.
	s.Config.Limits.Senders.Messages = manyMessages
	s.Config.Delivery.DrainWithin.Duration = drain
	for _, d := range r.Records {
		if d.Type != "SRV" {
			w.must(w.Zone(domain).Parse(d.Line()))
		}
	}
	if o.Links {
		s.openLinks()
	}
	s.publish()
	w.must(os.WriteFile(s.LogFile(), nil, 0o600))
	w.T.Cleanup(s.end)
	return s
}

func (s *Server) openLinks() {
	s.w.T.Helper()
	c := netem.Config{Listen: netip.AddrPortFrom(s.Addr.Addr(), 0).String(), Target: s.Addr.String()}
	var err error
	s.TCP, err = netem.OpenTCP(c)
	s.w.must(err)
	s.w.closing(s.TCP)
	s.UDP, err = netem.OpenUDP(c)
	s.w.must(err)
	s.w.closing(s.UDP)
}

// publish writes the service and address records.
func (s *Server) publish() {
	s.w.T.Helper()
	tcp, udp := s.Addr.Port(), s.Addr.Port()
	if s.TCP != nil {
		tcp = netip.MustParseAddrPort(s.TCP.Addr().String()).Port()
		udp = netip.MustParseAddrPort(s.UDP.Addr().String()).Port()
	}
	s.Publish(map[string]uint16{"tcp": tcp, "udp": udp})
}

// Publish replaces the service records by those of ports, by "tcp" and "udp"; none left
// is a domain without VAM.
func (s *Server) Publish(ports map[string]uint16) {
	s.w.T.Helper()
	zone, host := s.w.Zone(s.Domain), s.Config.Hostname
	for _, network := range []string{"tcp", "udp"} {
		name := "_video-activmail._" + network + "." + s.Domain.String()
		zone.Remove(name)
		if port, ok := ports[network]; ok {
			s.w.must(zone.SRV(name, ttl, 10, 1, port, host))
		}
	}
	zone.Remove(host)
	s.w.must(zone.Addr(host, ttl, s.Addr.Addr()))
}

// Certificate replaces the certificate of the server by one that is made from l; empty
// names are its own.
func (s *Server) Certificate(l certs.Leaf) {
	s.w.T.Helper()
	if len(l.DNSNames) == 0 {
		l.DNSNames = []string{s.Domain.String(), s.Config.Hostname}
		l.SRV = []vam.Domain{s.Domain}
	}
	tls := s.Config.Domains[0].TLS
	s.w.must(s.w.CA.IssueFiles(certs.Pair{Cert: tls.Cert, Key: tls.Key}, l))
}

// Database opens the database of the server, as the commands of an administrator do
// beside it.
func (s *Server) Database(f func(ctx context.Context, db *sqlite.DB) error) {
	s.w.T.Helper()
	ctx := context.WithoutCancel(s.w.T.Context())
	db, err := sqlite.Open(ctx, filepath.Join(s.Dir, daemon.Database), sqlite.Options{Readers: 2})
	s.w.must(err)
	err = f(ctx, db)
	s.w.must(db.Close())
	s.w.must(err)
}

// Account makes an account with a device of its own.
func (s *Server) Account(local string) *User {
	s.w.T.Helper()
	u := &User{s: s, Addr: vam.Address{Local: local, Domain: s.Domain}}
	s.people(func(ctx context.Context, people *account.Service) error {
		acct, err := people.Create(ctx, u.Addr, "")
		if err != nil {
			return err
		}
		u.id = acct.ID
		u.token, _, err = people.NewDevice(ctx, acct.ID, "test")
		return err
	})
	return u
}

func (s *Server) people(f func(context.Context, *account.Service) error) {
	s.w.T.Helper()
	s.Database(func(ctx context.Context, db *sqlite.DB) error { return f(ctx, daemon.People(s.Config, db, s.o.Now)) })
}

// Alias makes mail for another address of the domain arrive at u.
func (s *Server) Alias(local string, u *User) vam.Address {
	s.w.T.Helper()
	a := vam.Address{Local: local, Domain: s.Domain}
	s.people(func(ctx context.Context, people *account.Service) error { return people.AddAlias(ctx, a, u.id) })
	return a
}

// Quota limits the mailbox of u.
func (s *Server) Quota(u *User, quota vam.Bytes) {
	s.w.T.Helper()
	s.people(func(ctx context.Context, people *account.Service) error {
		return people.Store().SetQuota(ctx, u.id, quota)
	})
}

// Running reports whether the server runs.
func (s *Server) Running() bool { return s.proc != nil || s.inside != nil }

// Stop ends the server in order.
func (s *Server) Stop() {
	s.w.T.Helper()
	switch {
	case s.proc != nil:
		s.stopProcess()
	case s.inside != nil:
		s.stopInside()
	}
}

// end is what happens at the end of the test.
func (s *Server) end() {
	s.Stop()
	if s.w.T.Failed() {
		s.w.T.Logf("the end of the log of %s:\n%s", s.Domain, tail(s.LogFile(), 60))
	}
}

// environ is the environment of the server's commands: nothing of the test's own
// settings. Nothing is made of recordings: that is what e2e/corpus is for.
func (s *Server) environ(more ...string) []string {
	env := []string{
		"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=" + s.w.dir, "TMPDIR=" + s.w.dir,
		"SSL_CERT_FILE=" + s.w.caFile(), "SSL_CERT_DIR=" + s.w.dir, "GORACE=halt_on_error=0",
		"VAM_LIMITS_SENDERS_MESSAGES=" + manyMessages.String(), "VAM_DELIVERY_DRAIN_WITHIN=" + drain.String(),
		"VAM_MEDIA_FFMPEG=not-in-these-tests",
	}
	return slices.Concat(env, s.o.Env, s.Env, more)
}
