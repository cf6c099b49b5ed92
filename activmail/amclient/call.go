package amclient

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// basePath is what every resource of VAM/1 starts with (AM-7.1).
const basePath = "/vam/v1"

// decisionTime is what a peer may take for a signed request, on top of the ordinary
// patience: it asks DNS for keys, and may write durably.
const decisionTime = 25 * time.Second

// Pull names a message and opens it.
type Pull struct {
	MessageID vam.MessageID
	Token     activmail.Token
}

// call is one request, which may be sent several times.
type call struct {
	method, path, query string
	contentType         string
	body                []byte
	token               activmail.Token // "": signed by Options.Key, see signed
	accept              string
	byteRange           string
	wait                time.Duration // asks the peer to wait
	bulk                bool          // worth a connection of its own
}

func get(p Pull, path string) *call {
	return &call{method: http.MethodGet, path: "/m/" + string(p.MessageID) + path, token: p.Token}
}

// signed reports whether the call asks for something to be done or decided, where others
// read a message.
func (c *call) signed() bool { return c.token == "" }

// misread is err, the fault of an answer that means nothing here. After a signed request
// it is temporary (AM-8.23): what was asked for may be done all the same. It is the
// request's own, as the peer answers (AM-8.24). What is pulled is judged by who pulls.
func (c *call) misread(err error) error {
	var e *vam.Error
	if !c.signed() || !errors.As(err, &e) || e.Kind.Temporary() {
		return err
	}
	temporary := *e
	temporary.Kind, temporary.Problem = vam.Busy, ""
	return &temporary
}

// patience is how much longer than usual an answer may take.
func (c *call) patience() time.Duration {
	switch {
	case c.signed():
		return decisionTime
	case c.wait > 0:
		return c.wait + 10*time.Second // AM-7.5
	}
	return 0
}

// request builds one attempt; a signature has a fresh nonce each time (AM-3.7).
func (c *call) request(ctx context.Context, authority string, o Options) (*http.Request, error) {
	target := "https://" + authority + basePath + c.path
	if c.query != "" {
		target += "?" + c.query
	}
	var reader io.Reader
	if c.body != nil {
		reader = bytes.NewReader(c.body)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, reader)
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the request cannot be written")
	}
	h := req.Header
	h["User-Agent"] = []string{"activmail/1"}
	if c.contentType != "" {
		h["Content-Type"] = []string{c.contentType}
	}
	if c.accept != "" {
		h["Accept"] = []string{c.accept}
	}
	if c.byteRange != "" {
		h["Range"] = []string{c.byteRange}
	}
	if c.wait > 0 {
		h["Prefer"] = []string{"wait=" + strconv.Itoa(int(c.wait/time.Second))}
	}
	if !c.signed() {
		h["Authorization"] = []string{"Bearer " + string(c.token)}
		return req, nil
	}
	if o.Key == nil {
		return nil, vam.Errorf(vam.Internal, "this client has no key to sign %s %s with", c.method, c.path)
	}
	return req, activmail.SignRequest(req, activmail.DigestOf(c.body), *o.Key, o.Now(), "")
}

// document sends a call and reads a small answer whole. ok lists the statuses that are
// no problem. One that is too long is not understood (AM-10.13).
func (c *Client) document(ctx context.Context, call *call, ok ...int) (status int, body []byte, err error) {
	a, err := c.expect(ctx, call, ok...)
	if err != nil {
		return 0, nil, err
	}
	defer a.Body.Close()
	body, err = readBounded(a.Body, c.options.Limits.Document)
	return a.StatusCode, body, call.misread(err)
}

// expect sends a call and turns an answer with another status into its problem.
func (c *Client) expect(ctx context.Context, call *call, ok ...int) (*answer, error) {
	a, err := c.do(ctx, call)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(ok, a.StatusCode) {
		defer a.Body.Close()
		return nil, c.problem(call, a.Response)
	}
	if coding := a.Header.Get("Content-Encoding"); coding != "" { // AM-7.18
		defer a.Body.Close()
		return nil, call.misread(vam.Errorf(vam.Invalid, "the peer's answer has a content coding, which VAM does not have"))
	}
	return a, nil
}

// problem reads the error that an answer to the call is.
func (c *Client) problem(call *call, resp *http.Response) error {
	text, err := readBounded(resp.Body, c.options.Limits.Document)
	if err != nil && vam.KindOf(err) != vam.TooLarge {
		return err
	}
	if resp.StatusCode < 400 {
		return call.misread(vam.Errorf(vam.Invalid, "the peer answered with the status %d, which means nothing here", resp.StatusCode))
	}
	if err := activmail.ParseProblem(resp.StatusCode, resp.Header, text).Err(); err != nil {
		return err
	}
	return vam.Errorf(vam.Internal, "the peer answered with the status %d", resp.StatusCode)
}

// readBounded reads r whole. Errors: TooLarge, and those of r.
func readBounded(r io.Reader, limit vam.Bytes) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if vam.Bytes(len(b)) > limit {
		return nil, vam.Errorf(vam.TooLarge, "the peer's answer is over %v, the most that is read here", limit)
	}
	return b, nil
}
