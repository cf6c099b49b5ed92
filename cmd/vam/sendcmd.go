package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type sendCmd struct {
	userFlags
	File      string   `arg:"" help:"File to send; - reads a recording from standard input, with --live."`
	To        []string `arg:"" optional:"" help:"Recipients."`
	Bcc       []string `placeholder:"ADDRESS" help:"Recipients that the others do not see."`
	From      string   `placeholder:"ADDRESS" help:"An alias of yours to write as."`
	Subject   string   `short:"s" placeholder:"TEXT" help:"Subject. Default: the name of the file."`
	Text      string   `short:"t" placeholder:"TEXT" help:"Words to go with it."`
	Kind      string   `default:"auto" enum:"auto,video,voice,file" placeholder:"KIND" help:"What it is: auto (looks at the file), video, voice or file."`
	Live      bool     `help:"Send at once, and what comes as it comes: recipients watch while it is being made."`
	Wait      bool     `help:"Wait until every recipient's server has it, or an answer."`
	WaitFor   string   `placeholder:"TIME" help:"The same, at most this long, such as 90s or 1h."`
	DeliverBy string   `placeholder:"TIME" help:"Give up after this time, such as 12h or 2d. Default: the server's, 4 days."`
	Expires   string   `placeholder:"TIME" help:"The message goes away after this time, such as 30d."`
	Forward   string   `placeholder:"ID" help:"Message of your mailbox whose file is sent again, in place of FILE."`
}

func (sendCmd) Help() string {
	return `Sends a file to one or more addresses. It is accepted when the command ends: your
server then delivers it, and tells you in your inbox if it cannot. A broken
upload goes on where it stopped when the same command is given again.

Examples:

    vam send holiday.mp4 bob@b.example
    vam send report.mp4 bob@b.example carol@c.example -s "Report" -t "See you on Monday."
    vam send clip.mp4 bob@b.example --wait --json
    ffmpeg -f v4l2 -i /dev/video0 -f mpegts - | vam send --live - bob@b.example
    vam send --forward 3f9a61c2 carol@c.example`
}

func (c sendCmd) Run(ctx context.Context, e *env) error {
	if err := c.arrange(); err != nil {
		return &usageError{err: err, command: "vam send"}
	}
	limit, err := c.waitLimit()
	if err != nil {
		return err
	}
	d, err := c.draft(time.Now())
	if err != nil {
		return err
	}
	client, me, err := e.client(c.userFlags, longPatience)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	var m userwire.Message
	switch {
	case c.Forward != "":
		m, err = c.forward(ctx, client, d)
	case c.Live:
		m, err = c.live(ctx, e, client, d)
	default:
		m, err = c.file(ctx, e, client, me, d)
	}
	if err != nil {
		return err
	}
	waits := limit > 0 && ctx.Err() == nil // a recording that was stopped by a signal is not waited for
	if waits {
		if m, err = c.wait(ctx, e, client, m, limit); err != nil {
			return err
		}
	}
	if err := c.print(e, m); err != nil {
		return err
	}
	return outcome(m, waits)
}

// arrange looks for what the flags cannot say together. With --forward there is no file,
// and the first word is a recipient.
func (c *sendCmd) arrange() error {
	if c.Forward != "" {
		if c.Live {
			return errors.New("--forward and --live exclude each other")
		}
		if c.File != "-" {
			c.To = append([]string{c.File}, c.To...)
		}
		c.File = ""
	}
	switch {
	case c.File == "-" && !c.Live:
		return errors.New("standard input has no known end; add --live, or name a file")
	case len(c.To)+len(c.Bcc) == 0:
		return errors.New("there is no recipient; addresses stand behind the file")
	}
	return nil
}

// waitLimit is how long to wait for the recipients' servers, 0 for not at all.
func (c sendCmd) waitLimit() (time.Duration, error) {
	switch {
	case c.WaitFor != "":
		return parseTime(c.WaitFor)
	case c.Wait:
		return 100 * 365 * 24 * time.Hour, nil
	}
	return 0, nil
}

