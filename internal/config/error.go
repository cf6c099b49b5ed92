package config

import (
	"fmt"
	"strings"

	"github.com/videoactivmail/vam"
)

// Problem is one thing that is wrong with the configuration.
type Problem struct {
	// Where is "vam.toml:12", "environment variable VAM_LOG_LEVEL" or the file's
	// name alone where no line can be named.
	Where string
	// Key is the setting's path; empty for a file that cannot be read.
	Key string
	// Text says what is wrong and what to write instead.
	Text string
}

// String is one line: place, key and text.
func (p Problem) String() string {
	out := p.Text
	if p.Key != "" {
		out = p.Key + ": " + out
	}
	if p.Where != "" {
		out = p.Where + ": " + out
	}
	return out
}

// Error is every problem that was found in one reading, so that one correction of
// the file is enough. It unwraps to a *vam.Error of kind Invalid.
type Error struct{ Problems []Problem }

// Error has one line for each problem.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Unwrap classifies the error.
func (e *Error) Unwrap() error { return vam.Errorf(vam.Invalid, "the configuration is not valid") }

// problems collects what goes wrong while one configuration is read.
type problems struct {
	list []Problem
}

func (p *problems) add(where, key, format string, args ...any) {
	p.list = append(p.list, Problem{Where: where, Key: key, Text: fmt.Sprintf(format, args...)})
}

// about reports whether a problem with a key that begins so is known already.
func (p *problems) about(prefix string) bool {
	for _, known := range p.list {
		if strings.HasPrefix(known.Key, prefix) {
			return true
		}
	}
	return false
}

func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	return &Error{Problems: p.list}
}
