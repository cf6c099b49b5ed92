package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
)

// Exit statuses, those of BSD's sysexits(3) and of a shell for signals. exitStatuses says
// what they mean.
const (
	exitOK          = 0
	exitWarning     = 1
	exitFailure     = 2
	exitUsage       = 64
	exitData        = 65
	exitNoInput     = 66
	exitNoHost      = 68
	exitUnavailable = 69
	exitSoftware    = 70
	exitCantCreate  = 73
	exitIO          = 74
	exitTemporary   = 75
	exitNoPerm      = 77
	exitConfig      = 78
	exitInterrupted = 130
	exitPipe        = 141
)

// statusMeaning is one row of the table in docs/cli.md.
type statusMeaning struct {
	code          int
	name, meaning string
}

// exitStatuses lists every status that the program ends with.
func exitStatuses() []statusMeaning {
	return []statusMeaning{
		{exitOK, "", "All is well. Of `vam serve` and `vam try`: they were told to stop, and did so in order."},
		{exitWarning, "", "`vam doctor` only: something should be looked at."},
		{exitFailure, "", "`vam doctor` only: something is wrong."},
		{exitUsage, "EX_USAGE", "The command line is wrong; nothing was done."},
		{exitData, "EX_DATAERR", "What was given cannot be used: an address, a size, a file that is too large. Trying again does not help."},
		{exitNoInput, "EX_NOINPUT", "There is no such file, message, account or configuration, or it was withdrawn."},
		{exitNoHost, "EX_NOHOST", "The domain does not speak VAM."},
		{exitUnavailable, "EX_UNAVAILABLE", "Something that is needed does not answer, a port is taken, or a recipient was refused for good."},
		{exitSoftware, "EX_SOFTWARE", "A mistake in the program."},
		{exitCantCreate, "EX_CANTCREAT", "Something else is there already, or stands in the way: an account, a running server, a file that changed meanwhile."},
		{exitIO, "EX_IOERR", "Bytes do not match their hash, or could not be written."},
		{exitTemporary, "EX_TEMPFAIL", "A limit that frees up by itself, or a recipient that does not have the message yet. Try again later."},
		{exitNoPerm, "EX_NOPERM", "Not allowed: the token, the certificate or the rights of a file."},
		{exitConfig, "EX_CONFIG", "The configuration has a mistake."},
		{exitInterrupted, "", "Interrupted by a signal."},
		{exitPipe, "", "Whoever read the output went away, as with `| head`."},
	}
}

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
	Kind       string  `json:"kind"`                  // usage, config, interrupted, output or a kind of the protocol library, such as not-found
	Problem    string  `json:"problem,omitempty"`     // the problem type that a server gave
	Message    string  `json:"message"`               // a sentence for people
	Cause      string  `json:"cause,omitempty"`       // what was below it
	Hint       string  `json:"hint,omitempty"`        // what to do
	RetryAfter float64 `json:"retry_after,omitempty"` // seconds
	Exit       int     `json:"exit"`                  // the exit status
}

// fail prints err for a person or a program and returns the exit status.
func (e *env) fail(err error) int {
	var status exitStatus
	if errors.As(err, &status) {
		return int(status)
	}
	f := describe(err)
	if f.Exit == exitPipe {
		return f.Exit // nobody is there to be told
	}
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
		usage  *usageError
		output *outputError
		conf   *config.Error
		known  *vam.Error
		file   *fs.PathError
	)
	switch {
	case errors.As(err, &output):
		f := failure{Kind: "output", Message: "the output cannot be written", Cause: reason(output.cause), Exit: exitIO}
		if errors.Is(err, syscall.EPIPE) {
			f.Exit = exitPipe
		}
		return f
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
	case errors.As(err, &file):
		return failure{Kind: vam.Unavailable.String(), Message: file.Path + " cannot be used", Cause: reason(file.Err), Exit: exitIO}
	}
	return failure{Kind: vam.Internal.String(), Message: err.Error(), Hint: "this is a mistake in vam; please report it with the output of `vam doctor --json`", Exit: exitSoftware}
}

// reason is the system's word for a failure, without the path that stands before it.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	return err.Error()
}