// draft is what the flags say of the message.
func (c sendCmd) draft(now time.Time) (d userwire.Draft, err error) {
	d = userwire.Draft{Subject: c.Subject, Text: c.Text}
	if d.To, err = writtenAddresses(c.To); err != nil {
		return d, err
	}
	if d.Bcc, err = writtenAddresses(c.Bcc); err != nil {
		return d, err
	}
	if c.From != "" {
		a, err := parseAddress(c.From)
		if err != nil {
			return d, err
		}
		d.From = a.String()
	}
	if d.DeliverBy, err = momentAfter(now, c.DeliverBy); err != nil {
		return d, err
	}
	d.Expires, err = momentAfter(now, c.Expires)
	return d, err
}

func writtenAddresses(in []string) (out []string, err error) {
	for _, s := range in {
		a, err := parseAddress(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a.String())
	}
	return out, nil
}

// momentAfter is the moment that a flag names; an absent flag is the zero time.
func momentAfter(now time.Time, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	after, err := parseTime(text)
	if err != nil {
		return time.Time{}, err
	}
	return now.Add(after).UTC().Truncate(time.Second), nil
}

// parseTime reads a length of time with the units of the configuration, days included.
func parseTime(s string) (time.Duration, error) {
	var d config.Duration
	err := d.UnmarshalText([]byte(s))
	if err == nil && d.Duration <= 0 {
		err = vam.Errorf(vam.Invalid, "%q is not a time that lies ahead", s)
	}
	return d.Duration, err
}

// subjectOf is a file's name as one line: a name may hold any octets.
func subjectOf(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(name, "\ufffd"))
}

// file sends a file of the disk.
func (c sendCmd) file(ctx context.Context, e *env, client *userclient.Client, me profileAccount, d userwire.Draft) (userwire.Message, error) {
	f, before, err := openFile(c.File)
	if err != nil {
		return userwire.Message{}, err
	}
	defer f.Close()
	d.Name = filepath.Base(c.File)
	if d.Subject == "" {
		d.Subject = subjectOf(d.Name)
	}
	if err := c.describe(f, &d); err != nil {
		return userwire.Message{}, fileError(err, c.File)
	}
	box := e.outbox(me, c.File, before, d)
	defer func() { _ = box.Close() }()
	if box.old {
		e.note("going on with the upload of %s where it stopped", box.id)
	}
	p := e.progress(d.Name, vam.Bytes(before.Size()), nil)
	up := userclient.Upload{
		Client: client, ID: box.id, Draft: d, Progress: func(n int64) { p.Set(vam.Bytes(n)) },
		Verify: func() error { return unchanged(c.File, f, before) },
	}
	m, err := up.Send(ctx, f, before.Size())
	if err != nil {
		p.Done("")
		e.abandon(ctx, client, box, err)
		return m, err
	}
	p.Done(vam.Bytes(before.Size()).String() + "  accepted")
	box.forget()
	return m, nil
}

// abandon says what becomes of an upload that failed. One that can never succeed leaves
// nothing behind.
func (e *env) abandon(ctx context.Context, client *userclient.Client, box *outbox, cause error) {
	kind := vam.KindOf(cause)
	switch {
	case ctx.Err() != nil, kind == vam.Unavailable, kind == vam.Unauthenticated:
		e.note("nothing was sent; the same command goes on where it stopped")
	case kind.Temporary():
	default:
		box.forget()
		if err := client.Discard(context.WithoutCancel(ctx), box.id); err != nil && vam.KindOf(err) != vam.NotFound && vam.KindOf(err) != vam.Denied {
			e.note("the draft %s stays on the server: %s", box.id, safe(vam.Public(err)))
		}
	}
}

// unchanged fails when the file is not the one that was opened any more.
func unchanged(path string, f *os.File, before os.FileInfo) error {
	now, err := f.Stat()
	if err != nil {
		return fileError(err, path)
	}
	if now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return vam.Errorf(vam.Conflict, "%s was changed while it was being sent; nothing was sent, try again when it is finished", path)
	}
	return nil
}

// describe sets kind and media type from the name and the first octets.
func (c sendCmd) describe(r io.ReaderAt, d *userwire.Draft) error {
	head := make([]byte, 512)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	kind, mediaType := guessKind(d.Name, head[:n])
	if c.Kind != "auto" {
		kind = vam.Kind(c.Kind)
	}
	d.Kind, d.Type = string(kind), mediaType
	return nil
}
