package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
)

// Exit statuses, those of BSD's sysexits(3).
const (
	exitOK          = 0
	exitUsage       = 64 // the command line is wrong
	exitData        = 65 // what was given cannot be used
	exitNoInput     = 66 // there is no such thing
	exitNoHost      = 68 // the domain does not speak VAM
	exitUnavailable = 69 // something that is needed does not answer
	exitSoftware    = 70 // a mistake in the program
	exitCantCreate  = 73 // there is something else already
	exitIO          = 74 // stored bytes do not match
	exitTemporary   = 75 // try again later
	exitNoPerm      = 77 // not allowed
	exitConfig      = 78 // the configuration is wrong
	exitInterrupted = 130
)

// exitOf is the command line's edge table of error kinds.
func exitOf(kind vam.ErrorKind) int {
	switch kind {
	case vam.Invalid, vam.TooLarge:
		return exitData
	case vam.Unauthenticated, vam.Denied:
		return exitNoPerm
	case vam.NotFound, vam.Gone:
		return exitNoInput
	case vam.Conflict:
		return exitCantCreate
	case vam.OverQuota, vam.Busy:
		return exitTemporary
	case vam.Unavailable:
		return exitUnavailable
	case vam.Corrupt:
		return exitIO
	case vam.NotVAM:
		return exitNoHost
	}
	return exitSoftware
}

// exitStatus is an end that a command chose and has already explained.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// failure is an error as it is printed with --json, on standard error. Keys are
// stable.
type failure struct {
	Kind    string `json:"kind"`
	Problem string `json:"problem,omitempty"`
	Message string `json:"message"`
	Cause   string `json:"cause,omitempty"`
	Hint    string `json:"hint,omitempty"`
	// RetryAfter is in seconds.
	RetryAfter float64 `json:"retry_after,omitempty"`
	Exit       int     `json:"exit"`
}

// fail prints err for a person or a program and returns the exit status.
func (e *env) fail(err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	f := describe(err)
	if e.JSON {
		enc := json.NewEncoder(e.err)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(map[string]failure{"error": f})
		return f.Exit
	}
	text := f.Message
	if f.Cause != "" {
		text += ": " + f.Cause
	}
	for line := range strings.Lines(text) {
		fmt.Fprintln(e.err, "vam:", safe(strings.TrimSuffix(line, "\n")))
	}
	if f.Hint != "" && !e.Quiet {
		fmt.Fprintln(e.err, "    ", safe(f.Hint))
	}
	return f.Exit
}

// describe classifies err. The person at the command line is the operator or the
// owner of the mail, so that causes are shown.
func describe(err error) failure {
	var (
		usage *usageError
		conf  *config.Error
		known *vam.Error
	)
	switch {
	case errors.As(err, &usage):
		return failure{Kind: "usage", Message: usage.Error(), Hint: "see `" + usage.command + " --help`", Exit: exitUsage}
	case errors.As(err, &conf):
		return failure{Kind: "config", Message: conf.Error(), Hint: "`vam config reference` explains every key", Exit: exitConfig}
	case errors.Is(err, context.Canceled):
		return failure{Kind: "interrupted", Message: "interrupted", Exit: exitInterrupted}
	case errors.As(err, &known):
		f := failure{Kind: known.Kind.String(), Problem: known.Problem, Message: known.Message, RetryAfter: known.RetryAfter.Seconds(), Exit: exitOf(known.Kind)}
		if known.Cause != nil {
			f.Cause = known.Cause.Error()
		}
		if known.Kind.Temporary() && known.RetryAfter > 0 {
			f.Hint = "try again in " + config.Duration{Duration: known.RetryAfter}.String()
		}
		return f
	}
	return failure{Kind: vam.Internal.String(), Message: err.Error(), Hint: "this is a mistake in vam; please report it with the output of `vam doctor --json`", Exit: exitSoftware}
}
