package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type linkCmd struct {
	userFlags
	ID       string   `arg:"" help:"Message: its id, or the beginning or end of it."`
	For      []string `placeholder:"ADDRESS" help:"Whom the link is for; may be repeated. Default: every recipient of a message that you sent, you yourself for another."`
	Expires  string   `placeholder:"TIME" help:"The link works for this time, such as 7d. Default: as the server says, 30 days as it comes."`
	Password *bool    `negatable:"" help:"Ask for a password on the page, or for another one than before; it is read from VAM_LINK_PASSWORD, else from standard input. With --no-password no longer ask for one."`
	List     bool     `help:"List the links that you gave, and how far each was watched."`
	Revoke   string   `placeholder:"LINK" help:"End a link: its id, or the beginning or end of it, as --list shows it."`
}

func (linkCmd) Help() string {
	return `Makes links that open a message in a browser, for people without an account: one
for each of them, which can be ended alone. Whoever has a link can watch, so hand
it to nobody else. Asked again, the same link is shown; what --expires and
--password say of it is changed, and the rest stays as it was.

Examples:

    vam link 3f9a61c2
    vam link 3f9a61c2 --for zoe@c.example --expires 7d --password
    vam link 3f9a61c2 --for zoe@c.example --no-password
    vam link 3f9a61c2 --list
    vam link 3f9a61c2 --revoke 9c1d`
}

func (c linkCmd) Run(ctx context.Context, e *env) error {
	if c.List && c.Revoke != "" || (c.List || c.Revoke != "") && (len(c.For) > 0 || c.Expires != "" || c.Password != nil) {
		return &usageError{err: errors.New("--list, --revoke and the flags of a new link do not go together"), command: "vam link"}
	}
	terms, err := c.terms(time.Now())
	if err != nil {
		return err
	}
	for i, a := range c.For {
		x, err := parseAddress(a)
		if err != nil {
			return err
		}
		c.For[i] = x.String()
	}
	if c.Password != nil {
		terms.Password = new("")
		if *c.Password {
			if *terms.Password, err = e.readPassword(ctx); err != nil {
				return err
			}
		}
	}
	return e.withEntry(ctx, c.userFlags, c.ID, shortPatience, func(client *userclient.Client, x userwire.Entry) error {
		switch {
		case c.List:
			return c.list(ctx, e, client, x)
		case c.Revoke != "":
			return c.end(ctx, e, client, x)
		}
		return c.mint(ctx, e, client, x, terms)
	})
}

func (c linkCmd) terms(now time.Time) (t userwire.LinkTerms, err error) {
	t.Expires, err = momentAfter(now, c.Expires)
	return t, err
}

func (e *env) readPassword(ctx context.Context) (string, error) {
	text := e.getenv("VAM_LINK_PASSWORD")
	if text == "" {
		var err error
		if text, err = e.ask(ctx, "Password of the link: "); err != nil {
			return "", err
		}
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", &usageError{err: errors.New("a password is wanted in VAM_LINK_PASSWORD or on standard input"), command: "vam link"}
	}
	return text, nil
}

// mint prints a link for each of those whom it is for.
func (c linkCmd) mint(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry, terms userwire.LinkTerms) error {
	people := c.For
	if len(people) == 0 {
		for _, r := range x.Rcpts {
			people = append(people, r.Address.String())
		}
	}
	if len(people) == 0 {
		me, err := client.Me(ctx)
		if err != nil {
			return err
		}
		people = []string{me.Address.String()}
	}
	out := userwire.Links{Links: []userwire.Link{}}
	for _, a := range people {
		terms.For = a
		l, err := client.Link(ctx, x.Origin, x.ID, terms)
		if err != nil {
			return err
		}
		out.Links = append(out.Links, l)
	}
	if e.JSON {
		return e.printJSON(out)
	}
	for _, l := range out.Links {
		if len(out.Links) > 1 {
			fmt.Fprintf(e.out, "%s  ", safe(l.For))
		}
		fmt.Fprintln(e.out, safe(l.URL))
		e.note("for %s, until %s%s", safe(l.For), moment(l.Expires), map[bool]string{true: ", with a password"}[l.Locked])
	}
	return nil
}

func (linkCmd) list(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry) error {
	list, err := client.Links(ctx, x.Origin, x.ID)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(list)
	}
	if len(list.Links) == 0 {
		e.note("there is no link to it; `vam link %s` makes one", x.ID)
		return nil
	}
	w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "LINK\tFOR\tUNTIL\tPASSWORD\tPLAYED\tWATCHED")
	for _, l := range list.Links {
		until := moment(l.Expires)
		if !l.Revoked.IsZero() {
			until = "revoked"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%.0f %%\n", l.ID, safe(l.For), until, map[bool]string{true: "yes", false: "no"}[l.Locked], l.Plays, 100*l.Watched)
	}
	return w.Flush()
}

func (c linkCmd) end(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry) error {
	list, err := client.Links(ctx, x.Origin, x.ID)
	if err != nil {
		return err
	}
	part := strings.ToLower(strings.TrimSpace(c.Revoke))
	var found []userwire.Link
	for _, l := range list.Links {
		if strings.HasPrefix(l.ID, part) || strings.HasSuffix(l.ID, part) {
			found = append(found, l)
		}
	}
	switch len(found) {
	case 0:
		return vam.Errorf(vam.NotFound, "there is no link %s to this message; --list shows them", c.Revoke)
	case 1:
	default:
		return &usageError{err: fmt.Errorf("%q may be one of %d links; write more of its id", c.Revoke, len(found)), command: "vam link"}
	}
	l, err := client.RevokeLink(ctx, found[0].ID)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(userwire.Links{Links: []userwire.Link{l}})
	}
	return e.done("the link for %s opens nothing any more", safe(l.For))
}
