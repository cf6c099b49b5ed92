package amclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// DialerOptions say how a process reaches its peers. The zero value is right for a
// server on the Internet.
type DialerOptions struct {
	// Allow judges every address before it is dialled, over either network; nil is
	// PublicUnicast.
	Allow func(netip.Addr) error
	// Roots verify endpoints without Verify, and stores that a peer redirects to; nil is
	// the system's.
	Roots *x509.CertPool
	// Congestion is the congestion control of TCP sockets where the kernel offers it;
	// "" is bbr, "kernel" leaves the kernel's choice. It acts on what this end sends.
	Congestion string
	// DialTCP, if not nil, connects in place of net.Dialer: tests put links between.
	DialTCP func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)
	// ListenUDP, if not nil, makes the socket of all HTTP/3 connections; it is called
	// once, at the first of them. nil is an unbound socket of both families.
	ListenUDP func() (net.PacketConn, error)
	// Resolve finds the addresses of a store that a peer redirects to; nil is the
	// system's resolver. Peers themselves come with addresses.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	// HandshakeTimeout bounds connecting and the TLS handshake; 0 is 10 s.
	HandshakeTimeout time.Duration
}

// headStart is what an address has over the next one (RFC 8305 section 8).
const headStart = 250 * time.Millisecond

// maxHeaderOctets bounds the header section of an answer (AM-10.15).
const maxHeaderOctets = 16 << 10

// Dialer makes the connections of a process. It is safe for concurrent use.
type Dialer struct {
	options DialerOptions
	tls     wire.TLS
	control *http.Transport // HTTP/2 for requests
	bulk    *http.Transport // HTTP/2 for media
	stores  *http.Client
	sockets wire.Congestion

	mu     sync.Mutex
	quic   *quic.Transport
	socket net.PacketConn
	closed bool
}

// NewDialer makes a Dialer; it opens nothing yet.
func NewDialer(options DialerOptions) *Dialer {
	if options.Allow == nil {
		options.Allow = PublicUnicast
	}
	if options.Congestion == "" {
		options.Congestion = "bbr"
	}
	if options.HandshakeTimeout == 0 {
		options.HandshakeTimeout = 10 * time.Second
	}
	if options.DialTCP == nil {
		dialer := &net.Dialer{}
		options.DialTCP = func(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr.String())
		}
	}
	if options.ListenUDP == nil {
		options.ListenUDP = func() (net.PacketConn, error) { return net.ListenUDP("udp", nil) }
	}
	if options.Resolve == nil {
		options.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	d := &Dialer{options: options, control: newHTTP2(false), bulk: newHTTP2(true)}
	d.stores = d.newStoreClient()
	return d
}

// establishedKey is the context key of the connection that an HTTP/2 stack is put on.
type establishedKey struct{}

// newHTTP2 makes the stack that is put on established TLS connections, and so speaks
// HTTP/2 with prior knowledge: see wire.Conn.
func newHTTP2(bulk bool) *http.Transport {
	t := &http.Transport{
		HTTP2:                  wire.ClientHTTP2(bulk),
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHeaderOctets,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if c, ok := ctx.Value(establishedKey{}).(net.Conn); ok {
				return c, nil
			}
			return nil, errors.New("no connection was made for this request")
		},
	}
	t.Protocols.SetUnencryptedHTTP2(true)
	return t
}

// Congestion is the congestion control that the last TCP connection really had; ""
// before the first or where the system does not tell.
func (d *Dialer) Congestion() string {
	return d.sockets.InUse()
}

// Close closes the shared UDP socket, and with it every HTTP/3 connection.
func (d *Dialer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	d.stores.CloseIdleConnections()
	return d.closeSocketLocked()
}

// link is one HTTP connection to an endpoint.
type link struct {
	network   Network
	authority string
	http.RoundTripper
	close  func()
	broken func() bool // it can take no new request
	proved atomic.Bool // it has carried an answer
	// received is how many octets of bodies have come, of frames that are not complete
	// too; nil where a body has them at once.
	received func() int64
	// Guarded by the mutex of the lanes that it belongs to.
	users   int  // requests under way
	retired bool // takes no new request, and is closed when unused
}

// dial connects to the first address of e that answers.
func (d *Dialer) dial(ctx context.Context, e Endpoint, bulk bool, sessions tls.ClientSessionCache, count *wire.Counter) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, d.options.HandshakeTimeout)
	defer cancel()
	one := d.dialTCP
	if e.Network == UDP {
		one = d.dialUDP
	}
	config := d.tlsConfig(e, sessions)
	return race(ctx, len(e.Addrs), headStart, func(ctx context.Context, i int) (*link, error) {
		if err := d.options.Allow(e.Addrs[i].Addr()); err != nil {
			return nil, err
		}
		l, err := one(ctx, e.Addrs[i], config, bulk, count)
		if err != nil {
			return nil, dialError(err, e, e.Addrs[i])
		}
		l.network, l.authority = e.Network, e.authority()
		return l, nil
	}, func(late *link) { late.close() })
}

// dialError says why there is no connection. A certificate that does not hold may be
// renewed, so it is no failure for good either.
func dialError(err error, e Endpoint, addr netip.AddrPort) error {
	var own *vam.Error
	switch {
	case errors.As(err, &own) && own.Kind != vam.Internal: // of Verify
		e := *own
		e.Cause = err
		return &e
	case errors.As(err, new(*tls.CertificateVerificationError)):
		return vam.Wrap(vam.Unavailable, err, "what answers at %v over %s has no valid certificate of %s", addr, e.Network, e.ServerName)
	}
	return vam.Wrap(vam.Unavailable, err, "%s does not answer at %v over %s", e.ServerName, addr, e.Network)
}

func (d *Dialer) tlsConfig(e Endpoint, sessions tls.ClientSessionCache) *tls.Config {
	config := &tls.Config{
		MinVersion:                  tls.VersionTLS13,
		ServerName:                  e.ServerName,
		RootCAs:                     d.options.Roots,
		NextProtos:                  []string{"h2"},
		ClientSessionCache:          sessions,
		DynamicRecordSizingDisabled: true,
	}
	if e.Network == UDP {
		config.NextProtos = []string{http3.NextProtoH3}
	}
	if e.Verify != nil {
		config.InsecureSkipVerify = true // Verify judges instead, resumed sessions too
		config.VerifyConnection = e.Verify
	}
	return config
}

func (d *Dialer) dialTCP(ctx context.Context, addr netip.AddrPort, config *tls.Config, bulk bool, count *wire.Counter) (*link, error) {
	raw, err := d.options.DialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	d.sockets.Tune(raw, d.options.Congestion)
	conn := &framedConn{Conn: d.tls.Client(raw, config, count)}
	if err := conn.Handshake(ctx); err != nil {
		_ = raw.Close()
		return nil, err
	}
	if p := conn.State().NegotiatedProtocol; p != "h2" {
		_ = conn.Close()
		return nil, errors.New("the server does not speak h2")
	}
	stack := d.control
	if bulk {
		stack = d.bulk
	}
	cc, err := stack.NewClientConn(context.WithValue(ctx, establishedKey{}, net.Conn(conn)), "http", addr.String())
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &link{
		RoundTripper: cc,
		close:        func() { _ = cc.Close() },
		broken:       func() bool { return cc.Err() != nil },
		received:     conn.frames.Data,
	}, nil
}

// framedConn sees what is received before net/http hands it over, frame by frame.
type framedConn struct {
	*wire.Conn
	frames wire.Frames
}

// Read reads plaintext; net/http has one goroutine that does.
func (c *framedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.frames.Feed(p[:n])
	return n, err
}
