package config

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Setting is one key with the value in force.
type Setting struct {
	// Key is the path; elements of an array of tables are numbered, as in
	// "domains[1].name".
	Key string `json:"key"`
	// Value is TOML.
	Value string `json:"value"`
	// Source is "default", "command line", "environment variable NAME" or
	// "FILE:LINE".
	Source string `json:"source"`
}

// Settings lists every key in force, in the order of the file.
func (e *Effective) Settings() []Setting {
	var out []Setting
	e.each(func(k Key, path string, v reflect.Value) {
		if !k.Table {
			out = append(out, Setting{Key: path, Value: literal(v), Source: e.Source(path)})
		}
	})
	return out
}

// Source says where the value of a key came from; "default" for one that nobody
// set.
func (e *Effective) Source(path string) string {
	if s := e.sources[path]; s != "" {
		return s
	}
	return "default"
}

// each visits tables and keys of the configuration with their real paths; an
// array of tables is visited once for each element.
func (e *Effective) each(visit func(k Key, path string, v reflect.Value)) {
	c := e.Config
	walk(reflect.ValueOf(&c).Elem(), "", func(k Key, v reflect.Value) {
		switch {
		case k.Table && v.Kind() == reflect.Slice:
			list := strings.TrimSuffix(k.Path, "[]")
			for i := range v.Len() {
				element := fmt.Sprintf("%s[%d]", list, i)
				visit(k, element, v.Index(i))
				walk(v.Index(i), element+".", func(k Key, v reflect.Value) { visit(k, k.Path, v) })
			}
		case !strings.Contains(k.Path, "[]"):
			visit(k, k.Path, v)
		}
	})
}

// WriteTOML writes the configuration in force as a file that Load reads back,
// with the source of each value as a comment.
func (e *Effective) WriteTOML(w io.Writer) error {
	out := bufio.NewWriter(w)
	var tables strings.Builder // arrays of tables go last: keys after one would belong to it
	e.each(func(k Key, path string, v reflect.Value) {
		dst := io.Writer(out)
		element := strings.Contains(path, "[")
		if element {
			dst = &tables
		}
		name := generic(path)
		switch {
		case k.Table && strings.HasSuffix(path, "]"):
			fmt.Fprintf(dst, "\n[[%s]]\n", strings.TrimSuffix(name, "[]"))
		case k.Table:
			fmt.Fprintf(dst, "\n[%s]\n", strings.ReplaceAll(name, "[]", ""))
		default:
			line := fmt.Sprintf("%s = %s", name[strings.LastIndexByte(name, '.')+1:], literal(v))
			fmt.Fprintf(dst, "%-44s # %s\n", line, oneLine(e.Source(path)))
		}
	})
	out.WriteString(tables.String())
	return out.Flush()
}

// oneLine keeps a file name with odd characters inside its comment.
func oneLine(s string) string {
	q := quote(s)
	return q[1 : len(q)-1]
}
