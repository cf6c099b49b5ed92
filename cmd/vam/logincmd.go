package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/term"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/userclient"
)

type loginCmd struct {
	Address string `arg:"" help:"Your address."`
	Server  string `placeholder:"HOST[:PORT]" help:"Your server. Default: what DNS says for the domain of the address."`
	CAFile  string `name:"ca-file" placeholder:"FILE" help:"PEM file of the authority to trust in place of the system's."`
}

func (loginCmd) Help() string {
	return `Reads a device token from VAM_TOKEN or standard input, tries it, and keeps it in
your profile. An administrator makes tokens with ` + "`vam account token`" + `.

Examples:

    vam login alice@a.example
    vam login alice@a.example --server vam.a.example < token.txt`
}

// loggedIn is what `vam login --json` prints; keys are stable.
type loggedIn struct {
	Address    vam.Address `json:"address"`
	Server     string      `json:"server"`                // host:port
	ServerName string      `json:"server_name,omitempty"` // what its certificate is for, if that is not the host
	Profile    string      `json:"profile"`               // the file with the person's accounts
}

func (c loginCmd) Run(ctx context.Context, e *env) error {
	address, err := parseAddress(c.Address)
	if err != nil {
		return err
	}
	p, err := e.loadProfile() // before a token is asked for
	if err != nil {
		return err
	}
	a := profileAccount{Address: address, Server: c.Server}
	if c.CAFile != "" {
		if a.CAFile, err = filepath.Abs(c.CAFile); err != nil {
			return fileError(err, c.CAFile)
		}
	}
	if a.Server == "" {
		if a.Server, err = e.findServer(ctx, address.Domain); err != nil {
			return err
		}
	} else if a.Server, err = withPort(a.Server); err != nil {
		return err
	}
	token, err := e.readToken(ctx)
	if err != nil {
		return err
	}
	a.Token = string(token)
	client, err := a.tryNames(ctx, e)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	me, err := client.Me(ctx)
	if err != nil {
		return err
	}
	if me.Address.Key() != address.Key() {
		return vam.Errorf(vam.Denied, "the token is for %s, not %s", me.Address, address)
	}
	p.put(a)
	if err := p.save(); err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(loggedIn{a.Address, a.Server, a.ServerName, p.path})
	}
	e.note("%s is set up in %s", safe(address.String()), safe(p.path))
	return nil
}

// withPort completes HOST, HOST:PORT or an IPv6 address to host:port.
func withPort(s string) (string, error) {
	host, port, err := splitHost(s)
	if err != nil {
		return "", &usageError{err: fmt.Errorf("--server: %w", err), command: "vam login"}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port))), nil
}

// tryNames finds the name that the server's certificate is for: the host itself or the
// domain of the address (AM-2.19).
func (a *profileAccount) tryNames(ctx context.Context, e *env) (*userclient.Client, error) {
	token, err := activmail.ParseDeviceToken(a.Token)
	if err != nil {
		return nil, err
	}
	roots, err := a.roots()
	if err != nil {
		return nil, err
	}
	var first error
	for _, name := range []string{"", a.Address.Domain.String()} {
		client := userclient.New(userclient.Options{
			Address: a.Server, ServerName: name, Token: token, Roots: roots, Patience: shortPatience, Retrying: e.waiting(shortPatience),
		})
		_, err := client.Me(ctx)
		if err == nil {
			a.ServerName = name
			return client, nil
		}
		_ = client.Close()
		if first == nil {
			first = err
		}
		if vam.KindOf(err) != vam.Denied {
			return nil, err
		}
	}
	return nil, first
}

// readToken takes a token from the environment, or reads one, without showing it.
func (e *env) readToken(ctx context.Context) (activmail.Token, error) {
	text := e.getenv("VAM_TOKEN")
	if text == "" {
		var err error
		if text, err = e.ask(ctx, "Device token: "); err != nil {
			return "", err
		}
	}
	text = strings.TrimSpace(text)
	if text == "" {
		return "", &usageError{err: errors.New("a token is wanted in VAM_TOKEN or on standard input"), command: "vam login"}
	}
	return activmail.ParseDeviceToken(text)
}

// ask reads one line of standard input, from a person without an echo. The reading cannot
// be interrupted, so that it is left behind when ctx ends, with the terminal as it was.
func (e *env) ask(ctx context.Context, prompt string) (string, error) {
	in := bufio.NewReader(io.LimitReader(e.in, 4096))
	read := func() ([]byte, error) {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return line, err
	}
	if f, ok := e.in.(*os.File); ok && e.inTTY {
		fd := int(f.Fd())
		if state, err := term.GetState(fd); err == nil {
			defer func() { _ = term.Restore(fd, state) }()
		}
		fmt.Fprint(e.err, prompt)
		defer fmt.Fprintln(e.err)
		read = func() ([]byte, error) { return term.ReadPassword(fd) }
	}
	type answer struct {
		text []byte
		err  error
	}
	got := make(chan answer, 1)
	go func() { text, err := read(); got <- answer{text, err} }()
	select {
	case a := <-got:
		if a.err != nil {
			return "", vam.Wrap(vam.Unavailable, a.err, "standard input cannot be read")
		}
		return string(a.text), nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// findServer asks DNS where the domain's own users connect: the same place as other
// servers. Errors: NotVAM for a domain without the record, Unavailable without DNS.
func (e *env) findServer(ctx context.Context, d vam.Domain) (string, error) {
	servers := config.DNS{Servers: strings.FieldsFunc(e.getenv(config.EnvPrefix+"DNS_SERVERS"), func(r rune) bool { return r == ',' || r == ' ' })}
	resolver, err := dnsresolver.New(dnsresolver.Options{Servers: servers.Resolvers()})
	if err != nil {
		return "", err
	}
	answer, err := resolver.LookupSRV(ctx, discovery.Service+"._tcp."+d.String())
	if err != nil && vam.KindOf(err) != vam.NotFound {
		return "", vam.Wrap(vam.Unavailable, err, "DNS does not say where the server of %s is; name it with --server, or try again", d)
	}
	if len(answer.Records) == 0 || answer.Records[0].Target == "." {
		return "", vam.Errorf(vam.NotVAM, "%s has no SRV record for video mail; name the server with --server", d)
	}
	best := answer.Records[0]
	for _, r := range answer.Records[1:] {
		if r.Priority < best.Priority {
			best = r
		}
	}
	return net.JoinHostPort(strings.TrimSuffix(best.Target, "."), strconv.Itoa(int(best.Port))), nil
}

// parseAddress reads an address as a person types it; a domain in another script
// becomes A-labels.
func parseAddress(s string) (vam.Address, error) {
	if at := strings.LastIndexByte(s, '@'); at > 0 {
		if d, err := config.ParseDomain(s[at+1:]); err == nil {
			s = s[:at+1] + d.String()
		}
	}
	return vam.ParseAddress(s)
}
