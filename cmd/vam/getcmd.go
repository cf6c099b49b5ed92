package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type getCmd struct {
	userFlags
	ID     string `arg:"" help:"Message: its id, or the beginning or end of it."`
	Output string `short:"o" placeholder:"FILE" help:"Where to save: a file, which is overwritten, a folder, or - for standard output. Default: its own name in this folder, and nothing is overwritten."`
}

func (getCmd) Help() string {
	return `Saves the file of a message, byte for byte what its author sent, and checks its
SHA-256. One that still arrives is followed to its end, so that a player can
watch it. A save that broke off goes on where it stopped.

Examples:

    vam get 3f9a61c2
    vam get 3f9a61c2 -o holiday.mp4
    vam get 3f9a61c2 -o - | ffplay -`
}

// saved is what `vam get --json` prints; keys are stable.
type saved struct {
	ID     vam.MessageID `json:"message_id"`
	File   string        `json:"file"` // where it was saved
	Bytes  int64         `json:"media_bytes"`
	SHA256 string        `json:"sha256"` // of the file, hex; the same as the message's
}

func (c getCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, longPatience, func(client *userclient.Client, x userwire.Entry) error {
		d := &download{e: e, client: client, entry: x, hash: sha256.New()}
		into, stream, err := c.target(x)
		if err != nil {
			return err
		}
		switch {
		case c.Output == "-":
			return d.stream(ctx, e.out)
		case stream:
			f, err := openStream(ctx, into, os.O_WRONLY)
			if err != nil {
				return err
			}
			return errors.Join(d.stream(ctx, f), f.Close())
		}
		path, err := d.save(ctx, into, c.Output == "" || into != c.Output)
		if err != nil {
			return err
		}
		if e.JSON {
			return e.printJSON(saved{x.ID, path, d.at, d.sum()})
		}
		fmt.Fprintln(e.out, safe(path))
		return nil
	})
}

// target is where the file goes. stream says that something stands there which is neither
// a file nor a folder, such as a pipe, and is written to as it is.
func (c getCmd) target(x userwire.Entry) (path string, stream bool, err error) {
	if c.Output == "" {
		return safeName(x), false, nil
	}
	info, err := os.Stat(c.Output)
	switch {
	case errors.Is(err, os.ErrNotExist) && !strings.HasSuffix(c.Output, string(filepath.Separator)):
		return c.Output, false, nil
	case err != nil:
		return "", false, fileError(err, c.Output)
	case info.IsDir():
		return filepath.Join(c.Output, safeName(x)), false, nil
	}
	return c.Output, !info.Mode().IsRegular(), nil
}

