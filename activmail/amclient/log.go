package amclient

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Log is a piece of a log that is read as it comes. One that is Empty says that the
// peer has no more lines yet.
type Log struct {
	body    io.Closer
	decoder *activmail.LogDecoder
}

// Log asks for the lines from index from on (AM-7.4). With wait > 0 the peer answers
// when there is something, or after wait. The caller closes the result. Errors: Conflict
// (log-position, with a *activmail.PositionError: the log is shorter, or ended),
// Unauthenticated, those of the peer's problem, Unavailable.
func (c *Client) Log(ctx context.Context, p Pull, from int64, wait time.Duration) (*Log, error) {
	call := get(p, "/log")
	call.query, call.wait, call.accept = "from="+strconv.FormatInt(from, 10), wholeSeconds(wait), activmail.LogType
	// The whole log comes right before the media: over the connection that will be wanted
	// for that, and whose window has grown if it is there already.
	call.bulk = from == 0 && wait <= 0
	a, err := c.expect(ctx, call, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return nil, err
	}
	if a.StatusCode == http.StatusNoContent {
		return &Log{body: a.Body}, nil
	}
	if t, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); t != activmail.LogType {
		_ = a.Body.Close()
		return nil, vam.Errorf(vam.Invalid, "the peer answered with %q where a log was asked for", t)
	}
	return &Log{body: a.Body, decoder: activmail.NewLogDecoder(a.Body, c.options.Limits)}, nil
}

// Empty reports whether the answer has no lines and no checkpoint.
func (l *Log) Empty() bool { return l.decoder == nil }

// Next returns the next line without LF, valid until the next call, and io.EOF after the
// last. Errors: Invalid, TooLarge, Unavailable; in the chain of one that was cut short is
// io.ErrUnexpectedEOF, and the lines before it are complete (AM-7.7).
func (l *Log) Next() ([]byte, error) {
	if l.decoder == nil {
		return nil, io.EOF
	}
	line, err := l.decoder.Next()
	if err != nil && err != io.EOF {
		return nil, unavailable(err)
	}
	return line, err
}

// Checkpoint is the checkpoint text after Next returned io.EOF, not verified yet.
func (l *Log) Checkpoint() []byte {
	if l.decoder == nil {
		return nil
	}
	return l.decoder.Checkpoint()
}

// Close ends the answer.
func (l *Log) Close() error { return l.body.Close() }

// wholeSeconds is a time as Prefer can say it.
func wholeSeconds(d time.Duration) time.Duration {
	return min(max(d, 0), activmail.MaxWait).Truncate(time.Second)
}
