package activmail

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
)

// document is an object whose members are read by name, each by the type that it must
// have. The first error stays; the getters answer zero values after it.
type document struct {
	what    string
	members []member
	err     error
}

// openDocument is AM-14.1.
func openDocument(b []byte, limit vam.Bytes, what string) (*document, error) {
	if vam.Bytes(len(b)) > limit {
		return nil, tooLarge(what, limit)
	}
	members, err := parseObject(b, what)
	if err != nil {
		return nil, err
	}
	return &document{what: what, members: members}, nil
}

func (d *document) find(name string) ([]byte, bool) {
	for _, m := range d.members {
		if string(m.name) == name {
			return m.raw, true
		}
	}
	return nil, false
}

func (d *document) has(name string) bool { _, ok := d.find(name); return ok }

// fail keeps the first error.
func (d *document) fail(name, why string) {
	if d.err == nil {
		d.err = malformed("the member %q of the %s %s", name, d.what, why)
	}
}

// require names what is missing.
func (d *document) require(names ...string) {
	for _, name := range names {
		if !d.has(name) {
			d.fail(name, "is missing")
		}
	}
}

// version checks the member that says which version of VAM the document is of, before
// anything else is looked at. Errors: Invalid (malformed, version).
func (d *document) version(name string) error {
	d.require(name)
	if v := take(d, name, decodeInteger); d.err == nil && v != 1 {
		return vam.Errorf(vam.Invalid, "the %s is of version %d and this server knows version 1", d.what, v).WithProblem("version")
	}
	return d.err
}

// take runs decode on the raw value of name, when there is one and nothing failed.
func take[T any](d *document, name string, decode func([]byte) (T, string)) T {
	var zero T
	raw, ok := d.find(name)
	if !ok || d.err != nil {
		return zero
	}
	v, why := decode(raw)
	if why != "" {
		d.fail(name, why)
		return zero
	}
	return v
}

// parsed turns a parser of the vam package into a decoder of strings.
func parsed[T any](parse func(string) (T, error)) func([]byte) (T, string) {
	return func(raw []byte) (T, string) {
		var zero T
		s, why := decodeText(raw)
		if why != "" {
			return zero, why
		}
		v, err := parse(s)
		if err != nil {
			return zero, "is wrong: " + vam.Public(err)
		}
		return v, ""
	}
}

// object descends into a member that is an object.
func (d *document) object(name string) *document {
	inner := &document{what: d.what + "'s " + name}
	raw, ok := d.find(name)
	if !ok || d.err != nil {
		return inner
	}
	if raw[0] != '{' {
		d.fail(name, "is not an object")
		return inner
	}
	inner.members, d.err = parseObject(raw, inner.what)
	return inner
}

// list decodes every element of a member that is an array of at most limit elements.
func list[T any](d *document, name string, limit int, decode func([]byte) (T, string)) []T {
	raw, ok := d.find(name)
	if !ok || d.err != nil {
		return nil
	}
	if raw[0] != '[' {
		d.fail(name, "is not an array")
		return nil
	}
	elems, n, err := parseArray(raw, limit, d.what)
	if err != nil {
		d.err = err
		return nil
	}
	if n > limit {
		d.err = vam.Errorf(vam.TooLarge, "the member %q of the %s has %d elements; the limit here is %d", name, d.what, n, limit).WithProblem("too-large")
		return nil
	}
	out := make([]T, 0, len(elems))
	for _, e := range elems {
		v, why := decode(e)
		if why != "" {
			d.fail(name, why)
			return nil
		}
		out = append(out, v)
	}
	return out
}

// The decoders answer the value and, when there is none, why.

func decodeText(raw []byte) (string, string) {
	if raw[0] != '"' {
		return "", "is not a string"
	}
	return string(unescape(raw)), ""
}

// decodeInteger reads a whole number from 0 to 2^53-1, which every JSON library keeps. It
// serves tag lists too, where nobody has refused leading zeros before.
func decodeInteger(raw []byte) (int64, string) {
	n, err := strconv.ParseUint(string(raw), 10, 53)
	if err != nil || n > maxInteger || len(raw) > 1 && raw[0] == '0' {
		return 0, "is not a whole number from 0 to 2^53-1"
	}
	return int64(n), ""
}

func decodeBytes(raw []byte) (vam.Bytes, string) {
	n, why := decodeInteger(raw)
	return vam.Bytes(n), why
}

func decodeFlag(raw []byte) (bool, string) {
	if len(raw) == 1 && (raw[0] == '0' || raw[0] == '1') {
		return raw[0] == '1', ""
	}
	return false, "is not 0 or 1"
}

func decodeBool(raw []byte) (bool, string) {
	switch string(raw) {
	case "true":
		return true, ""
	case "false":
		return false, ""
	}
	return false, "is not true or false"
}

// decodeSeconds reads decimal seconds exactly, to the nanosecond: no exponent, no
// sign, at most nine decimals.
func decodeSeconds(raw []byte) (time.Duration, string) {
	d, ok := parseSeconds(string(raw))
	if !ok {
		return 0, "is not decimal seconds (0 to 9999999, at most 9 decimals, no exponent)"
	}
	return d, ""
}

