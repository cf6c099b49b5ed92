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
)

// connKey is the context key of a *connState.
type connKey struct{}

// connState is what the server knows of the connection that carries a request.
type connState struct {
	tls  *tls.ConnectionState // nil over UDP, where the request has it
	kill func()

	mu     sync.Mutex
	resets bucket
}

func tcpContext(ctx context.Context, c net.Conn) context.Context {
	state := &connState{kill: func() { _ = c.Close() }}
	if served, ok := c.(*servedConn); ok {
		cs := served.State()
		state.tls = &cs
	}
	return context.WithValue(ctx, connKey{}, state)
}

func udpContext(ctx context.Context, c *quic.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &connState{kill: func() {
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "too many abandoned requests")
	}})
}

// wrapHandler puts around the handler what belongs to the connection: the TLS state,
// Alt-Svc, the octet count and times of HTTP/3, and the budget of abandoned requests.
func (s *Server) wrapHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state, _ := r.Context().Value(connKey{}).(*connState)
		if r.ProtoMajor == 3 {
			w = s.prepareUDP(w, r)
		} else {
			if state != nil {
				r.TLS = state.tls
			}
			if v := s.altSvc.Load(); v != nil {
				w.Header()["Alt-Svc"] = []string{*v}
			}
		}
		defer func() {
			if state != nil && r.Context().Err() != nil {
				s.abandoned(state)
			}
		}()
		s.options.Handler.ServeHTTP(w, r)
	})
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
