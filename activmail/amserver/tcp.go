package amserver

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// The protocol's times for one request. Long bodies extend them piece by piece: see
// progress.
const (
	maxHeaderOctets = 32 << 10
	requestTime     = 75 * time.Second // a body of 1 MiB at 16 KiB/s
	responseTime    = 90 * time.Second // the longest wait and a small answer
)

// ListenConfig makes TCP listeners of which the sockets, and those accepted from them,
// have the congestion control of that name where the kernel offers it. A Server sets it
// on each connection anyway; this does it before the first segment (AM-11.8).
func ListenConfig(congestion string) *net.ListenConfig {
	return &net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		wire.SetCongestion(c, congestion)
		return nil
	}}
}

func (s *Server) newTCPConfig() *tls.Config {
	config := s.options.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	config.NextProtos = []string{"h2"}
	// Records of 1.2 KiB at the start of a connection help a browser's first paint, not
	// a server that waits for the whole answer.
	config.DynamicRecordSizingDisabled = true
	inner := config.Clone()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		refuse := func(reason string, alert wire.Alert) error {
			wire.Refuse(hello.Conn, alert)
			return &helloError{
				reason:   reason,
				versions: append([]uint16{}, hello.SupportedVersions...),
				alpn:     append([]string{}, hello.SupportedProtos...),
			}
		}
		switch {
		case !slices.Contains(hello.SupportedVersions, tls.VersionTLS13):
			return nil, refuse("the client offered no TLS 1.3", wire.AlertProtocolVersion)
		case !slices.Contains(hello.SupportedProtos, "h2"):
			return nil, refuse("the client offered no h2", wire.AlertNoApplicationProtocol)
		}
		return inner, nil
	}
	return config
}

// helloError ends a handshake whose client offers nothing that is spoken here; its
// lists are not nil.
type helloError struct {
	reason   string
	versions []uint16
	alpn     []string
}

func (e *helloError) Error() string { return e.reason }

func (s *Server) newHTTP2() *http.Server {
	hs := &http.Server{
		Handler:           s.wrapHandler(),
		ReadHeaderTimeout: s.limits.Handshake,
		ReadTimeout:       requestTime,
		WriteTimeout:      responseTime,
		IdleTimeout:       s.limits.Idle,
		MaxHeaderBytes:    maxHeaderOctets,
		HTTP2:             wire.ServerHTTP2(),
		Protocols:         new(http.Protocols),
		ConnContext:       tcpContext,
		ErrorLog:          log.New(discard{}, "", 0),
	}
	hs.Protocols.SetUnencryptedHTTP2(true) // TLS ends below: see wire.Conn
	if s.options.Log != nil {
		hs.ErrorLog = slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug)
	}
	return hs
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// ServeTCP accepts connections from ln until Shutdown or Close, and returns
// http.ErrServerClosed after them. It closes ln.
func (s *Server) ServeTCP(ln net.Listener) error {
	if s.options.WrapListener != nil {
		ln = s.options.WrapListener(ln)
	}
	remove, err := s.register(func() { _ = ln.Close() }, nil)
	if err != nil {
		_ = ln.Close()
		return err
	}
	defer remove()
	defer ln.Close()
	for delay := time.Duration(0); ; {
		c, err := ln.Accept()
		switch {
		case err == nil:
			delay = 0
			s.accept(c)
		case s.isClosed():
			return errClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, most likely: connections that end make room
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			select {
			case <-time.After(delay):
			case <-s.ctx.Done():
				return errClosed
			}
		}
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// accept admits a connection and runs its handshake in a goroutine that ends with the
// handshake or the server.
func (s *Server) accept(c net.Conn) {
	remote := remoteAddr(c.RemoteAddr())
	if reason := s.admission.enter(remote.Addr()); reason != "" {
		_ = c.Close()
		s.refused(Refusal{Network: "tcp", Remote: remote, Reason: reason})
		return
	}
	leave := sync.OnceFunc(func() { s.admission.leave(remote.Addr()) })
	s.accepting.Go(func() {
		conn, err := s.handshake(c)
		if err != nil {
			_ = c.Close()
			leave()
			refusal := Refusal{Network: "tcp", Remote: remote, Reason: "the TLS handshake failed", Err: err}
			if hello := (*helloError)(nil); errors.As(err, &hello) {
				refusal.Reason, refusal.Err = hello.reason, nil
				refusal.Versions, refusal.ALPN = hello.versions, hello.alpn
			}
			s.refused(refusal)
			return
		}
		if !s.conns.put(newServedConn(conn, leave, s.limits.Handshake)) {
			_ = conn.Close()
			leave()
		}
	})
}

func (s *Server) handshake(c net.Conn) (*wire.Conn, error) {
	s.sockets.Tune(c, s.options.Congestion)
	ctx, cancel := context.WithTimeout(s.ctx, s.limits.Handshake)
	defer cancel()
	conn := s.tls.Server(c, s.tcpTLS, &s.count)
	if err := conn.Handshake(ctx); err != nil {
		return nil, err
	}
	return conn, nil
}

// servedConn gives its place back when it is closed, and is closed when a header section
// takes too long (AM-11.16).
type servedConn struct {
	*wire.Conn
	leave      func()
	headerTime time.Duration
	// The rest is the reader's.
	frames wire.Frames
	late   *time.Timer // runs while a header section is open: net/http gives it any time
}

func newServedConn(c *wire.Conn, leave func(), headerTime time.Duration) *servedConn {
	served := &servedConn{Conn: c, leave: leave, headerTime: headerTime}
	served.frames.OfServer()
	return served
}

// Read reads plaintext; net/http has one goroutine that does.
func (c *servedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.frames.Feed(p[:n])
	switch open := c.frames.HeaderOpen() && err == nil; {
	case open && c.late == nil:
		c.late = time.AfterFunc(c.headerTime, func() { _ = c.Close() })
	case !open && c.late != nil:
		c.late.Stop()
		c.late = nil
	}
	return n, err
}

func (c *servedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// handoff is the listener through which connections with a finished handshake reach
// net/http.
type handoff struct {
	ready chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newHandoff() *handoff {
	return &handoff{ready: make(chan net.Conn), done: make(chan struct{})}
}

func (h *handoff) put(c net.Conn) bool {
	select {
	case h.ready <- c:
		return true
	case <-h.done:
		return false
	}
}

// Accept waits for the next connection.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.ready:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr is no real address: a server has many.
func (h *handoff) Addr() net.Addr { return &net.TCPAddr{} }
