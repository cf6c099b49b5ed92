package amclient

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// bulkRange is the least length of a range that gets a connection of its own.
const bulkRange = vam.MiB

// Media is a range of the media of a message, read as it comes.
type Media struct {
	// ReadCloser ends after To-From octets. Its errors: Unavailable (broken off, or no
	// octet for Options.Stall: ask for the rest), Corrupt (longer than announced).
	io.ReadCloser
	// From and To are what the answer has: octets [From, To). To is less than was asked
	// for at the present end of the media.
	From, To vam.Bytes
	// Size is the complete length; -1 while the media grows.
	Size        vam.Bytes
	ContentType string
	ETag        string  // as it came, quotes included; "" is none
	Network     Network // what carries it
}

// Media asks for the octets [from, to) of the media (AM-7.15); to <= 0 is the end.
// Several ranges at a time use several connections. The caller verifies every part
// against the log and closes the result. Errors: Conflict (log-position, with a
// *activmail.PositionError: nothing there from from on), Gone, Unauthenticated, Busy,
// those of the peer's problem, Unavailable, Invalid.
func (c *Client) Media(ctx context.Context, p Pull, from, to vam.Bytes) (*Media, error) {
	call := get(p, "/media")
	call.byteRange = rangeField(from, to)
	call.bulk = to <= 0 || to-from >= bulkRange
	a, err := c.expect(ctx, call, http.StatusPartialContent, http.StatusOK, http.StatusTemporaryRedirect, http.StatusRequestedRangeNotSatisfiable)
	if err != nil {
		return nil, err
	}
	network := a.body.network
	resp := a.Response
	if resp.StatusCode == http.StatusTemporaryRedirect {
		if resp, err = c.redirected(ctx, a, call.byteRange); err != nil {
			return nil, err
		}
	}
	m, err := newMedia(resp, from, to)
	if err != nil {
		_ = resp.Body.Close()
		return nil, err
	}
	m.Network = network
	return m, nil
}

func rangeField(from, to vam.Bytes) string {
	if to <= 0 {
		return "bytes=" + strconv.FormatInt(int64(from), 10) + "-"
	}
	return "bytes=" + strconv.FormatInt(int64(from), 10) + "-" + strconv.FormatInt(int64(to)-1, 10)
}

// newMedia checks that an answer is the range that was asked for.
func newMedia(resp *http.Response, from, to vam.Bytes) (*Media, error) {
	m := &Media{From: from, Size: -1, ContentType: resp.Header.Get("Content-Type"), ETag: resp.Header.Get("ETag")}
	switch resp.StatusCode {
	case http.StatusRequestedRangeNotSatisfiable:
		end, ok := parseUnsatisfied(resp.Header.Get("Content-Range"))
		if !ok || end > from {
			return nil, vam.Errorf(vam.Invalid, "the peer answered that there is no such range, and not where the media ends")
		}
		return nil, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: int64(end)}, "the media has %d octets now", end).
			WithProblem("log-position")
	case http.StatusOK: // the whole, so a server without ranges
		if from != 0 || resp.ContentLength < 0 {
			return nil, vam.Errorf(vam.Invalid, "the peer answered with the whole media where a range was asked for")
		}
		m.To, m.Size = vam.Bytes(resp.ContentLength), vam.Bytes(resp.ContentLength)
		if to > 0 && to < m.To { // the rest is not wanted
			m.To = to
			m.ReadCloser = &exactBody{ReadCloser: resp.Body, left: int64(to), cut: true}
			return m, nil
		}
	default:
		var ok bool
		if m.From, m.To, m.Size, ok = parseContentRange(resp.Header.Get("Content-Range")); !ok || m.From != from || (to > 0 && m.To > to) {
			return nil, vam.Errorf(vam.Invalid, "the peer answered with another range than was asked for")
		}
	}
	if resp.ContentLength >= 0 && vam.Bytes(resp.ContentLength) != m.To-m.From {
		return nil, vam.Errorf(vam.Invalid, "the peer's answer has another length than its range")
	}
	m.ReadCloser = &exactBody{ReadCloser: resp.Body, left: int64(m.To - m.From)}
	return m, nil
}

// parseContentRange reads "bytes 0-1023/4096" and "bytes 0-1023/*".
func parseContentRange(s string) (from, to, size vam.Bytes, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, complete, ok2 := strings.Cut(s, "/")
	first, last, ok3 := strings.Cut(span, "-")
	a, err1 := strconv.ParseUint(first, 10, 62)
	b, err2 := strconv.ParseUint(last, 10, 62)
	size = -1
	if complete != "*" {
		n, err := strconv.ParseUint(complete, 10, 62)
		if err != nil || n <= b {
			return 0, 0, 0, false
		}
		size = vam.Bytes(n)
	}
	if !ok || !ok2 || !ok3 || err1 != nil || err2 != nil || b < a {
		return 0, 0, 0, false
	}
	return vam.Bytes(a), vam.Bytes(b) + 1, size, true
}

// parseUnsatisfied reads "bytes */4096", where the complete length is all that is said.
func parseUnsatisfied(s string) (size vam.Bytes, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes */")
	n, err := strconv.ParseUint(s, 10, 62)
	return vam.Bytes(n), ok && err == nil
}

// exactBody is a body that must have a certain length, or is cut at it.
type exactBody struct {
	io.ReadCloser
	left int64
	cut  bool
}

func (b *exactBody) Read(p []byte) (int, error) {
	if b.left == 0 && b.cut {
		return 0, io.EOF
	}
	if b.left > 0 && int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	switch {
	case b.left == 0 && n > 0:
		return 0, vam.Errorf(vam.Corrupt, "the peer's answer is longer than its range").WithProblem("digest-mismatch")
	case err == io.EOF && int64(n) < b.left:
		err = vam.Wrap(vam.Unavailable, io.ErrUnexpectedEOF, "the answer ended %d octets early", b.left-int64(n))
	}
	b.left -= int64(n)
	return n, err
}
