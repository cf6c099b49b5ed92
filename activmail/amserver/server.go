package amserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// Options say what a [Server] serves and how.
type Options struct {
	// Handler answers over both transports; required. It sees Request.TLS, and the
	// remote address in Request.RemoteAddr.
	Handler http.Handler
	// TLS has Certificates or GetCertificate; required. Its versions and ALPN are set by
	// the server: TLS 1.3 and h2 over TCP, h3 over UDP. A client that offers no ALPN is
	// refused, so there is no HTTP/1.1 parser behind the port and nothing to smuggle.
	TLS *tls.Config
	// Congestion is the congestion control of TCP sockets where the kernel offers it;
	// "" is bbr, "kernel" leaves the kernel's choice.
	Congestion string
	// WrapListener, if not nil, sees each TCP listener before TLS, so that it can look
	// at the first octets of strangers.
	WrapListener func(net.Listener) net.Listener
	// NonQUIC, if not nil, is given datagrams that are no QUIC (first two bits zero). It
	// must not keep payload, nor block.
	NonQUIC func(payload []byte, from netip.AddrPort)
	// Refused, if not nil, is told of connections that ended before their first
	// request. It must not block.
	Refused func(Refusal)
	// ResetKey makes stateless resets recognisable after a restart (RFC 9000 section
	// 10.3), so that peers notice it at once: a secret of 32 octets that stays the same.
	// nil is one for this process.
	ResetKey *[32]byte
	// AltSvcPort is the UDP port announced to clients on TCP; 0 is that of the first UDP
	// socket, -1 announces nothing.
	AltSvcPort int
	Limits     ConnLimits
	// Log gets the complaints of the HTTP stacks at debug level; nil drops them.
	Log *slog.Logger
	// Now is the clock of the connection limits; nil is time.Now.
	Now func() time.Time
}

// Refusal is a connection that ended before its first request.
type Refusal struct {
	Network string // "tcp" or "udp"
	Remote  netip.AddrPort
	// Reason is a sentence for the log. Err is the error of a handshake that failed, and
	// nil for a limit that was met or a hello without TLS 1.3 or h2.
	Reason string
	Err    error
	// Versions and ALPN are what a hello over TCP offered that was refused for it; nil
	// where they are not known, and empty where it named none.
	Versions []uint16
	ALPN     []string
}

// Stats are figures of a running server.
type Stats struct {
	Connections int // open now, TCP and UDP
	// Sent and Received are octets of HTTP before TLS or QUIC framing.
	Sent, Received int64
	// Congestion is the congestion control that the last TCP connection really had; ""
	// before the first or where the system does not tell.
	Congestion string
}

// Server serves one handler on any number of TCP listeners and UDP sockets. It is safe
// for concurrent use.
type Server struct {
	options   Options
	limits    ConnLimits
	admission *admission
	count     wire.Counter
	tls       wire.TLS
	tcpTLS    *tls.Config
	http2     *http.Server
	conns     *handoff
	requests  *requests
	sockets   wire.Congestion
	altSvc    atomic.Pointer[string]

	ctx    context.Context // ends with Close, or with Shutdown when it is done
	cancel context.CancelFunc
	// accepting owns the goroutines of accept loops, handshakes and sockets.
	accepting sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	started  bool
	closers  map[int]func() // listeners, closed first
	nextID   int
	datagram []*udpServer
	serveErr chan struct{} // closed when http2.Serve has returned
}

// New checks the options and makes a Server. Errors: Invalid.
func New(options Options) (*Server, error) {
	if options.Handler == nil || options.TLS == nil {
		return nil, vam.Errorf(vam.Invalid, "a server needs a handler and a TLS configuration")
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Congestion == "" {
		options.Congestion = "bbr"
	}
	s := &Server{
		options:  options,
		limits:   options.Limits.withDefaults(),
		closers:  make(map[int]func()),
		serveErr: make(chan struct{}),
	}
	s.admission = newAdmission(s.limits, options.Now)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tcpTLS = s.newTCPConfig()
	s.http2 = s.newHTTP2()
	s.conns = newHandoff()
	s.requests = newRequests()
	return s, nil
}

// Stats returns the present figures.
func (s *Server) Stats() Stats {
	sent, received := s.count.Totals()
	return Stats{Connections: s.admission.open(), Sent: sent, Received: received, Congestion: s.sockets.InUse()}
}

// errClosed is what the Serve methods return after Shutdown or Close.
var errClosed = http.ErrServerClosed

// register keeps stop until the returned function runs, and starts HTTP/2 with the
// first listener. A socket, nil for TCP, is kept until the end. It fails when the server
// is closed.
func (s *Server) register(stop func(), socket *udpServer) (remove func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if !s.started {
		s.started = true
		go func() {
			defer close(s.serveErr)
			_ = s.http2.Serve(s.conns) // returns when Shutdown or Close is called
		}()
	}
	if socket != nil {
		s.datagram = append(s.datagram, socket)
	}
	id := s.nextID
	s.nextID++
	s.closers[id] = stop
	s.accepting.Add(1)
	return func() {
		s.mu.Lock()
		delete(s.closers, id)
		s.mu.Unlock()
		s.accepting.Done()
	}, nil
}

// Shutdown stops accepting, lets running requests end, answers new ones 503 and closes
// idle connections; when ctx ends first, it closes the rest and returns ctx's error.
// Listeners and sockets that were given to the server are closed (AM-11.17).
func (s *Server) Shutdown(ctx context.Context) error {
	sockets, started := s.stopAccepting()
	errs := make(chan error, len(sockets)+1)
	for _, u := range sockets {
		go func() { errs <- u.http3.Shutdown(ctx) }()
	}
	if started {
		errs <- s.http2.Shutdown(ctx)
	} else {
		errs <- nil
	}
	var err error
	for range len(sockets) + 1 {
		err = errors.Join(err, <-errs)
	}
	return errors.Join(err, s.Close())
}

// Close ends everything at once, and returns when no handler is running any more: a
// handler must end when the context of its request does.
func (s *Server) Close() error {
	sockets, started := s.stopAccepting()
	s.cancel()
	var err error
	if started {
		err = s.http2.Close()
		<-s.serveErr
	}
	for _, u := range sockets {
		err = errors.Join(err, u.close())
	}
	s.accepting.Wait()
	s.requests.wait()
	return err
}

func (s *Server) stopAccepting() (sockets []*udpServer, started bool) {
	s.mu.Lock()
	s.closed = true
	stops := make([]func(), 0, len(s.closers))
	for _, stop := range s.closers {
		stops = append(stops, stop)
	}
	sockets, started = s.datagram, s.started
	s.mu.Unlock()
	s.requests.stop()
	for _, stop := range stops {
		stop()
	}
	return sockets, started
}

func (s *Server) refused(r Refusal) {
	if s.options.Refused != nil {
		s.options.Refused(r)
	}
}

// remoteAddr reads the address of a peer; the zero value where it has none.
func remoteAddr(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case nil:
		return netip.AddrPort{}
	}
	p, _ := netip.ParseAddrPort(a.String())
	return unmap(p)
}

func unmap(p netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