func parseSeconds(s string) (time.Duration, bool) {
	dot := len(s)
	for i := range len(s) {
		if c := s[i]; c == '.' && dot == len(s) {
			dot = i
		} else if c < '0' || c > '9' {
			return 0, false
		}
	}
	whole, frac := s[:dot], ""
	if dot < len(s) {
		frac = s[dot+1:]
	}
	if whole == "" || len(whole) > 7 || len(whole) > 1 && whole[0] == '0' || len(frac) > 9 || dot < len(s) && frac == "" {
		return 0, false
	}
	n := int64(0)
	for i := range 9 {
		n *= 10
		if i < len(frac) {
			n += int64(frac[i] - '0')
		}
	}
	sec, _ := strconv.ParseInt(whole, 10, 64)
	return time.Duration(sec)*time.Second + time.Duration(n), true
}

// appendSeconds writes d with no more decimals than it needs.
func appendSeconds(b []byte, d time.Duration) []byte {
	b = strconv.AppendInt(b, int64(d/time.Second), 10)
	frac := d % time.Second
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	for unit := time.Second / 10; frac > 0; unit /= 10 {
		b = append(b, byte('0'+frac/unit))
		frac %= unit
	}
	return b
}

// timeLayout is the one spelling of a time: RFC 3339, UTC, whole seconds (AM-1.8).
const timeLayout = "2006-01-02T15:04:05Z"

func decodeTime(raw []byte) (time.Time, string) {
	s, why := decodeText(raw)
	if why != "" {
		return time.Time{}, why
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || len(s) != len(timeLayout) || t.Unix() < 0 {
		return time.Time{}, "is not a time such as 2026-11-23T08:00:00Z, 1970 or later"
	}
	return t.UTC(), ""
}

func decodeSum(raw []byte) (Sum, string) {
	const why = "is not a SHA-256 in 64 lower-case hex digits"
	var sum Sum
	if raw[0] != '"' {
		return sum, why
	}
	// The digits may be written as escapes: another reader would not notice.
	digits := unescape(raw)
	if len(digits) != 2*len(sum) {
		return sum, why
	}
	for i := range sum {
		hi, lo := hexDigit(digits[2*i]), hexDigit(digits[2*i+1])
		if hi|lo > 0x0f {
			return Sum{}, why
		}
		sum[i] = hi<<4 | lo
	}
	return sum, ""
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// decodeBase64 reads padded base64 in its one canonical spelling (AM-1.9).
func decodeBase64(raw []byte) ([]byte, string) {
	s, why := decodeText(raw)
	if why != "" {
		return nil, why
	}
	b, err := parseBase64(s)
	if err != nil {
		return nil, "is not base64 (RFC 4648 section 4, padded)"
	}
	return b, ""
}

func parseBase64(s string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil, err
	}
	if base64.StdEncoding.EncodedLen(len(b)) != len(s) { // line breaks are skipped by the decoder
		return nil, base64.CorruptInputError(0)
	}
	return b, nil
}

// objectWriter builds an object with the members in the order of the calls.
type objectWriter struct{ b []byte }

func (w *objectWriter) name(name string) {
	if len(w.b) == 0 {
		w.b = append(w.b, '{')
	} else if w.b[len(w.b)-1] != '{' {
		w.b = append(w.b, ',')
	}
	w.b = appendString(w.b, name)
	w.b = append(w.b, ':')
}

func (w *objectWriter) text(name, v string) { w.name(name); w.b = appendString(w.b, v) }

// optional writes a text unless it is empty.
func (w *objectWriter) optional(name, v string) {
	if v != "" {
		w.text(name, v)
	}
}

func (w *objectWriter) integer(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *objectWriter) seconds(name string, d time.Duration) {
	w.name(name)
	w.b = appendSeconds(w.b, d)
}

// flag writes 1 when v is true and nothing when not.
func (w *objectWriter) flag(name string, v bool) {
	if v {
		w.integer(name, 1)
	}
}

// time writes t unless it is zero.
func (w *objectWriter) time(name string, t time.Time) {
	if !t.IsZero() {
		w.text(name, t.UTC().Format(timeLayout))
	}
}

func (w *objectWriter) sum(name string, s Sum) { w.text(name, s.String()) }

func (w *objectWriter) base64(name string, v []byte) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, v)
	w.b = append(w.b, '"')
}

func (w *objectWriter) raw(name string, v []byte) { w.name(name); w.b = append(w.b, v...) }

func (w *objectWriter) texts(name string, vs []string) {
	w.name(name)
	w.b = append(w.b, '[')
	for i, v := range vs {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendString(w.b, v)
	}
	w.b = append(w.b, ']')
}

func (w *objectWriter) end() []byte {
	if len(w.b) == 0 {
		w.b = append(w.b, '{')
	}
	return append(w.b, '}')
}

// appendString writes a JSON string with the fewest escapes. Octets that are not
// UTF-8 become U+FFFD; callers that must keep bytes check before.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c == '\n':
			b = append(b, '\\', 'n')
			i++
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0')
			b = hex.AppendEncode(b, []byte{c})
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}
