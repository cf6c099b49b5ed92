package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// wait asks the server until no recipient is on the way any more, at most for limit.
func (c sendCmd) wait(ctx context.Context, e *env, client *userclient.Client, m userwire.Message, limit time.Duration) (userwire.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
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
			e.note("%s is accepted, and its delivery goes on", m.ID)
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
