package main

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type acceptCmd struct {
	userFlags
	ID string `arg:"" help:"Message: its id, or the beginning or end of it."`
}

func (acceptCmd) Help() string {
	return `Takes a held message: its file is fetched, and its author is a contact from now on.

Example:

    vam accept 3f9a61c2`
}

func (c acceptCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, shortPatience, func(client *userclient.Client, x userwire.Entry) error {
		if err := client.Accept(ctx, x.Origin, x.ID); err != nil {
			return err
		}
		return e.done("accepted; %s is a contact from now on", x.From)
	})
}

type declineCmd struct {
	userFlags
	ID    string `arg:"" help:"Message: its id, or the beginning or end of it."`
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
	return e.withEntry(ctx, c.userFlags, c.ID, shortPatience, func(client *userclient.Client, x userwire.Entry) error {
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

// This is AM-8.20.
type revokeCmd struct {
	userFlags
	ID string `arg:"" help:"Message that you sent: its id, or the beginning or end of it."`
}

func (revokeCmd) Help() string {
	return `Takes a message back. Whoever does not have it yet never gets it; the servers of the
others are told and make it unavailable. A copy that somebody saved cannot be
called back.

Example:

    vam revoke 3f9a61c2`
}

func (c revokeCmd) Run(ctx context.Context, e *env) error {
	client, _, err := e.client(c.userFlags, shortPatience)
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
	ID string `arg:"" help:"Message: its id, or the beginning or end of it."`
}

func (deleteCmd) Help() string {
	return `Removes a message from your mailbox, with its file. Others keep what they have;
` + "`vam revoke`" + ` takes a message back.

Example:

    vam delete 3f9a61c2`
}

func (c deleteCmd) Run(ctx context.Context, e *env) error {
	return e.withEntry(ctx, c.userFlags, c.ID, shortPatience, func(client *userclient.Client, x userwire.Entry) error {
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
