package speccheck

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

func (s *Spec) fault(at Place, format string, args ...any) {
	s.Faults = append(s.Faults, at.String()+": "+fmt.Sprintf(format, args...))
}

// judge finds what the specification says of itself that is not so.
func (s *Spec) judge(root fs.FS) {
	for id, at := range s.Defined {
		if !s.Keyword[id] {
			s.fault(at, "%s holds no MUST, SHOULD or MAY, so nothing in it can be tested", id)
		}
	}
	for id, places := range s.cited {
		if !s.Has(id) {
			s.fault(places[0], "%s does not exist", id)
		}
	}
	for _, l := range s.links {
		s.follow(root, l)
	}
	s.Faults = append(s.Faults, s.grammar.faults()...)
	s.Faults = append(s.Faults, s.problems.faults()...)
	slices.Sort(s.Faults)
	s.Faults = slices.Compact(s.Faults)
}

type link struct {
	at     Place
	target string
}

var linkTarget = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func linksOf(at Place, line string) []link {
	var out []link
	for _, m := range linkTarget.FindAllStringSubmatch(line, -1) {
		if !strings.Contains(m[1], "://") {
			out = append(out, link{at, m[1]})
		}
	}
	return out
}

// follow checks a relative link and its fragment.
func (s *Spec) follow(root fs.FS, l link) {
	name, fragment, _ := strings.Cut(l.target, "#")
	file := l.at.File
	if name != "" {
		file = path.Join(path.Dir(l.at.File), name)
		if _, err := fs.Stat(root, file); err != nil {
			s.fault(l.at, "the link %s leads nowhere", l.target)
			return
		}
	}
	if anchors, ours := s.anchors[file]; ours && fragment != "" && !anchors[fragment] {
		s.fault(l.at, "there is no heading for the link %s", l.target)
	}
}

// anchorsOf lists the fragments under which a forge shows the headings of a text.
func anchorsOf(text string) map[string]bool {
	out := map[string]bool{}
	fenced := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		title := strings.TrimLeft(line, "#")
		if fenced || title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		out[anchor(title)] = true
	}
	return out
}

func anchor(title string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, strings.TrimSpace(title))
}

// problemList is the registry of problem types: the rows of its table, and its entries.
type problemList struct {
	rows, entries map[string]Place
}

var (
	problemRow   = regexp.MustCompile(`^\| \[([a-z-]+)\]\(#([a-z-]+)\) \|`)
	problemEntry = regexp.MustCompile(`^## ([a-z-]+)$`)
)

func (p *problemList) line(at Place, line string) {
	if p.rows == nil {
		p.rows, p.entries = map[string]Place{}, map[string]Place{}
	}
	if m := problemRow.FindStringSubmatch(line); m != nil {
		p.rows[m[1]] = at
	}
	if m := problemEntry.FindStringSubmatch(line); m != nil {
		p.entries[m[1]] = at
	}
}

func (p *problemList) faults() []string {
	var out []string
	for name, at := range p.rows {
		if _, ok := p.entries[name]; !ok {
			out = append(out, fmt.Sprintf("%s: the problem %s is not described", at, name))
		}
	}
	for name, at := range p.entries {
		if _, ok := p.rows[name]; !ok {
			out = append(out, fmt.Sprintf("%s: the problem %s is not in the table", at, name))
		}
	}
	return out
}

// Problems lists the names of the registry in alphabetical order.
func (s *Spec) Problems() []string { return slices.Sorted(maps.Keys(s.problems.rows)) }

// IDs lists the requirements in order.
func (s *Spec) IDs() []ID { return slices.SortedFunc(maps.Keys(s.Defined), ID.Compare) }
