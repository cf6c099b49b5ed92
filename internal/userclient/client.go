// Package userclient is the side of a user's program: it submits messages to the
// user's own server and reads the mailbox there (docs/api.md).
package userclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
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
	// stall is how long an answer may take to begin.
	stall = 60 * time.Second
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
	dialer := &net.Dialer{Timeout: dialTimeout}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, o.Address)
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
// The caller closes the body of the answer, whose status is a success.
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
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		pause = min(2*pause, 5*time.Second)
	}
}

func (c *Client) once(ctx context.Context, r request) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, bytes.NewReader(r.body))
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the request cannot be made")
	}
	for k, v := range r.header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+string(c.o.Token))
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if res.StatusCode < 300 {
		return res, nil
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(activmail.DefaultLimits().Document)))
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	return nil, activmail.ParseProblem(res.StatusCode, res.Header, body).Err()
}

func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	if errors.As(err, &unknown) || errors.As(err, &host) {
		return vam.Wrap(vam.Denied, err, "the server at %s does not prove that it is %s", c.o.Address, c.o.ServerName)
	}
	return vam.Wrap(vam.Unavailable, err, "your server at %s cannot be reached", c.o.Address)
}

// call sends in as JSON (nil: nothing) and reads the answer into out (nil: nothing).
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	r := request{method: method, path: path, header: http.Header{}}
	if in != nil {
		body, err := json.Marshal(in)
		if err != nil {
			return err
		}
		r.body = body
		r.header.Set("Content-Type", "application/json")
	}
	return c.document(ctx, r, out)
}

// document reads the answer of r into out.
func (c *Client) document(ctx context.Context, r request, out any) error {
	res, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if out == nil || len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return vam.Wrap(vam.Unavailable, err, "the server at %s answers what this program does not understand; is it a vam server?", c.o.Address)
	}
	return nil
}

// Me is the account of the token.
func (c *Client) Me(ctx context.Context) (me userwire.Me, err error) {
	return me, c.call(ctx, http.MethodGet, "/me", nil, &me)
}

// Put makes a draft or replaces what was said of it.
func (c *Client) Put(ctx context.Context, id vam.MessageID, d userwire.Draft) (m userwire.Message, err error) {
	return m, c.call(ctx, http.MethodPut, "/m/"+string(id), d, &m)
}

// Message is a message of the account as its author sees it.
func (c *Client) Message(ctx context.Context, id vam.MessageID) (m userwire.Message, err error) {
	return m, c.call(ctx, http.MethodGet, "/m/"+string(id), nil, &m)
}

// Upload stores one part, which stands at an offset of the file.
func (c *Client) Upload(ctx context.Context, id vam.MessageID, sum activmail.Sum, at int64, data []byte) error {
	r := request{method: http.MethodPut, path: "/m/" + string(id) + "/b/" + sum.String() + "?at=" + strconv.FormatInt(at, 10), body: data, header: http.Header{}}
	r.header.Set("Content-Type", "application/octet-stream")
	return c.document(ctx, r, nil)
}

// Missing asks which pieces are still to be uploaded.
func (c *Client) Missing(ctx context.Context, id vam.MessageID, pieces []userwire.Piece) ([]userwire.Piece, error) {
	var missing userwire.Missing
	return missing.Pieces, c.call(ctx, http.MethodPost, "/m/"+string(id)+"/have", userwire.Have{Pieces: pieces}, &missing)
}

// Append extends the log by lines when it has exactly size of them. Conflict
// (log-position) otherwise.
func (c *Client) Append(ctx context.Context, id vam.MessageID, size int64, lines [][]byte) (m userwire.Message, err error) {
	r := request{method: http.MethodPost, path: "/m/" + string(id) + "/log", body: bytes.Join(lines, []byte("\n")), header: http.Header{}}
	r.header.Set("Content-Type", "application/vnd.vam.log")
	r.header.Set("If-Match", strconv.Quote(strconv.FormatInt(size, 10)))
	return m, c.document(ctx, r, &m)
}

// Seal ends the log; sum, unless it is zero, is what the file must hash to.
func (c *Client) Seal(ctx context.Context, id vam.MessageID, sum activmail.Sum) (m userwire.Message, err error) {
	var in userwire.Seal
	if sum != (activmail.Sum{}) {
		in.SHA256 = sum.String()
	}
	return m, c.call(ctx, http.MethodPost, "/m/"+string(id)+"/seal", in, &m)
}

// Send hands the message over to the server, which is responsible for it from then on.
func (c *Client) Send(ctx context.Context, id vam.MessageID) (m userwire.Message, err error) {
	return m, c.call(ctx, http.MethodPost, "/m/"+string(id)+"/send", nil, &m)
}

// Revoke takes a message back.
func (c *Client) Revoke(ctx context.Context, id vam.MessageID) (m userwire.Message, err error) {
	return m, c.call(ctx, http.MethodPost, "/m/"+string(id)+"/revoke", nil, &m)
}

// Discard removes a message that was not sent.
func (c *Client) Discard(ctx context.Context, id vam.MessageID) error {
	return c.call(ctx, http.MethodDelete, "/m/"+string(id), nil, nil)
}

// segment escapes one element of a path.
func segment(s string) string { return url.PathEscape(s) }
