package activmail

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
)

// encoding/json is too kind for signed documents: it takes the last of two equal
// names, matches names in any case and replaces broken UTF-8, so that two readers of
// the same signed bytes can see different things. The scanner below reads I-JSON (RFC
// 7493) and keeps the raw bytes of every value (AM-1.10 to AM-1.14).

const (
	maxDepth   = 16        // AM-1.11
	maxInteger = 1<<53 - 1 // AM-1.7, RFC 7493 section 2.2
)

// member is one name and value of an object. name is unescaped; raw is the value as
// it stands in the document.
type member struct {
	name []byte
	raw  []byte
}

// parseObject reads a document that is exactly one JSON object. what names the
// document in errors. Errors: Invalid.
func parseObject(b []byte, what string) ([]member, error) {
	s := scanner{b: b, what: what}
	s.space()
	if s.peek() != '{' {
		return nil, s.fail("is not a JSON object")
	}
	members, err := s.object(make([]member, 0, 12))
	if err != nil {
		return nil, err
	}
	if s.space(); s.i != len(b) {
		return nil, s.fail("goes on after its end")
	}
	return members, nil
}

// parseArray splits the raw value of an array into those of its elements, of which it
// keeps the first limit, and counts them. raw comes out of parseObject, so it is known to
// be sound.
func parseArray(raw []byte, limit int, what string) (elems [][]byte, n int, err error) {
	s := scanner{b: raw, what: what}
	if s.peek() != '[' {
		return nil, 0, s.fail("is not a JSON array")
	}
	err = s.array(func(elem []byte) {
		if n++; n <= limit {
			elems = append(elems, elem)
		}
	})
	return elems, n, err
}

type scanner struct {
	b     []byte
	i     int
	depth int
	what  string
}

func (s *scanner) fail(why string) error {
	return malformed("the %s %s (octet %d)", s.what, why, s.i)
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) enter() error {
	s.i++
	if s.depth++; s.depth > maxDepth {
		return s.fail("is nested more than " + strconv.Itoa(maxDepth) + " deep")
	}
	s.space()
	return nil
}

func (s *scanner) object(out []member) ([]member, error) {
	if err := s.enter(); err != nil {
		return nil, err
	}
	var names nameSet
	for more := s.peek() != '}'; more; {
		m, err := s.member()
		if err != nil {
			return nil, err
		}
		if !names.add(out, m.name) {
			return nil, s.fail("has the member " + quoteShort(m.name) + " twice")
		}
		out = append(out, m)
		if more = s.peek() == ','; more {
			s.i++
			s.space()
		}
	}
	return out, s.leave('}')
}

// nameSet finds a name that comes twice. Up to a few members it looks through them;
// then it makes a map, so that a megabyte of names costs no quadratic time.
type nameSet map[string]struct{}

func (n *nameSet) add(members []member, name []byte) bool {
	const few = 24
	if *n == nil && len(members) < few {
		for i := range members {
			if bytes.Equal(members[i].name, name) {
				return false
			}
		}
		return true
	}
	if *n == nil {
		*n = make(nameSet, 2*few)
		for _, m := range members {
			(*n)[string(m.name)] = struct{}{}
		}
	}
	if _, dup := (*n)[string(name)]; dup {
		return false
	}
	(*n)[string(name)] = struct{}{}
	return true
}

func (s *scanner) member() (member, error) {
	start := s.i
	if err := s.str(); err != nil {
		return member{}, err
	}
	name := unescape(s.b[start:s.i])
	if s.space(); s.peek() != ':' {
		return member{}, s.fail("has no colon after a name")
	}
	s.i++
	s.space()
	start = s.i
	if err := s.value(); err != nil {
		return member{}, err
	}
	m := member{name: name, raw: s.b[start:s.i]}
	s.space()
	return m, nil
}

