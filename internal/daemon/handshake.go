package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// shakenListener hands out TLS connections whose handshake is over, well or badly: a
// second one returns at once what the first did. A handshake needs much of a stack. In a
// goroutine of its own it leaves the one that serves the connection as small as that is
// for the rest of it.
type shakenListener struct {
	net.Listener
	config *tls.Config
	within time.Duration

	ready  chan accepted
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

// newShakenListener accepts from ln until Close; a handshake may take that long.
func newShakenListener(ln net.Listener, config *tls.Config, within time.Duration) *shakenListener {
	l := &shakenListener{Listener: ln, config: config, within: within, ready: make(chan accepted)}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.work.Go(l.accept)
	return l
}

func (l *shakenListener) accept() {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			if !l.hand(accepted{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // whoever takes it waits before the next
		}
		l.work.Go(func() { l.shake(tls.Server(raw, l.config)) })
	}
}

func (l *shakenListener) shake(conn *tls.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, l.within)
	defer cancel()
	_ = conn.HandshakeContext(ctx) // net/http is told, and answers those who speak HTTP without TLS
	if !l.hand(accepted{conn: conn}) {
		_ = conn.Close()
	}
}

func (l *shakenListener) hand(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// Accept implements net.Listener.
func (l *shakenListener) Accept() (net.Conn, error) {
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close ends what is accepted and not handed out, and returns when it has ended.
func (l *shakenListener) Close() error {
	l.cancel()
	err := l.Listener.Close()
	l.work.Wait()
	return err
}
