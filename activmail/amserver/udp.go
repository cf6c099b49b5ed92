package amserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// maxHandshakes bounds QUIC handshakes under way on one socket, validated or not.
const maxHandshakes = 4096

// udpServer is HTTP/3 on one socket.
type udpServer struct {
	server    *Server
	socket    net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	http3     *http3.Server
	// unvalidated and handshaking count handshakes under way.
	unvalidated, handshaking atomic.Int64
	closeOnce                func() error
}

// ServeUDP serves HTTP/3 on socket until Shutdown or Close, and returns
// http.ErrServerClosed after them. It closes socket. A *net.UDPConn is sent to and
// received from in batches; other types work one datagram at a time.
func (s *Server) ServeUDP(socket net.PacketConn) error {
	u, err := s.newUDP(socket)
	if err != nil {
		_ = socket.Close()
		return err
	}
	remove, err := s.register(func() { _ = u.listener.Close() }, u)
	if err != nil {
		_ = u.close()
		return err
	}
	defer remove()
	s.announce(socket)
	if s.options.NonQUIC != nil {
		s.accepting.Go(u.readStrangers)
	}
	err = u.http3.ServeListener(u)
	if s.isClosed() {
		return errClosed
	}
	return errors.Join(err, u.close())
}

// newUDP is AM-11.15.
func (s *Server) newUDP(socket net.PacketConn) (*udpServer, error) {
	u := &udpServer{server: s, socket: socket}
	u.transport = &quic.Transport{
		Conn:                socket,
		VerifySourceAddress: func(net.Addr) bool { return u.unvalidated.Load() >= int64(s.limits.Unvalidated) },
		ConnContext:         u.admitHandshake,
	}
	u.setKeys(s.options.ResetKey)
	u.http3 = &http3.Server{
		Handler:        s.wrapHandler(),
		MaxHeaderBytes: maxHeaderOctets,
		ConnContext:    s.udpContext,
		Logger:         s.options.Log,
	}
	if u.http3.Logger == nil {
		u.http3.Logger = quiet()
	}
	config := s.options.TLS.Clone()
	config.MinVersion = tls.VersionTLS13
	quicConfig := wire.ServerQUIC(&s.count)
	quicConfig.HandshakeIdleTimeout = min(quicConfig.HandshakeIdleTimeout, s.limits.Handshake)
	var err error
	u.listener, err = u.transport.Listen(http3.ConfigureTLSConfig(config), quicConfig)
	if err != nil {
		_ = u.transport.Close()
		return nil, err
	}
	u.closeOnce = sync.OnceValue(func() error {
		return errors.Join(u.http3.Close(), u.listener.Close(), u.transport.Close(), socket.Close())
	})
	return u, nil
}

// setKeys derives the keys of stateless resets and address tokens from one secret.
func (u *udpServer) setKeys(secret *[32]byte) {
	if secret == nil {
		secret = new([32]byte)
		_, _ = rand.Read(secret[:]) // never fails (crypto/rand)
	}
	derive := func(label string) [32]byte {
		return sha256.Sum256(append([]byte(label), secret[:]...))
	}
	reset, token := quic.StatelessResetKey(derive("vam stateless reset")), quic.TokenGeneratorKey(derive("vam address token"))
	u.transport.StatelessResetKey, u.transport.TokenGeneratorKey = &reset, &token
}

func (u *udpServer) close() error { return u.closeOnce() }

// announce tells clients on TCP where HTTP/3 is.
func (s *Server) announce(socket net.PacketConn) {
	port := s.options.AltSvcPort
	if port == 0 {
		port = int(remoteAddr(socket.LocalAddr()).Port())
	}
	if port > 0 && s.altSvc.Load() == nil {
		v := fmt.Sprintf(`h3=":%d"; ma=86400`, port)
		s.altSvc.CompareAndSwap(nil, &v)
	}
}

// handshakeKey is the context key of a *handshake.
type handshakeKey struct{}

// handshake is counted from the first packet of a connection until it is done, either
// way. The first call of done gives its place back and returns true.
type handshake struct{ done func() bool }

// admitHandshake counts a new handshake. Limits per address wait until it is done: the
// address of a first packet can be anybody's, who would then be locked out.
func (u *udpServer) admitHandshake(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	if u.handshaking.Add(1) > maxHandshakes {
		u.handshaking.Add(-1)
		return nil, errors.New("too many handshakes under way")
	}
	if !info.AddrVerified {
		u.unvalidated.Add(1)
	}
	var over atomic.Bool
	h := &handshake{done: func() bool {
		if over.Swap(true) {
			return false
		}
		u.handshaking.Add(-1)
		if !info.AddrVerified {
			u.unvalidated.Add(-1)
		}
		return true
	}}
	remote := remoteAddr(info.RemoteAddr)
	context.AfterFunc(ctx, func() {
		if h.done() && !u.server.isClosed() {
			u.server.refused(Refusal{Network: "udp", Remote: remote, Reason: "the QUIC handshake failed", Err: context.Cause(ctx)})
		}
	})
	return context.WithValue(ctx, handshakeKey{}, h), nil
}

// Accept returns the next connection with a finished handshake that is within the
// limits; it is what http3 listens on.
func (u *udpServer) Accept(ctx context.Context) (*quic.Conn, error) {
	for {
		c, err := u.listener.Accept(ctx)
		if err != nil {
			return nil, err
		}
		if h, ok := c.Context().Value(handshakeKey{}).(*handshake); ok {
			h.done()
		}
		remote := remoteAddr(c.RemoteAddr())
		reason := u.server.admission.enter(remote.Addr())
		if reason == "" {
			context.AfterFunc(c.Context(), func() { u.server.admission.leave(remote.Addr()) })
			return c, nil
		}
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), reason)
		u.server.refused(Refusal{Network: "udp", Remote: remote, Reason: reason})
	}
}

// Addr is the address of the socket.
func (u *udpServer) Addr() net.Addr { return u.socket.LocalAddr() }

// Close stops accepting.
func (u *udpServer) Close() error { return u.listener.Close() }

// readStrangers hands over datagrams that are no QUIC.
func (u *udpServer) readStrangers() {
	buf := make([]byte, 2048)
	for {
		n, from, err := u.transport.ReadNonQUICPacket(u.server.ctx, buf)
		if err != nil {
			return
		}
		u.server.options.NonQUIC(buf[:n], remoteAddr(from))
	}
}
