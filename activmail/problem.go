package activmail

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
)

// ProblemType is the media type of a problem (RFC 9457).
const ProblemType = "application/problem+json"

// ProblemBase is what the name of a problem is appended to, to make its type URI (AM-9.2).
const ProblemBase = "https://github.com/videoactivmail/vam/blob/main/spec/problems.md#"

// Problem is an RFC 9457 problem document (AM-9.1), together with the header that goes with
// it.
type Problem struct {
	Name   string // last part of the type URI
	Title  string
	Status int
	Detail string // at most 500 octets, printable
	// Code is the RFC 3463 enhanced status code for a report to the author; may be "".
	Code string
	// RetryAfter is the Retry-After header, in whole seconds; 0 is none.
	RetryAfter time.Duration
	// Size is the true log size of a log-position problem; -1 is none.
	Size int64
	// Again says what the one who asked does.
	Again Again
}

// PositionError is the cause of a log-position conflict: the log has Size lines, and
// that is where to go on.
type PositionError struct{ Size int64 }

// Error says where the log stands.
func (e *PositionError) Error() string { return fmt.Sprintf("the log has %d lines", e.Size) }

// ProblemFor turns any error into the problem that a stranger sees. An error that
// nobody classified is internal, and so temporary. err must not be nil (AM-9.5, AM-9.7).
func ProblemFor(err error) Problem {
	kind, name := vam.KindOf(err), ""
	p := Problem{Detail: printable(vam.Public(err)), Size: -1}
	var e *vam.Error
	if errors.As(err, &e) {
		name, p.RetryAfter = e.Problem, e.RetryAfter
	} else if errors.Is(err, context.DeadlineExceeded) {
		name, p.Detail = "timeout", "it took longer than its limit here; a retry is safe"
	}
	row, ok := problemNamed(name)
	if !ok {
		row, _ = problemNamed(defaultProblem(kind))
	}
	p.Name, p.Title, p.Status, p.Code, p.Again = row.name, row.title, row.status, row.code, row.again
	var pos *PositionError
	if row.name == "log-position" && errors.As(err, &pos) {
		p.Size = pos.Size
	}
	if p.RetryAfter <= 0 && (p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable) {
		p.RetryAfter = defaultRetry // AM-9.4: these two always say when
	}
	return p
}

const (
	defaultRetry = 30 * time.Second
	maxRetry     = 24 * time.Hour
)

// Err turns a peer's problem back into a *[vam.Error] of the same temporary or
// permanent nature. A failure inside the peer is Unavailable here.
func (p Problem) Err() error {
	row, ok := problemNamed(p.Name)
	if !ok {
		row, _ = problemNamed(problemOfStatus(p.Status))
	}
	e := vam.Errorf(row.kind, "%s", p.Detail).WithProblem(row.name).WithRetry(p.RetryAfter)
	if p.Detail == "" {
		e.Message = row.title
	}
	if row.name == "log-position" && p.Size >= 0 {
		e.Cause = &PositionError{Size: p.Size}
	}
	return e
}

// Marshal writes the document.
func (p Problem) Marshal() []byte {
	var w objectWriter
	w.text("type", ProblemBase+p.Name)
	w.optional("title", p.Title)
	w.integer("status", int64(p.Status))
	w.optional("detail", p.Detail)
	w.optional("code", p.Code)
	if p.Size >= 0 && p.Name == "log-position" {
		w.integer("size", p.Size)
	}
	if p.Name == "version" {
		w.raw("versions", []byte("[1]"))
	}
	return w.end()
}

// WriteTo answers a request with the problem. Headers that belong to the status alone
// (Allow, WWW-Authenticate, Accept-Signature) are the caller's to set before.
func (p Problem) WriteTo(w http.ResponseWriter) {
	body := p.Marshal()
	h := w.Header()
	h.Set("Content-Type", ProblemType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		seconds := (p.RetryAfter + time.Second - 1) / time.Second
		h.Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the peer may be gone; nothing is left to tell it
}

// ParseProblem reads the answer to a request that failed. It never fails: what is no
// problem document, or of an unknown type, becomes the problem of its status (AM-9.3).
// Texts are those of a stranger: cut, and without control characters (AM-9.6).
func ParseProblem(status int, header http.Header, body []byte) Problem {
	p := Problem{Name: problemOfStatus(status), Status: status, Size: -1, RetryAfter: retryAfter(header)}
	if d, err := openDocument(body, DefaultLimits().Document, "problem"); err == nil {
		typ := takeAny(d, "type", decodeText)
		if name, ok := strings.CutPrefix(typ, ProblemBase); ok {
			if _, known := problemNamed(name); known {
				p.Name = name
			}
		}
		p.Detail = printable(takeAny(d, "detail", decodeText))
		if code := takeAny(d, "code", decodeText); isEnhancedCode(code) {
			p.Code = code
		}
		if raw, ok := d.find("size"); ok && p.Name == "log-position" {
			if size, why := decodeInteger(raw); why == "" {
				p.Size = size
			}
		}
	}
	row, _ := problemNamed(p.Name)
	p.Title, p.Again = row.title, row.again
	if p.Code == "" {
		p.Code = row.code
	}
	return p
}

// takeAny reads a member that may be missing or wrong without harm.
func takeAny[T any](d *document, name string, decode func([]byte) (T, string)) T {
	v := take(d, name, decode)
	d.err = nil
	return v
}

// retryAfter reads Retry-After in seconds, or as a date by the answer's own clock.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 32); err == nil {
		return min(max(time.Duration(n)*time.Second, 0), maxRetry)
	}
	at, err1 := http.ParseTime(v)
	now, err2 := http.ParseTime(h.Get("Date"))
	if err1 != nil || err2 != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetry)
}

// printable makes a stranger's text fit to be shown: printable, at most 500 octets.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if isUnprintable(r) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
	if len(s) <= maxSentence {
		return s
	}
	cut := maxSentence - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
