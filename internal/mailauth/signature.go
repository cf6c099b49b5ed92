package mailauth

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Limits of signatures (AM-10.17). The DKIM library looks for every name of h= in every
// field of the header, so both lengths are bounded before it starts.
const (
	MaxSignatures     = 5       // looked at; the others are ignored
	maxSignatureField = 8 << 10 // octets
	maxSignedNames    = 200     // in h=
)

// Problem types of a letter that is refused (AM-12.11).
const (
	problemForm      = "malformed"
	problemSize      = "too-large"
	problemPolicy    = "policy"
	problemSignature = "signature-invalid"
	problemKey       = "key-not-found"
	problemUnaligned = "author-unaligned"
)

// signature is what one DKIM-Signature field claims.
type signature struct {
	domain   vam.Domain
	selector string
	identity string // domain of i=
	expires  time.Time
	signed   []string // names of h= in lower case
	// refused says why the field is not looked at; the DKIM library still reads it.
	refused error
}

func (s *signature) keyName() string { return KeyName(s.selector, s.domain) }

// scanSignatures reads the first MaxSignatures DKIM-Signature fields. A field that
// is not valid only loses its own voice; one that is too long ends it all, because
// it cannot be kept from the library. Errors: TooLarge.
func scanSignatures(m *rfc5322.Mail, from vam.Domain) ([]*signature, error) {
	var out []*signature
	for _, f := range m.Fields {
		if !f.Is("DKIM-Signature") || len(out) == MaxSignatures {
			continue
		}
		if len(f.Raw) > maxSignatureField || strings.Count(string(f.Raw), ":") > maxSignedNames {
			return nil, vam.Errorf(vam.TooLarge, "a DKIM-Signature field of the mail is longer than %d octets or names more than %d fields, the limits of VAM/1", maxSignatureField, maxSignedNames).WithProblem(problemSize)
		}
		s := &signature{}
		s.refused = s.parse(f.Value())
		if s.refused == nil && !related(s.domain, from) {
			s.refused = unaligned(from, s.domain)
		}
		out = append(out, s)
	}
	return out, nil
}

func (s *signature) parse(value string) error {
	tags, err := parseTags(value)
	if err != nil {
		return bad(err, "a DKIM-Signature field of the mail is not a list of tags")
	}
	if _, ok := tags["l"]; ok {
		return bad(nil, "the mail is signed with a body length (l=), which lets anybody append to it; VAM/1 does not take such signatures")
	}
	if s.domain, err = vam.ParseDomain(tags["d"]); err != nil {
		return bad(err, "a DKIM-Signature field of the mail names no valid domain (d=)")
	}
	s.selector = strings.ToLower(tags["s"])
	if !isSelector(s.selector) || len(s.keyName()) > vam.MaxDomainOctets {
		return bad(nil, "a DKIM-Signature field of the mail names no valid selector (s=)")
	}
	s.identity = string(s.domain)
	if i, ok := tags["i"]; ok {
		s.identity = strings.ToLower(i[strings.LastIndexByte(i, '@')+1:])
	}
	if x, ok := tags["x"]; ok {
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil || n < 0 {
			return bad(err, "a DKIM-Signature field of the mail has no valid expiry (x=)")
		}
		s.expires = time.Unix(n, 0)
	}
	for _, name := range list(tags["h"]) {
		s.signed = append(s.signed, strings.ToLower(name))
	}
	return nil
}

// covers returns the first of the fields of m that a reader is shown and that s does
// not cover. Each of them is there once at most.
func (s *signature) covers(m *rfc5322.Mail) (missing string) {
	for _, name := range signedFields() {
		if m.Has(name) && !slices.Contains(s.signed, strings.ToLower(name)) {
			return name
		}
	}
	return ""
}

func isSelector(s string) bool {
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// related reports whether two domains share their last two labels. Others can never
// align, so no DNS question is asked for them.
func related(a, b vam.Domain) bool {
	return lastLabels(a, 2) == lastLabels(b, 2)
}

func bad(cause error, format string, args ...any) *vam.Error {
	return vam.Wrap(vam.Unauthenticated, cause, format, args...).WithProblem(problemSignature)
}

func unaligned(from, signing vam.Domain) *vam.Error {
	return vam.Errorf(vam.Denied, "the mail is from %s but signed by %s, which does not speak for it (DMARC alignment, RFC 9989): sign it with a key of %s", from, signing, from).WithProblem(problemUnaligned)
}
