package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type sendCmd struct {
	userFlags
	File      string   `arg:"" help:"File to send; - reads a recording from standard input."`
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
	Forward   string   `placeholder:"ID" help:"Message of your mailbox whose file is sent again, in place of FILE (then -)."`
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
    vam send --forward 3f9a61c2 - carol@c.example`
}

func (c sendCmd) Run(ctx context.Context, e *env) error {
	d, err := c.draft()
	if err != nil {
		return err
	}
	client, me, err := e.client(c.userFlags)
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
	case c.File == "-":
		return &usageError{err: errors.New("standard input has no known end; add --live, or name a file"), command: "vam send"}
	default:
		m, err = c.file(ctx, e, client, me, d)
	}
	if err != nil {
		return err
	}
	if c.Wait || c.WaitFor != "" {
		if m, err = c.wait(ctx, e, client, m); err != nil {
			return err
		}
	}
	if err := c.print(e, m); err != nil {
		return err
	}
	return outcome(m, c.Wait || c.WaitFor != "")
}

// draft is what the flags say of the message.
func (c sendCmd) draft() (userwire.Draft, error) {
	d := userwire.Draft{Subject: c.Subject, Text: c.Text}
	if len(c.To)+len(c.Bcc) == 0 {
		return d, &usageError{err: errors.New("there is no recipient"), command: "vam send"}
	}
	for _, list := range []struct {
		in  []string
		out *[]string
	}{{c.To, &d.To}, {c.Bcc, &d.Bcc}} {
		for _, s := range list.in {
			a, err := parseAddress(s)
			if err != nil {
				return d, err
			}
			*list.out = append(*list.out, a.String())
		}
	}
	if c.From != "" {
		a, err := parseAddress(c.From)
		if err != nil {
			return d, err
		}
		d.From = a.String()
	}
	now := time.Now()
	for _, t := range []struct {
		text string
		out  *time.Time
	}{{c.DeliverBy, &d.DeliverBy}, {c.Expires, &d.Expires}} {
		if t.text == "" {
			continue
		}
		after, err := parseTime(t.text)
		if err != nil {
			return d, err
		}
		*t.out = now.Add(after).UTC().Truncate(time.Second)
	}
	return d, nil
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

// file sends a file of the disk.
func (c sendCmd) file(ctx context.Context, e *env, client *userclient.Client, me profileAccount, d userwire.Draft) (userwire.Message, error) {
	f, err := os.Open(c.File)
	if err != nil {
		return userwire.Message{}, fileError(err, c.File)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return userwire.Message{}, fileError(err, c.File)
	}
	if !before.Mode().IsRegular() {
		return userwire.Message{}, vam.Errorf(vam.Invalid, "%s is no ordinary file; a pipe is sent with --live -", c.File)
	}
	d.Name = filepath.Base(c.File)
	if d.Subject == "" {
		d.Subject = d.Name
	}
	if err := c.describe(f, &d); err != nil {
		return userwire.Message{}, fileError(err, c.File)
	}
	box, err := e.outbox(me, c.File, before, d)
	if err != nil {
		return userwire.Message{}, err
	}
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
		if ctx.Err() != nil {
			e.note("nothing was sent; the same command goes on where it stopped")
		}
		if !vam.KindOf(err).Temporary() && ctx.Err() == nil {
			box.forget()
			if derr := client.Discard(context.WithoutCancel(ctx), box.id); derr != nil && vam.KindOf(derr) != vam.NotFound {
				e.note("the draft %s stays on the server: %s", box.id, vam.Public(derr))
			}
		}
		return m, err
	}
	p.Done(vam.Bytes(before.Size()).String() + "  accepted")
	box.forget()
	return m, nil
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

// fileError classifies what the file system says of a file that a person named.
func fileError(err error, path string) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return vam.Errorf(vam.NotFound, "there is no file %s", path)
	case errors.Is(err, os.ErrPermission):
		return vam.Errorf(vam.Denied, "you may not read %s", path)
	case vam.KindOf(err) != vam.Internal:
		return err
	}
	return vam.Wrap(vam.Unavailable, err, "%s cannot be read", path)
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

// live sends what standard input, or a file that may be a pipe, brings.
func (c sendCmd) live(ctx context.Context, e *env, client *userclient.Client, d userwire.Draft) (userwire.Message, error) {
	in, name := e.in, "recording"
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return userwire.Message{}, fileError(err, c.File)
		}
		defer f.Close()
		in, name = f, filepath.Base(c.File)
	}
	d.Name, d.Kind = name, string(vam.Video)
	if c.Kind != "auto" {
		d.Kind = c.Kind
	}
	if d.Subject == "" {
		d.Subject = "Live: " + name
	}
	p := e.progress("live", 0, nil)
	up := userclient.Upload{Client: client, ID: vam.NewMessageID(time.Now()), Draft: d, Progress: func(n int64) { p.Set(vam.Bytes(n)) }}
	m, err := up.Live(ctx, in)
	if err != nil {
		p.Done("")
		if ctx.Err() != nil {
			// The recording ended here: what came so far is the message.
			return client.Seal(context.WithoutCancel(ctx), up.ID, [32]byte{})
		}
		return m, err
	}
	p.Done(vam.Bytes(m.Bytes).String() + "  sealed")
	return m, nil
}

// forward sends the file of a message again; no byte is uploaded.
func (c sendCmd) forward(ctx context.Context, client *userclient.Client, d userwire.Draft) (userwire.Message, error) {
	entry, err := findEntry(ctx, client, c.Forward)
	if err != nil {
		return userwire.Message{}, err
	}
	d.MediaOf, d.Kind, d.Name, d.Type = string(entry.Origin)+"/"+string(entry.ID), string(entry.Kind), entry.Name, entry.Type
	if d.Subject == "" {
		d.Subject = "Fwd: " + entry.Subject
	}
	id := vam.NewMessageID(time.Now())
	if _, err := client.Put(ctx, id, d); err != nil {
		return userwire.Message{}, err
	}
	return client.Send(ctx, id)
}

// wait asks the server until no recipient is on the way any more.
func (c sendCmd) wait(ctx context.Context, e *env, client *userclient.Client, m userwire.Message) (userwire.Message, error) {
	if c.WaitFor != "" {
		limit, err := parseTime(c.WaitFor)
		if err != nil {
			return m, err
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	p := e.progress("delivery", 0, nil)
	defer p.Done("")
	for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		now, err := client.Message(ctx, m.ID)
		if err == nil {
			m = now
		}
		if settled(m) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return m, nil
		}
		if err != nil {
			return m, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// settled reports whether every recipient's server has the message, refused it, or
// leaves the decision to a person.
func settled(m userwire.Message) bool {
	for _, r := range m.Recipients {
		if !r.State.Arrived() && !r.State.Final() && r.State != vam.Held {
			return false
		}
	}
	return true
}

func (c sendCmd) print(e *env, m userwire.Message) error {
	if e.JSON {
		return e.printJSON(m)
	}
	if e.Quiet {
		fmt.Fprintln(e.out, m.ID)
		return nil
	}
	fmt.Fprintf(e.out, "%s  %s  accepted\n", m.ID, vam.Bytes(m.Bytes))
	printRecipients(e, m.Recipients)
	return nil
}

// outcome is the exit status of a send: a refusal is told even without --wait when it
// is known already.
func outcome(m userwire.Message, waited bool) error {
	worst := exitOK
	for _, r := range m.Recipients {
		switch {
		case r.State.Final():
			return exitStatus(exitUnavailable)
		case waited && !r.State.Arrived():
			worst = exitTemporary
		}
	}
	if worst != exitOK {
		return exitStatus(worst)
	}
	return nil
}
