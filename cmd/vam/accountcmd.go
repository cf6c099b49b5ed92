package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/daemon"
	"github.com/videoactivmail/vam/internal/sqlite"
)

type accountCmd struct {
	List   accountListCmd   `cmd:"" default:"1" help:"List accounts (the default)." example:"vam account --json"`
	Add    accountAddCmd    `cmd:"" help:"Add an account and print a token for it." example:"vam account add bob@a.example --name \"Bob Example\" --quota 20GiB"`
	Token  accountTokenCmd  `cmd:"" help:"Make a token for one more device." example:"vam account token bob@a.example --label phone"`
	Device accountDeviceCmd `cmd:"" help:"List or remove the devices of an account." example:"vam account device bob@a.example --remove 3"`
	Alias  accountAliasCmd  `cmd:"" help:"Add or remove an alias." example:"vam account alias add sales@a.example bob@a.example"`
	Quota  accountQuotaCmd  `cmd:"" help:"Set how much an account may hold." example:"vam account quota bob@a.example 100GiB"`
	Delete accountDeleteCmd `cmd:"" help:"Delete an account with its mailbox." example:"vam account delete bob@a.example --yes"`
}

func (accountCmd) Help() string {
	return `For the administrator, on the machine of the server; a running server takes
changes up at once. Every account also receives its plus addresses, and
postmaster and abuse go to the administrator or the oldest account of a domain.

Examples:

    vam account
    vam account add bob@a.example --name "Bob Example"
    vam account token bob@a.example --label phone
    vam account alias add sales@a.example bob@a.example
    vam account quota bob@a.example 100GiB
    vam account device bob@a.example --remove 3
    vam account delete bob@a.example --yes`
}

// people runs f with the accounts of the server's data folder, whether the server runs
// or not.
func (e *env) people(ctx context.Context, f func(people *account.Service, c *config.Effective) error) error {
	return e.withDatabase(ctx, func(db *sqlite.DB, c *config.Effective) error { return f(daemon.People(c.Config, db, nil), c) })
}

// withDatabase opens the database of a server that was set up.
func (e *env) withDatabase(ctx context.Context, f func(db *sqlite.DB, c *config.Effective) error) error {
	c, err := e.loadConfig()
	if err != nil {
		return err
	}
	path := filepath.Join(c.DataDir, daemon.Database)
	switch err := unix.Access(path, unix.R_OK|unix.W_OK); {
	case errors.Is(err, os.ErrPermission):
		return vam.Errorf(vam.Denied, "you may not use the server's database in %s; give the command as the user that the server runs as", c.DataDir)
	case errors.Is(err, os.ErrNotExist):
		return vam.Errorf(vam.NotFound, "there is no server's database in %s; `vam init %s` makes it", c.DataDir, c.Domain)
	}
	db, err := sqlite.Open(ctx, path, sqlite.Options{Readers: 2})
	if err != nil {
		return err
	}
	return errors.Join(f(db, c), db.Close())
}

// accountLine is one account of `vam account --json`; keys are stable.
type accountLine struct {
	Address vam.Address   `json:"address"`
	Name    string        `json:"name,omitempty"`
	Quota   int64         `json:"quota_bytes"` // 0 is none
	Used    int64         `json:"used_bytes"`
	Aliases []vam.Address `json:"aliases"`
	Created time.Time     `json:"created"`
	Token   string        `json:"token,omitempty"`   // of `account add` and `account token`: shown once
	Profile string        `json:"profile,omitempty"` // where --save put it instead
}

func lineOf(ctx context.Context, people *account.Service, a account.Account) (accountLine, error) {
	aliases, err := people.Store().Aliases(ctx, a.ID)
	if aliases == nil {
		aliases = []vam.Address{}
	}
	return accountLine{Address: a.Address, Name: a.Name, Quota: int64(a.Quota), Used: int64(a.Used), Aliases: aliases, Created: a.Created}, err
}

type accountListCmd struct{}

