package vam

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of RFC 5321 section 4.5.3.1, in octets.
const (
	MaxLocalOctets   = 64
	MaxDomainOctets  = 253
	MaxAddressOctets = 254
)

// Domain is a DNS name in lower-case A-label form without a final dot, for
// example "b.example" or "xn--bcher-kva.example". The zero value is no domain.
type Domain string

// ParseDomain checks s against the letter-digit-hyphen rule (RFC 5890 section
// 2.3.1) and returns it in lower case. It wants at least two labels, so that a
// bare host name or an IP literal is never taken for a mail domain. Names in
// other scripts are turned into A-labels at the edge, before they come here.
// Errors: Invalid.
func ParseDomain(s string) (Domain, error) {
	if s == "" {
		return "", Errorf(Invalid, "the domain is empty")
	}
	if len(s) > MaxDomainOctets {
		return "", Errorf(Invalid, "the domain is longer than %d octets", MaxDomainOctets)
	}
	labels := strings.Split(s, ".")
	if len(labels) < 2 {
		return "", Errorf(Invalid, "%q is not a full domain name", clip(s))
	}
	for _, label := range labels {
		if !validLabel(label) {
			return "", Errorf(Invalid, "%q is not a domain name: letters, digits and inner hyphens only, 1 to 63 octets a label (write other scripts as xn--…)", clip(s))
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "", Errorf(Invalid, "%q is an IP address, not a domain", clip(s))
	}
	return Domain(strings.ToLower(s)), nil
}

func validLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// String returns the A-label form.
func (d Domain) String() string { return string(d) }

// Address is one mailbox: a local part and a domain (RFC 5321 section 4.1.2).
// The local part is kept as it was written, without quotes; compare addresses by
// Key. The zero value is the null reverse-path.
type Address struct {
	Local  string
	Domain Domain
}

// ParseAddress reads an addr-spec such as alice@a.example or "a b"@a.example.
// Display names, comments, source routes, control characters and address
// literals are refused. Local parts may be UTF-8 (RFC 6531). Errors: Invalid.
func ParseAddress(s string) (Address, error) {
	if len(s) > MaxAddressOctets {
		return Address{}, Errorf(Invalid, "the address is longer than %d octets", MaxAddressOctets)
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return Address{}, Errorf(Invalid, "%q is not an address: there is no @", clip(s))
	}
	domain, err := ParseDomain(s[at+1:])
	if err != nil {
		return Address{}, err
	}
	local, ok := parseLocal(s[:at])
	if !ok {
		return Address{}, Errorf(Invalid, "%q is not an address: the part before the @ is not valid", clip(s))
	}
	return Address{Local: local, Domain: domain}, nil
}

func parseLocal(s string) (string, bool) {
	if len(s) == 0 || len(s) > MaxLocalOctets || !utf8.ValidString(s) {
		return "", false
	}
	if s[0] != '"' {
		return s, isDotString(s)
	}
	if len(s) < 3 || s[len(s)-1] != '"' {
		return "", false
	}
	var out strings.Builder
	inner := s[1 : len(s)-1]
	for i := 0; i < len(inner); i++ {
		c := inner[i]
		switch {
		case c == '\\':
			i++
			if i == len(inner) || inner[i] < ' ' || inner[i] > '~' {
				return "", false
			}
			out.WriteByte(inner[i])
		case c == '"' || c < ' ' || c == 0x7f:
			return "", false
		default:
			out.WriteByte(c)
		}
	}
	return out.String(), printable(out.String())
}

func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") || !printable(s) {
		return false
	}
	return !strings.ContainsAny(s, " \"(),:;<>@[\\]")
}

// printable refuses controls and the invisible characters that make two
// addresses look alike or break a header line (AM-1.4).
func printable(s string) bool {
	for _, r := range s {
		if !unicode.IsGraphic(r) || (r != ' ' && unicode.IsSpace(r)) || r == utf8.RuneError || invisible(r) {
			return false
		}
	}
	return true
}

// invisible is what shows nothing although Unicode counts it among letters, marks and
// symbols: fillers, variation selectors, the blank of Braille.
func invisible(r rune) bool {
	const brailleBlank = '\u2800'
	return r == brailleBlank || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// String writes the address so that ParseAddress reads it back, quoting the local
// part where RFC 5321 requires it.
func (a Address) String() string {
	if a == (Address{}) {
		return ""
	}
	if isDotString(a.Local) {
		return a.Local + "@" + string(a.Domain)
	}
	q := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a.Local)
	return `"` + q + `"@` + string(a.Domain)
}

// Key is the form under which addresses are compared and stored (AM-1.6): the local
// part in lower case. RFC 5321 allows case-sensitive local parts; no provider uses
// them, and people expect Bob@ and bob@ to be one person.
func (a Address) Key() string { return Address{strings.ToLower(a.Local), a.Domain}.String() }

// IsZero reports whether a is the null reverse-path.
func (a Address) IsZero() bool { return a == Address{} }

// SplitPlus splits "bob+tag" into "bob" and "tag" (RFC 5233); tag is empty when
// there is none.
func (a Address) SplitPlus() (base Address, tag string) {
	if i := strings.IndexByte(a.Local, '+'); i > 0 {
		return Address{a.Local[:i], a.Domain}, a.Local[i+1:]
	}
	return a, ""
}

// MarshalText writes the String form.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the ParseAddress form. Errors: Invalid.
func (a *Address) UnmarshalText(b []byte) error {
	v, err := ParseAddress(string(b))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

func clip(s string) string {
	const limit = 80
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
