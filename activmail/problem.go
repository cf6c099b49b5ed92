package activmail

import (
	"net/http"
	"time"
)

// ProblemType is the media type of a problem (RFC 9457).
const ProblemType = "application/problem+json"

// ProblemBase is what the name of a problem is appended to, to make its type URI.
const ProblemBase = "https://github.com/videoactivmail/vam/blob/main/spec/problems.md#"

// Problem is an RFC 9457 problem document.
type Problem struct {
	Name   string // last part of the type URI
	Title  string
	Status int
	Detail string
	// Code is the RFC 3463 enhanced status code for a bounce; may be "".
	Code string
	// RetryAfter is the Retry-After header; 0 is none.
	RetryAfter time.Duration
	// Size is the true log size of a log-position problem; -1 otherwise.
	Size int64
}

// PositionError is the cause of a log-position conflict: the log has Size lines, and
// that is where to go on.
type PositionError struct{ Size int64 }

// Error says where the log stands.
func (e *PositionError) Error() string { return "" }

// ProblemFor turns any error into the problem that a stranger sees.
func ProblemFor(err error) Problem { return Problem{} }

// Err turns a peer's problem back into a *vam.Error.
func (p Problem) Err() error { return nil }

// Marshal writes the document.
func (p Problem) Marshal() []byte { return nil }

// WriteTo answers a request with the problem.
func (p Problem) WriteTo(w http.ResponseWriter) {}

// ParseProblem reads a problem answer. It never fails: what is not a problem document
// becomes the problem of its status.
func ParseProblem(status int, header http.Header, body []byte) Problem { return Problem{} }
