package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/doctor"
	"github.com/videoactivmail/vam/internal/portowner"
	"github.com/videoactivmail/vam/internal/sandbox"
	"github.com/videoactivmail/vam/internal/wellknown"
)

type doctorCmd struct {
	Domain string `arg:"" optional:"" help:"A domain to look at from outside, as another server would."`
	Host   string `placeholder:"HOST[:PORT]" help:"Ask this machine what answers on its port."`
	Fixes  bool   `help:"Print what is wrong only."`
}

func (doctorCmd) Help() string {
	return `Without arguments it looks at this machine, at who holds the port of the
server, and at every domain of the configuration. Without a configuration it
looks at this machine and port 1398.

The exit status is 0 when all is well, 1 for a warning and 2 for a failure, as
monitoring plugins have it. docs/doctor.md lists the findings.

Examples:

    vam doctor                          this server and its domains
    sudo vam doctor                     the same, and the names of others' processes
    vam doctor b.example                can mail reach b.example, and why not?
    vam doctor --host vam.b.example     what answers there on 1398/tcp and 1398/udp?
    vam doctor --json                   for a monitoring system`
}

func (c doctorCmd) Run(ctx context.Context, e *env) error {
	if c.Domain != "" && c.Host != "" {
		return &usageError{err: fmt.Errorf("a domain and --host cannot be used together"), command: "vam doctor"}
	}
	conf, err := e.doctorConfig(c.Domain == "" && c.Host == "")
	if err != nil {
		return err
	}
	world, err := e.doctorWorld(ctx, conf)
	if err != nil {
		return err
	}
	report, err := c.examine(ctx, world, conf)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.JSON {
		if err := e.printJSON(report); err != nil {
			return err
		}
	} else {
		c.print(e, report)
	}
	if code := report.ExitStatus(); code != 0 {
		return exitStatus(code)
	}
	return nil
}

// doctorConfig reads the configuration. A doctor works without one, and for other
// people's servers with a broken one too.
func (e *env) doctorConfig(own bool) (*config.Effective, error) {
	conf, err := e.loadConfig()
	if err == nil {
		return conf, nil
	}
	chosen := e.ConfigFile != "" || e.Data != ""
	if own && (vam.KindOf(err) != vam.NotFound || chosen) {
		return nil, err
	}
	if own {
		e.note("%s; looking at this machine only", safe(vam.Public(err)))
	}
	return nil, nil
}

func (c doctorCmd) examine(ctx context.Context, world doctor.Env, conf *config.Effective) (doctor.Report, error) {
	switch {
	case c.Host != "":
		host, port, err := splitHost(c.Host)
		if err != nil {
			return doctor.Report{}, &usageError{err: fmt.Errorf("--host: %w", err), command: "vam doctor"}
		}
		return doctor.ExamineHost(ctx, world, host, port), nil
	case c.Domain != "":
		domain, err := config.ParseDomain(c.Domain)
		if err != nil {
			return doctor.Report{}, err
		}
		return doctor.ExamineDomain(ctx, world, domain), nil
	}
	return doctor.ExamineLocal(ctx, world, localServer(conf)), nil
}

// splitHost reads HOST, HOST:PORT, an IPv6 address with or without brackets.
func splitHost(s string) (host string, port uint16, err error) {
	number, _ := strconv.ParseUint(config.Port, 10, 16)
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.String(), uint16(number), nil
	}
	if h, p, err := net.SplitHostPort(s); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 || h == "" {
			return "", 0, fmt.Errorf("%q has no port that can be used", s)
		}
		return h, uint16(n), nil
	}
	if s == "" || strings.ContainsAny(s, ":/ ") {
		return "", 0, fmt.Errorf("%q is not a host name or address", s)
	}
	return s, uint16(number), nil
}

// doctorWorld is the real world, as the configuration sees it.
func (e *env) doctorWorld(ctx context.Context, conf *config.Effective) (doctor.Env, error) {
	machine := doctor.ReadMachine()
	world := doctor.Env{Machine: &machine, Ports: portTable{portowner.System()}, Prober: doctor.NetProber{}}
	tools := config.Default().Media
	if conf != nil {
		tools = conf.Media
	}
	world.Media = e.doctorMedia(ctx, tools)
	o := dnsresolver.Options{}
	if conf != nil {
		folder := doctor.ReadDataFolder(conf.DataDir, conf.Limits.Reserve)
		world.DataFolder = &folder
		guard, err := discovery.NewGuard(conf.Network.AllowPrivate...)
		if err != nil {
			return world, err
		}
		world.Guard = guard
		o.Timeout = conf.DNS.Timeout.Duration
		o.Servers = conf.DNS.Resolvers()
	}
	resolver, err := dnsresolver.New(o)
	if err != nil {
		return world, err
	}
	world.Resolver = resolver
	world.Policies = wellknown.New(wellknown.Options{Resolver: resolver, Guard: world.Guard})
	return world, nil
}

