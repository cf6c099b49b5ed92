package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	// Hostname, TCP, UDP, Resolvers, AllowPrivate, Metrics and HoldFirst are written
	// into it where they are not empty; see config.Config.
	Hostname     string
	TCP, UDP     []string
	Resolvers    []string
	AllowPrivate []string
	Metrics      *string
	// Authority issues the certificate; nil makes one that nobody knows, which serves
	// until a real one is there, and for good with DNSSEC and a TLSA record.
	Authority *certs.CA
	// Account is the first account; the zero address makes none.
	Account vam.Address
	Name    string
	Now     func() time.Time
}

// SetupResult is what there is after Setup.
type SetupResult struct {
	Config config.Config
	File   string
	// Token is a fresh device token of the account, "" without account.
	Token activmail.Token
	// OwnCertificate says that the certificate is one that Setup made and that no public
	// authority vouches for.
	OwnCertificate bool
	Records        []DNSRecord
}

// Setup makes a server: data folder, configuration, keys, certificate, database and
// first account, each unless it is there. It may be repeated.
//
// Errors: Conflict when the configuration is for another domain, Invalid, Denied,
// Unavailable.
func Setup(ctx context.Context, o SetupOptions) (SetupResult, error) {
	var r SetupResult
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := os.MkdirAll(o.DataDir, 0o700); err != nil {
		return r, vam.Wrap(fileKind(err), err, "the data folder %s cannot be made", o.DataDir)
	}
	conf, err := o.configure()
	if err != nil {
		return r, err
	}
	r.Config, r.File = conf.Config, conf.File
	for _, d := range r.Config.Domains {
		if err := keyring.Create(o.DataDir, d.Name); err != nil {
			return r, err
		}
	}
	if r.OwnCertificate, err = o.certify(r.Config); err != nil {
		return r, err
	}
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

// configure writes the configuration file unless there is one, and loads it.
func (o SetupOptions) configure() (*config.Effective, error) {
	file := o.ConfigFile
	if file == "" {
		file = filepath.Join(o.DataDir, config.FileName)
	}
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return nil, vam.Wrap(fileKind(err), err, "the folder of %s cannot be made", file)
		}
		if err := os.WriteFile(file, o.document(file), 0o644); err != nil {
			return nil, vam.Wrap(fileKind(err), err, "%s cannot be written", file)
		}
	}
	conf, err := config.Load(config.Options{File: file, DataDir: o.DataDir})
	if err != nil {
		return nil, err
	}
	for _, d := range conf.Domains {
		if d.Name == o.Domain {
			return conf, nil
		}
	}
	return nil, vam.Errorf(vam.Conflict, "%s is for %s already; add %s to it as a [[domains]] table, or choose another --data folder", conf.File, conf.Domain, o.Domain)
}

// document is the configuration file: what differs from the defaults, and where to
// read about the rest.
func (o SetupOptions) document(file string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Video Active Mail server. `vam config reference` explains every key.\n\ndomain = %q\n", o.Domain)
	if o.Hostname != "" {
		fmt.Fprintf(&b, "hostname = %q\n", o.Hostname)
	}
	if filepath.Dir(file) != filepath.Clean(o.DataDir) {
		fmt.Fprintf(&b, "data_dir = %q\n", o.DataDir)
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
		fmt.Fprintf(&b, "\n[metrics]\nlisten = %q\n", *o.Metrics)
	}
	return b.Bytes()
}

func tomlList(items []string) string {
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = fmt.Sprintf("%q", s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// certify issues certificates for the files of the data folder that are missing, and
// reports whether one in use is of Setup's own making.
func (o SetupOptions) certify(c config.Config) (own bool, err error) {
	for _, p := range pairs(c) {
		_, certErr := os.Stat(p.Cert)
		_, keyErr := os.Stat(p.Key)
		if certErr == nil && keyErr == nil {
			continue
		}
		if !errors.Is(certErr, os.ErrNotExist) || !errors.Is(keyErr, os.ErrNotExist) {
			return false, vam.Errorf(vam.Conflict, "one of %s and %s is there and the other is not; a certificate and its key belong together", p.Cert, p.Key)
		}
		ca := o.Authority
		if ca == nil {
			if ca, err = certs.NewCA("", o.Now); err != nil {
				return false, err
			}
			own = true
		}
		leaf := certs.Leaf{NotAfter: o.Now().AddDate(1, 0, 0)}
		for _, d := range c.Domains {
			if (certs.Pair{Cert: d.TLS.Cert, Key: d.TLS.Key}) == p {
				leaf.DNSNames = append(leaf.DNSNames, d.Name.String(), d.Hostname)
				leaf.SRV = append(leaf.SRV, d.Name)
			}
		}
		if err := os.MkdirAll(filepath.Dir(p.Cert), 0o755); err != nil {
			return false, vam.Wrap(fileKind(err), err, "the folder of %s cannot be made", p.Cert)
		}
		if err := ca.IssueFiles(p, leaf); err != nil {
			return false, err
		}
	}
	return own, nil
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
