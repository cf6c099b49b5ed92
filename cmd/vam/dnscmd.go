package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
)

type dnsCmd struct {
	Domain string `arg:"" optional:"" help:"One of the server's domains. Default: all of them."`
	Policy bool   `help:"Print the policy document for https://DOMAIN/.well-known/vam instead."`
}

func (dnsCmd) Help() string {
	return `Prints the DNS records of the server's domains as lines for a zone file. The
ones after "; optional" are needed only in the case that their comment names.
` + "`vam doctor`" + ` compares DNS with them.

Examples:

    vam dns                       every record of every domain
    vam dns a.example >> zone     those of one domain
    vam dns --json                for a program that publishes them
    vam dns --policy a.example    the policy document`
}

func (c dnsCmd) Run(_ context.Context, e *env) error {
	conf, err := e.loadConfig()
	if err != nil {
		return err
	}
	var only vam.Domain
	if c.Domain != "" {
		if only, err = config.ParseDomain(c.Domain); err != nil {
			return err
		}
	}
	if c.Policy {
		return c.policy(e, conf, only)
	}
	all, err := daemon.DNSRecords(conf.Config)
	if err != nil {
		return err
	}
	records := []daemon.DNSRecord{}
	for _, r := range all {
		if only == "" || r.Domain == only {
			records = append(records, r)
		}
	}
	if len(records) == 0 {
		return vam.Errorf(vam.NotFound, "%s is not a domain of this server; there is %s", only, domainNames(conf.Config))
	}
	if e.JSON {
		return e.printJSON(records)
	}
	printRecords(e.out, records)
	return nil
}

func (c dnsCmd) policy(e *env, conf *config.Effective, only vam.Domain) error {
	if only == "" && len(conf.Domains) > 1 {
		return &usageError{err: fmt.Errorf("each domain has a policy of its own; name one of %s", domainNames(conf.Config)), command: "vam dns"}
	}
	for _, d := range conf.Domains {
		if only != "" && d.Name != only {
			continue
		}
		doc, err := daemon.Policy(conf.Config, d)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", doc)
		return err
	}
	return vam.Errorf(vam.NotFound, "%s is not a domain of this server; there is %s", only, domainNames(conf.Config))
}

func domainNames(c config.Config) string {
	out := make([]string, 0, len(c.Domains))
	for _, d := range c.Domains {
		out = append(out, d.Name.String())
	}
	return strings.Join(out, ", ")
}

// printRecords writes a zone file; reasons are its comments.
func printRecords(w io.Writer, records []daemon.DNSRecord) {
	for _, r := range records {
		optional := ""
		if r.Optional {
			optional = "optional: "
		}
		fmt.Fprintf(w, "; %s%s\n%s\n", optional, r.Why, r.Line())
	}
}
