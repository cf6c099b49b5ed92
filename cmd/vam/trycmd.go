package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
)

type tryCmd struct {
	Send      string `placeholder:"FILE" help:"Send FILE from alice@a.test to bob@b.test, print what happened, and end."`
	Transport string `default:"auto" enum:"auto,tcp,udp" placeholder:"WORD" help:"What carries it between the two servers: auto, tcp or udp."`
	Stay      bool   `help:"With --send: keep running afterwards."`
	Port      uint16 `default:"1398" placeholder:"PORT" help:"Port of both servers. Default: 1398."`
}

func (tryCmd) Help() string {
	return `Starts two independent servers on this machine: a.test on 127.0.0.1 and b.test on
127.0.0.2, each with its own data folder, keys and certificate, a DNS server for
the two domains, and an authority that both trust. Nothing leaves the machine,
and without --data nothing stays. alice@a.test and bob@b.test are in each
other's contacts; a first message from somebody else would be held.

Examples:

    vam try
    vam try --send holiday.mp4
    vam try --send holiday.mp4 --transport udp --json
    vam --data ./play try`
}

func (c tryCmd) Run(ctx context.Context, e *env) (err error) {
	if c.Send != "" { // a slip of the pen should not cost two servers
		f, _, err := openFile(c.Send)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return fileError(err, c.Send)
		}
	}
	dir, cleanup, err := c.folder(e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanup()) }()
	t, err := openTrial(ctx, e, dir, c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var servers errgroup.Group
	for _, s := range t.sides() {
		servers.Go(func() error { defer stop(); return s.server.Run(ctx, nil) })
	}
	result := c.work(ctx, e, t)
	stop()
	failed := errors.Join(servers.Wait(), t.close())
	if errors.Is(result, context.Canceled) && failed != nil {
		return failed // a server that broke is why the work was cut off
	}
	return errors.Join(result, failed)
}

// work is what happens while the two servers run.
func (c tryCmd) work(ctx context.Context, e *env, t *trial) error {
	if c.Send != "" {
		sent, err := t.send(ctx, e, c)
		if err != nil {
			return err
		}
		if err := sent.print(e); err != nil {
			return err
		}
		if !sent.Equal {
			return exitStatus(exitIO)
		}
		if !c.Stay {
			return nil
		}
		if t.link, err = t.watchLink(ctx, sent.ID); err != nil {
			return err
		}
	}
	if err := t.explain(e); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// folder is where everything lies: --data, or one that goes away.
func (c tryCmd) folder(e *env) (dir string, cleanup func() error, err error) {
	if e.Data != "" {
		dir, err = filepath.Abs(e.Data)
		return dir, func() error { return nil }, err
	}
	dir, err = os.MkdirTemp("", "vam-try-")
	if err != nil {
		return "", nil, vam.Wrap(fileKind(err), err, "there is no room for a temporary folder")
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}

// running is what `vam try --json` prints while it runs; keys are stable.
type running struct {
	Servers []runningServer `json:"servers"`
	Profile string          `json:"profile"`             // for VAM_PROFILE: the accounts of both
	DNS     string          `json:"dns"`                 // address and port of the DNS server
	Watch   string          `json:"watch_url,omitempty"` // where the message that was sent is watched
	CAFile  string          `json:"ca_file"`             // certificate of the authority that both servers trust
}

// runningServer is one of the two.
type runningServer struct {
	Domain  vam.Domain  `json:"domain"`
	Account vam.Address `json:"account"`
	Listen  string      `json:"listen"`   // address and port, TCP and UDP
	DataDir string      `json:"data_dir"` // for --data
}

// explain says how to use both domains.
func (t *trial) explain(e *env) error {
	if e.JSON {
		r := running{Profile: t.profile, DNS: t.dns.Addr().String(), Watch: t.link, CAFile: t.caFile()}
		for _, s := range t.sides() {
			r.Servers = append(r.Servers, runningServer{s.domain, s.account, s.addr.String(), s.dir})
		}
		return e.printJSON(r)
	}
	fmt.Fprintf(e.out, "\nTwo domains run on this machine until Ctrl-C:\n\n")
	for _, s := range t.sides() {
		fmt.Fprintf(e.out, "  %-14s %s, TCP and UDP, data in %s\n", s.account, s.addr, safe(s.dir))
	}
	if t.link != "" {
		fmt.Fprintf(e.out, "\nWatch what bob got, in a browser:\n\n  %s\n\n", t.link)
		fmt.Fprintf(e.out, "  The browser does not know the authority of this trial: let its warning pass, or have it trust\n  %s\n", safe(t.caFile()))
	}
	program := shellWord(os.Args[0])
	fmt.Fprintf(e.out, "\nIn another terminal:\n\n")
	fmt.Fprintf(e.out, "  export VAM_PROFILE=%s   # alice's and bob's accounts\n", shellWord(t.profile))
	fmt.Fprintf(e.out, "  %s send FILE bob@b.test --wait     # alice sends\n", program)
	fmt.Fprintf(e.out, "  %s inbox --as bob@b.test           # bob looks\n", program)
	fmt.Fprintf(e.out, "  %s get ID --as bob@b.test          # and saves\n", program)
	fmt.Fprintf(e.out, "  %s link ID --as bob@b.test         # or watches in a browser\n", program)
	fmt.Fprintf(e.out, "  ffmpeg -re -f lavfi -i testsrc2 -t 20 -f mpegts - | %s send --live - bob@b.test\n", program)
	fmt.Fprintf(e.out, "  %s --data %s queue          # the administrator of a.test looks\n", program, shellWord(t.a.dir))
	fmt.Fprintf(e.out, "  dig @%s -p %d SRV _video-activmail._tcp.b.test\n\n", t.dns.Addr().Addr(), t.dns.Addr().Port())
	return nil
}
