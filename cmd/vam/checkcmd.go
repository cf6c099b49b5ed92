package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/sqlite"
)

type checkCmd struct{}

func (checkCmd) Help() string {
	return `Reads the whole database and every stored byte of every message against the hash in
its log, and names what does not match. The server may run meanwhile. The exit
status is 74 when something is damaged.

Examples:

    vam check
    vam --data /srv/vam check --json`
}

// checked is what `vam check --json` prints; keys are stable.
type checked struct {
	Messages int       `json:"messages"`
	Bytes    int64     `json:"bytes"`
	Damaged  []damaged `json:"damaged"`
}

type damaged struct {
	Message string `json:"message,omitempty"` // "origin/id"
	Line    int64  `json:"line"`              // of its log, -1 for the whole file or the database
	Offset  int64  `json:"offset"`            // in the file, -1 beside it
	Text    string `json:"text"`
}

func (checkCmd) Run(ctx context.Context, e *env) error {
	report := checked{Damaged: []damaged{}}
	err := e.withDatabase(ctx, func(db *sqlite.DB, conf *config.Effective) error {
		if err := db.Check(ctx); vam.KindOf(err) == vam.Corrupt && err != nil {
			report.add(e, damaged{Line: -1, Offset: -1, Text: "database: " + err.Error()})
		} else if err != nil {
			return err
		}
		blobs, err := localblob.Open(conf.DataDir, localblob.Options{})
		if err != nil {
			return err
		}
		messages := message.New(db.Messages(), blobs, message.Options{Limits: checkLimits(conf)})
		err = report.messages(ctx, e, db, messages)
		return errors.Join(err, messages.Close(), blobs.Close())
	})
	if err != nil {
		return err
	}
	if e.JSON {
		if err := e.printJSON(report); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(e.out, "%s, %s read, %d damaged\n", count(report.Messages, "message"), vam.Bytes(report.Bytes), len(report.Damaged))
	}
	if len(report.Damaged) > 0 {
		return exitStatus(exitIO)
	}
	return nil
}

// checkLimits are wide enough for whatever an earlier configuration took.
func checkLimits(conf *config.Effective) activmail.Limits {
	l := activmail.DefaultLimits()
	l.Message = max(l.Message, conf.Limits.Message)
	return l
}

// messages reads every message; media that several of them share is read once.
func (r *checked) messages(ctx context.Context, e *env, db *sqlite.DB, messages *message.Service) error {
	seen := map[blob.ID]bool{}
	p := e.progress("check", 0, nil)
	defer p.Done("")
	for after := int64(0); ; {
		keys, next, err := db.Messages().Keys(ctx, after, 500)
		if err != nil || len(keys) == 0 {
			return err
		}
		after = next
		for _, k := range keys {
			if err := r.message(ctx, e, messages, k, seen); err != nil {
				return err
			}
			p.Set(vam.Bytes(r.Bytes))
		}
	}
}

func (r *checked) message(ctx context.Context, e *env, messages *message.Service, k message.Key, seen map[blob.ID]bool) error {
	m, err := messages.Get(ctx, k)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return nil // it went away meanwhile
	}
	if err != nil {
		return err
	}
	r.Messages++
	if m.Media == (blob.ID{}) || seen[m.Media] && m.Complete {
		return nil
	}
	seen[m.Media] = m.Complete
	n, err := messages.Check(ctx, k, func(l message.Line, err error) {
		r.add(e, damaged{Message: k.String(), Line: l.N, Offset: l.Offset, Text: vam.Public(err)})
	})
	r.Bytes += n
	if err != nil && !errors.Is(err, io.EOF) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.add(e, damaged{Message: k.String(), Line: -1, Offset: -1, Text: err.Error()})
		return nil
	}
	if !m.Complete || m.Head.MediaBytes == 0 {
		return nil
	}
	if err := messages.VerifyDigest(ctx, k); vam.KindOf(err) == vam.Corrupt && err != nil {
		r.add(e, damaged{Message: k.String(), Line: -1, Offset: -1, Text: vam.Public(err)})
	} else if err != nil && vam.KindOf(err) != vam.NotFound && vam.KindOf(err) != vam.Gone {
		return err
	}
	return nil
}

// add reports damage at once: a check of a large store takes a while.
func (r *checked) add(e *env, d damaged) {
	r.Damaged = append(r.Damaged, d)
	if e.JSON {
		return
	}
	place := d.Message
	if d.Line >= 0 {
		place += fmt.Sprintf(", line %d", d.Line)
	}
	if d.Offset >= 0 {
		place += fmt.Sprintf(", octet %d", d.Offset)
	}
	if place != "" {
		place += ": "
	}
	fmt.Fprintf(e.out, "damaged: %s%s\n", place, safe(d.Text))
}
