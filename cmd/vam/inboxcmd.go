package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type inboxCmd struct {
	userFlags
	Sent   bool   `help:"What you sent instead."`
	State  string `enum:"any,draft,held,arriving,stored,declined,lapsed,failed,withdrawn,expired" default:"any" placeholder:"STATE" help:"Only those in one state: draft, held, arriving, stored, declined, lapsed, failed, withdrawn or expired."`
	Limit  int    `default:"50" placeholder:"NUMBER" help:"How many, 1 to 200. Default: 50."`
	Before string `placeholder:"ID" help:"Only older ones: the next page."`
}

func (inboxCmd) Help() string {
	return `Lists messages, newest first; a star marks the new ones. The short ids of the list
are good for every other command. A message from somebody you do not know is held:
nothing of it is fetched before ` + "`vam accept`" + `.

Examples:

    vam inbox
    vam inbox --sent
    vam inbox --state held
    vam inbox --json`
}

func (c inboxCmd) Run(ctx context.Context, e *env) error {
	if c.Limit < 1 || c.Limit > 200 {
		return &usageError{err: fmt.Errorf("--limit is a number from 1 to 200, not %d", c.Limit), command: "vam inbox"}
	}
	l := userclient.List{State: c.State, Before: strings.ToLower(c.Before), Limit: c.Limit}
	if c.State == "any" {
		l.State = ""
	}
	if c.Before != "" {
		if _, err := vam.ParseMessageID(l.Before); err != nil {
			return &usageError{err: fmt.Errorf("--before: %w", err), command: "vam inbox"}
		}
	}
	if c.Sent {
		l.Folder = "sent"
	}
	client, _, err := e.client(c.userFlags, shortPatience)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	box, err := client.Entries(ctx, l)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(box)
	}
	return c.print(e, box)
}

func (c inboxCmd) print(e *env, box userwire.Entries) error {
	if len(box.Entries) == 0 {
		e.note("there is nothing here")
		return nil
	}
	who := "FROM"
	if c.Sent {
		who = "TO"
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintf(w, "\tID\tWHEN\t%s\tSUBJECT\tSIZE\tSTATE\n", who)
	for _, x := range box.Entries {
		mark, peer, state := " ", x.From, x.State
		switch {
		case c.Sent:
			peer, state = recipientsOf(x), sentState(x)
		case !x.Seen:
			mark = "*"
		}
		if peer == "" {
			peer = "your server" // a report about a message of yours
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, shortID(x.ID), x.At.Local().Format("2006-01-02 15:04"), safe(cut(peer, 40)), safe(cut(x.Subject, 48)), vam.Bytes(x.Bytes), safe(state))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if box.Next != "" {
		e.note("older ones: vam inbox%s --before %s", c.again(), box.Next)
	}
	return nil
}

// again are the flags of this listing, for the command of the next page.
func (c inboxCmd) again() string {
	flags := ""
	for _, f := range []struct {
		set  bool
		text string
	}{
		{c.As != "", " --as " + shellWord(c.As)},
		{c.Server != "", " --server " + shellWord(c.Server)},
		{c.Sent, " --sent"},
		{c.State != "any", " --state " + c.State},
		{c.Limit != 50, fmt.Sprintf(" --limit %d", c.Limit)},
	} {
		if f.set {
			flags += f.text
		}
	}
	return flags
}

// recipientsOf names the first recipient of a sent message, and how many there are beside.
func recipientsOf(x userwire.Entry) string {
	switch len(x.Rcpts) {
	case 0:
		return "-" // a draft
	case 1:
		return x.Rcpts[0].Address.String()
	}
	return fmt.Sprintf("%s and %d more", x.Rcpts[0].Address, len(x.Rcpts)-1)
}

// sentState is where a sent message stands with its recipients: the state of all of them,
// or of how many what is said.
func sentState(x userwire.Entry) string {
	if x.State != "stored" || len(x.Rcpts) == 0 {
		return x.State
	}
	var order []vam.RecipientState
	count := map[vam.RecipientState]int{}
	for _, r := range x.Rcpts {
		if count[r.State] == 0 {
			order = append(order, r.State)
		}
		count[r.State]++
	}
	if len(order) == 1 {
		return string(order[0])
	}
	parts := make([]string, len(order))
	for i, s := range order {
		parts[i] = fmt.Sprintf("%d %s", count[s], s)
	}
	return strings.Join(parts, ", ")
}
