package web

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
)

// Waiter is a connection that says when it takes more octets. WaitWritable returns then,
// at the deadline for writing, and when the connection ends.
type Waiter interface{ WaitWritable() error }

type waiterKey struct{}

// ConnContext is for http.Server: with it, slow readers over HTTP/1.1 whose connection is a
// Waiter below TLS are waited for without a buffer. (Over HTTP/2 the library stands between.)
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if w, ok := c.(Waiter); ok {
		return context.WithValue(ctx, waiterKey{}, w)
	}
	return ctx
}

// waiterOf is the connection of a request, nil where it cannot be waited for.
func waiterOf(r *http.Request) Waiter {
	if r.ProtoMajor != 1 {
		return nil
	}
	w, _ := r.Context().Value(waiterKey{}).(Waiter)
	return w
}
