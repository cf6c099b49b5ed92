package pair

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// stopFor is how long a server may take to end after SIGTERM.
const stopFor = 30 * time.Second

// Domain is one server process and its users.
type Domain struct {
	Name vam.Domain
	// TCP and UDP are the links in front of it, nil without links.
	TCP *netem.TCPLink
	UDP *netem.UDPLink

	place *place
	host  string
	dir   string
	tls   *tls.Config
	users map[string]*User

	program string
	environ []string
	cmd     *exec.Cmd
	output  *output
	ended   chan struct{}
	err     error // of Wait; valid after ended
}

// User returns an account's program; the address is one of this package's constants.
func (d *Domain) User(address string) *User {
	u, ok := d.users[address]
	if !ok {
		panic("pair: " + address + " is not an account of " + string(d.Name))
	}
	return u
}

// Endpoint is how a client reaches the server itself, past any link: the name that
// it is called by, its address over TCP and UDP, and whom to trust.
func (d *Domain) Endpoint() (host string, addr netip.AddrPort, trust *tls.Config) {
	return d.host, d.place.server, d.tls
}

// Watch is Endpoint for browsers: where links of this domain lead.
func (d *Domain) Watch() (host string, addr netip.AddrPort, trust *tls.Config) {
	return d.host, d.place.web, d.tls
}

// Data is the data folder.
func (d *Domain) Data() string { return d.dir }

// init makes the data folder: keys, certificate, accounts with a device each.
func (d *Domain) init(ctx context.Context, ca *certs.CA, accounts ...string) error {
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return err
	}
	if err := keyring.Create(d.dir, d.Name); err != nil {
		return err
	}
	folder := filepath.Join(d.dir, "tls")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	pair := certs.Pair{Cert: filepath.Join(folder, "cert.pem"), Key: filepath.Join(folder, "key.pem")}
	if err := ca.IssueFiles(pair, certs.Leaf{DNSNames: []string{string(d.Name), d.host}, SRV: []vam.Domain{d.Name}}); err != nil {
		return err
	}
	d.tls = &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.Pool(), ServerName: d.host, NextProtos: []string{"h2"}}
	return d.addAccounts(ctx, accounts)
}

