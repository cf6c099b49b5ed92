package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// trial is two servers on this machine, with DNS and an authority of their own.
type trial struct {
	a, b    *side
	dns     *dnszone.Server
	ca      *certs.CA
	dir     string
	profile string
	link    string // to the message that was sent, "" without one
	closers []func() error
}

// side is one of the servers.
type side struct {
	domain  vam.Domain
	account vam.Address
	addr    netip.AddrPort
	dir     string
	token   string
	server  *daemon.Daemon
}

func (t *trial) sides() []*side { return []*side{t.a, t.b} }

// openTrial sets both servers up and opens them; they answer when they are run.
func openTrial(ctx context.Context, e *env, dir string, c tryCmd) (_ *trial, err error) {
	t := &trial{dir: dir, profile: filepath.Join(dir, "profile.json")}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	if t.dns, err = dnszone.Listen(netip.MustParseAddrPort("127.0.0.1:0")); err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "a DNS server cannot be run on 127.0.0.1")
	}
	t.onClose(t.dns.Close)
	for _, top := range []string{"test", "example"} { // no other domain is there
		if _, err := t.dns.Zone(top); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, vam.Wrap(fileKind(err), err, "the folder %s cannot be made", dir)
	}
	if t.ca, err = certs.NewCA(filepath.Join(dir, "ca"), nil); err != nil {
		return nil, vam.Wrap(fileKind(err), err, "the local authority cannot be made")
	}
	first, second, note := twoAddresses(ctx, c.Port)
	if note != "" {
		e.note("%s", safe(note))
	}
	t.a = &side{domain: "a.test", account: vam.Address{Local: "alice", Domain: "a.test"}, addr: first, dir: filepath.Join(dir, "a.test")}
	t.b = &side{domain: "b.test", account: vam.Address{Local: "bob", Domain: "b.test"}, addr: second, dir: filepath.Join(dir, "b.test")}
	p := &profile{path: t.profile}
	for _, s := range t.sides() {
		if err := t.openSide(ctx, e, s, c.Transport); err != nil {
			return nil, err
		}
		p.put(profileAccount{Address: s.account, Server: s.addr.String(), ServerName: s.domain.String(), CAFile: t.caFile(), Token: s.token})
	}
	if err := p.save(); err != nil {
		return nil, err
	}
	now := time.Now()
	return t, errors.Join(befriend(ctx, t.a, t.b, now), befriend(ctx, t.b, t.a, now))
}

// caFile is the certificate of the authority.
func (t *trial) caFile() string { return filepath.Join(t.dir, "ca", certs.CAFile) }

func (t *trial) onClose(f func() error) { t.closers = append(t.closers, f) }

func (t *trial) close() error {
	var errs []error
	for len(t.closers) > 0 {
		last := len(t.closers) - 1
		errs = append(errs, t.closers[last]())
		t.closers = t.closers[:last]
	}
	return errors.Join(errs...)
}

// otherPorts is how many ports are tried when somebody else is quicker to take one.
const otherPorts = 20

func (t *trial) openSide(ctx context.Context, e *env, s *side, transport string) error {
	listen := []string{s.addr.String()}
	none := ""
	r, err := daemon.Setup(ctx, daemon.SetupOptions{
		Domain: s.domain, DataDir: s.dir, TCP: listen, UDP: listen, Resolvers: []string{t.dns.Addr().String()},
		AllowPrivate: []string{"127.0.0.0/8"}, Metrics: &none, Authority: t.ca, Account: s.account, Addresses: []netip.Addr{s.addr.Addr()},
	})
	if err != nil {
		return err
	}
	s.token = string(r.Token)
	r.Config.DNS.Servers = []string{t.dns.Addr().String()} // a kept folder may be from another run
	r.Config.Transport.Prefer = transport
	r.Config.Limits.Reserve = 64 * vam.MiB
	r.Config.Delivery.DrainWithin = config.Duration{Duration: 5 * time.Second} // somebody sits there and waits
	logger, err := t.logger(e, s)
	if err != nil {
		return err
	}
	v := buildVersion()
	for try := 0; ; try++ {
		listen := []string{s.addr.String()}
		r.Config.Listen = config.Listen{TCP: listen, UDP: listen}
		r.Config.Web.URL = "https://" + s.addr.String() // a browser does not know the DNS server
		s.server, err = daemon.Open(ctx, daemon.Options{Config: r.Config, Version: v.Version, Revision: v.Revision, Roots: t.ca.Pool(), Sandbox: e.sandbox, Log: logger})
		if !errors.Is(err, syscall.EADDRINUSE) || try == otherPorts {
			break
		}
		s.addr = netip.AddrPortFrom(s.addr.Addr(), freePort(s.addr.Addr()))
		e.note("somebody else took that port just now; %s is on %s", s.domain, s.addr)
	}
	if err != nil {
		return err
	}
	t.onClose(s.server.Close)
	return t.publish(s, r)
}

// publish puts the records of a server into DNS, as its administrator would.
func (t *trial) publish(s *side, r daemon.SetupResult) error {
	zone, err := t.dns.Zone(s.domain.String())
	if err != nil {
		return err
	}
	for _, d := range r.Records {
		if d.Type == "SRV" || d.Type == "TLSA" {
			continue // they name ports, which are those of this run
		}
		if err := zone.Parse(d.Line()); err != nil {
			return err
		}
	}
	host := r.Config.Hostname
	for _, network := range []string{"_tcp", "_udp"} {
		if err := zone.SRV("_video-activmail."+network+"."+s.domain.String(), 0, 10, 1, s.addr.Port(), host); err != nil {
			return err
		}
	}
	return zone.Addr(host, 0, s.addr.Addr())
}

// logger writes the log of a server beside its data, or to the terminal when somebody
// asks for a level.
func (t *trial) logger(e *env, s *side) (*slog.Logger, error) {
	if e.LogLevel != "" {
		l, err := newLogger(e.err, config.Log{Format: "text", Level: e.LogLevel})
		if err != nil {
			return nil, err
		}
		return l.With("server", s.domain), nil
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "vam.log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, vam.Wrap(fileKind(err), err, "the log of %s cannot be written", s.domain)
	}
	t.onClose(f.Close)
	return telemetry.NewLogger(f, telemetry.LogOptions{Level: slog.LevelInfo}), nil
}

// befriend makes other's account a contact of s's.
func befriend(ctx context.Context, s, other *side, now time.Time) error {
	acct, err := s.server.Accounts().Store().AccountByAddress(ctx, s.account)
	if err != nil {
		return err
	}
	return s.server.Accounts().Store().SetStanding(ctx, acct.ID, other.account, account.Known, now)
}
