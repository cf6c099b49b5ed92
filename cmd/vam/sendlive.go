package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// live sends what standard input, or a file that may be a pipe, brings.
func (c sendCmd) live(ctx context.Context, e *env, client *userclient.Client, d userwire.Draft) (userwire.Message, error) {
	in, name := e.in, "recording"
	if c.File != "-" {
		f, err := openStream(ctx, c.File, os.O_RDONLY)
		if err != nil {
			return userwire.Message{}, err
		}
		defer f.Close()
		in, name = f, filepath.Base(c.File)
	} else if e.inTTY {
		return userwire.Message{}, &usageError{err: errors.New("standard input is a terminal; let a recorder write into a pipe, as in the examples"), command: "vam send"}
	}
	d.Name, d.Kind = name, string(vam.Video)
	if c.Kind != "auto" {
		d.Kind = c.Kind
	}
	if d.Subject == "" {
		d.Subject = "Live: " + subjectOf(name)
	}
	p := e.progress("live", 0, nil)
	up := userclient.Upload{Client: client, ID: vam.NewMessageID(time.Now()), Draft: d, Progress: func(n int64) { p.Set(vam.Bytes(n)) }}
	stop := context.AfterFunc(ctx, func() { e.note("the recording ends here; once more cuts off what is under way") })
	defer stop()
	m, err := up.Live(ctx, in)
	if err != nil {
		p.Done("")
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
	if c.Kind != "auto" {
		d.Kind = c.Kind
	}
	if d.Subject == "" {
		d.Subject = "Fwd: " + entry.Subject
	}
	id := vam.NewMessageID(time.Now())
	if _, err := client.Put(ctx, id, d); err != nil {
		return userwire.Message{}, err
	}
	m, err := client.Send(ctx, id)
	if err != nil && !vam.KindOf(err).Temporary() && ctx.Err() == nil {
		_ = client.Discard(ctx, id)
	}
	return m, err
}
