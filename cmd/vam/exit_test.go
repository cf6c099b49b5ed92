package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
)

// scratch is a world without anything in it.
func scratch(vars ...string) (*env, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	e := &env{
		globals: &globals{}, in: strings.NewReader(""), out: &out, err: &errs, environ: vars, uid: 1000,
		getenv: func(name string) string {
			for _, v := range vars {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		},
	}
	return e, &out, &errs
}

// TestEveryKindHasAStatus walks all kinds of errors through the table of this edge.
func TestEveryKindHasAStatus(t *testing.T) {
	documented := map[int]bool{}
	for _, s := range exitStatuses() {
		if documented[s.code] || s.meaning == "" {
			t.Errorf("the status %d is there twice, or without a meaning", s.code)
		}
		documented[s.code] = true
	}
	for _, kind := range vam.ErrorKinds() {
		code := exitOf(kind)
		if code == exitOK || !documented[code] {
			t.Errorf("%v ends with %d", kind, code)
		}
		if soft := code == exitSoftware; soft != (kind == vam.Internal) {
			t.Errorf("%v ends with %d: only what nobody classified is a mistake in the program", kind, code)
		}
		if later := code == exitTemporary || code == exitUnavailable; later != (kind.Temporary() && kind != vam.Internal) {
			t.Errorf("%v ends with %d, which does not agree on trying again", kind, code)
		}
		e, _, errs := scratch()
		if got := e.fail(vam.Wrap(kind, errors.New("below"), "a sentence")); got != code {
			t.Errorf("%v ends with %d, not %d", kind, got, code)
		}
		if !strings.Contains(errs.String(), "vam: a sentence: below\n") {
			t.Errorf("%v says %q", kind, errs)
		}
	}
}

func TestFail(t *testing.T) {
	conf := &config.Error{Problems: []config.Problem{{Where: "vam.toml:1", Key: "a", Text: "one"}, {Where: "vam.toml:2", Key: "b", Text: "two"}}}
	for name, c := range map[string]struct {
		err  error
		code int
		want []string
	}{
		"chosen":        {exitStatus(2), 2, nil},
		"usage":         {&usageError{err: errors.New("what?"), command: "vam send"}, exitUsage, []string{"vam: what?\n", "see `vam send --help`"}},
		"configuration": {conf, exitConfig, []string{"vam: vam.toml:1: a: one\nvam: vam.toml:2: b: two\n"}},
		"interrupted":   {fmt.Errorf("x: %w", context.Canceled), exitInterrupted, []string{"vam: interrupted\n"}},
		"a reader left": {&outputError{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}}, exitPipe, nil},
		"a full disk":   {&outputError{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}}, exitIO, []string{"vam: the output cannot be written: no space left on device\n"}},
		"inside usage":  {&usageError{err: &outputError{syscall.EPIPE}, command: "vam"}, exitPipe, nil},
		"a file":        {&fs.PathError{Op: "open", Path: "/x", Err: syscall.EIO}, exitIO, []string{"vam: /x cannot be used: input/output error\n"}},
		"later":         {vam.Errorf(vam.Busy, "slow down").WithRetry(90 * time.Second), exitTemporary, []string{"try again in 1m30s"}},
		"joined":        {errors.Join(nil, vam.Errorf(vam.NotFound, "gone"), errors.New("close")), exitNoInput, []string{"vam: gone\n"}},
		"unknown":       {errors.New("boo\x1b[2J"), exitSoftware, []string{`vam: boo\x1b[2J`, "mistake in vam"}},
	} {
		t.Run(name, func(t *testing.T) {
			e, _, errs := scratch()
			if code := e.fail(c.err); code != c.code {
				t.Errorf("the status is %d, not %d", code, c.code)
			}
			for _, want := range c.want {
				if !strings.Contains(errs.String(), want) {
					t.Errorf("it says %q, not %q", errs, want)
				}
			}
			if len(c.want) == 0 && errs.Len() > 0 {
				t.Errorf("it says %q", errs)
			}
			e, _, errs = scratch()
			e.JSON = true
			if code := e.fail(c.err); code != c.code {
				t.Errorf("with --json the status is %d, not %d", code, c.code)
			}
			if len(c.want) == 0 {
				return
			}
			var got map[string]failure
			if err := json.Unmarshal(errs.Bytes(), &got); err != nil || got["error"].Exit != c.code || got["error"].Message == "" {
				t.Errorf("with --json it says %s (%v)", errs, err)
			}
			if strings.Count(errs.String(), "\n") != 1 {
				t.Errorf("%q is not one line", errs)
			}
		})
	}
}

// brokenWriter fails after some octets.
type brokenWriter struct{ left int }

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		return 0, syscall.EPIPE
	}
	return len(p), nil
}

// TestOutputThatFails: a command that printed to nobody has not succeeded.
func TestOutputThatFails(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"--help"}, {"--version"}, {"config", "reference"}, {"send", "--help"}} {
		e, _, errs := scratch()
		e.out = &brokenWriter{left: 10}
		if code := run(t.Context(), e, args); code != exitPipe || errs.Len() > 0 {
			t.Errorf("%v ends with %d and says %q", args, code, errs)
		}
	}
}