func (accountListCmd) Run(ctx context.Context, e *env) error {
	return e.people(ctx, func(people *account.Service, _ *config.Effective) error {
		all, err := people.Store().Accounts(ctx)
		if err != nil {
			return err
		}
		lines := []accountLine{}
		for _, a := range all {
			l, err := lineOf(ctx, people, a)
			if err != nil {
				return err
			}
			lines = append(lines, l)
		}
		if e.JSON {
			return e.printJSON(lines)
		}
		w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
		if len(lines) == 0 {
			e.note("there is no account; `vam account add` makes one")
			return nil
		}
		fmt.Fprintln(w, "ADDRESS\tNAME\tUSED\tQUOTA\tALIASES")
		for _, l := range lines {
			quota := "none"
			if l.Quota > 0 {
				quota = vam.Bytes(l.Quota).String()
			}
			aliases := make([]string, len(l.Aliases))
			for i, a := range l.Aliases {
				aliases[i] = a.String()
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", safe(l.Address.String()), safe(l.Name), vam.Bytes(l.Used), quota, safe(strings.Join(aliases, ", ")))
		}
		return w.Flush()
	})
}

type accountAddCmd struct {
	Address string `arg:"" help:"Address of the account."`
	Name    string `placeholder:"NAME" help:"Name of the person, as it stands in From."`
	Quota   string `placeholder:"SIZE" help:"How much it may hold, such as 20GiB; 0 is no limit. Default: limits.quota."`
	Save    bool   `help:"Put the token into your own profile instead of printing it."`
}

func (c accountAddCmd) Run(ctx context.Context, e *env) error {
	a, err := parseAddress(c.Address)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(c.Name, unicode.IsControl) || !utf8.ValidString(c.Name) || len(c.Name) > 200 {
		return vam.Errorf(vam.Invalid, "the name is one line of UTF-8 of at most 200 octets")
	}
	var quota vam.Bytes
	if c.Quota != "" {
		if quota, err = vam.ParseBytes(c.Quota); err != nil {
			return err
		}
	}
	return e.people(ctx, func(people *account.Service, conf *config.Effective) error {
		acct, err := people.Create(ctx, a, c.Name)
		if err != nil {
			return err
		}
		if c.Quota != "" {
			if err := people.Store().SetQuota(ctx, acct.ID, quota); err != nil {
				return err
			}
			acct.Quota = quota
		}
		return e.newToken(ctx, people, conf, acct, "first device", c.Save)
	})
}

// newToken makes a token and prints it, or keeps it in the profile.
func (e *env) newToken(ctx context.Context, people *account.Service, conf *config.Effective, acct account.Account, label string, save bool) error {
	token, _, err := people.NewDevice(ctx, acct.ID, label)
	if err != nil {
		return err
	}
	profile := ""
	if save {
		if profile, err = e.saveAccount(conf.Config, acct.Address, token); err != nil {
			return err
		}
	}
	if e.JSON {
		l, err := lineOf(ctx, people, acct)
		if err != nil {
			return err
		}
		if l.Profile = profile; !save {
			l.Token = string(token)
		}
		return e.printJSON(l)
	}
	if save {
		e.note("%s is set up in %s", acct.Address, safe(profile))
		return nil
	}
	fmt.Fprintln(e.out, string(token))
	e.note("this token is shown once; `vam login %s` takes it on the person's machine", acct.Address)
	return nil
}

type accountTokenCmd struct {
	Address string `arg:"" help:"Address of the account."`
	Label   string `default:"another device" placeholder:"TEXT" help:"What the token is for."`
	Save    bool   `help:"Put the token into your own profile instead of printing it."`
}

func (c accountTokenCmd) Run(ctx context.Context, e *env) error {
	return e.person(ctx, c.Address, func(people *account.Service, conf *config.Effective, acct account.Account) error {
		return e.newToken(ctx, people, conf, acct, c.Label, c.Save)
	})
}

// person is people for one account.
func (e *env) person(ctx context.Context, address string, f func(*account.Service, *config.Effective, account.Account) error) error {
	a, err := parseAddress(address)
	if err != nil {
		return err
	}
	return e.people(ctx, func(people *account.Service, conf *config.Effective) error {
		acct, err := people.Store().AccountByAddress(ctx, a)
		if err != nil {
			return err
		}
		return f(people, conf, acct)
	})
}

type accountQuotaCmd struct {
	Address string `arg:"" help:"Address of the account."`
	Size    string `arg:"" help:"How much it may hold, such as 100GiB; 0 is no limit."`
}

func (c accountQuotaCmd) Run(ctx context.Context, e *env) error {
	quota, err := vam.ParseBytes(c.Size)
	if err != nil {
		return err
	}
	return e.person(ctx, c.Address, func(people *account.Service, _ *config.Effective, acct account.Account) error {
		if err := people.Store().SetQuota(ctx, acct.ID, quota); err != nil {
			return err
		}
		if quota == 0 {
			return e.done("%s may hold as much as there is room for", acct.Address)
		}
		return e.done("%s may hold %s", acct.Address, quota)
	})
}

type accountDeleteCmd struct {
	Address string `arg:"" help:"Address of the account."`
	Yes     bool   `help:"Really delete it; nothing brings the mailbox back."`
}

func (c accountDeleteCmd) Run(ctx context.Context, e *env) error {
	return e.person(ctx, c.Address, func(people *account.Service, _ *config.Effective, acct account.Account) error {
		if !c.Yes {
			return &usageError{err: fmt.Errorf("this deletes %s with %s of mail for good; add --yes", acct.Address, acct.Used), command: "vam account delete"}
		}
		if err := people.Store().DeleteAccount(ctx, acct.ID); err != nil {
			return err
		}
		return e.done("%s is deleted", acct.Address)
	})
}
