// Package wellknown owns the fetch of policy documents over https: the PolicySource of
// package discovery (AM-2.11).
package wellknown

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
)

// Path of the policy document.
const Path = "/.well-known/vam"

// DefaultTimeout is how long the fetch may take, both places together; the first gets
// half of it.
const DefaultTimeout = 60 * time.Second

// Options of a Fetcher. Resolver is required.
type Options struct {
	Resolver discovery.Resolver
	// Guard decides about addresses; the zero Guard wants public ones.
	Guard discovery.Guard
	// Roots are the trusted authorities; nil is the system's.
	Roots *x509.CertPool
	// Port is 443 when 0; tests have another.
	Port uint16
	// Timeout of a fetch; 0 is DefaultTimeout.
	Timeout time.Duration
}

// Fetcher fetches policy documents. Safe for concurrent use; it keeps no connection.
type Fetcher struct {
	o Options
}

var _ discovery.PolicySource = (*Fetcher)(nil)

// New returns a Fetcher.
func New(o Options) *Fetcher {
	if o.Port == 0 {
		o.Port = 443
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	return &Fetcher{o}
}

// FetchPolicy reads https://{domain}/.well-known/vam, or that of vam.{domain} when the
// first is not there. Redirects are not followed. Errors: NotFound when both places
// say that they have none, Invalid and TooLarge for what is no policy, Unavailable.
func (f *Fetcher) FetchPolicy(ctx context.Context, domain vam.Domain) (activmail.Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, f.o.Timeout)
	defer cancel()
	kind := vam.NotFound
	var errs []error
	for i, host := range []string{string(domain), "vam." + string(domain)} {
		p, err := f.within(ctx, f.o.Timeout/time.Duration(2-i), host)
		if err == nil {
			return p, nil
		}
		switch vam.KindOf(err) {
		case vam.NotFound:
		case vam.Internal, vam.Unavailable, vam.Denied: // the network's, or the guard's
			kind = vam.Unavailable
		default:
			return activmail.Policy{}, err
		}
		errs = append(errs, fmt.Errorf("%s: %w", host, err))
	}
	return activmail.Policy{}, vam.Wrap(kind, errors.Join(errs...), "no policy document of %s can be had", domain)
}

// within leaves time for the second place when the first one is silent.
func (f *Fetcher) within(ctx context.Context, limit time.Duration, host string) (activmail.Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return f.fetch(ctx, host)
}

func (f *Fetcher) fetch(ctx context.Context, host string) (activmail.Policy, error) {
	res, err := f.get(ctx, host)
	if err != nil {
		return activmail.Policy{}, err
	}
	defer res.Body.Close()
	switch t, _, err := mime.ParseMediaType(res.Header.Get("Content-Type")); {
	case res.StatusCode == http.StatusNotFound:
		return activmail.Policy{}, vam.Errorf(vam.NotFound, "%s has no policy document", host)
	case res.StatusCode != http.StatusOK:
		return activmail.Policy{}, vam.Errorf(vam.Invalid, "%s answers %d for its policy document", host, res.StatusCode)
	case err != nil || t != "application/json":
		return activmail.Policy{}, vam.Errorf(vam.Invalid, "%s answers with something else than application/json for its policy document", host)
	}
	limits := activmail.DefaultLimits()
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(limits.Document)+1))
	if err != nil {
		return activmail.Policy{}, err
	}
	return activmail.ParsePolicy(body, limits)
}

func (f *Fetcher) get(ctx context.Context, host string) (*http.Response, error) {
	authority := host
	if f.o.Port != 443 {
		authority = net.JoinHostPort(host, strconv.Itoa(int(f.o.Port)))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+authority+Path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	// A transport and not an http.Client, which would follow redirects. It keeps no
	// connection, so there is nothing to close.
	return f.transport(host).RoundTrip(req)
}

// transport reaches host alone, at the addresses that passed the guard.
func (f *Fetcher) transport(host string) *http.Transport {
	const handshake = 20 * time.Second
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return f.dial(ctx, host) },
		TLSClientConfig:        &tls.Config{RootCAs: f.o.Roots, ServerName: host, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    handshake,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

func (f *Fetcher) dial(ctx context.Context, host string) (net.Conn, error) {
	found, err := f.o.Resolver.LookupAddrs(ctx, host)
	if err != nil {
		return nil, err
	}
	const most = 16
	allowed, refused := f.o.Guard.Filter(found.Records[:min(len(found.Records), most)])
	if len(allowed) == 0 {
		return nil, refused
	}
	dialer := &net.Dialer{Control: f.o.Guard.Control}
	return discovery.Race(ctx, allowed, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(a, f.o.Port).String())
	}, func(c net.Conn) { _ = c.Close() })
}
