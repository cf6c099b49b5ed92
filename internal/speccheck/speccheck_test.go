package speccheck_test

import (
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/speccheck"
)

// TestSpecification holds spec/ against the repository. Run it with -v (make spec) to see which
// requirements no code or no test names.
func TestSpecification(t *testing.T) {
	root := os.DirFS("../..")
	spec, err := speccheck.Read(root, "spec")
	if err != nil {
		t.Fatal(err)
	}
	cited, err := speccheck.Cite(root, "internal/speccheck")
	if err != nil {
		t.Fatal(err)
	}
	report := speccheck.Compare(spec, cited)
	for _, fault := range report.Faults {
		t.Error(fault)
	}
	for _, missing := range report.Missing(spec, speccheck.Exempt()) {
		t.Error(missing)
	}
	t.Logf("requirements that no code or no test names:\n%s\n%d requirements, %d without code, %d without test",
		strings.Join(report.Gaps(spec), "\n"), report.Requirements, len(report.NoCode), len(report.NoTest))
}

// TestProblemRegistry holds the table of problems.md against the one in the code.
func TestProblemRegistry(t *testing.T) {
	spec, err := speccheck.Read(os.DirFS("../.."), "spec")
	if err != nil {
		t.Fatal(err)
	}
	names := activmail.ProblemNames()
	slices.Sort(names)
	if diff := cmp.Diff(spec.Problems(), names); diff != "" {
		t.Errorf("spec/problems.md (-) and activmail (+) differ:\n%s", diff)
	}
}

func repository(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

const sound = "# 4. Log\n\n**AM-4.1** A log MUST grow. See [below](#42-more) and [lines](05.md).\n\n" +
	"**AM-4.2** It SHOULD rest, **AM-4.3** and MAY\nstop (AM-4.1).\n\n## 4.2 More\n\n| x | **AM-4.4** | y |\n\n" +
	"```abnf\nlog  = 1*( line LF ) ; lines\nline = \"{\" *octet\n       \"}\"\noctet = %x20-7E / %s\"ab\"\n```\n"

func TestSoundSpecification(t *testing.T) {
	root := repository(map[string]string{"spec/04.md": sound, "spec/05.md": "# 5\n\n```\n**AM-9.9** an example\n```\n"})
	spec, err := speccheck.Read(root, "spec")
	if err != nil {
		t.Fatal(err)
	}
	if len(spec.Faults) > 0 {
		t.Errorf("faults: %q", spec.Faults)
	}
	want := []speccheck.ID{{Chapter: 4, Number: 1}, {Chapter: 4, Number: 2}, {Chapter: 4, Number: 3}, {Chapter: 4, Number: 4}}
	if diff := cmp.Diff(want, spec.IDs()); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfASpecification(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"twice", "**AM-1.1** MUST\n\n**AM-1.1** MUST\n", "AM-1.1 is defined at spec/01.md:1 already"},
		{"no keyword", "**AM-1.1** A peer does this.\n", "AM-1.1 holds no MUST"},
		{"keyword of the next", "**AM-1.1** A peer. **AM-1.2** It MUST.\n", "AM-1.1 holds no MUST"},
		{"keyword of another paragraph", "**AM-1.1** A peer.\n\nIt MUST.\n", "AM-1.1 holds no MUST"},
		{"dangling id", "see AM-7.3\n", "AM-7.3 does not exist"},
		{"dangling chapter", "see AM-7\n", "AM-7 does not exist"},
		{"dangling link", "[x](none.md)\n", "leads nowhere"},
		{"dangling fragment", "[x](#none)\n", "no heading"},
		{"undefined rule", "```abnf\na = b\n```\n", "uses b, which is not defined"},
		{"rule twice", "```abnf\na = LF\na = SP\n```\n", "is defined at spec/01.md:2 already"},
		{"brackets", "```abnf\na = ( LF ]\n```\n", "brackets"},
		{"no rule", "```abnf\nhello there\n```\n", "no rule of ABNF"},
		{"odd character", "```abnf\na = LF ? SP\n```\n", "no ABNF"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			spec, err := speccheck.Read(repository(map[string]string{"spec/01.md": tc.text}), "spec")
			if err != nil {
				t.Fatal(err)
			}
			if all := strings.Join(spec.Faults, "\n"); !strings.Contains(all, tc.want) {
				t.Errorf("faults %q, want one with %q", all, tc.want)
			}
		})
	}
}

