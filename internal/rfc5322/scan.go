package rfc5322

import (
	"bytes"
	"strings"

	"github.com/videoactivmail/vam"
)

// Limits of one mail header (AM-10). They stand in front of every other mail
// parser, some of which need quadratic time for what these refuse.
const (
	// MaxHeader is the longest header, its empty line included.
	MaxHeader = 256 * vam.KiB
	// MaxFields is the greatest number of header fields.
	MaxFields = 1000
)

// Field is one header field. Its bytes belong to the scanned mail.
type Field struct {
	Name string // as written, without the colon
	Raw  []byte // the whole field with its folding and its last CRLF
}

// Is reports whether the field has the name, in any case.
func (f Field) Is(name string) bool { return strings.EqualFold(f.Name, name) }

// Value is what follows the colon, unfolded (RFC 5322 section 2.2.3) and without
// white space at either end. Nothing is decoded.
func (f Field) Value() string {
	v := f.Raw[len(f.Name)+1:]
	return strings.Trim(string(bytes.ReplaceAll(v, []byte("\r\n"), nil)), " \t")
}

// Mail is a scanned mail: its header fields in order, and its body untouched.
type Mail struct {
	Fields []Field
	Header []byte // all fields and the empty line
	Body   []byte
}

// Scan cuts raw into fields and body, in one pass that is linear in len(raw) and
// copies nothing. It refuses a bare CR or LF and NUL anywhere: RFC 5322 section 2.3
// forbids them, and mail that has them reads differently from one server to the
// next. Errors: Invalid, TooLarge.
func Scan(raw []byte) (*Mail, error) {
	m := &Mail{}
	rest := raw
	for {
		if vam.Bytes(len(raw)-len(rest)) > MaxHeader {
			return nil, tooLong()
		}
		if bytes.HasPrefix(rest, []byte("\r\n")) {
			rest = rest[2:]
			break
		}
		n, err := fieldEnd(rest)
		if err != nil {
			return nil, err
		}
		if len(m.Fields) == MaxFields {
			return nil, vam.Errorf(vam.TooLarge, "the mail has more than %d header fields, the limit of VAM/1: send it with fewer", MaxFields)
		}
		f, err := newField(rest[:n])
		if err != nil {
			return nil, err
		}
		m.Fields = append(m.Fields, f)
		rest = rest[n:]
	}
	m.Header, m.Body = raw[:len(raw)-len(rest)], rest
	if vam.Bytes(len(m.Header)) > MaxHeader {
		return nil, tooLong()
	}
	if err := checkLines(raw); err != nil {
		return nil, err
	}
	return m, nil
}

func tooLong() error {
	return vam.Errorf(vam.TooLarge, "the mail's header is longer than %v, the limit of VAM/1: send it with a shorter one", MaxHeader)
}

// fieldEnd returns the length of the first field of b with its continuation lines.
func fieldEnd(b []byte) (int, error) {
	n := 0
	for {
		line := b[n:min(len(b), n+int(MaxHeader)+1)]
		i := bytes.IndexByte(line, '\n')
		switch {
		case i < 0 && len(line) > int(MaxHeader):
			return 0, tooLong()
		case i < 0:
			return 0, vam.Errorf(vam.Invalid, "the mail's header does not end in an empty line")
		}
		n += i + 1
		if n > int(MaxHeader) {
			return 0, tooLong()
		}
		if n == len(b) || (b[n] != ' ' && b[n] != '\t') {
			return n, nil
		}
	}
}

func newField(raw []byte) (Field, error) {
	colon := bytes.IndexByte(raw, ':')
	if colon < 1 {
		return Field{}, vam.Errorf(vam.Invalid, "a header line of the mail has no field name")
	}
	for _, c := range raw[:colon] {
		if c <= ' ' || c > '~' {
			return Field{}, vam.Errorf(vam.Invalid, "a header field name of the mail has a space or a character that is not ASCII in it")
		}
	}
	return Field{Name: string(raw[:colon]), Raw: raw}, nil
}

// checkLines refuses NUL and any CR or LF that is not half of a CRLF.
func checkLines(b []byte) error {
	if bytes.IndexByte(b, 0) >= 0 {
		return vam.Errorf(vam.Invalid, "the mail has a NUL octet in it")
	}
	for {
		i := bytes.IndexByte(b, '\n')
		line := b
		if i >= 0 {
			if i == 0 || b[i-1] != '\r' {
				return bareLine()
			}
			line = b[:i-1]
		}
		if bytes.IndexByte(line, '\r') >= 0 {
			return bareLine()
		}
		if i < 0 {
			return nil
		}
		b = b[i+1:]
	}
}

func bareLine() error {
	return vam.Errorf(vam.Invalid, "the mail has a bare CR or LF in it: every line must end in CRLF (RFC 5322 section 2.3)")
}

// All returns the values of every field with the name, in order.
func (m *Mail) All(name string) []string {
	var out []string
	for _, f := range m.Fields {
		if f.Is(name) {
			out = append(out, f.Value())
		}
	}
	return out
}

// Get returns the value of the first field with the name, "" when there is none.
func (m *Mail) Get(name string) string {
	for _, f := range m.Fields {
		if f.Is(name) {
			return f.Value()
		}
	}
	return ""
}

// Has reports whether there is a field with the name.
func (m *Mail) Has(name string) bool {
	for _, f := range m.Fields {
		if f.Is(name) {
			return true
		}
	}
	return false
}

// CheckSingle refuses a mail in which one of names appears twice: a verifier and a
// reader could each look at another one. Errors: Invalid.
func (m *Mail) CheckSingle(names ...string) error {
	for _, name := range names {
		n := 0
		for _, f := range m.Fields {
			if f.Is(name) {
				n++
			}
		}
		if n > 1 {
			return vam.Errorf(vam.Invalid, "the mail has %d %s header fields; only one is allowed (RFC 5322 section 3.6)", n, name)
		}
	}
	return nil
}
