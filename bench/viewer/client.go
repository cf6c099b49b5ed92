package viewer

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
)

// Site is a server of pages, as one reaches it on this machine.
type Site struct {
	// Host is its name in URLs and certificates, Addr where it listens.
	Host string
	Addr netip.AddrPort
	// TLS says whom to trust.
	TLS *tls.Config
	// Protocol is H1 or H2.
	Protocol string
}

// The protocols of a Site.
const (
	H1 = "HTTP/1.1"
	H2 = "HTTP/2"
)

// With is the site over another protocol.
func (s Site) With(protocol string) Site {
	s.Protocol = protocol
	return s
}

// config is for one connection: TLS 1.3 and AES-128-GCM where both sides have it, as
// between any two of today's.
func (s Site) config() *tls.Config {
	c := s.TLS.Clone()
	c.MinVersion, c.NextProtos = tls.VersionTLS13, nil
	if c.ServerName == "" {
		c.ServerName = s.Host
	}
	return c
}

// Client is one viewer with one connection that is kept. It is not safe for concurrent
// use. Close it.
type Client struct {
	site Site
	http *http.Transport
	// Cipher is the suite of the connection, "" before the first answer.
	Cipher string
}

// NewClient makes a viewer that has no connection yet.
func (s Site) NewClient() *Client {
	var p http.Protocols
	p.SetHTTP1(s.Protocol == H1)
	p.SetHTTP2(s.Protocol == H2)
	return &Client{site: s, http: &http.Transport{
		TLSClientConfig: s.config(), Protocols: &p, MaxConnsPerHost: 1, DisableCompression: true, ReadBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.Addr.String())
		},
	}}
}

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// open makes one request. An answer that is not 2xx is an error.
func (c *Client) open(ctx context.Context, path, ranges string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(c.site.Host, fmt.Sprint(c.site.Addr.Port()))+path, nil)
	if err != nil {
		return nil, err
	}
	if ranges != "" {
		req.Header.Set("Range", ranges)
	}
	res, err := c.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if c.Cipher == "" && res.TLS != nil {
		c.Cipher = tls.VersionName(res.TLS.Version) + " " + tls.CipherSuiteName(res.TLS.CipherSuite)
	}
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
		_ = res.Body.Close()
		return nil, &Status{Code: res.StatusCode, Text: string(text)}
	}
	return res, nil
}

// Status is an answer other than the one hoped for.
type Status struct {
	Code int
	Text string
}

// Error implements error.
func (s *Status) Error() string { return fmt.Sprintf("%d: %s", s.Code, s.Text) }

// Get reads a whole answer.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	res, err := c.open(ctx, path, "")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return io.ReadAll(res.Body)
}

// Head reads the first n octets of a range that is open to the end, as a player begins,
// and drops the rest with the connection.
func (c *Client) Head(ctx context.Context, path string, n int) ([]byte, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := c.open(ctx, path, "bytes=0-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusPartialContent {
		return nil, fmt.Errorf("%s answers a range with %s", path, res.Status)
	}
	head := make([]byte, n)
	_, err = io.ReadFull(res.Body, head)
	return head, err
}

// Ranges reads size octets of path in steps, one range after the other, into check.
func (c *Client) Ranges(ctx context.Context, path string, size, step int64, check io.Writer) error {
	buf := make([]byte, 256<<10)
	for at := int64(0); at < size; at += step {
		end := min(at+step, size)
		res, err := c.open(ctx, path, fmt.Sprintf("bytes=%d-%d", at, end-1))
		if err != nil {
			return err
		}
		// Hidden so that the buffer is used.
		n, err := io.CopyBuffer(struct{ io.Writer }{check}, struct{ io.Reader }{res.Body}, buf)
		_ = res.Body.Close()
		if err != nil {
			return err
		}
		if n != end-at || res.StatusCode != http.StatusPartialContent {
			return fmt.Errorf("%s: a range of %d octets has %d, %s", path, end-at, n, res.Status)
		}
	}
	return nil
}