func (d *Domain) addAccounts(ctx context.Context, addresses []string) (err error) {
	db, err := sqlite.Open(ctx, filepath.Join(d.dir, daemon.Database), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	people := account.New(db.Accounts(), account.Options{Domains: []vam.Domain{d.Name}})
	d.users = map[string]*User{}
	for _, s := range addresses {
		address, err := vam.ParseAddress(s)
		if err != nil {
			return err
		}
		a, err := people.Create(ctx, address, "")
		if err != nil {
			return err
		}
		token, _, err := people.NewDevice(ctx, a.ID, "bench")
		if err != nil {
			return err
		}
		d.users[s] = d.newUser(s, string(token))
	}
	return nil
}

// publish writes the domain's records into a zone; others reach it at the place's
// addresses.
func (d *Domain) publish(s *dnszone.Server) error {
	z, err := s.Zone(string(d.Name))
	if err != nil {
		return err
	}
	keys, err := keyring.Load(d.dir, d.Name)
	if err != nil {
		return err
	}
	const ttl = dnszone.DefaultTTL
	errs := []error{
		z.Addr(d.host, ttl, d.place.server.Addr()),
		z.SRV("_video-activmail._tcp."+string(d.Name), ttl, 0, 0, d.place.tcp.Port(), d.host),
		z.SRV("_video-activmail._udp."+string(d.Name), ttl, 0, 0, d.place.udp.Port(), d.host),
	}
	for _, r := range keys.Records {
		errs = append(errs, z.TXT(r.Name, ttl, r.Text))
	}
	return errors.Join(errs...)
}

// settings is the configuration file. What it changes beside addresses: no hold of
// first messages, and no limit of rate, size or space, which would be measured
// otherwise.
func (d *Domain) settings(o Options, resolver netip.AddrPort) string {
	var b bytes.Buffer
	set := func(key string, value any) { fmt.Fprintf(&b, "%s = %v\n", key, value) }
	quoted := func(s any) string { return fmt.Sprintf("%q", fmt.Sprint(s)) }
	list := func(s any) string { return "[" + quoted(s) + "]" }
	set("domain", quoted(d.Name))
	set("hostname", quoted(d.host))
	set("data_dir", quoted(d.dir))
	set("listen.tcp", list(d.place.server))
	set("listen.udp", list(d.place.server))
	set("web.listen", list(d.place.web))
	if !o.Media || d.Name == domainA {
		set("media.ffmpeg", quoted("not-in-this-benchmark"))
	}
	set("dns.servers", list(resolver))
	set("network.allow_private", `["127.0.0.0/8", "10.98.0.0/24"]`)
	if o.Transport != "" {
		set("transport.prefer", quoted(o.Transport))
	}
	if o.Congestion != "" {
		set("transport.congestion", quoted(o.Congestion))
	}
	if o.Connections != 0 {
		set("transport.connections", o.Connections)
	}
	set("contacts.hold_first", false)
	set("limits.message", quoted("100GiB"))
	set("limits.quota", 0)
	set("limits.reserve", 0)
	for _, key := range []string{"senders.messages", "peers.offers", "strangers.offers", "strangers.recipients"} {
		set("limits."+key, quoted("1000000/s"))
	}
	set("limits.peers.pull_day", 0)
	set("limits.clients.per_address", 100_000)
	set("limits.clients.new_per_second", 100_000)
	set("metrics.listen", quoted(d.place.ops))
	set("log.level", quoted("warn"))
	return b.String()
}

// Start starts the server and waits until it can take work.
func (d *Domain) Start(ctx context.Context) error {
	d.cmd = exec.Command(d.program, "serve", "--config", filepath.Join(d.dir, config.FileName))
	d.cmd.Env = append(os.Environ(), d.environ...)
	d.output = &output{}
	d.cmd.Stdout, d.cmd.Stderr = d.output, d.output
	if err := d.place.start(d.cmd); err != nil {
		return err
	}
	d.ended = make(chan struct{})
	go func() {
		d.err = d.cmd.Wait()
		close(d.ended)
	}()
	_, err := poll(ctx, func() (bool, error) {
		select {
		case <-d.ended:
			return false, fmt.Errorf("%s ended early: %w\n%s", d.Name, errors.Join(d.err, errors.New("see its output")), d.output)
		default:
		}
		_, err := d.operate(ctx, "/readyz")
		return err == nil, nil
	})
	return err
}

// Stop ends the server in order.
func (d *Domain) Stop() error { return d.end(syscall.SIGTERM) }

// Kill ends it as a power cut would end the process.
func (d *Domain) Kill() error { return d.end(syscall.SIGKILL) }

func (d *Domain) end(sig os.Signal) error {
	if d.cmd == nil || d.ended == nil {
		return nil
	}
	for _, u := range d.users {
		u.http.CloseIdleConnections()
	}
	_ = d.cmd.Process.Signal(sig)
	select {
	case <-d.ended:
	case <-time.After(stopFor):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
	d.ended = nil
	if sig == syscall.SIGKILL {
		return nil
	}
	if d.err != nil {
		return fmt.Errorf("%s: %w\n%s", d.Name, d.err, d.output)
	}
	return nil
}

// Output is the end of what the server has logged.
func (d *Domain) Output() string { return d.output.String() }

// output keeps the end of what a process writes.
type output struct {
	mu  sync.Mutex
	buf []byte
}

const outputSize = 16 << 10

// Write never fails.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf = append(o.buf, b...)
	if over := len(o.buf) - outputSize; over > 0 {
		o.buf = append(o.buf[:0], o.buf[over:]...)
	}
	return len(b), nil
}

// String is what is kept.
func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(bytes.TrimSpace(o.buf))
}
