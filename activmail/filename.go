package activmail

import (
	"strings"
	"unicode"
)

// maxFileName is the longest file name in a seal, in octets (AM-4.4).
const maxFileName = 255

// decodeFileName reads a name that is one path element on every system.
func decodeFileName(raw []byte) (string, string) {
	name, why := decodeText(raw)
	if why != "" {
		return "", why
	}
	bad := func(r rune) bool {
		return r == '/' || r == '\\' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if name == "" || len(name) > maxFileName || name == "." || name == ".." || strings.ContainsFunc(name, bad) {
		return "", "is not a file name of 1 to 255 octets without separators and controls"
	}
	return name, ""
}
