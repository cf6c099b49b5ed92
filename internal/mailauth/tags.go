package mailauth

import (
	"strings"

	"github.com/videoactivmail/vam"
)

// parseTags reads a tag list (RFC 6376 section 3.2). It is stricter than the DKIM
// library in what may stand around a tag, ASCII white space alone, so that the two
// never see another value under the same name. Errors: Invalid.
func parseTags(s string) (map[string]string, error) {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x7f || s[i] < ' ' && !isSpace(rune(s[i])) {
			return nil, vam.Errorf(vam.Invalid, "a character that is not ASCII")
		}
	}
	tags := make(map[string]string)
	for spec := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(spec, "=")
		name = strings.TrimFunc(name, isSpace)
		if !ok && name == "" {
			continue
		}
		if !ok || !isTagName(name) {
			return nil, vam.Errorf(vam.Invalid, "a part that is not tag=value")
		}
		if _, twice := tags[name]; twice {
			return nil, vam.Errorf(vam.Invalid, "the tag %s twice", name)
		}
		tags[name] = strings.TrimFunc(value, isSpace)
	}
	return tags, nil
}

func isTagName(s string) bool {
	for i := 0; i < len(s); i++ {
		letter := 'a' <= s[i]|0x20 && s[i]|0x20 <= 'z'
		if !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && s[i] != '_') {
			return false
		}
	}
	return s != "" && len(s) <= 63
}

func isSpace(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' }

// unspaced removes the white space that base64 and lists may be folded with.
func unspaced(s string) string {
	return strings.Map(func(r rune) rune {
		if isSpace(r) {
			return -1
		}
		return r
	}, s)
}
