package amclient

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Entry is one record of a log with its blob. One without Line is not there yet.
type Entry struct {
	Line   []byte
	Record activmail.Record
	// Blob has the name and length that Record gives; nil for records without blob.
	Blob []byte
	// Checkpoint covers the record; it is not verified yet.
	Checkpoint []byte
}

// Entry asks for record n (AM-7.9). With wait > 0 the peer answers when it is there, or
// after wait; at most four such requests of one message should be under way (AM-7.11).
// Errors: Conflict (log-position: it will never be there), Corrupt (the blob is not what
// the record names), TooLarge, Gone, Unauthenticated, Busy, those of the peer's problem,
// Unavailable, Invalid.
func (c *Client) Entry(ctx context.Context, p Pull, n int64, wait time.Duration) (Entry, error) {
	call := get(p, "/e/"+strconv.FormatInt(n, 10))
	call.wait = wholeSeconds(wait)
	a, err := c.expect(ctx, call, http.StatusOK, http.StatusNoContent)
	if err != nil {
		return Entry{}, err
	}
	defer a.Body.Close()
	if a.StatusCode == http.StatusNoContent {
		return Entry{}, nil
	}
	limits := c.options.Limits
	var e Entry
	if e.Line, err = byteSequence(a.Header.Get("VAM-Record"), limits.Line); err != nil {
		return Entry{}, err
	}
	if e.Checkpoint, err = byteSequence(a.Header.Get("VAM-Checkpoint"), limits.Checkpoint); err != nil {
		return Entry{}, err
	}
	if e.Record, err = activmail.ParseRecord(e.Line, limits); err != nil {
		return Entry{}, err
	}
	if !e.Record.HasBlob() {
		return e, nil
	}
	e.Blob, err = readBlob(a.Response, e.Record.Blob, e.Record.Length)
	return e, err
}

// byteSequence reads an RFC 8941 section 3.3.5 item.
func byteSequence(s string, limit vam.Bytes) ([]byte, error) {
	s = strings.TrimSpace(s)
	if len(s) < 2 || s[0] != ':' || s[len(s)-1] != ':' {
		return nil, vam.Errorf(vam.Invalid, "the peer's answer lacks a record or a checkpoint in its header")
	}
	b, err := base64.StdEncoding.DecodeString(s[1 : len(s)-1])
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "a header of the peer's answer is not base64")
	}
	if vam.Bytes(len(b)) > limit {
		return nil, vam.Errorf(vam.TooLarge, "a record or a checkpoint of the peer is over the limit of %v", limit).WithProblem("too-large")
	}
	return b, nil
}

// readBlob reads a body that must be the blob of that name and length (AM-7.24). Memory
// grows with what arrives, not with what was announced.
func readBlob(resp *http.Response, name activmail.Sum, length vam.Bytes) ([]byte, error) {
	if resp.ContentLength >= 0 && vam.Bytes(resp.ContentLength) != length {
		return nil, errWrongBlob(name)
	}
	b, err := readBounded(resp.Body, length)
	switch {
	case err != nil && vam.KindOf(err) == vam.TooLarge:
		return nil, errWrongBlob(name)
	case err != nil:
		return nil, err
	case vam.Bytes(len(b)) != length, sha256.Sum256(b) != name:
		return nil, errWrongBlob(name)
	}
	return b, nil
}

func errWrongBlob(name activmail.Sum) error {
	return vam.Errorf(vam.Corrupt, "the peer's answer is not the blob %x", name[:8]).WithProblem("digest-mismatch")
}
