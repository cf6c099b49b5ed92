package rfc5322

import (
	"encoding/base64"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is how many octets of a header value are decoded for display; what
// follows is cut.
const MaxText = 8 << 10

const (
	lineWidth = 76 // where lines are folded, RFC 2047 section 2
	wordWidth = 75 // longest encoded word, RFC 2047 section 2
)

// Clean makes one line that is safe to show or to write into a header: line ends
// and other controls become a space, runs of space one, invisible and
// direction-changing characters go, bytes that are not UTF-8 become U+FFFD, and
// what is longer than maxRunes ends in an ellipsis. Clean(Clean(s)) is Clean(s).
func Clean(s string, maxRunes int) string {
	var out strings.Builder
	space, n := false, 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = n > 0
			continue
		case r == '\u200c' || r == '\u200d': // joiners: Persian words, emoji
		case !unicode.IsGraphic(r) || isInvisible(r):
			continue
		}
		need := 1
		if space {
			need = 2
		}
		if n+need > maxRunes {
			return ellipsis(out.String(), maxRunes)
		}
		if space {
			out.WriteByte(' ')
			space = false
		}
		out.WriteRune(r)
		n += need
	}
	return out.String()
}

// isInvisible names the graphic characters that show as nothing.
func isInvisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u3164', '\uffa0':
		return true
	}
	return false
}

func ellipsis(s string, maxRunes int) string {
	runes := []rune(s)
	if len(runes) >= maxRunes {
		runes = runes[:max(maxRunes-1, 0)]
	}
	return strings.TrimRight(string(runes), " ") + "…"
}

// DecodeText decodes the encoded words of an unstructured value (RFC 2047) and
// cleans the result to at most maxRunes characters. An encoded word in a character
// set other than UTF-8, US-ASCII or ISO-8859-1 stays as it was written.
func DecodeText(value string, maxRunes int) string {
	if len(value) > MaxText {
		value = value[:MaxText]
	}
	var dec mime.WordDecoder
	if s, err := dec.DecodeHeader(value); err == nil {
		value = s
	}
	return Clean(value, maxRunes)
}

// textWords cuts cleaned text into the words that a header line is folded between.
// Text that is not plain ASCII, or that looks like an encoded word, becomes encoded
// words, so that what is read back is what was written.
func textWords(s string) []string {
	words := strings.Fields(s)
	for _, w := range words {
		if len(w) > lineWidth-10 || !isPlain(w) {
			return encodeWords(strings.Join(words, " "))
		}
	}
	return words
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return !strings.Contains(s, "=?")
}

// encodeWords writes s as encoded words in UTF-8, each of whole characters, in
// whichever of the two encodings is shorter.
func encodeWords(s string) []string {
	q := chunk(s, "=?utf-8?q?", qLen, qEncode)
	b := chunk(s, "=?utf-8?b?", bLen, func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) })
	if len(strings.Join(b, " ")) < len(strings.Join(q, " ")) {
		return b
	}
	return q
}

func chunk(s, open string, size func(string) int, encode func(string) string) []string {
	room := wordWidth - len(open) - len("?=")
	var out []string
	start := 0
	for i := 0; i < len(s); {
		_, n := utf8.DecodeRuneInString(s[i:])
		if size(s[start:i+n]) > room {
			out = append(out, open+encode(s[start:i])+"?=")
			start = i
		}
		i += n
	}
	return append(out, open+encode(s[start:])+"?=")
}

func bLen(s string) int { return base64.StdEncoding.EncodedLen(len(s)) }

func qLen(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if isQSafe(s[i]) || s[i] == ' ' {
			n++
		} else {
			n += 3
		}
	}
	return n
}

func qEncode(s string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			out.WriteByte('_')
		case isQSafe(c):
			out.WriteByte(c)
		default:
			out.WriteByte('=')
			out.WriteByte(hex[c>>4])
			out.WriteByte(hex[c&15])
		}
	}
	return out.String()
}

// isQSafe is the set that may stand in an encoded word anywhere, a display name
// included (RFC 2047 section 5, rule 3).
func isQSafe(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("!*+-/", c) >= 0
}