func (s *scanner) array(each func([]byte)) error {
	if err := s.enter(); err != nil {
		return err
	}
	for more := s.peek() != ']'; more; {
		start := s.i
		if err := s.value(); err != nil {
			return err
		}
		if each != nil {
			each(s.b[start:s.i])
		}
		s.space()
		if more = s.peek() == ','; more {
			s.i++
			s.space()
		}
	}
	return s.leave(']')
}

func (s *scanner) leave(end byte) error {
	if s.peek() != end {
		return s.fail("is cut short or has no " + string(rune(end)))
	}
	s.i++
	s.depth--
	return nil
}

func (s *scanner) value() error {
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '{':
		_, err := s.object(nil)
		return err
	case c == '[':
		return s.array(nil)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(s.b[s.i:], []byte(word)) {
			s.i += len(word)
			return nil
		}
	}
	return s.fail("is not JSON")
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("has a malformed number")
	}
	if s.peek() == '.' {
		if s.i++; !s.digits() {
			return s.fail("has a malformed number")
		}
	}
	if s.peek()|0x20 == 'e' {
		if s.i++; s.peek() == '+' || s.peek() == '-' {
			s.i++
		}
		if !s.digits() {
			return s.fail("has a malformed number")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && '0' <= s.b[s.i] && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// str checks a string: well-formed UTF-8, no bare control characters, known escapes
// and no half of a surrogate pair.
func (s *scanner) str() error {
	if s.peek() != '"' {
		return s.fail("has no string where one is wanted")
	}
	for s.i++; s.i < len(s.b); {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c == '\\':
			if !s.escape() {
				return s.fail("has an escape that JSON does not know")
			}
		case c < ' ':
			return s.fail("has a bare control character")
		case c < utf8.RuneSelf:
			s.i++
		default:
			r, n := utf8.DecodeRune(s.b[s.i:])
			if r == utf8.RuneError && n == 1 {
				return s.fail("is not UTF-8")
			}
			s.i += n
		}
	}
	return s.fail("ends inside a string")
}

func (s *scanner) escape() bool {
	if s.i+1 >= len(s.b) {
		return false
	}
	switch s.b[s.i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i += 2
		return true
	case 'u':
		r, n := unescapeRune(s.b[s.i:])
		if r < 0 {
			return false
		}
		s.i += n
		return true
	}
	return false
}

// unescapeRune reads \uXXXX or a surrogate pair of them; -1 when it is malformed.
func unescapeRune(b []byte) (rune, int) {
	first := hex4(b)
	if first < 0 || !utf16.IsSurrogate(first) {
		return first, 6
	}
	r := utf16.DecodeRune(first, max(hex4(b[6:]), 0))
	if r == utf8.RuneError {
		return -1, 12
	}
	return r, 12
}

func hex4(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

// unescape takes the quotes off a checked string; it copies only when there is an
// escape.
func unescape(raw []byte) []byte {
	inner := raw[1 : len(raw)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	out := make([]byte, 0, len(inner))
	for i := 0; i < len(inner); i++ {
		if inner[i] != '\\' {
			out = append(out, inner[i])
			continue
		}
		i++
		if k := bytes.IndexByte([]byte("bfnrt"), inner[i]); k >= 0 {
			out = append(out, "\b\f\n\r\t"[k])
		} else if inner[i] == 'u' {
			r, n := unescapeRune(inner[i-1:])
			out = utf8.AppendRune(out, r)
			i += n - 2
		} else {
			out = append(out, inner[i])
		}
	}
	return out
}

func quoteShort(b []byte) string {
	const limit = 40
	if len(b) > limit {
		return strconv.Quote(string(b[:limit])) + "…"
	}
	return strconv.Quote(string(b))
}

func malformed(format string, args ...any) *vam.Error {
	return vam.Errorf(vam.Invalid, format, args...).WithProblem("malformed")
}

func tooLarge(what string, limit vam.Bytes) *vam.Error {
	return vam.Errorf(vam.TooLarge, "the %s is longer than the limit of %s here", what, limit).WithProblem("too-large")
}