// doctorMedia tries ffmpeg and every layer of its sandbox.
func (e *env) doctorMedia(ctx context.Context, c config.Media) *doctor.Media {
	m := &doctor.Media{Unconfined: c.Unconfined}
	for _, l := range sandbox.Probe(ctx, e.sandbox) {
		m.Layers = append(m.Layers, doctor.Layer{Name: string(l.Name), Active: l.Active, Detail: l.Detail})
	}
	c.Unconfined = true // it is the doctor who says what that means
	tool, err := daemon.OpenMaker(ctx, c, e.sandbox)
	if err != nil {
		m.Err = err
		return m
	}
	m.FFmpeg, m.Confined = "ffmpeg "+tool.Version(), tool.Box().Confined()
	return m
}

// localServer describes the server of the configuration; nil is a machine without
// one.
func localServer(conf *config.Effective) doctor.Local {
	if conf == nil {
		standard := netip.MustParseAddrPort("[::]:" + config.Port)
		return doctor.Local{TCP: []netip.AddrPort{standard}, UDP: []netip.AddrPort{standard}, Congestion: "auto"}
	}
	l := doctor.Local{TCP: config.AddrPorts(conf.Listen.TCP), UDP: config.AddrPorts(conf.Listen.UDP), Congestion: conf.Transport.Congestion}
	for _, d := range conf.Domains {
		l.Domains = append(l.Domains, doctor.LocalDomain{Name: d.Name, Hostname: d.Hostname, CertFile: d.TLS.Cert, KeyFile: d.TLS.Key})
	}
	return l
}

// portTable joins portowner to the doctor, who does not know it.
type portTable struct{ table *portowner.Table }

func (p portTable) Holders(ctx context.Context, network string, port uint16) ([]doctor.Holder, error) {
	sockets, err := p.table.Find(ctx, portowner.Network(network), port)
	if err != nil {
		return nil, err
	}
	var out []doctor.Holder
	for _, s := range sockets {
		h := doctor.Holder{Local: s.Local, User: s.User}
		for _, process := range s.Processes {
			h.Processes = append(h.Processes, process.String())
		}
		out = append(out, h)
	}
	return out, nil
}

// print writes the report for a person: one line for what is well, four for what
// is not.
func (c doctorCmd) print(e *env, r doctor.Report) {
	for _, f := range r.Findings {
		if f.Level == doctor.OK && (c.Fixes || e.Quiet) {
			continue
		}
		title := f.Title
		if f.Subject != "" {
			title += ", " + f.Subject
		}
		if f.Level == doctor.OK {
			fmt.Fprintf(e.out, "%s  %s: %s\n", e.mark(f.Level), safe(title), safe(f.Found))
			continue
		}
		fmt.Fprintf(e.out, "%s  %s\n", e.mark(f.Level), safe(title))
		for _, line := range []struct{ name, text string }{{"expected", f.Expected}, {"found", f.Found}, {"fix", f.Fix}} {
			if line.text != "" {
				fmt.Fprintf(e.out, "      %-9s %s\n", line.name, safe(line.text))
			}
		}
	}
	if !e.Quiet {
		fmt.Fprintf(e.out, "%d ok, %d to look at, %d wrong\n", r.Count(doctor.OK), r.Count(doctor.Warn), r.Count(doctor.Fail))
	}
}

// mark is the level in four columns, in colour where a person sits there.
func (e *env) mark(l doctor.Level) string {
	text := map[doctor.Level]string{doctor.OK: "ok  ", doctor.Warn: "warn", doctor.Fail: "FAIL"}[l]
	if !e.outTTY || e.getenv("NO_COLOR") != "" {
		return text
	}
	colour := map[doctor.Level]string{doctor.OK: "32", doctor.Warn: "33", doctor.Fail: "31"}[l]
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}