// safeName is the name that the author gave the file, as a name in this folder: no other
// folder, no hidden file, nothing that a shell takes for an option.
func safeName(x userwire.Entry) string {
	name := filepath.Base(strings.ReplaceAll(x.Name, `\`, "/"))
	if name == "" || name == string(filepath.Separator) || strings.ContainsAny(name[:1], ".-~") {
		name = "message-" + shortID(x.ID)
	}
	const most = 200 // leaves room for what is appended below the usual limit of 255
	if ext := filepath.Ext(name); len(name) > most && len(ext) < 20 {
		name = strings.ToValidUTF8(name[:most-len(ext)], "") + ext
	} else if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return name
}

// download is the file of a message on its way to this machine.
type download struct {
	e      *env
	client *userclient.Client
	entry  userwire.Entry
	hash   hash.Hash
	at     int64 // octets that are here
}

func (d *download) sum() string { return hex.EncodeToString(d.hash.Sum(nil)) }

// check compares what came with what the message says of itself, once it is sealed.
func (d *download) check(ctx context.Context) error {
	now, err := d.client.Entry(ctx, d.entry.Origin, d.entry.ID)
	if err != nil {
		return err
	}
	if now.SHA256 != d.sum() {
		return vam.Errorf(vam.Corrupt, "what was saved has another SHA-256 (%s) than the message (%s)", d.sum(), now.SHA256)
	}
	return nil
}

// stream writes the file into w as it comes.
func (d *download) stream(ctx context.Context, w io.Writer) error {
	if err := d.fetch(ctx, w); err != nil {
		return err
	}
	return d.check(ctx)
}

// save writes the file beside path, which a later save goes on with, and gives it its
// name when the hash is right. With fresh, a file of that name stays, and a number is
// added.
func (d *download) save(ctx context.Context, path string, fresh bool) (string, error) {
	part := path + "." + shortID(d.entry.ID) + ".part"
	f, err := claimPart(part)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if d.at, err = io.Copy(d.hash, f); err != nil {
		return "", fileError(err, part)
	}
	if err := d.fetch(ctx, f); err != nil {
		if d.at == 0 {
			_ = os.Remove(part) // there is nothing to go on with
		}
		return "", err
	}
	if err := d.check(ctx); err != nil {
		if vam.KindOf(err) == vam.Corrupt {
			_ = os.Remove(part)
		}
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", fileError(err, part)
	}
	if fresh {
		if path, err = claimName(path); err != nil {
			return "", err
		}
	}
	if err := os.Rename(part, path); err != nil {
		return "", fileError(err, path)
	}
	return path, nil
}

// claimPart opens the file that a save writes into, for this process alone.
func claimPart(part string) (*os.File, error) {
	for {
		f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
		if err != nil {
			return nil, fileError(err, part)
		}
		if !lockFile(f) {
			_ = f.Close()
			return nil, vam.Errorf(vam.Conflict, "another vam is saving this message into %s", part)
		}
		if there, err := os.Stat(part); err == nil && sameFile(f, there) {
			return f, nil
		}
		_ = f.Close() // another save was done with it between the two steps
	}
}

// claimName makes an empty file of that name, or with a number where there is one, so
// that nobody else takes the name meanwhile.
func claimName(path string) (string, error) {
	ext := filepath.Ext(path)
	for i, try := 2, path; ; i++ {
		f, err := os.OpenFile(try, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			return try, f.Close()
		}
		if !errors.Is(err, os.ErrExist) {
			return "", fileError(err, try)
		}
		try = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(path, ext), i, ext)
	}
}

// patientReads is how often in a row a broken connection is taken up again without a new
// octet, each time with the patience of the client.
const patientReads = 5

// fetch writes the media from d.at on, through broken connections.
func (d *download) fetch(ctx context.Context, w io.Writer) error {
	p := d.e.progress(safeName(d.entry), vam.Bytes(d.entry.Bytes), nil)
	out := &fetched{d: d, w: w, p: p}
	for tries := 0; ; tries++ {
		before := d.at
		err := d.read(ctx, out)
		if err == nil {
			p.Done(vam.Bytes(d.at).String())
			return nil
		}
		if d.at > before {
			tries = 0
		}
		if vam.KindOf(err) != vam.Unavailable || out.failed || ctx.Err() != nil || tries >= patientReads {
			p.Done("")
			return err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
		if now, err := d.client.Entry(ctx, d.entry.Origin, d.entry.ID); err == nil {
			d.entry = now // it may have come to its end
		}
	}
}

func (d *download) read(ctx context.Context, out io.Writer) error {
	if d.entry.Sealed && d.at > 0 && d.at >= d.entry.Bytes {
		return nil
	}
	body, _, err := d.client.Media(ctx, d.entry.Origin, d.entry.ID, d.at)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(out, body)
	return err
}

// fetched takes what comes: into the file, the hash and the progress bar.
type fetched struct {
	d      *download
	w      io.Writer
	p      *progress
	failed bool // w does not take it; another connection does not help
}

func (f *fetched) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	f.d.hash.Write(b[:n])
	f.d.at += int64(n)
	f.p.Set(vam.Bytes(f.d.at))
	if err != nil {
		f.failed = true
		var out *outputError
		if file, ok := f.w.(*os.File); ok && !errors.As(err, &out) {
			err = fileError(err, file.Name())
		}
	}
	return n, err
}
