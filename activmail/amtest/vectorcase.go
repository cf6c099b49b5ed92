package amtest

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Field is one named value of a case. Names come as often as they are needed.
type Field struct {
	Name  string
	Value []byte
}

// Fields are values in order.
type Fields []Field

// Add appends a value; V is any of string, []byte, int, int64 or bool (1 or 0).
func (f *Fields) Add(name string, value any) {
	var b []byte
	switch v := value.(type) {
	case []byte:
		b = v
	case bool:
		b = []byte{'0'}
		if v {
			b = []byte{'1'}
		}
	default:
		b = fmt.Append([]byte{}, v)
	}
	*f = append(*f, Field{name, b})
}

// All returns the values of name in order.
func (f Fields) All(name string) [][]byte {
	var out [][]byte
	for _, x := range f {
		if x.Name == name {
			out = append(out, x.Value)
		}
	}
	return out
}

// Text returns the first value of name as a string; "" when there is none.
func (f Fields) Text(name string) string {
	if all := f.All(name); len(all) > 0 {
		return string(all[0])
	}
	return ""
}

// Names returns the different names in the order in which they first come.
func (f Fields) Names() []string {
	var out []string
	seen := make(map[string]bool)
	for _, x := range f {
		if !seen[x.Name] {
			seen[x.Name] = true
			out = append(out, x.Name)
		}
	}
	return out
}

// Case is one test vector: an operation, what goes in, and what must come out.
type Case struct {
	Name  string
	Class []string // who must pass it: peer, origin, recipient, reader
	Rules []string // requirement ids that it tests
	Op    string
	In    Fields
	// Expect is "ok" or the names of the problems that are right answers.
	Expect []string
	// Want is what an ok answer must hold, at least.
	Want Fields
}

// The names of a case's own lines; any other line is an input.
const (
	keyCase   = "case"
	keyClass  = "class"
	keyRule   = "rule"
	keyOp     = "op"
	keyExpect = "expect"
	keyWant   = "want."
)

// Format of a file: a case is a block of lines NAME: VALUE or NAME;ENCODING: VALUE, a
// block ends with an empty line, and lines that begin with # are comments. Blocks are
// also what the line protocol carries.

// readBlock reads the next block; io.EOF when there is none.
func readBlock(r *bufio.Reader) (Fields, error) {
	var out Fields
	for {
		line, err := r.ReadString('\n')
		if err != nil && (err != io.EOF || line != "") {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "" && len(out) > 0:
			return out, nil
		case err == io.EOF:
			return nil, io.EOF
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		}
		f, err := parseField(line)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
}

func parseField(line string) (Field, error) {
	head, value, ok := strings.Cut(line, ":")
	if !ok {
		return Field{}, fmt.Errorf("the line %.60q has no colon", line)
	}
	value = strings.TrimPrefix(value, " ")
	name, encoding, _ := strings.Cut(head, ";")
	var b []byte
	var err error
	switch encoding {
	case "":
		b = []byte(value)
	case "hex":
		b, err = hex.DecodeString(value)
	case "b64":
		b, err = base64.StdEncoding.DecodeString(value)
	case "json":
		var s string
		err = json.Unmarshal([]byte(value), &s)
		b = []byte(s)
	default:
		err = fmt.Errorf("the encoding %q is not known", encoding)
	}
	if err != nil {
		return Field{}, fmt.Errorf("the line %.60q: %w", line, err)
	}
	return Field{name, b}, nil
}

// appendField writes a field in the plainest encoding that keeps every octet.
func appendField(dst []byte, f Field) []byte {
	dst = append(dst, f.Name...)
	switch {
	case len(f.Value) == 0:
		dst = append(dst, ':')
	case isPlain(f.Value):
		dst = append(append(dst, ": "...), f.Value...)
	case isText(f.Value):
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(string(f.Value)) // a string always encodes
		dst = append(append(dst, ";json: "...), bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
	default:
		dst = base64.StdEncoding.AppendEncode(append(dst, ";b64: "...), f.Value)
	}
	return append(dst, '\n')
}

// isPlain: printable and without a blank at either end, so that no editor spoils it.
func isPlain(b []byte) bool {
	return isText(b) && bytes.IndexFunc(b, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0 &&
		len(bytes.TrimSpace(b)) == len(b)
}

func isText(b []byte) bool {
	return utf8.Valid(b) && bytes.IndexFunc(b, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r == 0x7f
	}) < 0
}

// ReadCases reads a vector file.
func ReadCases(r io.Reader) ([]Case, error) {
	br := bufio.NewReader(r)
	var out []Case
	for {
		block, err := readBlock(br)
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		c, err := caseOf(block)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
}

func caseOf(block Fields) (Case, error) {
	var c Case
	for _, f := range block {
		words := strings.Fields(string(f.Value))
		want, isWant := strings.CutPrefix(f.Name, keyWant)
		switch {
		case isWant:
			c.Want = append(c.Want, Field{want, f.Value})
		case f.Name == keyCase:
			c.Name = string(f.Value)
		case f.Name == keyClass:
			c.Class = words
		case f.Name == keyRule:
			c.Rules = words
		case f.Name == keyOp:
			c.Op = string(f.Value)
		case f.Name == keyExpect:
			c.Expect = words
		default:
			c.In = append(c.In, f)
		}
	}
	if c.Name == "" || c.Op == "" || len(c.Expect) == 0 || len(c.Class) == 0 {
		return Case{}, fmt.Errorf("the case %q lacks its name, class, op or expect", c.Name)
	}
	return c, nil
}

// Append writes the case as a block, the empty line included.
func (c Case) Append(dst []byte) []byte {
	line := func(name, value string) {
		if value != "" {
			dst = appendField(dst, Field{name, []byte(value)})
		}
	}
	line(keyCase, c.Name)
	line(keyClass, strings.Join(c.Class, " "))
	line(keyRule, strings.Join(c.Rules, " "))
	line(keyOp, c.Op)
	for _, f := range c.In {
		dst = appendField(dst, f)
	}
	line(keyExpect, strings.Join(c.Expect, " "))
	for _, f := range c.Want {
		dst = appendField(dst, Field{keyWant + f.Name, f.Value})
	}
	return append(dst, '\n')
}
