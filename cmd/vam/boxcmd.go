package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type inboxCmd struct {
	userFlags
	Sent   bool   `help:"What you sent instead."`
	State  string `placeholder:"STATE" help:"Only those in one state, such as held, arriving or stored."`
	Limit  int    `default:"50" help:"How many, 1 to 200."`
	Before string `placeholder:"ID" help:"Only older ones: the next page."`
}

func (inboxCmd) Help() string {
	return `Lists messages, newest first. The short ids of the list are good for every other
command. A message from somebody you do not know is held: nothing of it is
fetched before ` + "`vam accept`" + `.

Examples:

    vam inbox
    vam inbox --sent
    vam inbox --state held
    vam inbox --json`
}

func (c inboxCmd) Run(ctx context.Context, e *env) error {
	client, _, err := e.client(c.userFlags)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	l := userclient.List{State: c.State, Before: c.Before, Limit: c.Limit}
	if c.Sent {
		l.Folder = "sent"
	}
	box, err := client.Entries(ctx, l)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(box)
	}
	if len(box.Entries) == 0 {
		e.note("there is nothing here")
		return nil
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	who := "FROM"
	if c.Sent {
		who = "TO"
	}
	fmt.Fprintf(w, "\tID\tWHEN\t%s\tSUBJECT\tSIZE\tSTATE\n", who)
	for _, x := range box.Entries {
		mark := " "
		if !x.Seen && !c.Sent {
			mark = "*"
		}
		peer := x.From
		if c.Sent {
			peer = x.To
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, shortID(x.ID), x.At.Local().Format("2006-01-02 15:04"), safe(peer), safe(cut(x.Subject, 48)), vam.Bytes(x.Bytes), safe(x.State))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if box.Next != "" {
		e.note("older ones: vam inbox --before %s", box.Next)
	}
	return nil
}

// shortID is enough of an id for a person: its random end.
func shortID(id vam.MessageID) string { return string(id[max(0, len(id)-8):]) }

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// findEntry resolves an id or a part of one at its start or end.
func findEntry(ctx context.Context, client *userclient.Client, part string) (userwire.Entry, error) {
	found, err := client.Find(ctx, strings.ToLower(part))
	if err != nil {
		return userwire.Entry{}, err
	}
	byID := map[vam.MessageID]userwire.Entry{}
	for _, x := range found.Entries {
		if _, ok := byID[x.ID]; !ok || x.Folder == "inbox" {
			byID[x.ID] = x
		}
	}
	switch len(byID) {
	case 0:
		return userwire.Entry{}, vam.Errorf(vam.NotFound, "you have no message %s; `vam inbox` lists them", part)
	case 1:
		for _, x := range byID {
			return client.Entry(ctx, x.Origin, x.ID)
		}
	}
	return userwire.Entry{}, &usageError{err: fmt.Errorf("%q stands for %d messages; give more of the id", part, len(byID)), command: "vam inbox"}
}

// withEntry runs f for the message that id names.
func (e *env) withEntry(ctx context.Context, f userFlags, id string, do func(*userclient.Client, userwire.Entry) error) error {
	client, _, err := e.client(f)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	x, err := findEntry(ctx, client, id)
	if err != nil {
		return err
	}
	return do(client, x)
}

type showCmd struct {
	userFlags
	ID   string `arg:"" help:"Message, or the end of its id."`
	Mail bool   `help:"Print the RFC 5322 mail instead."`
}

func (showCmd) Help() string {
	return `Shows a message: who wrote it, its words, and where it stands; of one that you
sent, who has it.

Examples:

    vam show 3f9a61c2
    vam show 3f9a61c2 --json
    vam show 3f9a61c2 --mail > message.eml`
}

func (c showCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, func(client *userclient.Client, x userwire.Entry) error {
		if c.Mail {
			mail, err := client.Mail(ctx, x.Origin, x.ID)
			if err != nil {
				return err
			}
			_, err = e.out.Write(mail)
			return err
		}
		if x.Folder == "inbox" && !x.Seen {
			if err := client.Seen(ctx, x.Origin, x.ID); err != nil {
				return err
			}
		}
		if e.JSON {
			return e.printJSON(x)
		}
		c.print(e, x)
		return nil
	})
}

func (showCmd) print(e *env, x userwire.Entry) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(e.out, "%-9s %s\n", name, value)
		}
	}
	line("Message", string(x.Origin)+"/"+string(x.ID))
	line("From", safe(x.From))
	line("To", safe(x.To))
	line("Subject", safe(x.Subject))
	line("When", x.At.Local().Format(time.RFC1123))
	state := x.State
	if x.Reason != "" {
		state += ", " + x.Reason
	}
	if x.State == "arriving" && x.Bytes > 0 {
		state += fmt.Sprintf(", %s of %s are here", vam.Bytes(x.Available), vam.Bytes(x.Bytes))
	}
	line("State", safe(state))
	if !x.Bounce {
		line("File", safe(strings.TrimSpace(fmt.Sprintf("%s  %s  %s", x.Name, vam.Bytes(x.Bytes), x.Type))))
		line("SHA-256", x.SHA256)
	}
	if x.Text != "" {
		fmt.Fprintln(e.out)
		for l := range strings.Lines(x.Text) {
			fmt.Fprintln(e.out, safe(strings.TrimRight(l, "\r\n")))
		}
	}
	if len(x.Rcpts) > 0 {
		fmt.Fprintln(e.out)
		printRecipients(e, x.Rcpts)
	}
}

