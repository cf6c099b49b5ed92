package activmail

import (
	"strings"

	"github.com/videoactivmail/vam"
)

// On the wire every name has one spelling, so that equal names are equal octets.

// parseDomain accepts lower case only (AM-1.1).
func parseDomain(s string) (vam.Domain, error) {
	d, err := vam.ParseDomain(s)
	if err == nil && string(d) != s {
		err = malformed("the domain %s is not in lower case", quoteShort([]byte(s)))
	}
	return d, err
}

// ParseAddress accepts the one spelling that [vam.Address.String] writes: domain in lower
// case, quotes only where the local part needs them (AM-1.4, AM-1.5). Errors: Invalid.
func ParseAddress(s string) (vam.Address, error) {
	a, err := vam.ParseAddress(s)
	if err == nil && a.String() != s {
		err = malformed("the address %s is written with quotes or capitals that it does not need", quoteShort([]byte(s)))
	}
	return a, err
}

// MessageRef names a message anywhere: "a.example/MID" (AM-1.3).
type MessageRef struct {
	Origin    vam.Domain
	MessageID vam.MessageID
}

// ParseMessageRef reads the String form. Errors: Invalid.
func ParseMessageRef(s string) (MessageRef, error) {
	origin, mid, ok := strings.Cut(s, "/")
	if !ok {
		return MessageRef{}, malformed("%s is not a message name such as a.example/ID", quoteShort([]byte(s)))
	}
	d, err := parseDomain(origin)
	if err != nil {
		return MessageRef{}, err
	}
	id, err := vam.ParseMessageID(mid)
	return MessageRef{d, id}, err
}

// String is the domain, a slash and the id.
func (r MessageRef) String() string { return string(r.Origin) + "/" + string(r.MessageID) }
