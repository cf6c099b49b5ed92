package stranger

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Options of [Wrap].
type Options struct {
	// First is how long the first octets may take; 0 is 5 seconds. With the answer it
	// stays well below the 10 seconds of AM-11.18.
	First time.Duration
}

// Wrap returns a listener whose connections look at the first octets that are read from
// them: what is no TLS is answered, closed, and reading ends with an [*Error]. Accept
// waits for nobody; the looking happens in the goroutine that reads first, which is the
// one of the TLS handshake. From the first octets of TLS on, reads go straight to the
// connection below, which NetConn returns.
func Wrap(ln net.Listener, o Options) net.Listener {
	if o.First == 0 {
		o.First = 5 * time.Second
	}
	return &listener{Listener: ln, first: o.First}
}

type listener struct {
	net.Listener
	first time.Duration
}

// Accept returns the next connection.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, first: l.first}, nil
}

// conn is a connection on which nothing was read yet, or one of TLS.
type conn struct {
	net.Conn
	first time.Duration
	isTLS atomic.Bool

	reading sync.Mutex // the first Read
	ended   error

	mu       sync.Mutex
	limit    time.Time // zero when the first octets are not waited for
	deadline time.Time // that of the user
}

// NetConn is the connection below, for socket options.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Read reads from a client of TLS; of others it returns an *Error.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 || c.isTLS.Load() {
		return c.Conn.Read(p)
	}
	return c.readFirst(p)
}

func (c *conn) readFirst(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.ended != nil {
		return 0, c.ended
	}
	c.setLimit(time.Now().Add(c.first))
	defer c.setLimit(time.Time{})
	n, err := c.Conn.Read(p)
	kind, certain := FromStream(p[:n])
	if n == 1 && kind == "" && len(p) > 1 && err == nil { // the first half of a sign of TLS
		var more int
		more, err = c.Conn.Read(p[1:])
		n += more
		kind, certain = FromStream(p[:n])
	}
	if n > 0 && kind == "" {
		// crypto/tls judges the rest, and meets an error again if it goes on reading.
		c.isTLS.Store(true)
		return n, nil
	}
	first := append(make([]byte, 0, Peek), p[:min(n, Peek)]...)
	for err == nil && !certain {
		n, err = c.Conn.Read(first[len(first):Peek])
		first = first[:len(first)+n]
		kind, certain = FromStream(first)
	}
	if !certain && c.isOurs(err) {
		return 0, err
	}
	if kind == Silence && !isTimeout(err) {
		kind = HangUp
	}
	c.ended = &Error{Kind: kind, Sample: sample(first)}
	end(c.Conn, kind)
	return 0, c.ended
}

// isOurs reports whether the side of the server ended a read: it closed the connection,
// or its own deadline came before the limit.
func (c *conn) isOurs(err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	own := !c.deadline.IsZero() && c.deadline.Before(c.limit)
	return errors.Is(err, net.ErrClosed) || own && isTimeout(err)
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets the deadline of reads. While the first octets are waited for,
// the earlier of t and their limit counts.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(c.earlier())
}

func (c *conn) setLimit(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = t
	_ = c.Conn.SetReadDeadline(c.earlier()) // fails for a closed connection, as the read does
}

func (c *conn) earlier() time.Time {
	if c.limit.IsZero() || !c.deadline.IsZero() && c.deadline.Before(c.limit) {
		return c.deadline
	}
	return c.limit
}
