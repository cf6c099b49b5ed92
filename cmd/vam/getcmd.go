package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
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
	ID     string `arg:"" help:"Message, or the end of its id."`
	Output string `short:"o" placeholder:"FILE" help:"Where to save; - is standard output. Default: its own name in this folder, and nothing is overwritten."`
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
	File   string        `json:"file"`
	Bytes  int64         `json:"media_bytes"`
	SHA256 string        `json:"sha256"`
}

func (c getCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, func(client *userclient.Client, x userwire.Entry) error {
		if c.Output == "-" {
			_, err := c.copy(ctx, e, client, x, e.out, sha256.New(), 0)
			return err
		}
		path := c.Output
		if path == "" {
			path = freeName(safeName(x))
		}
		sum, n, err := c.save(ctx, e, client, x, path)
		if err != nil {
			return err
		}
		if e.JSON {
			return e.printJSON(saved{x.ID, path, n, sum})
		}
		fmt.Fprintln(e.out, safe(path))
		return nil
	})
}

// safeName is the name that the author gave the file, as a name in this folder.
func safeName(x userwire.Entry) string {
	name := filepath.Base(strings.ReplaceAll(x.Name, `\`, "/"))
	if name == "" || name == "." || name == ".." || name == string(filepath.Separator) || strings.HasPrefix(name, ".") {
		name = "message-" + shortID(x.ID)
	}
	return name
}

// freeName is name, or name with a number when there is such a file.
func freeName(name string) string {
	ext := filepath.Ext(name)
	for i, try := 2, name; ; i++ {
		if _, err := os.Lstat(try); err != nil {
			return try
		}
		try = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), i, ext)
	}
}

// save writes to path.part, which a later save goes on with, and renames it when the
// hash is right.
func (c getCmd) save(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry, path string) (sum string, n int64, err error) {
	part := path + ".part"
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return "", 0, vam.Wrap(vam.Unavailable, err, "%s cannot be written", part)
	}
	defer f.Close()
	h := sha256.New()
	from, err := io.Copy(h, f)
	if err != nil {
		return "", 0, vam.Wrap(vam.Unavailable, err, "%s cannot be read", part)
	}
	if n, err = c.copy(ctx, e, client, x, f, h, from); err != nil {
		return "", n, err
	}
	sum = hex.EncodeToString(h.Sum(nil))
	now, err := client.Entry(ctx, x.Origin, x.ID)
	if err != nil {
		return sum, n, err
	}
	if now.SHA256 != sum {
		_ = os.Remove(part)
		return sum, n, vam.Errorf(vam.Corrupt, "what was saved has another SHA-256 (%s) than the message (%s); it was removed, save it again", sum, now.SHA256)
	}
	if err := errors.Join(f.Sync(), os.Rename(part, path)); err != nil {
		return sum, n, vam.Wrap(vam.Unavailable, err, "%s cannot be written", path)
	}
	return sum, n, nil
}

// copy writes the media from an offset on, through broken connections.
func (c getCmd) copy(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry, w io.Writer, h io.Writer, from int64) (int64, error) {
	p := e.progress(safeName(x), vam.Bytes(x.Bytes), nil)
	out := io.MultiWriter(w, h, progressWriter(func(n int64) { from += n; p.Set(vam.Bytes(from)) }))
	for tries := 0; ; tries++ {
		before := from
		err := readOn(ctx, client, x, from, out)
		if err == nil {
			p.Done(vam.Bytes(from).String())
			return from, nil
		}
		if from > before {
			tries = 0
		}
		if vam.KindOf(err) != vam.Unavailable || ctx.Err() != nil || tries >= 5 {
			p.Done("")
			return from, err
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		}
	}
}

func readOn(ctx context.Context, client *userclient.Client, x userwire.Entry, from int64, out io.Writer) error {
	if x.Sealed && from > 0 && from >= x.Bytes {
		return nil
	}
	body, _, err := client.Media(ctx, x.Origin, x.ID, from)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	_, err = io.Copy(out, body)
	return err
}

// progressWriter counts what passes.
type progressWriter func(n int64)

func (f progressWriter) Write(p []byte) (int, error) {
	f(int64(len(p)))
	return len(p), nil
}
