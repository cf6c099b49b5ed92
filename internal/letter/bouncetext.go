package letter

import (
	"fmt"
	"strings"
	"time"

	"github.com/videoactivmail/vam/internal/rfc5322"
)

func (b *Bounce) headline() string {
	word := "Delayed"
	for _, r := range b.Recipients {
		if r.action() == Failed {
			word = "Not delivered"
		}
	}
	if b.Subject == "" {
		return word + ": your message"
	}
	return word + ": " + b.Subject
}

// text is the part for people: who, why, and what to do.
func (b *Bounce) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "This is the mail system of %s.\n", b.Reporting)
	b.section(&out, Failed, "could not be delivered to:")
	b.section(&out, Delayed, "has not been delivered yet to:")
	return out.String()
}

func (b *Bounce) section(out *strings.Builder, action Action, words string) {
	first := true
	for _, r := range b.Recipients {
		if r.action() != action {
			continue
		}
		if first {
			fmt.Fprintf(out, "\n%s %s\n", b.what(), words)
			first = false
		}
		fmt.Fprintf(out, "\n    %s\n", r.Addr)
		fmt.Fprintf(out, "    Why: %s\n", r.why())
		fmt.Fprintf(out, "    What to do: %s\n", r.advice())
	}
}

func (b *Bounce) what() string {
	s := "Your message"
	if b.Kind != "" {
		s = "Your " + string(b.Kind) + " message"
		if b.Kind == "file" {
			s = "Your file"
		}
	}
	if subject := rfc5322.Clean(b.Subject, 80); subject != "" {
		s += " “" + subject + "”"
	}
	if !b.Sent.IsZero() {
		s += " of " + when(b.Sent)
	}
	return s
}

func (r BouncedRecipient) why() string {
	reason := rfc5322.Clean(r.Reason, 500)
	if reason == "" {
		reason = "no reason was given"
	}
	if !strings.HasSuffix(reason, ".") && !strings.HasSuffix(reason, "…") {
		reason += "."
	}
	if r.Remote != "" {
		return fmt.Sprintf("%s (%s, said by %s)", reason, r.status(), r.Remote)
	}
	return fmt.Sprintf("%s (%s)", reason, r.status())
}

// advice is what the author can do about a status code. Codes with the same way out
// share a sentence; what is not in the table falls back to its class.
func (r BouncedRecipient) advice() string {
	if r.action() == Delayed {
		if r.RetryUntil.IsZero() {
			return "Nothing yet. We keep trying and tell you how it ends."
		}
		return fmt.Sprintf("Nothing yet. We keep trying until %s and tell you how it ends.", when(r.RetryUntil))
	}
	status := r.status()
	_, detail, _ := strings.Cut(status, ".")
	switch detail {
	case "1.1", "1.3", "1.10":
		return "Check the spelling of the address, or ask the recipient for it, and send again."
	case "1.2", "4.4":
		return "Check the part after the @. If it is right, ask the recipient whether their domain takes this kind of mail."
	case "2.1", "2.0":
		return "The mailbox is closed at present. Reach the recipient in another way."
	case "2.2":
		return "The mailbox is full. Ask the recipient to make room, then send again."
	case "3.4", "2.3":
		return "Send a shorter or smaller recording; the recipient's server sets the limit."
	case "4.7", "4.1":
		return "Their server could not be reached in time. Send again later; if it goes on, reach the recipient in another way."
	case "7.20", "7.26", "7.0":
		return "Tell the administrator of your own domain: its keys in DNS do not match what it signs."
	case "7.1":
		return "The recipient or their server does not want this message. Do not send it again; reach the recipient in another way."
	}
	if strings.HasPrefix(status, "4.") {
		return "Send again later."
	}
	return "Reach the recipient in another way, or show this report to your administrator."
}

func when(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }
