package amclient

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

func (d *Dialer) dialUDP(ctx context.Context, addr netip.AddrPort, config *tls.Config, _ bool, count *wire.Counter) (*link, error) {
	transport, err := d.quicTransport()
	if err != nil {
		return nil, err
	}
	conn, err := transport.Dial(ctx, net.UDPAddrFromAddrPort(addr), config, wire.ClientQUIC(count))
	if errors.Is(err, quic.ErrTransportClosed) {
		d.forget(transport)
	}
	if err != nil {
		return nil, err
	}
	stack := &http3.Transport{
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderOctets,
		Logger:                 slog.New(slog.DiscardHandler),
	}
	cc := stack.NewClientConn(conn)
	return &link{
		RoundTripper: countingTransport{cc, count},
		close:        func() { _ = cc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") },
		broken:       func() bool { return conn.Context().Err() != nil },
	}, nil
}

// quicTransport is the one socket of all HTTP/3 connections, so that a process uses one
// port and one place in the tables of its NAT.
func (d *Dialer) quicTransport() (*quic.Transport, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, net.ErrClosed
	}
	if d.quic == nil {
		socket, err := d.options.ListenUDP()
		if err != nil {
			return nil, err
		}
		d.socket, d.quic = socket, &quic.Transport{Conn: socket}
	}
	return d.quic, nil
}

// forget drops a socket that has failed, so that the next connection makes another.
func (d *Dialer) forget(dead *quic.Transport) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quic == dead {
		_ = d.closeSocketLocked()
	}
}

func (d *Dialer) closeSocketLocked() error {
	if d.quic == nil {
		return nil
	}
	err := errors.Join(d.quic.Close(), d.socket.Close())
	d.quic, d.socket = nil, nil
	return err
}

// countingTransport counts the bodies of HTTP/3, of which the rest is counted below.
type countingTransport struct {
	http.RoundTripper
	count *wire.Counter
}

func (t countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r = r.WithContext(r.Context()) // a round tripper changes no request
		r.Body = t.count.SentReader(r.Body)
	}
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = t.count.Reader(resp.Body)
	}
	return resp, err
}
