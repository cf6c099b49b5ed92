package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/discovery"
)

type initCmd struct {
	Domain   string   `arg:"" help:"Mail domain to serve."`
	Account  string   `placeholder:"ADDRESS" help:"First account. Default: the one of the domain in your profile, else your login name at the domain, or postmaster."`
	Name     string   `placeholder:"NAME" help:"Name of the person, as it stands in From."`
	Hostname string   `placeholder:"HOST" help:"Name of this machine in DNS. Default: vam. and the domain."`
	Listen   []string `placeholder:"ADDR:PORT" help:"Where to listen, TCP and UDP. Default: every address, port 1398."`
}

func (initCmd) Help() string {
	return `Makes the data folder, configuration, keys, a certificate to begin with, and the
first account, and prints the DNS records to publish. What is there already
stays, so that it can be repeated.

The account's token goes into your profile, so that ` + "`vam send`" + ` works at once.

Examples:

    vam init a.example
    vam init a.example --account alice@a.example --name "Alice Example"
    vam --data /srv/vam init a.example --hostname mail.a.example
    vam init a.example --json`
}

// initialised is what `vam init --json` prints; keys are stable.
type initialised struct {
	Domain      vam.Domain         `json:"domain"`
	ConfigFile  string             `json:"config_file"`
	DataDir     string             `json:"data_dir"`
	Account     vam.Address        `json:"account"`
	Token       string             `json:"token"`                 // of the account; the profile has it too
	Profile     string             `json:"profile"`               // the file with the person's accounts
	Certificate string             `json:"certificate"`           // PEM file
	SelfMade    bool               `json:"certificate_self_made"` // no public authority vouches for it
	Records     []daemon.DNSRecord `json:"dns"`
}

func (c initCmd) Run(ctx context.Context, e *env) error {
	domain, err := config.ParseDomain(c.Domain)
	if err != nil {
		return err
	}
	acct, err := c.account(e, domain)
	if err != nil {
		return err
	}
	o, err := c.setup(e, domain, acct)
	if err != nil {
		return err
	}
	r, err := daemon.Setup(ctx, o)
	if err != nil {
		return err
	}
	if r.Kept && (c.Hostname != "" || len(c.Listen) > 0) {
		e.note("%s is there already and stays as it is; --hostname and --listen were not written into it", safe(r.File))
	}
	p, err := e.saveAccount(r.Config, acct, r.Token)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(initialised{
			Domain: domain, ConfigFile: r.File, DataDir: r.Config.DataDir, Account: acct, Token: string(r.Token), Profile: p,
			Certificate: domainOf(r.Config, domain).TLS.Cert, SelfMade: r.OwnCertificate, Records: r.Records,
		})
	}
	c.print(e, r, acct, p)
	return nil
}

// setup are the options of the server to make. A token of the account that the profile
// has already is kept.
func (c initCmd) setup(e *env, domain vam.Domain, acct vam.Address) (daemon.SetupOptions, error) {
	place := e.place()
	o := daemon.SetupOptions{
		Domain: domain, ConfigFile: place.Path(), DataDir: e.Data, Hostname: c.Hostname, TCP: c.Listen, UDP: c.Listen, Account: acct, Name: c.Name,
	}
	if o.DataDir == "" {
		o.DataDir = filepath.Dir(o.ConfigFile)
		if strings.HasPrefix(o.DataDir, "/etc/") || o.DataDir == "/etc" {
			o.DataDir = place.DefaultDataDir()
		}
	}
	p, err := e.loadProfile() // before anything is made: it must be possible to save the account
	if err != nil {
		return o, err
	}
	if i := p.find(acct); i >= 0 {
		o.Token, _ = activmail.ParseDeviceToken(p.Accounts[i].Token)
	}
	return o, nil
}

// account is the first one of a domain.
func (c initCmd) account(e *env, domain vam.Domain) (vam.Address, error) {
	if c.Account != "" {
		text := c.Account
		if !strings.Contains(text, "@") {
			text += "@" + domain.String()
		}
		a, err := parseAddress(text)
		if err == nil && a.Domain != domain {
			err = vam.Errorf(vam.Invalid, "the first account must be at %s, not %s", domain, a.Domain)
		}
		return a, err
	}
	p, err := e.loadProfile()
	if err != nil {
		return vam.Address{}, err
	}
	for _, a := range p.Accounts { // the one of the first time
		if a.Address.Domain == domain {
			return a.Address, nil
		}
	}
	for _, name := range []string{e.getenv("SUDO_USER"), e.getenv("USER")} {
		if a, err := vam.ParseAddress(name + "@" + domain.String()); err == nil && name != "root" {
			return a, nil
		}
	}
	return vam.Address{Local: "postmaster", Domain: domain}, nil
}

// saveAccount puts the account into the profile of the person who runs the command.
// The server is reached on this machine, whatever DNS says yet.
func (e *env) saveAccount(c config.Config, acct vam.Address, token activmail.Token) (string, error) {
	p, err := e.loadProfile()
	if err != nil {
		return "", err
	}
	a := profileAccount{Address: acct, Server: localServerAddress(c), ServerName: acct.Domain.String(), Token: string(token)}
	if cert := domainOf(c, acct.Domain).TLS.Cert; strings.HasPrefix(cert, c.DataDir+string(filepath.Separator)) {
		a.CAFile = cert // on this machine the file itself is what to trust
	}
	p.put(a)
	return p.path, p.save()
}

// domainOf are the settings of one of the server's domains.
func domainOf(c config.Config, name vam.Domain) config.Domain {
	for _, d := range c.Domains {
		if d.Name == name {
			return d
		}
	}
	return config.Domain{Name: name, Hostname: c.Hostname, TLS: c.TLS}
}

// localServerAddress is where a program on this machine reaches the server.
func localServerAddress(c config.Config) string {
	addr := config.AddrPorts(c.Listen.TCP)[0]
	host := addr.Addr().String()
	if addr.Addr().IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, fmt.Sprint(addr.Port()))
}

func (c initCmd) print(e *env, r daemon.SetupResult, acct vam.Address, profile string) {
	d := domainOf(r.Config, acct.Domain)
	fmt.Fprintf(e.out, "%s is set up.\n\n", d.Name)
	fmt.Fprintf(e.out, "  configuration  %s\n  data folder    %s\n  certificate    %s\n", safe(r.File), safe(r.Config.DataDir), safe(d.TLS.Cert))
	fmt.Fprintf(e.out, "  account        %s, token in %s\n\n", safe(acct.String()), safe(profile))
	fmt.Fprintf(e.out, "Publish these records in the zone of %s:\n\n", d.Name)
	printRecords(e.out, r.Records)
	fmt.Fprintf(e.out, "\nand an A and an AAAA record of %s. for this machine.\n\n", d.Hostname)
	if r.OwnCertificate {
		fmt.Fprintf(e.out, "The certificate is one that vam made: other servers take it only where the zone has DNSSEC and\nthe TLSA record. Otherwise put one of a public authority into its place; it may name %s\nor %s, and is taken up without a restart.\n\n", d.Name, discovery.SRVID(d.Name))
	}
	next := "vam"
	if e.Data != "" {
		next += " --data " + shellWord(e.Data)
	}
	if e.ConfigFile != "" {
		next += " --config " + shellWord(e.ConfigFile)
	}
	fmt.Fprintf(e.out, "Next:\n\n    %s serve     runs the server\n    %s doctor    says what is still missing, and how to mend it\n", next, next)
}
