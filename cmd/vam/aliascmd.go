package main

import (
	"context"

	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/config"
)

type accountAliasCmd struct {
	Add    aliasAddCmd    `cmd:"" help:"Let mail for another address arrive at an account." example:"vam account alias add sales@a.example bob@a.example"`
	Remove aliasRemoveCmd `cmd:"" help:"Remove an alias." example:"vam account alias remove sales@a.example"`
}

type aliasAddCmd struct {
	Alias   string `arg:"" help:"The other address."`
	Address string `arg:"" help:"Address of the account."`
}

func (c aliasAddCmd) Run(ctx context.Context, e *env) error {
	alias, err := parseAddress(c.Alias)
	if err != nil {
		return err
	}
	return e.person(ctx, c.Address, func(people *account.Service, _ *config.Effective, acct account.Account) error {
		if err := people.AddAlias(ctx, alias, acct.ID); err != nil {
			return err
		}
		return e.done("mail for %s arrives at %s", alias, acct.Address)
	})
}

type aliasRemoveCmd struct {
	Alias string `arg:"" help:"The alias."`
}

func (c aliasRemoveCmd) Run(ctx context.Context, e *env) error {
	alias, err := parseAddress(c.Alias)
	if err != nil {
		return err
	}
	return e.people(ctx, func(people *account.Service, _ *config.Effective) error {
		if err := people.Store().RemoveAlias(ctx, alias); err != nil {
			return err
		}
		return e.done("%s is no alias any more", alias)
	})
}
