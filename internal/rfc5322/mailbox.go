package rfc5322

import (
	"strings"

	"github.com/videoactivmail/vam"
)

// MaxName is the longest display name in characters; a longer one is cut.
const MaxName = 128

// Mailbox is an address with the name that stands beside it. The name is whatever
// its writer chose, decoded and cleaned: never show it in the place of the address.
type Mailbox struct {
	Name string // may be ""
	Addr vam.Address
}

// String is the header form in one line, encoded and quoted where needed.
func (m Mailbox) String() string { return strings.Join(m.words(), " ") }

func (m Mailbox) words() []string {
	addr := m.Addr.String()
	name := Clean(m.Name, MaxName)
	if name == "" {
		return []string{addr}
	}
	return append(nameWords(name), "<"+addr+">")
}

// nameWords writes a display name: atoms as they are, other ASCII in quotes, all
// else as encoded words.
func nameWords(name string) []string {
	if !isPlain(name) {
		return encodeWords(name)
	}
	atoms := strings.Fields(name)
	for _, a := range atoms {
		if strings.Trim(a, atextLetters) != "" {
			return []string{`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`}
		}
	}
	return atoms
}

// atextLetters is atext of RFC 5322 section 3.2.3 without UTF-8.
const atextLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~"

func isAtext(c byte) bool { return c >= 0x80 || strings.IndexByte(atextLetters, c) >= 0 }

// ParseMailbox reads a field that must hold exactly one mailbox, such as the From of
// a letter. Errors: Invalid.
func ParseMailbox(value string) (Mailbox, error) {
	p := parser{s: value}
	list, err := p.list(1)
	if err != nil {
		return Mailbox{}, err
	}
	if len(list) != 1 || p.group {
		return Mailbox{}, vam.Errorf(vam.Invalid, "exactly one address is wanted")
	}
	return list[0], nil
}

// ParseMailboxes reads an address list; the members of a group stand in the place
// of the group, which may be empty ("undisclosed-recipients:;"). Route addresses,
// address literals, white space inside an address and empty list members are
// refused. Errors: Invalid; TooLarge for more than limit mailboxes.
func ParseMailboxes(value string, limit int) ([]Mailbox, error) {
	p := parser{s: value}
	return p.list(limit)
}
