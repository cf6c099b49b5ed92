package telemetry

import "strings"

// redacted stands where a credential was.
const redacted = "[redacted]"

// Redact replaces what would let a reader of the log act as somebody else: pull
// and device tokens (vp_…, vd_…), the credentials of an Authorization value
// (Bearer …, Basic …), and the token of a watch link (/w/…). It is a net below the
// code that should not log them at all.
func Redact(s string) string {
	if !suspicious(s) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if keep := credentialAt(s, i); keep > 0 {
			b.WriteString(s[i : i+keep])
			b.WriteString(redacted)
			i += keep
			for i < len(s) && isTokenChar(s[i]) {
				i++
			}
			continue
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// suspicious is the cheap test that lets almost every string through.
func suspicious(s string) bool {
	return strings.Contains(s, "vp_") || strings.Contains(s, "vd_") || strings.Contains(s, "/w/") ||
		strings.Contains(s, "earer ") || strings.Contains(s, "EARER ") || strings.Contains(s, "asic ") || strings.Contains(s, "ASIC ")
}

// credentialAt returns the length of the part of s[i:] that introduces a
// credential and may stay, 0 where none begins.
func credentialAt(s string, i int) int {
	for _, intro := range []struct {
		text string
		min  int // shortest credential behind it
	}{{"vp_", 16}, {"vd_", 16}, {"/w/", 16}, {"Bearer ", 8}, {"Basic ", 12}} {
		n := len(intro.text)
		if i+n > len(s) || !strings.EqualFold(s[i:i+n], intro.text) {
			continue
		}
		if run := tokenRun(s[i+n:]); run >= intro.min {
			return n
		}
	}
	return 0
}

func tokenRun(s string) int {
	n := 0
	for n < len(s) && isTokenChar(s[n]) {
		n++
	}
	return n
}

// isTokenChar accepts base64 in both alphabets and the characters of token68 (RFC
// 9110 section 11.2) but the slash, which ends a path segment.
func isTokenChar(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c == '~' || c == '+' || c == '='
}