func TestProblemsAreDescribed(t *testing.T) {
	text := "| [rate](#rate) | 429 |\n| [busy](#busy) | 503 |\n\n## rate\n\n## spam\n"
	spec, err := speccheck.Read(repository(map[string]string{"spec/problems.md": text}), "spec")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(spec.Faults, "\n")
	for _, want := range []string{"busy is not described", "spam is not in the table"} {
		if !strings.Contains(all, want) {
			t.Errorf("faults %q, want one with %q", all, want)
		}
	}
}

func TestNoSpecification(t *testing.T) {
	if _, err := speccheck.Read(repository(nil), "spec"); err == nil {
		t.Error("an empty folder passed for a specification")
	}
}

func TestCitations(t *testing.T) {
	spec := "**AM-4.1** MUST\n\n**AM-4.2** MUST\n\n**AM-4.3** MUST\n\n**AM-4.4** MUST\n\n**AM-4.5** MUST\n"
	root := repository(map[string]string{
		"spec/04.md":            spec,
		"a/a.go":                "// Package a holds AM-4.1 to\n// AM-4.3.\npackage a\n\nvar s = \"see AM-4.9\" // AM-4 as a whole\n",
		"a/a_test.go":           "package a\n\n// AM-4.1, and AM-4.2.1\n",
		"a/testdata/x.txt":      "AM-4.4",
		"spec/vectors/log.json": `{"rule":"AM-4.5"}`,
		".git/x.go":             "// AM-8.8\n",
		"left/out/x.go":         "// AM-8.8\n",
		"b/b.go":                "// STREAM-8 is none of ours\n",
		"notes.txt":             "AM-8.8",
	})
	s, err := speccheck.Read(root, "spec")
	if err != nil {
		t.Fatal(err)
	}
	cited, err := speccheck.Cite(root, "left/out")
	if err != nil {
		t.Fatal(err)
	}
	report := speccheck.Compare(s, cited)
	want := speccheck.Report{
		Faults: []string{
			"a/a.go:5: AM-4.9 is cited and does not exist",
			"a/a_test.go:3: AM-4.? is cited and does not exist",
		},
		NoCode:       []speccheck.ID{{Chapter: 4, Number: 4}, {Chapter: 4, Number: 5}},
		NoTest:       []speccheck.ID{{Chapter: 4, Number: 2}, {Chapter: 4, Number: 3}},
		Requirements: 5,
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
	missing := report.Missing(s, []speccheck.Exemption{
		{ID: speccheck.ID{Chapter: 4, Number: 2}, Test: true}, {ID: speccheck.ID{Chapter: 4, Number: 4}, Test: true}, {ID: speccheck.ID{Chapter: 4, Number: 9}},
	})
	if diff := cmp.Diff([]string{
		"AM-4.4 is exempt and is cited all the same: take it off the table", "AM-4.9 is exempt and does not exist",
		"spec/04.md:5: no test names AM-4.3, MUST", "spec/04.md:7: no code names AM-4.4, MUST", "spec/04.md:9: no code names AM-4.5, MUST",
	}, missing); diff != "" {
		t.Error(diff)
	}
	var gaps []string
	for _, line := range report.Gaps(s) {
		gaps = append(gaps, strings.Join(strings.Fields(line), " "))
	}
	if diff := cmp.Diff([]string{
		"AM-4.2 no test MUST spec/04.md:3", "AM-4.3 no test MUST spec/04.md:5", "AM-4.4 no code MUST spec/04.md:7", "AM-4.5 no code MUST spec/04.md:9",
	}, gaps); diff != "" {
		t.Error(diff)
	}
}
