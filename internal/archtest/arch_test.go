package archtest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/videoactivmail/vam"

// listed is what `go list -json` says of one package.
type listed struct {
	ImportPath string
	Imports    []string
}

// list asks for every package of the module, without test files.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// ours turns an import path into a path of the table.
func ours(path string) (string, bool) {
	if path == module {
		return "", true
	}
	return strings.CutPrefix(path, module+"/")
}

func layerOf(pkg string) (layer, bool) {
	if l, ok := packages[pkg]; ok {
		return l, true
	}
	top, _, _ := strings.Cut(pkg, "/")
	l, ok := subtrees[top]
	return l, ok
}

func TestImportsFollowTheTable(t *testing.T) {
	for _, p := range list(t) {
		pkg, _ := ours(p.ImportPath)
		from, ok := layerOf(pkg)
		if !ok {
			t.Errorf("%s is new: give it a layer in internal/archtest/table_test.go", pkg)
			continue
		}
		for _, path := range p.Imports {
			for _, complaint := range judge(pkg, from, path) {
				t.Errorf("%s (%s) imports %s: %s", p.ImportPath, from, path, complaint)
			}
		}
	}
}

// judge returns what is wrong with one import.
func judge(pkg string, from layer, path string) []string {
	if dep, ok := ours(path); ok {
		to, known := layerOf(dep)
		if known && !slices.Contains(mayImport[from], to) {
			return []string{"the layer " + string(from) + " must not know the layer " + string(to)}
		}
		return nil
	}
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") { // the standard library
		if slices.Contains(banned[from], path) {
			return []string{"the layer " + string(from) + " does without it"}
		}
		return nil
	}
	if from == fixture || from == program && pkg != "cmd/vam" {
		return nil
	}
	for name, users := range modules {
		if path == name || strings.HasPrefix(path, name+"/") {
			if !slices.ContainsFunc(users, func(u string) bool { return u == pkg || strings.HasSuffix(u, "/") && strings.HasPrefix(pkg+"/", u) }) {
				return []string{"only " + strings.Join(users, ", ") + " may use that module"}
			}
			return nil
		}
	}
	return []string{"the module is not in the table"}
}

// TestTheJudgeJudges keeps the test itself from passing everything.
func TestTheJudgeJudges(t *testing.T) {
	for _, tc := range []struct {
		pkg, path string
		allowed   bool
	}{
		{"", "errors", true},
		{"", "net/http", false},
		{"", module + "/activmail", false},
		{"activmail", module, true},
		{"activmail", module + "/internal/blob", false},
		{"activmail/amclient", module + "/activmail/internal/wire", true},
		{"activmail/amclient", module + "/activmail/amserver", false},
		{"internal/letter", "os", false},
		{"internal/queue", "log/slog", true},
		{"internal/queue", "database/sql", false},
		{"internal/queue", module + "/internal/sqlite", false},
		{"internal/sqlite", module + "/internal/queue", true},
		{"internal/sqlite", module + "/internal/localblob", false},
		{"internal/sqlite", module + "/internal/config", false},
		{"internal/sqlite", "modernc.org/sqlite", true},
		{"internal/localblob", "modernc.org/sqlite", false},
		{"internal/localblob", "example.org/unheard/of", false},
		{"internal/daemon", module + "/internal/sqlite", true},
		{"internal/daemon", module + "/internal/netem", false},
		{"cmd/vam", module + "/internal/daemon", true},
		{"e2e", module + "/internal/netem", true},
		{"activmail/internal/wire", "github.com/quic-go/quic-go/http3", true},
	} {
		from, _ := layerOf(tc.pkg)
		if got := judge(tc.pkg, from, tc.path); (len(got) == 0) != tc.allowed {
			t.Errorf("%s imports %s: %q", tc.pkg, tc.path, got)
		}
	}
}
