package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

type showCmd struct {
	userFlags
	ID   string `arg:"" help:"Message: its id, or the beginning or end of it."`
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
	return e.withEntry(ctx, c.userFlags, c.ID, shortPatience, func(client *userclient.Client, x userwire.Entry) error {
		if c.Mail {
			return c.mail(ctx, e, client, x)
		}
		if x.Folder == "inbox" && x.From != "" {
			// What one sent to oneself is in both folders; it has recipients too.
			if m, err := client.Message(ctx, x.ID); err == nil && m.Origin == x.Origin {
				x.Rcpts = m.Recipients
			} else if err != nil && vam.KindOf(err) != vam.NotFound {
				return err
			}
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

// shownMail is what `vam show --mail --json` prints; keys are stable.
type shownMail struct {
	ID     vam.MessageID `json:"message_id"`
	Origin vam.Domain    `json:"origin"`
	Mail   []byte        `json:"mail"` // RFC 5322, in base64
}

// mail prints the mail: its exact octets, or on a terminal what does no harm there.
func (showCmd) mail(ctx context.Context, e *env, client *userclient.Client, x userwire.Entry) error {
	mail, err := client.Mail(ctx, x.Origin, x.ID)
	if err != nil {
		return err
	}
	if e.JSON {
		return e.printJSON(shownMail{x.ID, x.Origin, mail})
	}
	if e.outTTY {
		for l := range strings.Lines(string(mail)) {
			fmt.Fprintln(e.out, safe(strings.TrimRight(l, "\r\n")))
		}
		return nil
	}
	_, err = e.out.Write(mail)
	return err
}

func (showCmd) print(e *env, x userwire.Entry) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(e.out, "%-9s %s\n", name, value)
		}
	}
	line("Message", string(x.Origin)+"/"+string(x.ID))
	from := x.From
	if from == "" {
		from = "your server"
	}
	line("From", safe(from))
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
