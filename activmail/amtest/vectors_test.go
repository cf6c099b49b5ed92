package amtest_test

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/videoactivmail/vam/activmail/amtest"
)

var update = flag.Bool("update", false, "write spec/vectors anew")

const vectorDir = "../../spec/vectors"

func vectorFiles() map[string]*vectorFile {
	return map[string]*vectorFile{
		"names.txt":       nameVectors(),
		"records.txt":     recordVectors(),
		"logs.txt":        followVectors(logVectors()),
		"log-bodies.txt":  logBodyVectors(),
		"trees.txt":       treeVectors(),
		"proofs.txt":      proofVectors(),
		"checkpoints.txt": checkpointVectors(),
		"offers.txt":      offerVectors(),
		"answers.txt":     answerVectors(),
		"receipts.txt":    receiptVectors(),
		"pulls.txt":       pullVectors(),
		"policies.txt":    policyVectors(),
		"headers.txt":     headerVectors(),
		"problems.txt":    problemVectors(),
		"keys.txt":        keyVectors(),
		"requests.txt":    requestVectors(),
		"rfc9421.txt":     rfc9421Vectors(),
	}
}

// TestVectorFiles keeps the golden files and their builders together.
func TestVectorFiles(t *testing.T) {
	files := vectorFiles()
	for name, f := range files {
		path := filepath.Join(vectorDir, name)
		if *update {
			if err := os.MkdirAll(vectorDir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, f.bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(f.bytes()), string(got)); diff != "" {
			t.Errorf("%s is not what its builder writes; run with -update (-builder +file):\n%s", name, diff)
		}
	}
	on, err := filepath.Glob(filepath.Join(vectorDir, "*.txt"))
	if err != nil || len(on) != len(files) {
		t.Errorf("there are %d vector files and %d builders (%v)", len(on), len(files), err)
	}
}

// TestVectors puts every vector to this implementation.
func TestVectors(t *testing.T) {
	outcomes, err := amtest.RunVectors(t.Context(), os.DirFS(vectorDir), amtest.Reference{})
	if err != nil {
		t.Fatal(err)
	}
	judge(t, outcomes)
}

// TestVectorsOverTheLineProtocol does the same through the protocol that a second
// implementation speaks.
func TestVectorsOverTheLineProtocol(t *testing.T) {
	questions, ask := io.Pipe()
	hear, answers := io.Pipe()
	served := make(chan error, 1)
	go func() {
		served <- amtest.ServeVectors(t.Context(), questions, answers, amtest.Reference{})
	}()
	outcomes, err := amtest.RunVectors(t.Context(), os.DirFS(vectorDir), amtest.NewPipe(hear, ask))
	if err != nil {
		t.Fatal(err)
	}
	ask.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
	judge(t, outcomes)
}

func judge(t *testing.T, outcomes []amtest.Outcome) {
	t.Helper()
	seen := make(map[string]bool)
	for _, o := range outcomes {
		if o.Skipped || o.Failure != "" {
			t.Errorf("%s: %s: skipped %v, %s", o.File, o.Name, o.Skipped, o.Failure)
		}
		if key := o.File + o.Name; seen[key] {
			t.Errorf("%s has the case %q twice", o.File, o.Name)
		} else {
			seen[key] = true
		}
	}
	if len(outcomes) < 200 {
		t.Errorf("only %d vectors ran", len(outcomes))
	}
}

func TestJudge(t *testing.T) {
	c := amtest.Case{Expect: []string{"malformed", "too-large"}}
	want := amtest.Case{Expect: []string{"ok"}, Want: fields("x", "1", "y", []string{"2", "3"})}
	for _, tc := range []struct {
		name string
		c    amtest.Case
		a    amtest.Answer
		pass bool
	}{
		{"one of the problems", c, amtest.Answer{Result: "too-large"}, true},
		{"another problem", c, amtest.Answer{Result: "internal"}, false},
		{"accepted what is wrong", c, amtest.Answer{Result: "ok"}, false},
		{"skipped", c, amtest.Answer{Result: "skip"}, true},
		{"a refusal that may be, without values", amtest.Case{Expect: []string{"ok", "too-large"}, Want: fields("x", "1")}, amtest.Answer{Result: "too-large"}, true},
		{"an answer that may be, without values", amtest.Case{Expect: []string{"ok", "too-large"}, Want: fields("x", "1")}, amtest.Answer{Result: "ok"}, false},
		{"all values", want, amtest.Answer{Result: "ok", Out: fields("y", []string{"2", "3"}, "x", "1", "z", "9")}, true},
		{"a value is missing", want, amtest.Answer{Result: "ok", Out: fields("y", []string{"2", "3"})}, false},
		{"other order of one name", want, amtest.Answer{Result: "ok", Out: fields("x", "1", "y", []string{"3", "2"})}, false},
	} {
		if got := tc.c.Judge(tc.a) == ""; got != tc.pass {
			t.Errorf("%s: passes %v, want %v (%s)", tc.name, got, tc.pass, tc.c.Judge(tc.a))
		}
	}
}

// TestEveryByteSurvivesTheFormat: what a case holds comes back from its block.
func TestEveryByteSurvivesTheFormat(t *testing.T) {
	in := fields("empty", "", "plain", "a: b; c", "blank", " x ", "lines", "a\nb\r\n— \"q\"", "octets", []byte{0, 0xff, '\n'},
		"hash", "# no comment", "del", "\x7f", "html", "<&>")
	c := amtest.Case{Name: "n", Class: []string{"peer"}, Op: "op", In: in, Expect: []string{"ok"}, Want: in}
	got, err := amtest.ReadCases(bytes.NewReader(append([]byte("# comment\n\n\n"), c.Append(nil)...)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]amtest.Case{c}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadCasesRefuses(t *testing.T) {
	for _, text := range []string{
		"case: x\n\n", "no colon\n\n", "case: x\nclass: peer\nop: y\nexpect: ok\nv;rot13: a\n\n",
		"case: x\nclass: peer\nop: y\nexpect: ok\nv;hex: 1\n\n", "case: x\nclass: peer\nop: y\nexpect: ok\nv;json: x\n\n",
		"case: x\nclass: peer\nop: y\nexpect: ok",
	} {
		if got, err := amtest.ReadCases(strings.NewReader(text)); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestOperationsAreTested(t *testing.T) {
	ops := make(map[string]bool)
	for _, f := range vectorFiles() {
		for _, c := range f.cases {
			ops[c.Op] = true
			for _, class := range c.Class {
				if !slices.Contains([]string{"peer", "origin", "recipient", "reader"}, class) {
					t.Errorf("%s: the class %q is not known", c.Name, class)
				}
			}
		}
	}
	readme, err := os.ReadFile(filepath.Join(vectorDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for op := range ops {
		if !bytes.Contains(readme, []byte("| `"+op+"` |")) {
			t.Errorf("the README does not describe the op %s", op)
		}
	}
}
