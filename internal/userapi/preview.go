package userapi

import (
	"regexp"
	"unicode/utf8"

	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// previewLength is how many characters of its author's words are shown of a message that
// its recipient has not accepted (AM-6.22).
const previewLength = 120

// undecided reports whether a message was not accepted by its recipient, so that little of
// it may be shown.
func undecided(e mailbox.Entry) bool {
	return e.State == mailbox.Held || e.State == mailbox.Declined || e.State == mailbox.Lapsed
}

// link is what programs make a link of: URLs, addresses and names of hosts.
var link = regexp.MustCompile(`(?i)\S*(?:://|@)\S*|\b(?:mailto|tel|sms|data|javascript):\S*|(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}\S*`)

// preview is the beginning of the author's words, subject first, without links and with
// previewLength characters in all.
func preview(subject, text string) (string, string) {
	subject = rfc5322.Clean(link.ReplaceAllString(subject, "…"), previewLength)
	left := previewLength - utf8.RuneCountInString(subject)
	if left <= 0 {
		return subject, ""
	}
	return subject, rfc5322.Clean(link.ReplaceAllString(text, "…"), left)
}
