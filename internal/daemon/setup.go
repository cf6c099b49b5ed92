package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// SetupOptions say what Setup makes. Domain and DataDir are required.
type SetupOptions struct {
	Domain  vam.Domain
	DataDir string
	// ConfigFile is made unless it is there; empty is vam.toml in DataDir.
	ConfigFile string
	// Hostname, TCP, UDP, Resolvers, AllowPrivate and Metrics are written into it where
	// they are not empty; see config.Config.
	Hostname     string
	TCP, UDP     []string
	Resolvers    []string
	AllowPrivate []string
	// Addresses are those that the certificate is for beside the names: where browsers
	// connect to an address, as in a trial.
	Addresses []netip.Addr
	Metrics   *string
	// Authority issues the certificate; nil makes one that nobody knows, which serves
	// until a real one is there, and for good with DNSSEC and a TLSA record.
	Authority *certs.CA
	// Account is the first account; the zero address makes none.
	Account vam.Address
	Name    string
	// Token is one that the account may have from an earlier time. It is kept when it is
	// good, instead of making one more.
	Token activmail.Token
	Now   func() time.Time
}

// SetupResult is what there is after Setup.
type SetupResult struct {
	Config config.Config
	File   string
	// Kept says that the configuration file was there already.
	Kept bool
	// Token is a device token of the account, "" without account.
	Token activmail.Token
	// OwnCertificate says that the certificate of the domain is one that Setup made, now
	// or before, and that no public authority vouches for.
	OwnCertificate bool
	Records        []DNSRecord
}

// Setup makes a server: data folder, configuration, keys, certificate, database and
// first account, each unless it is there. It may be repeated.
//
// Errors: Conflict when the configuration is for another domain, *config.Error (Invalid)
// for options or a file that make no configuration, Denied, Unavailable.
func Setup(ctx context.Context, o SetupOptions) (SetupResult, error) {
	var r SetupResult
	if err := o.complete(); err != nil {
		return r, err
	}
	conf, kept, err := o.configure()
	if err != nil {
		return r, err
	}
	r.Config, r.File, r.Kept = conf.Config, conf.File, kept
	for _, d := range r.Config.Domains {
		if err := keyring.Create(o.DataDir, d.Name); err != nil {
			return r, err
		}
	}
	if err := o.certify(r.Config); err != nil {
		return r, err
	}
	r.OwnCertificate = o.selfMade(r.Config)
	if r.Records, err = DNSRecords(r.Config); err != nil {
		return r, err
	}
	if o.Account.IsZero() {
		return r, nil
	}
	r.Token, err = o.populate(ctx, r.Config)
	return r, err
}

func fileKind(err error) vam.ErrorKind {
	if errors.Is(err, os.ErrPermission) {
		return vam.Denied
	}
	return vam.Unavailable
}

// complete fills in defaults; paths become absolute, because a server may be started from
// another folder.
func (o *SetupOptions) complete() (err error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.ConfigFile == "" {
		o.ConfigFile = filepath.Join(o.DataDir, config.FileName)
	}
	for _, p := range []*string{&o.DataDir, &o.ConfigFile} {
		if *p, err = filepath.Abs(*p); err != nil {
			return vam.Wrap(vam.Unavailable, err, "the present folder is gone")
		}
	}
	return nil
}

// configure loads the configuration file, or writes one and reports false. Nothing is
// made for options that make no configuration.
func (o SetupOptions) configure() (*config.Effective, bool, error) {
	file := o.ConfigFile
	where := config.Options{File: file, DataDir: o.DataDir}
	conf, err := config.Load(where)
	kept := vam.KindOf(err) != vam.NotFound || err == nil
	var doc []byte
	if !kept {
		doc = o.document(file)
		conf, err = config.Parse(file, doc, where)
	}
	if err != nil {
		return nil, kept, err
	}
	if !slices.ContainsFunc(conf.Domains, func(d config.Domain) bool { return d.Name == o.Domain }) {
		return nil, kept, vam.Errorf(vam.Conflict, "%s is for %s already; add %s to it as a [[domains]] table, or choose another --data folder", file, conf.Domain, o.Domain)
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return nil, kept, vam.Wrap(fileKind(err), err, "the data folder %s cannot be made", o.DataDir)
	}
	if kept {
		return conf, true, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, false, vam.Wrap(fileKind(err), err, "the folder of %s cannot be made", file)
	}
	if err := os.WriteFile(file, doc, 0o644); err != nil {
		return nil, false, vam.Wrap(fileKind(err), err, "%s cannot be written", file)
	}
	return conf, false, nil
}

// document is the configuration file: what differs from the defaults, and where to
// read about the rest.
func (o SetupOptions) document(file string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Video Active Mail server. `vam config reference` explains every key.\n\ndomain = %s\n", tomlText(o.Domain.String()))
	if o.Hostname != "" {
		fmt.Fprintf(&b, "hostname = %s\n", tomlText(o.Hostname))
	}
	if filepath.Dir(file) != filepath.Clean(o.DataDir) {
		fmt.Fprintf(&b, "data_dir = %s\n", tomlText(o.DataDir))
	}
	if len(o.TCP)+len(o.UDP) > 0 {
		fmt.Fprintf(&b, "\n[listen]\ntcp = %s\nudp = %s\n", tomlList(o.TCP), tomlList(o.UDP))
	}
	if len(o.Resolvers) > 0 {
		fmt.Fprintf(&b, "\n[dns]\nservers = %s\n", tomlList(o.Resolvers))
	}
	if len(o.AllowPrivate) > 0 {
		fmt.Fprintf(&b, "\n[network]\nallow_private = %s\n", tomlList(o.AllowPrivate))
	}
	if o.Metrics != nil {
		fmt.Fprintf(&b, "\n[metrics]\nlisten = %s\n", tomlText(*o.Metrics))
	}
	return b.Bytes()
}

func tomlList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = tomlText(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlText writes a basic string of TOML.
func tomlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"', r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ', r == 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// certify issues certificates for the files of the data folder that are missing.
func (o SetupOptions) certify(c config.Config) error {
	for _, p := range pairs(c) {
		_, certErr := os.Stat(p.Cert)
		_, keyErr := os.Stat(p.Key)
		if certErr == nil && keyErr == nil {
			continue
		}
		if !errors.Is(certErr, os.ErrNotExist) || !errors.Is(keyErr, os.ErrNotExist) {
			return vam.Errorf(vam.Conflict, "one of %s and %s can be used and the other cannot; a certificate and its key belong together", p.Cert, p.Key)
		}
		if err := o.issue(c, p); err != nil {
			return err
		}
	}
	return nil
}

// issue makes one certificate for the domains that use it.
func (o SetupOptions) issue(c config.Config, p certs.Pair) (err error) {
	ca := o.Authority
	if ca == nil {
		if ca, err = certs.NewCA("", o.Now); err != nil {
			return err
		}
	}
	leaf := certs.Leaf{NotAfter: o.Now().AddDate(1, 0, 0), IPs: o.Addresses}
	for _, d := range c.Domains {
		if (certs.Pair{Cert: d.TLS.Cert, Key: d.TLS.Key}) != p {
			continue
		}
		leaf.SRV = append(leaf.SRV, d.Name)
		for _, name := range []string{d.Name.String(), d.Hostname} {
			if !slices.Contains(leaf.DNSNames, name) {
				leaf.DNSNames = append(leaf.DNSNames, name)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(p.Cert), 0o755); err != nil {
		return vam.Wrap(fileKind(err), err, "the folder of %s cannot be made", p.Cert)
	}
	if err := ca.IssueFiles(p, leaf); err != nil {
		return vam.Wrap(fileKind(err), err, "the certificate %s cannot be written", p.Cert)
	}
	return nil
}

// selfMade reports whether the certificate of the domain comes from an authority of this
// program.
func (o SetupOptions) selfMade(c config.Config) bool {
	for _, d := range c.Domains {
		if d.Name != o.Domain {
			continue
		}
		pair, err := tls.LoadX509KeyPair(d.TLS.Cert, d.TLS.Key)
		return err == nil && certs.Local(pair.Leaf)
	}
	return false
}

// populate makes the first account and a token for it.
func (o SetupOptions) populate(ctx context.Context, c config.Config) (activmail.Token, error) {
	db, err := sqlite.Open(ctx, filepath.Join(c.DataDir, Database), sqlite.Options{})
	if err != nil {
		return "", err
	}
	token, err := o.firstToken(ctx, People(c, db, o.Now))
	return token, errors.Join(err, db.Close())
}

func (o SetupOptions) firstToken(ctx context.Context, people *account.Service) (activmail.Token, error) {
	acct, err := people.Store().AccountByAddress(ctx, o.Account)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		acct, err = people.Create(ctx, o.Account, o.Name)
	}
	if err != nil {
		return "", err
	}
	if o.Token != "" {
		if owner, err := people.Authenticate(ctx, string(o.Token)); err == nil && owner.ID == acct.ID {
			return o.Token, nil
		}
	}
	token, _, err := people.NewDevice(ctx, acct.ID, "setup")
	return token, err
}

// People is the account service over a database that no daemon of this process has
// open: for the commands of an administrator, which work beside a running server.
func People(c config.Config, db *sqlite.DB, now func() time.Time) *account.Service {
	domains := make([]vam.Domain, 0, len(c.Domains))
	for _, d := range c.Domains {
		domains = append(domains, d.Name)
	}
	return account.New(db.Accounts(), account.Options{Domains: domains, Quota: c.Limits.Quota, Now: now})
}
