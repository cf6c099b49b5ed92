package rfc5322

import (
	"mime"
	"strings"

	"golang.org/x/net/idna"

	"github.com/videoactivmail/vam"
)

// maxComment is the deepest nesting of comments.
const maxComment = 8

// parser reads one address list (RFC 5322 section 3.4) from left to right, without
// going back further than the start of the current mailbox.
type parser struct {
	s     string
	i     int
	group bool // a group was seen
}

func (p *parser) list(limit int) ([]Mailbox, error) {
	var out []Mailbox
	inGroup, first := false, true
	for {
		if err := p.space(); err != nil {
			return nil, err
		}
		if inGroup && first && p.take(';') {
			inGroup = false // an empty group
		} else {
			m, isGroup, err := p.mailbox()
			switch {
			case err != nil:
				return nil, err
			case isGroup && inGroup:
				return nil, p.bad("a group inside a group")
			case isGroup:
				p.group, inGroup, first = true, true, true
				continue
			case len(out) == limit:
				return nil, vam.Errorf(vam.TooLarge, "more than %d addresses", limit)
			}
			out = append(out, m)
			first = false
		}
		if err := p.space(); err != nil {
			return nil, err
		}
		if inGroup && p.take(';') {
			inGroup = false
			if err := p.space(); err != nil {
				return nil, err
			}
		}
		switch {
		case p.i == len(p.s) && !inGroup:
			return out, nil
		case !p.take(','):
			return nil, p.bad("a comma is missing")
		}
	}
}

// mailbox reads one mailbox, or the name and colon of a group.
func (p *parser) mailbox() (m Mailbox, group bool, err error) {
	start := p.i
	name, err := p.phrase()
	if err != nil {
		return Mailbox{}, false, err
	}
	switch {
	case p.take('<'):
		m, err := p.angle(name)
		return m, false, err
	case name != "" && p.take(':'):
		return Mailbox{}, true, nil
	}
	p.i = start
	addr, err := p.addrSpec()
	return Mailbox{Addr: addr}, false, err
}

func (p *parser) angle(name string) (Mailbox, error) {
	if err := p.space(); err != nil {
		return Mailbox{}, err
	}
	addr, err := p.addrSpec()
	if err != nil {
		return Mailbox{}, err
	}
	if err := p.space(); err != nil {
		return Mailbox{}, err
	}
	if !p.take('>') {
		return Mailbox{}, p.bad("the address does not end in >")
	}
	return Mailbox{Name: Clean(name, MaxName), Addr: addr}, nil
}

// phrase reads words up to what cannot belong to a display name. Dots are allowed
// as in the obsolete form: "John Q. Public" is too common to refuse.
func (p *parser) phrase() (string, error) {
	var out strings.Builder
	encoded := false // the last word was an encoded word
	for p.i < len(p.s) {
		c := p.s[p.i]
		var word string
		isEncoded := false
		switch {
		case c == '"':
			q, err := p.quoted()
			if err != nil {
				return "", err
			}
			word = q
		case c == '.' || isAtext(c):
			start := p.i
			for p.i < len(p.s) && (p.s[p.i] == '.' || isAtext(p.s[p.i])) {
				p.i++
			}
			word, isEncoded = decodeWord(p.s[start:p.i])
		default:
			return out.String(), nil
		}
		if out.Len() > 0 && (!encoded || !isEncoded) {
			out.WriteByte(' ')
		}
		out.WriteString(word)
		encoded = isEncoded
		if err := p.space(); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}

func decodeWord(w string) (string, bool) {
	if !strings.HasPrefix(w, "=?") || len(w) > MaxText {
		return w, false
	}
	var dec mime.WordDecoder
	if s, err := dec.Decode(w); err == nil {
		return s, true
	}
	return w, false
}

// addrSpec reads local@domain without white space or comments inside.
func (p *parser) addrSpec() (vam.Address, error) {
	start := p.i
	if p.i < len(p.s) && p.s[p.i] == '"' {
		if _, err := p.quoted(); err != nil {
			return vam.Address{}, err
		}
	} else {
		for p.i < len(p.s) && (p.s[p.i] == '.' || isAtext(p.s[p.i])) {
			p.i++
		}
	}
	local := p.s[start:p.i]
	if local == "" || !p.take('@') {
		return vam.Address{}, p.bad("an address is wanted")
	}
	start = p.i
	for p.i < len(p.s) && (p.s[p.i] == '.' || isAtext(p.s[p.i])) {
		p.i++
	}
	domain, err := asciiDomain(p.s[start:p.i])
	if err != nil {
		return vam.Address{}, err
	}
	return vam.ParseAddress(local + "@" + domain)
}

// asciiDomain turns a name in another script into A-labels (RFC 5891), the one form
// that the rest of the program knows and shows.
func asciiDomain(s string) (string, error) {
	if len(s) > 4*vam.MaxDomainOctets {
		return "", vam.Errorf(vam.Invalid, "the domain is longer than %d octets", vam.MaxDomainOctets)
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			a, err := idna.Lookup.ToASCII(s)
			if err != nil {
				return "", vam.Wrap(vam.Invalid, err, "the domain of the address is not a valid international name (RFC 5891)")
			}
			return a, nil
		}
	}
	return s, nil
}

// quoted reads a quoted string and returns what it means.
func (p *parser) quoted() (string, error) {
	p.i++
	var out strings.Builder
	for p.i < len(p.s) {
		c := p.s[p.i]
		p.i++
		switch {
		case c == '"':
			return out.String(), nil
		case c == '\\' && p.i < len(p.s):
			c = p.s[p.i]
			p.i++
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", p.bad("a control character")
		}
		out.WriteByte(c)
	}
	return "", p.bad("a quote is not closed")
}

// space skips white space and comments (CFWS).
func (p *parser) space() error {
	depth := 0
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '(':
			depth++
			if depth > maxComment {
				return p.bad("comments are nested too deep")
			}
		case depth == 0 && c != ' ' && c != '\t':
			return nil
		case c == ')':
			depth--
		case c == '\\' && depth > 0 && p.i+1 < len(p.s):
			p.i++
		case c < ' ' && c != '\t' || c == 0x7f:
			return p.bad("a control character")
		}
		p.i++
	}
	if depth > 0 {
		return p.bad("a comment is not closed")
	}
	return nil
}

func (p *parser) take(c byte) bool {
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) bad(what string) error {
	return vam.Errorf(vam.Invalid, "the address list is not valid: %s (near character %d)", what, p.i+1)
}
