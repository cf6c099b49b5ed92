package amserver

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// connKey is the context key of a *connState.
type connKey struct{}

// connState is what the server knows of the connection that carries a request.
type connState struct {
	tls  *tls.ConnectionState // nil over UDP, where the request has it
	kill func()

	mu     sync.Mutex
	resets bucket
	open   int         // requests, over UDP
	idle   *time.Timer // over UDP: closes the connection; nil when it is closed
}

func tcpContext(ctx context.Context, c net.Conn) context.Context {
	state := &connState{kill: func() { _ = c.Close() }}
	if served, ok := c.(*servedConn); ok {
		cs := served.State()
		state.tls = &cs
	}
	return context.WithValue(ctx, connKey{}, state)
}

// udpContext also closes connections without requests, which http3 would do only where
// no stream is open: one on which a header never ends is.
func (s *Server) udpContext(ctx context.Context, c *quic.Conn) context.Context {
	state := &connState{kill: func() {
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many abandoned requests")
	}}
	state.idle = time.AfterFunc(s.limits.Idle, func() {
		if state.unused() {
			_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "no requests")
		}
	})
	context.AfterFunc(c.Context(), state.gone)
	return context.WithValue(ctx, connKey{}, state)
}

// begin and end frame a request; idle is how long the connection may be without one.
func (c *connState) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	if c.idle != nil {
		c.idle.Stop()
	}
}

func (c *connState) end(idle time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open--; c.open == 0 && c.idle != nil {
		c.idle.Reset(idle)
	}
}

func (c *connState) unused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open == 0
}

// gone ends the watch of a connection that is closed.
func (c *connState) gone() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.Stop()
	c.idle = nil
}

// wrapHandler puts around the handler what belongs to the connection: the TLS state,
// Alt-Svc, the octet count and times of HTTP/3, the budget of abandoned requests, and
// the end of the server (AM-11.5).
func (s *Server) wrapHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, ok := r.Context().Value(connKey{}).(*connState)
		if !ok {
			panic(http.ErrAbortHandler) // no connection of this server
		}
		if r.ProtoMajor == 3 {
			w = s.prepareUDP(w, r)
		} else {
			r.TLS = state.tls
			if v := s.altSvc.Load(); v != nil {
				w.Header()["Alt-Svc"] = []string{*v}
			}
		}
		if !s.requests.begin() {
			activmail.ProblemFor(errStopping()).WriteTo(w)
			return
		}
		defer s.requests.end()
		state.begin()
		defer state.end(s.limits.Idle)
		defer func() {
			if r.Context().Err() != nil {
				s.abandoned(state)
			}
		}()
		s.options.Handler.ServeHTTP(w, r)
	})
}

func errStopping() error {
	return vam.Errorf(vam.Unavailable, "this server is being stopped").WithProblem("maintenance").WithRetry(10 * time.Second)
}

// prepareUDP gives an HTTP/3 request the times that net/http gives to an HTTP/2 one.
func (s *Server) prepareUDP(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	rc, now := http.NewResponseController(w), time.Now()
	_ = rc.SetReadDeadline(now.Add(requestTime))
	_ = rc.SetWriteDeadline(now.Add(responseTime))
	r.Body = s.count.Reader(r.Body)
	return &countedWriter{w, s.count.Sent}
}

type countedWriter struct {
	http.ResponseWriter
	add func(int)
}

func (w *countedWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.add(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *countedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// abandoned counts a request that its client gave up, and closes the connection of a
// client that does nothing else (CVE-2023-44487). Followers and players cancel a few
// requests when somebody seeks or a recording ends.
func (s *Server) abandoned(state *connState) {
	rate := float64(s.limits.Resets)
	state.mu.Lock()
	ok := state.resets.take(s.options.Now(), rate, 10*rate)
	state.mu.Unlock()
	if !ok && s.ctx.Err() == nil {
		state.kill()
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
