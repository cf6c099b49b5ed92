package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

type queueCmd struct {
	List  queueListCmd  `cmd:"" default:"withargs" help:"List what waits (the default)." example:"vam queue list b.example --limit 20"`
	Retry queueRetryCmd `cmd:"" help:"Try everything towards a domain now." example:"vam queue retry b.example"`
}

func (queueCmd) Help() string {
	return `For the administrator, on the machine of the server, whether it runs or not.

What waits is an offer of a message to its recipients' server, a poke that tells
of news in it, a receipt of what became of one that came, a pull of its file, a
digest of a file that is here, or a hold: a look, after three weeks, at what its
recipients' server held and says no more of.

Examples:

    vam queue
    vam queue list b.example
    vam queue retry b.example
    vam queue --json`
}

type queueListCmd struct {
	Domain string `arg:"" optional:"" help:"Only what goes to this domain."`
	Limit  int    `default:"100" placeholder:"NUMBER" help:"How many, at least 1. Default: 100."`
}

// waitingJob is one line of `vam queue --json`; keys are stable.
type waitingJob struct {
	Kind     queue.Kind `json:"kind"` // offer, poke, receipt, pull, digest or hold
	Key      string     `json:"key"`  // what it is about; of a pull "origin/message id"
	Domain   vam.Domain `json:"domain"`
	Attempts int        `json:"attempts"` // that failed
	Next     time.Time  `json:"next_attempt"`
	Deadline time.Time  `json:"deadline,omitzero"` // when it is given up
	Created  time.Time  `json:"created"`
	Reason   string     `json:"reason,omitempty"` // of the last failure
}

func (c queueListCmd) Run(ctx context.Context, e *env) error {
	if c.Limit < 1 {
		return &usageError{err: fmt.Errorf("--limit is a number from 1 on, not %d", c.Limit), command: "vam queue list"}
	}
	domain, err := optionalDomain(c.Domain)
	if err != nil {
		return err
	}
	return e.withDatabase(ctx, func(db *sqlite.DB, _ *config.Effective) error {
		jobs, err := db.Queue().Jobs(ctx, domain, c.Limit+1)
		if err != nil {
			return err
		}
		if len(jobs) > c.Limit {
			jobs = jobs[:c.Limit]
			e.note("there are more; these are the next %d", c.Limit)
		}
		list := []waitingJob{}
		for _, j := range jobs {
			next := j.NextAt
			if dest, err := db.Queue().Destination(ctx, j.Domain); err == nil && dest.NextAt.After(next) {
				next = dest.NextAt
				if j.Reason == "" {
					j.Reason = dest.Reason
				}
			}
			list = append(list, waitingJob{j.Kind, j.Key, j.Domain, j.Attempts, next, j.Deadline, j.Created, j.Reason})
		}
		if e.JSON {
			return e.printJSON(list)
		}
		if len(list) == 0 {
			e.note("nothing waits")
			return nil
		}
		w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "WHAT\tDOMAIN\tTRIES\tNEXT\tGIVES UP\tLAST ANSWER")
		for _, j := range list {
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", j.Kind, j.Domain, j.Attempts, moment(j.Next), moment(j.Deadline), safe(cut(j.Reason, 100)))
		}
		return w.Flush()
	})
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func optionalDomain(s string) (vam.Domain, error) {
	if s == "" {
		return "", nil
	}
	return config.ParseDomain(s)
}

type queueRetryCmd struct {
	Domain string `arg:"" help:"The domain."`
}

func (c queueRetryCmd) Run(ctx context.Context, e *env) error {
	domain, err := config.ParseDomain(c.Domain)
	if err != nil {
		return err
	}
	return e.withDatabase(ctx, func(db *sqlite.DB, _ *config.Effective) error {
		waiting, err := db.Queue().Jobs(ctx, domain, 1)
		if err != nil {
			return err
		}
		if err := db.Queue().Wake(ctx, domain, time.Now()); err != nil {
			return err
		}
		if len(waiting) == 0 {
			return e.done("nothing waits for %s", domain)
		}
		return e.done("everything towards %s is due now; a running server takes it up within seconds", domain)
	})
}
