package amclient

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"

	"github.com/videoactivmail/vam"
)

// newStoreClient makes the client for stores that a peer redirects to. Anybody can name
// any URL, so: https only, one hop, public addresses only, checked where the connection
// is made, so that DNS cannot change its mind in between, and no credential.
func (d *Dialer) newStoreClient() *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext:            d.dialStore,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.options.Roots},
			TLSHandshakeTimeout:    d.options.HandshakeTimeout,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeaderOctets,
			MaxConnsPerHost:        8,
			MaxIdleConns:           64,
			IdleConnTimeout:        lanesIdle,
		},
	}
}

// dialStore resolves and checks the address of a store, and dials what was checked.
func (d *Dialer) dialStore(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	target, err := netip.ParseAddrPort("0.0.0.0:" + port)
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	if ip, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{ip}
	} else if addrs, err = d.options.Resolve(ctx, host); err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the store %s of the peer cannot be resolved", host)
	}
	if len(addrs) == 0 {
		return nil, vam.Errorf(vam.Unavailable, "the store %s of the peer has no address", host)
	}
	ctx, cancel := context.WithTimeout(ctx, d.options.HandshakeTimeout)
	defer cancel()
	c, err := race(ctx, len(addrs), headStart, func(ctx context.Context, i int) (net.Conn, error) {
		addr := addrs[i].Unmap()
		if err := d.options.Allow(addr); err != nil {
			return nil, err
		}
		return d.options.DialTCP(ctx, netip.AddrPortFrom(addr, target.Port()))
	}, func(late net.Conn) { _ = late.Close() })
	if err != nil {
		return nil, unavailable(err)
	}
	return c, nil
}

// redirected follows the one redirect that a puller may follow (AM-7.8) and ends the
// answer that it came in.
func (c *Client) redirected(ctx context.Context, a *answer, byteRange string) (*http.Response, error) {
	location := a.Header.Get("Location")
	_ = a.Body.Close()
	target, err := storeURL(location)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errClientClosed()) })
	end := func(_ bool, cause error) { stop(); cancel(cause) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		end(false, err)
		return nil, vam.Wrap(vam.Invalid, err, "the peer redirects to a URL that is none")
	}
	if byteRange != "" {
		req.Header.Set("Range", byteRange)
	}
	header := &watch{limit: c.options.Stall + c.dialer.options.HandshakeTimeout, cancel: cancel}
	header.start()
	resp, err := c.dialer.stores.Do(req)
	header.stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		end(false, err)
		return nil, unavailable(err)
	}
	resp.Body = &body{
		ReadCloser: resp.Body, client: c, ctx: ctx, cancel: cancel, end: end, network: store,
		watch: &watch{limit: c.options.Stall, cancel: cancel},
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent, http.StatusRequestedRangeNotSatisfiable:
		return resp, nil
	}
	_ = resp.Body.Close()
	return nil, vam.Errorf(vam.Unavailable, "the store of the peer answered with the status %d", resp.StatusCode)
}

// store is in place of the network of a body that a store sends: nothing is measured.
const store Network = "store"

// storeURL checks a redirect.
func storeURL(location string) (*url.URL, error) {
	u, err := url.Parse(location)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil:
		return nil, vam.Errorf(vam.Invalid, "the peer redirects to something that is no URL of a store")
	case u.Scheme != "https":
		return nil, vam.Errorf(vam.Denied, "the peer redirects to %s:, and only https is followed", u.Scheme).WithProblem("policy")
	case u.Port() != "" && u.Port() != "443" && u.Port() != "1398":
		return nil, vam.Errorf(vam.Denied, "the peer redirects to port %s, and only 443 and 1398 are followed", u.Port()).WithProblem("policy")
	}
	u.Fragment = ""
	return u, nil
}
