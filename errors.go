package vam

import (
	"errors"
	"fmt"
	"time"
)

// ErrorKind is one of a closed set. Each edge (HTTP, the queue, the command line)
// turns kinds into its own codes by one table.
type ErrorKind uint8

// The kinds. Internal is the zero value: an error that nobody classified is
// internal towards people and temporary in the queue, so that mail is never lost
// by an unknown error.
const (
	Internal        ErrorKind = iota // our fault; try again later
	Invalid                          // the request can never succeed as it is
	Unauthenticated                  // no or a wrong credential
	Denied                           // known, and not allowed
	NotFound                         // there is no such thing, or it is not yours to see
	Gone                             // there was, and it was withdrawn or has expired
	Conflict                         // another content or position is already there
	TooLarge                         // over a fixed limit
	OverQuota                        // over a limit that frees up
	Busy                             // rate or concurrency limit
	Unavailable                      // a dependency or peer cannot be reached now
	Corrupt                          // stored or received bytes do not match their hash
	NotVAM                           // the domain does not speak VAM
)

var kindNames = [...]string{"internal", "invalid", "unauthenticated", "denied", "not-found", "gone", "conflict", "too-large", "over-quota", "busy", "unavailable", "corrupt", "not-vam"}

// ErrorKinds lists every kind, for tables and their tests.
func ErrorKinds() []ErrorKind {
	out := make([]ErrorKind, len(kindNames))
	for i := range out {
		out[i] = ErrorKind(i)
	}
	return out
}

// String is the kind's stable name.
func (k ErrorKind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Temporary reports whether the same request may succeed later (AM-8.23).
func (k ErrorKind) Temporary() bool {
	switch k {
	case Internal, OverQuota, Busy, Unavailable:
		return true
	}
	return false
}

// Error is a failure with a sentence that is safe to show to a stranger and a
// cause that only the operator sees.
type Error struct {
	Kind ErrorKind
	// Problem is the VAM/1 problem type name (spec section "Problem types"), such
	// as "no-such-recipient"; empty where the kind alone says it.
	Problem string
	// Message is one sentence. It names the limit, who set it and the way out.
	Message string
	// RetryAfter is when a temporary failure is worth another try; 0 is unknown.
	RetryAfter time.Duration
	// Cause is for the log only.
	Cause error
}

// Errorf makes an Error without a cause; the text is shown to strangers.
func Errorf(kind ErrorKind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Wrap classifies cause and gives it a sentence that is safe for strangers.
func Wrap(kind ErrorKind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), Cause: cause}
}

// WithProblem sets the problem type and returns e.
func (e *Error) WithProblem(name string) *Error { e.Problem = name; return e }

// WithRetry sets RetryAfter and returns e.
func (e *Error) WithRetry(d time.Duration) *Error { e.RetryAfter = d; return e }

// Error is for logs: the sentence and the cause.
func (e *Error) Error() string {
	if e.Cause != nil {
		return e.Message + ": " + e.Cause.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// KindOf returns the kind of the outermost Error in err's chain, Internal when
// there is none. It is meaningless for a nil error.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// Public returns the sentence of err that may be shown to a stranger.
func Public(err error) string {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal {
		return e.Message
	}
	return "something went wrong here; it was logged and a retry is safe"
}
