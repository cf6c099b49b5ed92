package activmail

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The small grammars that several documents share.

// decodeWord reads a keyword or track name: a letter, then up to 31 of a-z 0-9 - _ .
func decodeWord(raw []byte) (string, string) {
	s, why := decodeText(raw)
	if why == "" && !isWord(s) {
		why = "is not a word (a-z, then up to 31 of a-z 0-9 . _ -)"
	}
	return s, why
}

func isWord(s string) bool {
	if len(s) == 0 || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// decodeLang reads a language tag by shape: subtags of 1 to 8 letters and digits (RFC
// 5646 section 2.1), 35 octets at most, as section 4.4.1 there suggests.
func decodeLang(raw []byte) (string, string) {
	s, why := decodeText(raw)
	if why != "" {
		return "", why
	}
	ok := len(s) <= 35
	for sub := range strings.SplitSeq(s, "-") {
		ok = ok && len(sub) >= 1 && len(sub) <= 8 && strings.Trim(sub, alphanumeric) == ""
	}
	if !ok {
		return "", "is not a language tag (RFC 5646)"
	}
	return s, ""
}

const (
	alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	tokenChars   = alphanumeric + "!#$%&'*+-.^_`|~" // RFC 9110 section 5.6.2
)

func decodeMediaType(raw []byte) (string, string) {
	s, why := decodeText(raw)
	if why == "" && !isMediaType(s) {
		why = "is not a media type (RFC 9110 section 8.3.1, in at most 255 octets of ASCII)"
	}
	return s, why
}

// isMediaType checks type "/" subtype *( OWS ";" OWS [ token "=" ( token / quoted ) ] ) in
// printable ASCII (AM-4.4).
func isMediaType(s string) bool {
	if len(s) > 255 {
		return false
	}
	typ, rest, ok := strings.Cut(s, "/")
	if !ok || !isToken(typ) {
		return false
	}
	n := tokenLen(rest)
	if n == 0 {
		return false
	}
	for rest = rest[n:]; rest != ""; {
		rest = strings.TrimLeft(rest, " ")
		if !strings.HasPrefix(rest, ";") {
			return false
		}
		rest = strings.TrimLeft(rest[1:], " ")
		n := tokenLen(rest)
		if n == 0 && (rest == "" || rest[0] == ';') {
			continue
		}
		if n == 0 || n == len(rest) || rest[n] != '=' {
			return false
		}
		rest = rest[n+1:]
		if n = valueLen(rest); n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return true
}

func isToken(s string) bool { return s != "" && tokenLen(s) == len(s) }

func tokenLen(s string) int { return len(s) - len(strings.TrimLeft(s, tokenChars)) }

// valueLen is the length of a token or quoted string at the start of s; 0 is neither.
func valueLen(s string) int {
	if !strings.HasPrefix(s, `"`) {
		return tokenLen(s)
	}
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i++
			if i == len(s) || s[i] < ' ' || s[i] > '~' {
				return 0
			}
		case c < ' ' || c > '~':
			return 0
		}
	}
	return 0
}

// isEnhancedCode reports whether s is class.subject.detail of RFC 3463 with class 2,
// 4 or 5.
func isEnhancedCode(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || !strings.Contains("2 4 5", parts[0]) || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts[1:] {
		if len(p) == 0 || len(p) > 3 || strings.Trim(p, "0123456789") != "" || len(p) > 1 && p[0] == '0' {
			return false
		}
	}
	return true
}

// isSentence reports whether s may be shown to a person: printable (AM-1.17), at most
// 500 octets.
func isSentence(s string) bool {
	return len(s) <= maxSentence && utf8.ValidString(s) && !strings.ContainsFunc(s, isUnprintable)
}

// maxSentence is the greatest length in octets of a text for people in a document.
const maxSentence = 500

func isUnprintable(r rune) bool { return !unicode.IsGraphic(r) || r != ' ' && unicode.IsSpace(r) }
