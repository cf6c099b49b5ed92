package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Waiter is a connection that says when it takes more octets. WaitWritable returns then,
// at the deadline for writing, and when the connection ends.
type Waiter interface{ WaitWritable() error }

// Corker is a connection that holds back what is written to it, for a moment, so that it
// writes several records of TLS at a time.
type Corker interface {
	// Cork begins it. What is then written has that time to go out, and ends the connection
	// when it does not; 0 leaves it to the deadline for writing.
	Cork(within time.Duration)
	// Uncork ends it, and writes what is held back. Each Cork has one.
	Uncork() error
}

const (
	// slowStep is how long it takes a slow reader to take a step: 800 kB in a second and less.
	slowStep = 20 * time.Millisecond
	// quickAfter is how much a reader takes without such a step before he keeps up: more than
	// one burst of what the kernel has let go.
	quickAfter = 512 << 10
)

// connPace is how a connection takes what it is sent, all of its requests together. Most
// viewers take much less than a server can send, so that everybody is slow at first. It is
// safe for concurrent use.
type connPace struct {
	waiter Waiter       // nil where the connection does not say when it takes more
	corker Corker       // nil where the connection writes whatever it gets at once
	quick  atomic.Int64 // octets since the last slow step, up to quickAfter and a step
}

func (p *connPace) keepsUp() bool { return p.quick.Load() >= quickAfter }

// step notes that the connection took n octets in that time.
func (p *connPace) step(n int, took time.Duration) {
	switch {
	case took > slowStep:
		p.quick.Store(0)
	case !p.keepsUp():
		p.quick.Add(int64(n))
	}
}

type paceKey struct{}

// ConnContext is for http.Server: with it the pace of a reader is known from one request to
// the next. A slow one over HTTP/1.1 whose connection is a Waiter below TLS is waited for
// without a buffer, and a quick one whose connection is a Corker costs fewer system calls.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	p := new(connPace)
	p.waiter, _ = c.(Waiter)
	p.corker, _ = c.(Corker)
	return context.WithValue(ctx, paceKey{}, p)
}

// paceOf is that of the connection of a request; one of its own where that is not known.
func paceOf(r *http.Request) *connPace {
	if p, ok := r.Context().Value(paceKey{}).(*connPace); ok {
		return p
	}
	return new(connPace)
}
