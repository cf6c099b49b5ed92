package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// QUICGet fetches file with one bare quic-go HTTP/3 GET into a sink in dir. The
// windows are quic-go's own; a checked sink hashes and syncs.
func QUICGet(ctx context.Context, t *Track, file File, dir string, checked bool) (Transfer, error) {
	id, err := newIdentity()
	if err != nil {
		return Transfer{}, err
	}
	pc, err := t.ListenPacket(ctx)
	if err != nil {
		return Transfer{}, err
	}
	server := &http3.Server{TLSConfig: id.server(http3.NextProtoH3), Handler: serveFile(file)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(pc) }()
	defer func() {
		_ = server.Close()
		_ = pc.Close()
		<-served
	}()
	near, err := t.ClientPacket(ctx)
	if err != nil {
		return Transfer{}, err
	}
	defer func() { _ = near.Close() }()
	transport := &quic.Transport{Conn: near}
	defer func() { _ = transport.Close() }()

	rt := &http3.Transport{
		TLSClientConfig: id.client(http3.NextProtoH3),
		Dial: func(ctx context.Context, addr string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			at, err := net.ResolveUDPAddr("udp", addr)
			if err != nil {
				return nil, err
			}
			return transport.Dial(ctx, at, tc, qc)
		},
	}
	defer func() { _ = rt.Close() }()
	return fetch(ctx, t, "udp", pc.LocalAddr().String(), rt, file, dir, checked)
}

// H2Get fetches file with one HTTP/2 GET and the windows of Go's defaults.
func H2Get(ctx context.Context, t *Track, file File, dir string, checked bool) (Transfer, error) {
	id, err := newIdentity()
	if err != nil {
		return Transfer{}, err
	}
	l, err := t.Listen(ctx)
	if err != nil {
		return Transfer{}, err
	}
	server := &http.Server{TLSConfig: id.server(), Handler: serveFile(file), ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.ServeTLS(l, "", "") }()
	defer func() {
		_ = server.Close()
		<-served
	}()
	rt := &http.Transport{
		TLSClientConfig:   id.client(),
		ForceAttemptHTTP2: true,
		DialContext:       func(ctx context.Context, _, addr string) (net.Conn, error) { return t.Dial(ctx, addr) },
	}
	defer rt.CloseIdleConnections()
	return fetch(ctx, t, "tcp", l.Addr().String(), rt, file, dir, checked)
}

func serveFile(file File) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file.Path) })
}

// fetch GETs whatever the server at addr has into a sink.
func fetch(ctx context.Context, t *Track, network, addr string, rt http.RoundTripper, file File, dir string, checked bool) (Transfer, error) {
	s, err := newSink(dir, checked)
	if err != nil {
		return Transfer{}, err
	}
	defer s.remove()
	out, err := t.timed(network, addr, file, func(addr string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+addr+"/", nil)
		if err != nil {
			return err
		}
		res, err := rt.RoundTrip(req)
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return errors.Join(fmt.Errorf("the server answered %s", res.Status), res.Body.Close())
		}
		_, err = s.fill(res.Body)
		return errors.Join(err, res.Body.Close())
	})
	if err != nil {
		return Transfer{}, err
	}
	return out, s.check(file)
}
