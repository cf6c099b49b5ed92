// Package userclient is the side of a user's program: it submits messages to the
// user's own server and reads the mailbox there (docs/api.md).
package userclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

// Options say which server, and who asks.
type Options struct {
	// Address is where to connect, host:port.
	Address string
	// ServerName is what the certificate must be for; empty is the host of Address.
	ServerName string
	Token      activmail.Token
	Roots      *x509.CertPool // nil is the system's
	// Patience is how long a request whose failure may be temporary is tried again; 0 is
	// not at all.
	Patience time.Duration
	// Retrying, if not nil, is told of each failure that is tried again after a pause.
	// It is called from several goroutines and must be quick.
	Retrying func(err error, after time.Duration)
	// Dial connects to Address; nil is a net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client speaks to one server for one account. It is safe for concurrent use. Close it.
type Client struct {
	o    Options
	base string
	http *http.Client
}

const (
	maxAnswer   = 16 << 20 // of a document
	dialTimeout = 10 * time.Second
	// stall is how long an answer may take to begin. The slowest is that to a seal, for
	// which the server may have to read a large file once more.
	stall = 5 * time.Minute
)

// New returns a Client; it connects with the first request.
func New(o Options) *Client {
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		host, port = o.Address, "1398"
		o.Address = net.JoinHostPort(host, port)
	}
	if o.ServerName == "" {
		o.ServerName = host
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return o.Dial(ctx, network, o.Address)
		},
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS13, ServerName: o.ServerName, RootCAs: o.Roots},
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: stall,
		Protocols:             protocols,
		HTTP2: &http.HTTP2Config{
			MaxReadFrameSize: 1 << 20, MaxReceiveBufferPerConnection: 32 << 20, MaxReceiveBufferPerStream: 16 << 20,
			SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second,
		},
		WriteBufferSize: 256 << 10,
	}
	return &Client{
		o:    o,
		base: "https://" + net.JoinHostPort(o.ServerName, port) + userwire.Base,
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
}

// Close ends the connections that are idle.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// request is one request that can be repeated: all of them are idempotent.
type request struct {
	method, path string
	header       http.Header
	body         []byte
}

// send performs a request, again while its failure may be temporary and Patience lasts.
// The caller closes the body of the answer, whose status is a success. The body of the
// request is not read any more when send has failed, or when the answer is closed.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	pause := 250 * time.Millisecond
	for start := time.Now(); ; {
		res, err := c.once(ctx, r)
		if err == nil || ctx.Err() != nil || !vam.KindOf(err).Temporary() || vam.KindOf(err) == vam.OverQuota {
			return res, err
		}
		wait := pause
		var e *vam.Error
		if errors.As(err, &e) && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		if time.Since(start)+wait > c.o.Patience {
			return nil, err
		}
		if c.o.Retrying != nil {
			c.o.Retrying(err, wait)
		}
		if err := sleep(ctx, wait); err != nil {
			return nil, err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) once(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, nil)
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the request cannot be made")
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+string(c.o.Token))
	body := &lent{data: r.body}
	body.attach(req)
	res, err := c.http.Do(req)
	if err != nil {
		body.takeBack()
		return nil, c.unreachable(ctx, err)
	}
	res.Body = answerBody{res.Body, body.takeBack}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, int64(activmail.DefaultLimits().Document)))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return nil, activmail.ParseProblem(res.StatusCode, res.Header, text).Err()
}

// unreachable classifies a failure below HTTP.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *vam.Error
	if errors.As(err, &known) {
		return err
	}
	// Waiting mends neither a foreign nor an expired certificate.
	var untrusted *tls.CertificateVerificationError
	if errors.As(err, &untrusted) {
		return vam.Wrap(vam.Denied, untrusted.Err, "the server at %s does not prove that it is %s; nothing was sent to it", c.o.Address, c.o.ServerName)
	}
	return vam.Wrap(vam.Unavailable, err, "your server at %s cannot be reached", c.o.Address)
}

// call sends in as JSON (nil: nothing) and reads the answer into out (nil: nothing).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	r, err := jsonRequest(method, path, in)
	if err != nil {
		return err
	}
	_, err = c.document(ctx, r, out)
	return err
}

// ask is call with an answer of type T.
func ask[T any](ctx context.Context, c *Client, method, path string, in any) (out T, err error) {
	err = c.call(ctx, method, path, in, &out)
	return out, err
}

func jsonRequest(method, path string, in any) (request, error) {
	r := request{method: method, path: path, header: http.Header{}}
	if in == nil {
		return r, nil
	}
	body, err := json.Marshal(in)
	if err != nil {
		return r, err
	}
	r.body = body
	r.header.Set("Content-Type", "application/json")
	return r, nil
}

// document reads the answer of r into out and returns its status.
func (c *Client) document(ctx context.Context, r request, out any) (status int, err error) {
	status, text, err := c.read(ctx, r)
	if err != nil {
		return status, err
	}
	if out == nil || len(text) == 0 {
		return status, nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return status, vam.Wrap(vam.Unavailable, err, "the server at %s answers what this program does not understand; is it a vam server?", c.o.Address)
	}
	return status, nil
}

// read is send and the whole answer. An answer that breaks off is asked for again, like
// one that never came.
func (c *Client) read(ctx context.Context, r request) (status int, text []byte, err error) {
	for start := time.Now(); ; {
		var res *http.Response
		if res, err = c.send(ctx, r); err != nil {
			return 0, nil, err
		}
		text, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
		_ = res.Body.Close()
		switch {
		case err == nil && len(text) > maxAnswer:
			return res.StatusCode, nil, vam.Errorf(vam.TooLarge, "the answer of the server at %s is longer than %s (this program's limit)", c.o.Address, vam.Bytes(maxAnswer))
		case err == nil:
			return res.StatusCode, text, nil
		case ctx.Err() != nil || time.Since(start)+brokenPause > c.o.Patience:
			return res.StatusCode, nil, c.unreachable(ctx, err)
		}
		if err := sleep(ctx, brokenPause); err != nil {
			return 0, nil, err
		}
	}
}

// brokenPause is how long to wait before an answer that broke off is asked for again.
const brokenPause = time.Second

// segment escapes one element of a path.
func segment(s string) string { return url.PathEscape(s) }
