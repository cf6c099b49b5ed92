package peer

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
)

//go:embed main.cf.tmpl
var postfixMain string

//go:embed master.cf.tmpl
var postfixMaster string

const (
	mailDomain = "peer.test"
	mailBox    = "bob"
)

// Postfix is a running Postfix that delivers mail for one domain into a maildir,
// with configuration, queue and port of its own. It speaks no TLS, keeps no log, has
// no limit of size, delays nobody and asks no DNS: the fastest Postfix there is. It
// makes durable what it accepts, hashes nothing and signs nothing.
type Postfix struct {
	// Version is what it says of itself.
	Version string

	addr  string
	dir   string
	track *Track
	proc  *process
}

// StartPostfix runs it on the server's side of t until Stop; scratch, which other
// users must be able to pass through, is where it makes its folder. Errors:
// ErrMissing.
func StartPostfix(ctx context.Context, t *Track, scratch string) (*Postfix, error) {
	if err := needRoot("Postfix"); err != nil {
		return nil, err
	}
	postconf, err := find("postconf")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, "postfix-*")
	if err != nil {
		return nil, err
	}
	p := &Postfix{dir: dir, track: t}
	if err := p.start(ctx, postconf); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

func (p *Postfix) start(ctx context.Context, postconf string) error {
	built := func(name string) string {
		out, err := exec.CommandContext(ctx, postconf, "-d", "-h", name).Output()
		if err != nil {
			return ""
		}
		return string(bytes.TrimSpace(out))
	}
	p.Version = "Postfix " + built("mail_version")
	values := map[string]any{
		"Dir": p.dir, "Domain": mailDomain, "Box": mailBox,
		"Commands": built("command_directory"), "Daemons": built("daemon_directory"),
		"Owner": built("mail_owner"), "Group": built("setgid_group"),
	}
	owner, err := user.Lookup(built("mail_owner"))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMissing, err)
	}
	uid, uidErr := strconv.Atoi(owner.Uid)
	gid, gidErr := strconv.Atoi(owner.Gid)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return err
	}
	values["UID"], values["GID"] = uid, gid
	if p.addr, err = freePort(ctx, p.track); err != nil {
		return err
	}
	values["Addr"] = p.addr
	if err := p.configure(values, uid, gid); err != nil {
		return err
	}
	check, err := startProcess(exec.Command(built("command_directory")+"/postfix", "-c", p.etc(), "check"), p.track.startServer)
	if err != nil {
		return err
	}
	if err := check.wait(ctx); err != nil {
		return err
	}
	master := exec.Command(built("daemon_directory")+"/master", "-c", p.etc())
	if p.proc, err = startProcess(master, p.track.startServer); err != nil {
		return err
	}
	return p.proc.until(ctx, func() bool { return p.greets(ctx) })
}

func (p *Postfix) etc() string { return filepath.Join(p.dir, "etc") }

// box is the folder of delivered mail.
func (p *Postfix) box() string { return filepath.Join(p.dir, "mail", mailBox, "new") }

// configure writes what Postfix reads, and makes the folders that it does not make
// itself.
func (p *Postfix) configure(values map[string]any, uid, gid int) error {
	if err := os.Chmod(p.dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"etc", "spool", "data", "mail"} {
		if err := os.Mkdir(filepath.Join(p.dir, name), 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{"main.cf": postfixMain, "master.cf": postfixMaster} {
		conf, err := render(text, values)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(p.etc(), name), conf, 0o644); err != nil {
			return err
		}
	}
	return errors.Join(
		os.Chown(filepath.Join(p.dir, "data"), uid, gid),
		os.Chown(filepath.Join(p.dir, "mail"), uid, gid),
	)
}

// greets reports whether the server answers a session.
func (p *Postfix) greets(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := dialSMTP(ctx, p.track, p.addr)
	if err != nil {
		return false
	}
	s.quit()
	return true
}

// Stop ends the server and removes its folder.
func (p *Postfix) Stop() {
	if p.proc != nil {
		p.proc.stop()
	}
	_ = os.RemoveAll(p.dir)
}

// Attach sends file as the base64 attachment of one mail and waits until it is in
// the mailbox. The client encodes while it sends.
func (p *Postfix) Attach(ctx context.Context, file File) (Transfer, error) {
	if err := p.empty(); err != nil {
		return Transfer{}, err
	}
	out, err := p.track.timed("tcp", p.addr, file, func(addr string) error {
		s, err := dialSMTP(ctx, p.track, addr)
		if err != nil {
			return err
		}
		defer s.quit()
		defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
		if err := s.send(func(w *lineWriter) error { return attachment(w, file) }); err != nil {
			return err
		}
		return p.delivered(ctx, 1)
	})
	if err != nil {
		return Transfer{}, err
	}
	names, err := os.ReadDir(p.box())
	if err != nil || len(names) != 1 {
		return Transfer{}, errors.Join(err, fmt.Errorf("%d mails in the mailbox, not one", len(names)))
	}
	return out, errors.Join(checkAttachment(filepath.Join(p.box(), names[0].Name()), file), p.empty())
}

// empty removes what was delivered before.
func (p *Postfix) empty() error { return os.RemoveAll(filepath.Join(p.dir, "mail", mailBox)) }

// delivered waits until n mails are in the mailbox.
func (p *Postfix) delivered(ctx context.Context, n int) error {
	return p.proc.until(ctx, func() bool {
		d, err := os.Open(p.box())
		if err != nil {
			return false
		}
		defer func() { _ = d.Close() }()
		names, _ := d.Readdirnames(-1)
		return len(names) >= n
	})
}

// Burst is what many small messages took.
type Burst struct {
	// Accepted is when the last was accepted, Delivered when the last had arrived, in
	// seconds from the start.
	Accepted, Delivered float64
	Messages            int
	// Bytes is the content of each.
	Bytes vam.Bytes
}

// Burst sends n mails of size octets over sessions kept open, one after the other in
// each. A mail with attached set carries size octets as a base64 attachment; one
// without is size octets of text. Commands are pipelined.
func (p *Postfix) Burst(ctx context.Context, n, sessions int, size vam.Bytes, attached bool) (Burst, error) {
	if err := p.empty(); err != nil {
		return Burst{}, err
	}
	body := text(size)
	if attached {
		body = encoded(size)
	}
	out := Burst{Messages: n, Bytes: size}
	start := time.Now()
	err := InParallel(ctx, n, sessions, func(ctx context.Context, next func() (int, bool)) error {
		s, err := dialSMTP(ctx, p.track, p.addr)
		if err != nil {
			return err
		}
		defer s.quit()
		defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
		for {
			i, ok := next()
			if !ok {
				return nil
			}
			if err := s.send(func(w *lineWriter) error { return small(w, i, body, attached) }); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return Burst{}, err
	}
	out.Accepted = time.Since(start).Seconds()
	if err := p.delivered(ctx, n); err != nil {
		return Burst{}, err
	}
	out.Delivered = time.Since(start).Seconds()
	return out, p.empty()
}
