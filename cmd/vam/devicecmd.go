package main

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/config"
)

type accountDeviceCmd struct {
	Address string `arg:"" help:"Address of the account."`
	Remove  int64  `placeholder:"NUMBER" help:"Remove the device with this number; its token is worthless at once."`
}

// deviceLine is one device in JSON; keys are stable.
type deviceLine struct {
	ID       int64     `json:"id"`
	Label    string    `json:"label"`
	Created  time.Time `json:"created"`
	LastUsed time.Time `json:"last_used,omitzero"`
}

func (c accountDeviceCmd) Run(ctx context.Context, e *env) error {
	return e.person(ctx, c.Address, func(people *account.Service, _ *config.Effective, acct account.Account) error {
		if c.Remove != 0 {
			if err := people.Store().RemoveDevice(ctx, acct.ID, c.Remove); err != nil {
				return err
			}
			return e.done("device %d of %s is removed", c.Remove, acct.Address)
		}
		devices, err := people.Store().Devices(ctx, acct.ID)
		if err != nil {
			return err
		}
		lines := []deviceLine{}
		for _, d := range devices {
			lines = append(lines, deviceLine{d.ID, d.Label, d.Created, d.LastUsed})
		}
		if e.JSON {
			return e.printJSON(lines)
		}
		w := tabwriter.NewWriter(e.out, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "NUMBER\tLABEL\tMADE\tLAST USED")
		for _, d := range lines {
			used := "never"
			if !d.LastUsed.IsZero() {
				used = d.LastUsed.Format(time.DateOnly)
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", d.ID, safe(d.Label), d.Created.Format(time.DateOnly), used)
		}
		return w.Flush()
	})
}
