package speccheck

import (
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Citations says where requirements are named outside of the specification.
type Citations struct {
	Code  map[ID][]Place // comments and strings of Go files
	Tests map[ID][]Place // the same of _test.go files; also test vectors and scripts
}

// Cite looks through every Go file below root for ids in comments and strings, and
// through the other files below testdata and vectors folders. Hidden folders and those
// in skip are left out. A range, "AM-4.9 to AM-4.11", names all of it. Errors are those
// of the file system.
func Cite(root fs.FS, skip ...string) (*Citations, error) {
	c := &Citations{Code: map[ID][]Place{}, Tests: map[ID][]Place{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."), slices.Contains(skip, name):
			return fs.SkipDir
		case d.IsDir():
			return nil
		}
		return c.file(root, name)
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Citations) file(root fs.FS, name string) error {
	goFile, fixture := path.Ext(name) == ".go", isFixture(name)
	if !goFile && !fixture {
		return nil
	}
	src, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	into := c.Code
	if fixture || strings.HasSuffix(name, "_test.go") || isTestPackage(name) {
		into = c.Tests
	}
	if goFile && !fixture {
		goText(src, func(line int, text string) { note(into, name, line, text) })
		return nil
	}
	note(into, name, 1, string(src))
	return nil
}

// isFixture reports whether a file is what tests read.
func isFixture(name string) bool {
	for _, dir := range strings.Split(path.Dir(name), "/") {
		if dir == "testdata" || dir == "vectors" {
			return path.Ext(name) != ".md"
		}
	}
	return false
}

// isTestPackage reports whether a file belongs to a package that only tests use.
func isTestPackage(name string) bool {
	for _, dir := range strings.Split(path.Dir(name), "/") {
		if dir == "e2e" || strings.HasSuffix(dir, "test") {
			return true
		}
	}
	return false
}

// note records the ids in a text that begins at line first.
func note(into map[ID][]Place, name string, first int, text string) {
	if !strings.Contains(text, "AM-") {
		return
	}
	// A range may be broken over two lines of a comment.
	joined := strings.NewReplacer(" to\n// AM-", " to AM-", "\n// to AM-", " to AM-").Replace(text)
	for i, line := range strings.Split(joined, "\n") {
		for _, id := range mentions(line) {
			into[id] = append(into[id], Place{name, first + i})
		}
	}
}

// goText calls f with the comments and strings of Go source. Comments on lines that
// follow each other come as one text.
func goText(src []byte, f func(line int, text string)) {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(src))
	var s scanner.Scanner
	s.Init(file, src, func(token.Position, string) {}, scanner.ScanComments)
	var block []string
	var start, next int
	flush := func() {
		if block != nil {
			f(start, strings.Join(block, "\n"))
			block = nil
		}
	}
	defer flush()
	for {
		pos, tok, text := s.Scan()
		line := file.Line(pos)
		switch tok {
		case token.EOF:
			return
		case token.COMMENT:
			if block == nil || line != next {
				flush()
				start = line
			}
			block = append(block, text)
			next = line + 1 + strings.Count(text, "\n")
		case token.STRING:
			f(line, text)
		}
	}
}

// Gaps lists the requirements that no code or no test names, one to a line: the id, what is
// missing, the first words and the place.
func (r Report) Gaps(s *Spec) []string {
	var out []string
	for _, id := range s.IDs() {
		noCode, noTest := slices.Contains(r.NoCode, id), slices.Contains(r.NoTest, id)
		missing := "no test"
		switch {
		case noCode && noTest:
			missing = "neither"
		case noCode:
			missing = "no code"
		case !noTest:
			continue
		}
		out = append(out, fmt.Sprintf("%-8s %s  %-72s %s", id, missing, clip(s.Text[id], 72), s.Defined[id]))
	}
	return out
}

func clip(text string, limit int) string {
	if r := []rune(text); len(r) > limit {
		return string(r[:limit-1]) + "…"
	}
	return text
}

// Report is what the comparison of a specification with its citations found.
type Report struct {
	// Faults must be mended: contradictions of the specification, and ids that are
	// cited and do not exist.
	Faults []string
	// NoCode and NoTest are requirements that no code, and no test, names.
	NoCode, NoTest []ID
	Requirements   int
}

// Compare makes the report.
func Compare(s *Spec, c *Citations) Report {
	r := Report{Faults: slices.Clone(s.Faults), Requirements: len(s.Defined)}
	for _, cited := range []map[ID][]Place{c.Code, c.Tests} {
		for id, places := range cited {
			if !s.Has(id) {
				for _, at := range places {
					r.Faults = append(r.Faults, at.String()+": "+id.String()+" is cited and does not exist")
				}
			}
		}
	}
	slices.Sort(r.Faults)
	for _, id := range s.IDs() {
		if len(c.Code[id]) == 0 {
			r.NoCode = append(r.NoCode, id)
		}
		if len(c.Tests[id]) == 0 {
			r.NoTest = append(r.NoTest, id)
		}
	}
	return r
}
