package activmail

import (
	"strings"

	"github.com/videoactivmail/vam"
)

// tag is one name=value of a DKIM tag list.
type tag struct{ name, value string }

// parseTags reads a tag list (RFC 6376 section 3.2): "name=value" between semicolons,
// folding white space around both and none inside, no name twice, an empty last element
// allowed. Unknown names are the caller's to ignore. what names the list in errors;
// limit is in octets after unfolding, and bounds the number of tags too. Errors: Invalid,
// TooLarge.
func parseTags(s, what string, limit int) ([]tag, error) {
	s = strings.NewReplacer("\r\n ", " ", "\r\n\t", "\t").Replace(s)
	if len(s) > limit {
		return nil, tooLarge(what, vam.Bytes(limit))
	}
	var out []tag
	elems := strings.Split(s, ";")
	if strings.Trim(elems[len(elems)-1], whiteSpace) == "" {
		elems = elems[:len(elems)-1]
	}
	for _, e := range elems {
		name, value, ok := strings.Cut(e, "=")
		name, value = strings.Trim(name, whiteSpace), strings.Trim(value, whiteSpace)
		if !ok || !isTagName(name) || strings.ContainsFunc(value, notTagChar) {
			return nil, malformed("the %s is not a list of name=value with semicolons between", what)
		}
		for _, t := range out {
			if t.name == name {
				return nil, malformed("the %s has the tag %s twice", what, name)
			}
		}
		out = append(out, tag{name, value})
	}
	return out, nil
}

const whiteSpace = " \t"

func notTagChar(r rune) bool { return r < '!' || r > '~' }

func isTagName(s string) bool {
	if s == "" || !strings.Contains(alphanumeric[:52], s[:1]) {
		return false
	}
	return strings.Trim(s, alphanumeric+"_") == ""
}

// lookup returns the value of a tag.
func lookup(tags []tag, name string) (string, bool) {
	for _, t := range tags {
		if t.name == name {
			return t.value, true
		}
	}
	return "", false
}

// maxTagList is the longest tag list in a TXT record, in octets.
const maxTagList = 1024
