package speccheck

import (
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// ID is a requirement id: AM-Chapter.Number. Number 0 stands for the whole chapter.
type ID struct{ Chapter, Number int }

// String is "AM-4.2", or "AM-4" for a chapter; "AM-4.?" is an id of another form.
func (id ID) String() string {
	s := "AM-" + strconv.Itoa(id.Chapter)
	switch {
	case id.Number > 0:
		s += "." + strconv.Itoa(id.Number)
	case id.Number < 0:
		s += ".?"
	}
	return s
}

// Compare orders ids by chapter and number.
func (id ID) Compare(o ID) int {
	if id.Chapter != o.Chapter {
		return id.Chapter - o.Chapter
	}
	return id.Number - o.Number
}

// Place is a line of a file.
type Place struct {
	File string // slash-separated, relative to the root
	Line int    // from 1
}

// String is "file:line".
func (p Place) String() string { return p.File + ":" + strconv.Itoa(p.Line) }

// Spec is what the Markdown files of a specification define and refer to.
type Spec struct {
	// Defined has the place of every requirement: an id in bold type.
	Defined map[ID]Place
	// Text has the words that follow the id on its line: enough to know it by.
	Text map[ID]string
	// Keyword says which requirements hold MUST, SHOULD or MAY, or are rows of a table.
	Keyword map[ID]bool
	// Faults are contradictions inside the specification, each with its place.
	Faults []string

	cited    map[ID][]Place
	grammar  grammar
	links    []link
	anchors  map[string]map[string]bool // file to its anchors
	problems problemList
}

// definition is an id in bold type; mention is any id.
var (
	definition = regexp.MustCompile(`\*\*AM-(\d+)\.(\d+)\*\*`)
	mention    = regexp.MustCompile(`\bAM-(\d+)((?:\.\d+)*)( to AM-(\d+)\.(\d+))?`)
)

// Read reads every Markdown file of dir in root, dir's folders left out. Errors are
// those of the file system; faults of the text are in Spec.Faults.
func Read(root fs.FS, dir string) (*Spec, error) {
	files, err := fs.Glob(root, path.Join(dir, "*.md"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, vam.Errorf(vam.NotFound, "there is no specification in %s", dir)
	}
	s := &Spec{
		Defined: map[ID]Place{}, Text: map[ID]string{}, Keyword: map[ID]bool{}, cited: map[ID][]Place{},
		grammar: newGrammar(), anchors: map[string]map[string]bool{},
	}
	for _, file := range files {
		text, err := fs.ReadFile(root, file)
		if err != nil {
			return nil, err
		}
		s.read(file, string(text))
	}
	s.judge(root)
	return s, nil
}

// read takes one file in, paragraph by paragraph: a requirement reaches from its id to
// the next id or empty line.
func (s *Spec) read(file, text string) {
	s.anchors[file] = anchorsOf(text)
	var (
		inside  ID
		fence   string // what opened the block that we are in; "" is prose
		problem = path.Base(file) == "problems.md"
	)
	for i, line := range strings.Split(text, "\n") {
		at := Place{file, i + 1}
		if mark, ok := strings.CutPrefix(line, "```"); ok {
			if fence == "" {
				fence = "```" + mark
			} else {
				fence = ""
			}
			inside = ID{}
			continue
		}
		switch {
		case fence == "```abnf":
			s.grammar.line(at, line)
			continue
		case fence != "":
			continue
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
			inside = ID{}
		}
		if problem {
			s.problems.line(at, line)
		}
		inside = s.prose(at, line, inside)
		s.links = append(s.links, linksOf(at, line)...)
	}
}

// prose reads a line outside of code blocks and returns the requirement that it ends in.
func (s *Spec) prose(at Place, line string, inside ID) ID {
	for _, m := range mentions(line) {
		s.cited[m] = append(s.cited[m], at)
	}
	from := 0
	for _, m := range definition.FindAllStringSubmatchIndex(line, -1) {
		s.keyword(inside, line[from:m[0]])
		id := ID{number(line[m[2]:m[3]]), number(line[m[4]:m[5]])}
		if old, twice := s.Defined[id]; twice {
			s.fault(at, "%s is defined at %s already", id, old)
		}
		s.Defined[id], s.Text[id] = at, strings.Trim(line[m[1]:], " |")
		inside, from = id, m[1]
	}
	s.keyword(inside, line[from:])
	return inside
}

func (s *Spec) keyword(id ID, text string) {
	// A row of a table is held by the requirement that brings the table in.
	for _, word := range []string{"MUST", "SHOULD", "MAY", " | "} {
		if id != (ID{}) && strings.Contains(text, word) {
			s.Keyword[id] = true
		}
	}
}

// mentions lists the ids in text; a range such as "AM-4.9 to AM-4.11" is all of them.
// An id with more than two numbers is none of ours and gets an impossible one.
func mentions(text string) []ID {
	var out []ID
	for _, m := range mention.FindAllStringSubmatch(text, -1) {
		id := ID{Chapter: number(m[1])}
		switch parts := strings.Split(m[2], "."); len(parts) {
		case 1:
		case 2:
			id.Number = number(parts[1])
		default:
			id.Number = -1
		}
		out = append(out, id)
		if m[3] != "" && number(m[4]) == id.Chapter {
			for n := id.Number + 1; n <= number(m[5]); n++ {
				out = append(out, ID{id.Chapter, n})
			}
		}
	}
	return out
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// Has reports whether the requirement, or the chapter, exists.
func (s *Spec) Has(id ID) bool {
	if id.Number != 0 {
		_, ok := s.Defined[id]
		return ok
	}
	for other := range s.Defined {
		if other.Chapter == id.Chapter {
			return true
		}
	}
	return false
}
