package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/sqlite"
)

type jobsCmd struct {
	List  jobsListCmd  `cmd:"" default:"withargs" help:"List the work on recordings (the default)." example:"vam jobs list --state failed"`
	Again jobsAgainCmd `cmd:"" help:"Do a job once more that failed." example:"vam jobs again 17"`
}

func (jobsCmd) Help() string {
	return `What the server makes of recordings so that they play everywhere: posters, other
forms, previews. Originals play without it where browsers can play them. For the
administrator, on the machine of the server, whether it runs or not.

Examples:

    vam jobs
    vam jobs list --state failed
    vam jobs again 17
    vam jobs --json`
}

type jobsListCmd struct {
	State string `placeholder:"WORD" enum:",waiting,running,done,failed" default:"" help:"Only those that are waiting, running, done or failed. Default: all but those that are done."`
	Limit int    `default:"100" placeholder:"NUMBER" help:"How many, at least 1. Default: 100."`
}

// mediaJob is one line of `vam jobs --json`; keys are stable.
type mediaJob struct {
	ID       int64             `json:"job_id"`
	Message  string            `json:"message,omitempty"` // "origin/message id", one of those that carry the recording
	Work     string            `json:"work"`              // what is made, such as poster
	State    playback.JobState `json:"state"`             // waiting, running, done or failed
	Progress float64           `json:"progress"`          // 0 to 1
	Attempts int               `json:"attempts"`          // that failed
	Next     time.Time         `json:"next_attempt,omitzero"`
	Created  time.Time         `json:"created"`
	Changed  time.Time         `json:"changed"`
	Code     string            `json:"code,omitempty"`   // of the last failure, one word
	Reason   string            `json:"reason,omitempty"` // of the last failure
}

func (c jobsListCmd) Run(ctx context.Context, e *env) error {
	if c.Limit < 1 {
		return &usageError{err: fmt.Errorf("--limit is a number from 1 on, not %d", c.Limit), command: "vam jobs list"}
	}
	return e.withDatabase(ctx, func(db *sqlite.DB, _ *config.Effective) error {
		jobs, more, err := c.jobs(ctx, db.Playback())
		if err != nil {
			return err
		}
		if more {
			e.note("there are more; these are the oldest %d", c.Limit)
		}
		list := []mediaJob{}
		for _, j := range jobs {
			x := mediaJob{
				ID: j.ID, Work: j.Work.String(), State: j.State, Progress: j.Progress, Attempts: j.Attempts,
				Created: j.Created, Changed: j.Changed, Code: string(j.Code), Reason: j.Reason,
			}
			if j.State == playback.Waiting {
				x.Next = j.NextAt
			}
			if j.Message.ID != "" {
				x.Message = j.Message.String()
			}
			list = append(list, x)
		}
		if e.JSON {
			return e.printJSON(list)
		}
		if len(list) == 0 {
			e.note("there is nothing to do")
			return nil
		}
		w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "JOB\tMESSAGE\tWORK\tSTATE\tTRIES\tREASON")
		for _, x := range list {
			state := string(x.State)
			if x.State == playback.Running {
				state += fmt.Sprintf(" %.0f %%", 100*x.Progress)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%d\t%s\n", x.ID, safe(x.Message), safe(cut(x.Work, 60)), state, x.Attempts, safe(cut(x.Reason, 100)))
		}
		return w.Flush()
	})
}

// jobs are those that the flags ask for, and whether there are more.
func (c jobsListCmd) jobs(ctx context.Context, store playback.Store) ([]playback.Job, bool, error) {
	states := []playback.JobState{playback.JobState(c.State)}
	if c.State == "" {
		states = []playback.JobState{playback.Running, playback.Waiting, playback.Failed}
	}
	var out []playback.Job
	for _, st := range states {
		jobs, err := store.Jobs(ctx, playback.Filter{State: st, Limit: c.Limit + 1 - len(out)})
		if err != nil {
			return nil, false, err
		}
		if out = append(out, jobs...); len(out) > c.Limit {
			return out[:c.Limit], true, nil
		}
	}
	return out, false, nil
}

type jobsAgainCmd struct {
	Jobs []int64 `arg:"" name:"job" optional:"" help:"Numbers, as the list shows them."`
	All  bool    `help:"Every job that failed."`
}

func (c jobsAgainCmd) Run(ctx context.Context, e *env) error {
	if c.All == (len(c.Jobs) > 0) {
		return &usageError{err: errors.New("say which: numbers of jobs, or --all"), command: "vam jobs again"}
	}
	return e.withDatabase(ctx, func(db *sqlite.DB, _ *config.Effective) error {
		store := db.Playback()
		ids := c.Jobs
		if c.All {
			jobs, err := store.Jobs(ctx, playback.Filter{State: playback.Failed, Limit: 10_000})
			if err != nil {
				return err
			}
			for _, j := range jobs {
				ids = append(ids, j.ID)
			}
		}
		for _, id := range ids {
			if _, err := store.Again(ctx, id, time.Now()); err != nil {
				return err
			}
		}
		return e.done("due now: %s; a running server takes them up within seconds", count(len(ids), "job"))
	})
}
