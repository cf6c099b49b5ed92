package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// typeSet are the structs that commands print, by name as outputs has it.
type typeSet map[string]*ast.StructType

func readTypes(t *testing.T) typeSet {
	t.Helper()
	set := typeSet{}
	for _, dir := range []string{".", "../../internal/userwire", "../../internal/daemon", "../../internal/config", "../../internal/doctor"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				set.take(f.Name.Name, d)
			}
		}
	}
	return set
}

func (set typeSet) take(pkg string, d ast.Decl) {
	gen, ok := d.(*ast.GenDecl)
	if !ok {
		return
	}
	for _, s := range gen.Specs {
		if spec, ok := s.(*ast.TypeSpec); ok {
			if st, ok := spec.Type.(*ast.StructType); ok {
				name := spec.Name.Name
				if pkg != "main" {
					name = pkg + "." + name
				}
				set[name] = st
			}
		}
	}
}

func (set typeSet) output(t *testing.T, b *strings.Builder, when, name string) {
	t.Helper()
	switch {
	case name == "" && strings.HasSuffix(when, "."):
		fmt.Fprintf(b, "\n%s\n", when)
	case name == "":
	case name == "ok":
		fmt.Fprintf(b, "\n%s: `{\"ok\":true}`\n", when)
	case strings.HasPrefix(name, "[]"):
		fmt.Fprintf(b, "\n%s, a list of objects:\n\n", when)
		set.table(t, b, strings.TrimPrefix(name, "[]"))
	default:
		fmt.Fprintf(b, "\n%s, an object:\n\n", when)
		set.table(t, b, name)
	}
}

func (set typeSet) table(t *testing.T, b *strings.Builder, name string) {
	t.Helper()
	b.WriteString("| key | type | |\n|---|---|---|\n")
	set.rows(t, b, name, "")
}

// rows lists the keys of a struct, and below each those of the structs in it.
func (set typeSet) rows(t *testing.T, b *strings.Builder, name, prefix string) {
	t.Helper()
	st, ok := set[name]
	if !ok {
		t.Errorf("there is no type %s", name)
		return
	}
	pkg := ""
	if before, _, ok := strings.Cut(name, "."); ok {
		pkg = before + "."
	}
	for _, f := range st.Fields.List {
		if f.Tag == nil {
			continue
		}
		text, err := strconv.Unquote(f.Tag.Value)
		if err != nil {
			t.Fatal(err)
		}
		key, options, _ := strings.Cut(reflect.StructTag(text).Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		kind, inner := set.jsonType(f.Type, pkg)
		meaning := ""
		if options != "" {
			meaning = "*optional*"
		}
		if c := strings.TrimSpace(strings.ReplaceAll(f.Comment.Text(), "\n", " ")); c != "" {
			meaning = strings.TrimSpace(meaning + " " + c)
		} else if c := strings.TrimSpace(strings.ReplaceAll(f.Doc.Text(), "\n", " ")); c != "" {
			meaning = strings.TrimSpace(meaning + " " + c)
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, key, kind, cell(meaning))
		if inner != "" {
			list := "."
			if strings.HasPrefix(kind, "list") {
				list = "[]."
			}
			set.rows(t, b, inner, prefix+key+list)
		}
	}
}

// jsonType is the word for what a field becomes in JSON, and the struct inside it.
func (set typeSet) jsonType(x ast.Expr, pkg string) (kind, inner string) {
	switch v := x.(type) {
	case *ast.ArrayType:
		if id, ok := v.Elt.(*ast.Ident); ok && id.Name == "byte" {
			return "text", ""
		}
		kind, inner = set.jsonType(v.Elt, pkg)
		return "list of " + kind, inner
	case *ast.SelectorExpr:
		name := v.X.(*ast.Ident).Name + "." + v.Sel.Name
		if name == "time.Time" {
			return "time", ""
		}
		if _, ok := set[name]; ok {
			return "object", name
		}
		return "text", ""
	case *ast.Ident:
		switch v.Name {
		case "bool":
			return "true or false", ""
		case "int", "int64", "uint16", "float64":
			return "number", ""
		}
		if _, ok := set[pkg+v.Name]; ok {
			return "object", pkg + v.Name
		}
	}
	return "text", ""
}
