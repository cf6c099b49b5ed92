package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// findEntry resolves an id, a part of one at its start or end, or origin/id.
func findEntry(ctx context.Context, client *userclient.Client, part string) (userwire.Entry, error) {
	part = strings.ToLower(strings.TrimSpace(part))
	if part == "" {
		return userwire.Entry{}, &usageError{err: errors.New("a message is named by its id, or the end of it; `vam inbox` lists them"), command: "vam inbox"}
	}
	origin, id, named := strings.Cut(part, "/")
	if !named {
		origin, id = "", part
	}
	found, err := client.Find(ctx, id)
	if err != nil {
		return userwire.Entry{}, err
	}
	if named {
		found.Entries = slices.DeleteFunc(found.Entries, func(x userwire.Entry) bool { return string(x.Origin) != origin })
	}
	type key struct {
		origin vam.Domain
		id     vam.MessageID
	}
	var names []string
	seen := map[key]bool{}
	for _, x := range found.Entries { // one that was sent to oneself is there twice
		if k := (key{x.Origin, x.ID}); !seen[k] {
			seen[k] = true
			names = append(names, string(x.Origin)+"/"+string(x.ID))
		}
	}
	switch len(names) {
	case 0:
		return userwire.Entry{}, vam.Errorf(vam.NotFound, "you have no message %s; `vam inbox` lists them", part)
	case 1:
		return client.Entry(ctx, found.Entries[0].Origin, found.Entries[0].ID)
	}
	return userwire.Entry{}, &usageError{err: fmt.Errorf("%q may be one of several messages: %s", part, strings.Join(names, ", ")), command: "vam inbox"}
}

// withEntry runs f for the message that id names.
func (e *env) withEntry(ctx context.Context, f userFlags, id string, patience time.Duration, do func(*userclient.Client, userwire.Entry) error) error {
	client, _, err := e.client(f, patience)
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

// shortID is enough of an id for a person: its random end.
func shortID(id vam.MessageID) string { return string(id[max(0, len(id)-8):]) }

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
