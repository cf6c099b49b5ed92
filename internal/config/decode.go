package config

import (
	"encoding"
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"github.com/videoactivmail/vam"
)

// reader fills a Config from one decoded document.
type reader struct {
	file    string
	lines   map[string]int
	known   []string // every path of Keys, with [] for elements
	bad     problems
	sources map[string]string
}

func (r *reader) where(path string) string {
	for p := path; p != ""; {
		if line := r.lines[p]; line > 0 {
			return fmt.Sprintf("%s:%d", r.file, line)
		}
		p = p[:max(strings.LastIndexByte(p, '.'), 0)]
	}
	return r.file
}

// table sets the fields of v from doc. path ends with a dot, or is empty for the
// whole document.
func (r *reader) table(v reflect.Value, doc map[string]any, path string) {
	fields := fieldsOf(v)
	for _, name := range sortedKeys(doc) {
		f, ok := fields[name]
		if !ok {
			r.unknown(path, name)
			continue
		}
		r.value(f, doc[name], path+name)
	}
}

func (r *reader) value(f field, raw any, path string) {
	switch {
	case isTable(f.Type()):
		inner, ok := raw.(map[string]any)
		if !ok {
			r.bad.add(r.where(path), path, "this is a table: write [%s] and its keys below it", path)
			return
		}
		r.table(f.Value, inner, path+".")
	case f.Kind() == reflect.Slice && isTable(f.Type().Elem()):
		items, ok := raw.([]any)
		if !ok {
			r.bad.add(r.where(path), path, "write [[%s]], with two brackets, and the keys of each one below it", path)
			return
		}
		r.tables(f.Value, items, path)
	default:
		if err := assign(f.Value, raw); err != nil {
			r.bad.add(r.where(path), path, "%s", vam.Public(err))
			return
		}
		r.sources[path] = r.where(path)
	}
}

func (r *reader) tables(list reflect.Value, items []any, path string) {
	for i, item := range items {
		element := fmt.Sprintf("%s[%d]", path, i)
		inner, ok := item.(map[string]any)
		if !ok {
			r.bad.add(r.where(path), path, "write [[%s]], with two brackets, and the keys of each one below it", path)
			return
		}
		v := reflect.New(list.Type().Elem()).Elem()
		r.table(v, inner, element+".")
		list.Set(reflect.Append(list, v))
	}
}

func (r *reader) unknown(path, name string) {
	full := path + name
	hint := suggest(generic(full), r.known)
	if hint == "" {
		r.bad.add(r.where(full), full, "there is no such key; `vam config reference` lists them all")
		return
	}
	r.bad.add(r.where(full), full, "there is no such key; did you mean %s?", hint)
}

// generic turns "domains[1].nmae" into "domains[].nmae".
func generic(path string) string {
	var b strings.Builder
	inside := false
	for _, c := range path {
		if c == ']' {
			inside = false
		}
		if !inside {
			b.WriteRune(c)
		}
		if c == '[' {
			inside = true
		}
	}
	return b.String()
}

// field is one settable field of a table.
type field struct{ reflect.Value }

func fieldsOf(v reflect.Value) map[string]field {
	out := map[string]field{}
	for i := range v.NumField() {
		out[v.Type().Field(i).Tag.Get("toml")] = field{v.Field(i)}
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// assign stores raw, a value of the TOML decoder, in v. Errors: Invalid, with
// what should have been written.
func assign(v reflect.Value, raw any) error {
	if d, ok := v.Addr().Interface().(*vam.Domain); ok {
		return assignDomain(d, raw)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return assignText(v, u, raw)
	}
	switch v.Kind() {
	case reflect.String:
		if s, ok := raw.(string); ok {
			v.SetString(s)
			return nil
		}
	case reflect.Int:
		if n, ok := raw.(int64); ok {
			v.SetInt(n)
			return nil
		}
	case reflect.Bool:
		if b, ok := raw.(bool); ok {
			v.SetBool(b)
			return nil
		}
	case reflect.Slice:
		return assignList(v, raw)
	}
	return vam.Errorf(vam.Invalid, "%s is wanted here, not %s", typeName(v.Type()), shown(raw))
}

func assignText(v reflect.Value, u encoding.TextUnmarshaler, raw any) error {
	var text string
	switch x := raw.(type) {
	case string:
		text = x
	case int64:
		text = strconv.FormatInt(x, 10)
	default:
		return vam.Errorf(vam.Invalid, "a %s in quotes is wanted here, not %s", typeName(v.Type()), shown(raw))
	}
	if err := u.UnmarshalText([]byte(text)); err != nil {
		if vam.KindOf(err) == vam.Invalid {
			return err
		}
		return vam.Wrap(vam.Invalid, err, "%q is not a %s", text, typeName(v.Type()))
	}
	return nil
}

func assignDomain(d *vam.Domain, raw any) error {
	s, ok := raw.(string)
	if !ok {
		return vam.Errorf(vam.Invalid, "a domain in quotes is wanted here, not %s", shown(raw))
	}
	name, err := ParseDomain(s)
	*d = name
	return err
}

// ParseDomain reads a domain as a person writes it: a final dot is dropped and names in
// other scripts become A-labels (RFC 5890). Errors: Invalid.
func ParseDomain(s string) (vam.Domain, error) {
	ascii, err := idna.Lookup.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil {
		ascii = s // the error of the plain rule says more
	}
	return vam.ParseDomain(ascii)
}

func assignList(v reflect.Value, raw any) error {
	items, ok := raw.([]any)
	if !ok {
		return vam.Errorf(vam.Invalid, "a %s in brackets is wanted here, not %s", typeName(v.Type()), shown(raw))
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		if err := assign(list.Index(i), item); err != nil {
			return err
		}
	}
	if len(items) == 0 {
		list = reflect.Zero(v.Type()) // one form of an empty list
	}
	v.Set(list)
	return nil
}

func shown(raw any) string {
	switch x := raw.(type) {
	case map[string]any:
		return "a table"
	case []any:
		return "a list"
	case string:
		return strconv.Quote(clip(x))
	}
	return clip(fmt.Sprint(raw))
}

func clip(s string) string {
	const limit = 60
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
