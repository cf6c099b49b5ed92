package config

import (
	"encoding"
	"fmt"
	"net/netip"
	"reflect"
	"strings"

	"github.com/videoactivmail/vam"
)

// Key describes one setting, or one table of settings.
type Key struct {
	// Path is the name in full: "limits.peers.offers"; "domains[].name" stands
	// for the key in every [[domains]] table.
	Path string
	// Env is the environment variable that overrides the file; empty for tables
	// and for keys of [[domains]].
	Env string
	// Table is set for a table, which has a Doc and nothing else.
	Table bool
	// Doc, Type, Default, Allowed and Example are for people.
	Doc, Type, Default, Allowed, Example string

	min, max string
	oneof    []string
}

// EnvPrefix begins the name of every environment variable that sets a key.
const EnvPrefix = "VAM_"

// Keys lists every table and key in the order of the file.
func Keys() []Key {
	def := Default()
	var out []Key
	walk(reflect.ValueOf(&def).Elem(), "", func(k Key, _ reflect.Value) { out = append(out, k) })
	return out
}

// walk visits the fields of the struct v in order, tables before their keys. An
// element type of an array of tables is visited once, with path "name[]".
func walk(v reflect.Value, prefix string, visit func(Key, reflect.Value)) {
	t := v.Type()
	for i := range t.NumField() {
		f, fv := t.Field(i), v.Field(i)
		k := Key{
			Path: prefix + f.Tag.Get("toml"), Doc: f.Tag.Get("doc"), Example: f.Tag.Get("example"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
		}
		switch {
		case isTable(f.Type):
			k.Table = true
			visit(k, fv)
			walk(fv, k.Path+".", visit)
		case f.Type.Kind() == reflect.Slice && isTable(f.Type.Elem()):
			k.Table = true
			k.Path += "[]"
			visit(k, fv)
			walk(reflect.New(f.Type.Elem()).Elem(), k.Path+".", visit)
		default:
			if words := f.Tag.Get("oneof"); words != "" {
				k.oneof = strings.Split(words, ",")
			}
			k.Type = typeName(f.Type)
			k.Allowed = k.allowed()
			k.Default = literal(fv)
			if !strings.Contains(k.Path, "[]") {
				k.Env = EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
			}
			visit(k, fv)
		}
	}
}

func isTable(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[vam.Bytes]():
		return "size"
	case reflect.TypeFor[vam.Domain]():
		return "domain"
	case reflect.TypeFor[Duration]():
		return "time span"
	case reflect.TypeFor[Rate]():
		return "rate"
	case reflect.TypeFor[netip.Prefix]():
		return "network"
	}
	switch t.Kind() {
	case reflect.Slice:
		return "list of " + typeName(t.Elem()) + "s"
	case reflect.Int:
		return "number"
	case reflect.Bool:
		return "true or false"
	}
	return "text"
}

func (k Key) allowed() string {
	switch {
	case len(k.oneof) > 0:
		return strings.Join(k.oneof, ", ")
	case k.min != "" && k.max != "":
		return k.min + " to " + k.max
	}
	return ""
}

// literal writes v as a TOML value.
func literal(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, err := m.MarshalText()
		if err != nil {
			return `""`
		}
		return quote(string(b))
	}
	switch v.Kind() {
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range items {
			items[i] = literal(v.Index(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case reflect.String:
		return quote(v.String())
	}
	return fmt.Sprint(v.Interface())
}

// quote writes s as a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