func printRecipients(e *env, rcpts []userwire.Recipient) {
	for _, r := range rcpts {
		text := string(r.State)
		if r.Code != "" {
			text += " (" + r.Code + ")"
		}
		if r.Text != "" {
			text += ": " + r.Text
		}
		if !r.Next.IsZero() && !r.State.Final() && !r.State.Arrived() {
			text += ", next attempt " + r.Next.Local().Format("15:04:05")
		}
		fmt.Fprintf(e.out, "  %s  %s\n", safe(r.Address.String()), safe(text))
	}
}

type acceptCmd struct {
	userFlags
	ID string `arg:"" help:"Message, or the end of its id."`
}

func (acceptCmd) Help() string {
	return `Takes a held message: its file is fetched, and its author is a contact from now on.

Example:

    vam accept 3f9a61c2`
}

func (c acceptCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, func(client *userclient.Client, x userwire.Entry) error {
		if err := client.Accept(ctx, x.Origin, x.ID); err != nil {
			return err
		}
		return e.done("accepted; %s is a contact from now on", x.From)
	})
}

// done says that something was done: a line for a person, {"ok":true} for a program.
func (e *env) done(format string, args ...any) error {
	if e.JSON {
		return e.printJSON(map[string]bool{"ok": true})
	}
	e.note("%s", safe(fmt.Sprintf(format, args...)))
	return nil
}

type declineCmd struct {
	userFlags
	ID    string `arg:"" help:"Message, or the end of its id."`
	Tell  bool   `help:"Let the author know."`
	Block bool   `help:"Refuse everything from this address from now on."`
}

func (declineCmd) Help() string {
	return `Refuses a held message. Its author is not told unless you say so.

Examples:

    vam decline 3f9a61c2
    vam decline 3f9a61c2 --block`
}

func (c declineCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, func(client *userclient.Client, x userwire.Entry) error {
		if err := client.Decline(ctx, x.Origin, x.ID, c.Tell); err != nil {
			return err
		}
		if c.Block {
			from, err := vam.ParseAddress(x.From)
			if err != nil {
				return err
			}
			if err := client.SetContact(ctx, from, "blocked"); err != nil {
				return err
			}
		}
		return e.done("declined")
	})
}

type revokeCmd struct {
	userFlags
	ID string `arg:"" help:"Message that you sent, or the end of its id."`
}

func (revokeCmd) Help() string {
	return `Takes a message back. Whoever does not have it yet never gets it; the servers of the
others are told and make it unavailable. A copy that somebody saved cannot be
called back.

Example:

    vam revoke 3f9a61c2`
}

func (c revokeCmd) Run(ctx context.Context, e *env) error {
	client, _, err := e.client(c.userFlags)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	x, err := findEntry(ctx, client, c.ID)
	if err != nil {
		return err
	}
	m, err := client.Revoke(ctx, x.ID)
	if vam.KindOf(err) == vam.NotFound && err != nil {
		return vam.Errorf(vam.Denied, "you did not send %s; `vam delete` removes it from your mailbox", x.ID)
	}
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(m)
	}
	e.note("taken back")
	printRecipients(e, m.Recipients)
	return nil
}

type deleteCmd struct {
	userFlags
	ID string `arg:"" help:"Message, or the end of its id."`
}

func (deleteCmd) Help() string {
	return `Removes a message from your mailbox, with its file. Others keep what they have;
` + "`vam revoke`" + ` takes a message back.

Example:

    vam delete 3f9a61c2`
}

func (c deleteCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, func(client *userclient.Client, x userwire.Entry) error {
		if x.State == "draft" {
			if err := client.Discard(ctx, x.ID); err != nil {
				return err
			}
		} else if err := client.Delete(ctx, x.Origin, x.ID); err != nil {
			return err
		}
		return e.done("deleted")
	})
}

type contactCmd struct {
	List   contactListCmd   `cmd:"" default:"1" help:"List contacts (the default)."`
	Add    contactAddCmd    `cmd:"" help:"Take messages from an address at once from now on."`
	Block  contactBlockCmd  `cmd:"" help:"Refuse messages from an address."`
	Remove contactRemoveCmd `cmd:"" help:"Forget what you decided about an address."`
}

func (contactCmd) Help() string {
	return `Whom you write to is a contact from then on, and so is whom you accept.

Examples:

    vam contact
    vam contact add bob@b.example
    vam contact block spam@c.example`
}

type contactListCmd struct{ userFlags }

func (c contactListCmd) Run(ctx context.Context, e *env) error {
	client, _, err := e.client(c.userFlags)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	list, err := client.Contacts(ctx)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(list)
	}
	for _, x := range list.Contacts {
		fmt.Fprintf(e.out, "%-8s %s\n", x.Standing, safe(x.Address.String()))
	}
	return nil
}

// changeContact is the frame of the commands that decide about one address.
func (e *env) changeContact(ctx context.Context, f userFlags, address string, do func(*userclient.Client, vam.Address) error) error {
	a, err := parseAddress(address)
	if err != nil {
		return err
	}
	client, _, err := e.client(f)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if err := do(client, a); err != nil {
		return err
	}
	return e.done("done")
}

type contactAddCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactAddCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, func(client *userclient.Client, a vam.Address) error { return client.SetContact(ctx, a, "known") })
}

type contactBlockCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactBlockCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, func(client *userclient.Client, a vam.Address) error { return client.SetContact(ctx, a, "blocked") })
}

type contactRemoveCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactRemoveCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, func(client *userclient.Client, a vam.Address) error { return client.DropContact(ctx, a) })
}

