package main

import (
	"context"
	"fmt"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
)

type contactCmd struct {
	List   contactListCmd   `cmd:"" default:"1" help:"List contacts (the default)." example:"vam contact --json"`
	Add    contactAddCmd    `cmd:"" help:"Take messages from an address at once from now on." example:"vam contact add bob@b.example"`
	Block  contactBlockCmd  `cmd:"" help:"Refuse messages from an address." example:"vam contact block spam@c.example"`
	Remove contactRemoveCmd `cmd:"" help:"Forget what you decided about an address." example:"vam contact remove bob@b.example"`
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
	client, _, err := e.client(c.userFlags, shortPatience)
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
	if len(list.Contacts) == 0 {
		e.note("there is nobody")
	}
	for _, x := range list.Contacts {
		fmt.Fprintf(e.out, "%-8s %s\n", x.Standing, safe(x.Address.String()))
	}
	return nil
}

// changeContact is the frame of the commands that decide about one address.
func (e *env) changeContact(ctx context.Context, f userFlags, address, done string, do func(*userclient.Client, vam.Address) error) error {
	a, err := parseAddress(address)
	if err != nil {
		return err
	}
	client, _, err := e.client(f, shortPatience)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	if err := do(client, a); err != nil {
		return err
	}
	return e.done("%s", done+a.String())
}

type contactAddCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactAddCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, "messages come in at once from ", func(client *userclient.Client, a vam.Address) error { return client.SetContact(ctx, a, "known") })
}

type contactBlockCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactBlockCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, "messages are refused from ", func(client *userclient.Client, a vam.Address) error { return client.SetContact(ctx, a, "blocked") })
}

type contactRemoveCmd struct {
	userFlags
	Address string `arg:"" help:"The address."`
}

func (c contactRemoveCmd) Run(ctx context.Context, e *env) error {
	return e.changeContact(ctx, c.userFlags, c.Address, "nothing is decided any more about ", func(client *userclient.Client, a vam.Address) error { return client.DropContact(ctx, a) })
}
