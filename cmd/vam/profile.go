package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userclient"
)

// profile is the file of the accounts that this person uses from here; it holds their
// tokens, so only the owner may read it.
type profile struct {
	Accounts []profileAccount `json:"accounts"`
	path     string
}

// profileAccount is one account and the way to its server.
type profileAccount struct {
	Address vam.Address `json:"address"`
	// Server is host:port; ServerName is what its certificate must be for, if that is not
	// the host.
	Server     string `json:"server"`
	ServerName string `json:"server_name,omitempty"`
	// CAFile is a PEM file of the authority to trust in place of the system's.
	CAFile string `json:"ca_file,omitempty"`
	Token  string `json:"token"`
}

// profilePath is VAM_PROFILE, or profile.json in the user's folder for settings (XDG
// base directory specification).
func (e *env) profilePath() (string, error) {
	if p := e.getenv("VAM_PROFILE"); p != "" {
		return p, nil
	}
	if d := e.getenv("XDG_CONFIG_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "vam", "profile.json"), nil
	}
	home, err := e.home()
	return filepath.Join(home, ".config", "vam", "profile.json"), err
}

// loadProfile reads the profile; a missing one is empty.
func (e *env) loadProfile() (*profile, error) {
	path, err := e.profilePath()
	if err != nil {
		return nil, err
	}
	p := &profile{path: path}
	f, err := os.Open(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, vam.Wrap(fileKind(err), err, "the profile cannot be read")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 1<<20))
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "%s is not a profile; remove it and use `vam login` again", p.path)
	}
	return p, nil
}

// put adds an account behind the others, or replaces the one with its address.
func (p *profile) put(a profileAccount) {
	if i := p.find(a.Address); i >= 0 {
		p.Accounts[i] = a
		return
	}
	p.Accounts = append(p.Accounts, a)
}

// find is the place of an address, -1 when it is not there.
func (p *profile) find(a vam.Address) int {
	return slices.IndexFunc(p.Accounts, func(x profileAccount) bool { return x.Address.Key() == a.Key() })
}

// save replaces the file in one step.
func (p *profile) save() error {
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(p.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return vam.Wrap(fileKind(err), err, "the profile cannot be saved")
	}
	f, err := os.CreateTemp(dir, ".profile-*")
	if err == nil {
		defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
		_, err = f.Write(append(b, '\n'))
		if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
			err = os.Rename(f.Name(), p.path)
		}
	}
	if err != nil {
		return vam.Wrap(fileKind(err), err, "the profile cannot be saved")
	}
	return nil
}

// fileKind classifies what the file system says of a file that the program keeps.
func fileKind(err error) vam.ErrorKind {
	if errors.Is(err, os.ErrPermission) {
		return vam.Denied
	}
	return vam.Unavailable
}

// userFlags are the flags of commands that a user gives to their server.
type userFlags struct {
	As     string `placeholder:"ADDRESS" help:"Account to use, when the profile has several. Default: the first one."`
	Server string `placeholder:"HOST[:PORT]" help:"Server to use with the token in $VAM_TOKEN. Default: $VAM_SERVER."`
}

// How long a command goes on when the server is away. Somebody who looks into the
// mailbox wants to know soon; a file that is on its way survives a restart of the server.
const (
	shortPatience = 5 * time.Second
	longPatience  = 2 * time.Minute
)

// client opens the way to the user's server: VAM_TOKEN with --server or VAM_SERVER, or
// an account of the profile.
func (e *env) client(f userFlags, patience time.Duration) (*userclient.Client, profileAccount, error) {
	a, err := e.account(f)
	if err != nil {
		return nil, a, err
	}
	token, err := activmail.ParseDeviceToken(a.Token)
	if err != nil {
		return nil, a, err
	}
	roots, err := a.roots()
	if err != nil {
		return nil, a, err
	}
	return userclient.New(userclient.Options{
		Address: a.Server, ServerName: a.ServerName, Token: token, Roots: roots, Patience: patience, Retrying: e.waiting(patience),
	}), a, nil
}

// waiting says once that a command waits for its server.
func (e *env) waiting(patience time.Duration) func(error, time.Duration) {
	var once sync.Once
	return func(err error, _ time.Duration) {
		once.Do(func() { e.note("%s; trying for %s", safe(vam.Public(err)), patience) })
	}
}

// roots are the authorities of the account's server; nil is the system's.
func (a profileAccount) roots() (*x509.CertPool, error) {
	if a.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, vam.Wrap(vam.NotFound, err, "the certificate of the authority that the server is known by cannot be read")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, vam.Errorf(vam.Invalid, "there is no certificate in %s", a.CAFile)
	}
	return roots, nil
}

func (e *env) account(f userFlags) (profileAccount, error) {
	if token := e.getenv("VAM_TOKEN"); token != "" {
		return e.accountOfToken(f, token)
	}
	if f.Server != "" {
		return profileAccount{}, &usageError{err: errors.New("--server needs a token in VAM_TOKEN; an account of the profile has a server already"), command: "vam login"}
	}
	p, err := e.loadProfile()
	if err != nil {
		return profileAccount{}, err
	}
	if len(p.Accounts) == 0 {
		return profileAccount{}, vam.Errorf(vam.NotFound, "no account is set up here; use `vam login ADDRESS` with a token from the server's administrator, or `vam init DOMAIN` to make a server")
	}
	if f.As == "" {
		return p.Accounts[0], nil
	}
	want, err := parseAddress(f.As)
	if err != nil {
		return profileAccount{}, err
	}
	if i := p.find(want); i >= 0 {
		return p.Accounts[i], nil
	}
	have := make([]string, len(p.Accounts))
	for i, a := range p.Accounts {
		have[i] = a.Address.String()
	}
	return profileAccount{}, vam.Errorf(vam.NotFound, "%s is not set up here; there are %s", want, strings.Join(have, ", "))
}

// accountOfToken is the account that the environment names, for machines without a
// profile.
func (e *env) accountOfToken(f userFlags, token string) (profileAccount, error) {
	server := f.Server
	if server == "" {
		server = e.getenv("VAM_SERVER")
	}
	if server == "" {
		return profileAccount{}, &usageError{err: errors.New("VAM_TOKEN needs --server or VAM_SERVER beside it"), command: "vam login"}
	}
	if f.As != "" {
		return profileAccount{}, &usageError{err: errors.New("--as chooses an account of the profile, and VAM_TOKEN is for one account; unset one of them"), command: "vam login"}
	}
	return profileAccount{Server: server, Token: token, CAFile: e.getenv("VAM_CA_FILE")}, nil
}
