package amtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// The answers to a case that are neither ok nor a problem.
const (
	ResultOK   = "ok"
	ResultSkip = "skip" // the implementation does not have this operation
)

// Answer is what an implementation makes of a case: "ok" with values, the name of a
// problem, or "skip".
type Answer struct {
	Result string
	Out    Fields
}

// Subject is an implementation under test. An error says that it could not be asked at
// all; the run ends there.
type Subject interface {
	Answer(ctx context.Context, op string, in Fields) (Answer, error)
}

// Outcome is one case with what came of it.
type Outcome struct {
	Case
	File    string
	Skipped bool
	// Failure is what is wrong; "" is a pass.
	Failure string
}

// RunVectors puts the cases of every .txt file of dir to the subject, in order: all of
// them, or those that one of the classes must pass. What came of the cases before an
// error is returned with it.
func RunVectors(ctx context.Context, dir fs.FS, subject Subject, classes ...string) ([]Outcome, error) {
	files, err := fs.Glob(dir, "*.txt")
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("there are no vectors: no *.txt in that folder")
	}
	slices.Sort(files)
	var out []Outcome
	for _, file := range files {
		b, err := fs.ReadFile(dir, file)
		if err != nil {
			return nil, err
		}
		cases, err := ReadCases(bytes.NewReader(b))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, c := range cases {
			if len(classes) > 0 && !slices.ContainsFunc(c.Class, func(class string) bool { return slices.Contains(classes, class) }) {
				continue
			}
			a, err := subject.Answer(ctx, c.Op, c.In)
			if err != nil {
				return out, fmt.Errorf("%s: %s: %w", file, c.Name, err)
			}
			out = append(out, Outcome{Case: c, File: file, Skipped: a.Result == ResultSkip, Failure: c.Judge(a)})
		}
	}
	return out, nil
}

// Judge says what is wrong with an answer; "" is nothing.
func (c Case) Judge(a Answer) string {
	if a.Result == ResultSkip {
		return ""
	}
	if !slices.Contains(c.Expect, a.Result) {
		return fmt.Sprintf("answered %s, expected %s", a.Result, strings.Join(c.Expect, " or "))
	}
	if a.Result != ResultOK {
		return "" // a refusal that is right needs no values
	}
	var wrong []string
	for _, name := range c.Want.Names() {
		want, got := c.Want.All(name), a.Out.All(name)
		if !slices.EqualFunc(want, got, bytes.Equal) {
			wrong = append(wrong, fmt.Sprintf("%s is %q, expected %q", name, got, want))
		}
	}
	return strings.Join(wrong, "; ")
}
