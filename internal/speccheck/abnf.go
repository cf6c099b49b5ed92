package speccheck

import (
	"fmt"
	"regexp"
	"strings"
)

// grammar collects the ABNF rules (RFC 5234) of all code blocks of a specification.
type grammar struct {
	rules map[string]*rule
	last  *rule
	wrong []string // faults found while reading
}

type rule struct {
	at   Place
	text string // without comments
}

func newGrammar() grammar { return grammar{rules: map[string]*rule{}} }

var (
	ruleStart = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)$`)
	// literal is what may stand in a rule and holds no rule name: strings, prose values
	// and numbers.
	literal  = regexp.MustCompile(`(%[si])?"[^"]*"|<[^>]*>|%[xbd][0-9A-Fa-f]+([.-][0-9A-Fa-f]+)*`)
	ruleName = regexp.MustCompile(`[A-Za-z][A-Za-z0-9-]*`)
	// operator is what is left of a rule without names.
	operator = regexp.MustCompile(`[0-9]*\*[0-9]*|[0-9]+|[/()\[\]\s]`)
)

// coreRule reports whether RFC 5234 appendix B.1 defines the name.
func coreRule(name string) bool {
	switch name {
	case "ALPHA", "BIT", "CHAR", "CR", "CRLF", "CTL", "DIGIT", "DQUOTE", "HEXDIG", "HTAB", "LF", "LWSP", "OCTET", "SP", "VCHAR", "WSP":
		return true
	}
	return false
}

// line takes in one line of a block; one that is indented continues its rule.
func (g *grammar) line(at Place, line string) {
	text := withoutComment(line)
	m := ruleStart.FindStringSubmatch(text)
	switch {
	case strings.TrimSpace(text) == "":
	case m != nil:
		if old := g.rules[m[1]]; old != nil {
			g.wrong = append(g.wrong, fmt.Sprintf("%s: the rule %s is defined at %s already", at, m[1], old.at))
		}
		g.last = &rule{at, m[2]}
		g.rules[m[1]] = g.last
	case g.last != nil && strings.HasPrefix(line, " "):
		g.last.text += " " + text
	default:
		g.wrong = append(g.wrong, fmt.Sprintf("%s: this line is no rule of ABNF", at))
	}
}

// withoutComment cuts a line at the first semicolon outside of quotes.
func withoutComment(line string) string {
	quoted := false
	for i, c := range line {
		switch c {
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return line[:i]
			}
		}
	}
	return line
}

// faults checks each rule's brackets and characters, and that every name is a rule.
func (g *grammar) faults() []string {
	out := g.wrong
	for name, r := range g.rules {
		rest := literal.ReplaceAllString(r.text, " ")
		for _, used := range ruleName.FindAllString(rest, -1) {
			if g.rules[used] == nil && !coreRule(used) {
				out = append(out, fmt.Sprintf("%s: the rule %s uses %s, which is not defined", r.at, name, used))
			}
		}
		rest = ruleName.ReplaceAllString(rest, " ")
		if !balanced(rest) {
			out = append(out, fmt.Sprintf("%s: the brackets of the rule %s do not match", r.at, name))
		}
		if odd := strings.TrimSpace(operator.ReplaceAllString(rest, "")); odd != "" {
			out = append(out, fmt.Sprintf("%s: the rule %s has %q, which is no ABNF", r.at, name, odd))
		}
	}
	return out
}

func balanced(s string) bool {
	var open []rune
	for _, c := range s {
		switch c {
		case '(':
			open = append(open, ')')
		case '[':
			open = append(open, ']')
		case ')', ']':
			if len(open) == 0 || open[len(open)-1] != c {
				return false
			}
			open = open[:len(open)-1]
		}
	}
	return len(open) == 0
}
