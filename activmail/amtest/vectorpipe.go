package amtest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The line protocol: the runner writes the block of a case without its name, class,
// rule, expect and want lines; the implementation answers with a block that begins with
// "result: ok", "result: NAME-OF-PROBLEM" or "result: skip" and goes on with its
// values. One question at a time; the end of the input ends the implementation.

const keyResult = "result"

// ServeVectors answers the questions on r with subject until r ends.
func ServeVectors(ctx context.Context, r io.Reader, w io.Writer, subject Subject) error {
	br := bufio.NewReader(r)
	for {
		block, err := readBlock(br)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var op string
		var in Fields
		for _, f := range block {
			if f.Name == keyOp {
				op = string(f.Value)
			} else {
				in = append(in, f)
			}
		}
		a, err := subject.Answer(ctx, op, in)
		if err != nil {
			return err
		}
		out := appendField(nil, Field{keyResult, []byte(a.Result)})
		for _, f := range a.Out {
			out = appendField(out, f)
		}
		if _, err := w.Write(append(out, '\n')); err != nil {
			return err
		}
	}
}

// Pipe is a Subject at the other end of the line protocol. It is not safe for
// concurrent use; the caller closes what it reads and writes.
type Pipe struct {
	r *bufio.Reader
	w io.Writer
}

// NewPipe reads answers from r and writes questions to w.
func NewPipe(r io.Reader, w io.Writer) *Pipe { return &Pipe{r: bufio.NewReader(r), w: w} }

// Answer asks the implementation. It ends with the reader, not with ctx.
func (p *Pipe) Answer(_ context.Context, op string, in Fields) (Answer, error) {
	q := appendField(nil, Field{keyOp, []byte(op)})
	for _, f := range in {
		q = appendField(q, f)
	}
	if _, err := p.w.Write(append(q, '\n')); err != nil {
		return Answer{}, err
	}
	block, err := readBlock(p.r)
	if err != nil {
		return Answer{}, fmt.Errorf("the implementation gave no answer: %w", err)
	}
	if block[0].Name != keyResult || strings.ContainsAny(string(block[0].Value), " \t") {
		return Answer{}, fmt.Errorf("the answer begins with %q, not with result", block[0].Name)
	}
	return Answer{Result: string(block[0].Value), Out: block[1:]}, nil
}
