package wire

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
)

const (
	recordPayload = 16 << 10 // most that one TLS record carries (RFC 8446 section 5.1)
	recordWire    = recordPayload + 5 + 1 + 16
	// held is how much ciphertext one system call writes: sixteen full records.
	held = 16 * recordWire
)

// heldBuffers holds buffers of held octets. A connection has one only while it writes.
type heldBuffers struct{ pool sync.Pool }

func (h *heldBuffers) get() *[]byte {
	if b, ok := h.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, held)
	return &b
}

func (h *heldBuffers) put(b *[]byte) {
	*b = (*b)[:0]
	h.pool.Put(b)
}

// TLS makes TLS connections that share write buffers. The zero value is ready; it must
// not be copied after first use.
//
// crypto/tls writes each record of 16 KiB by a system call of its own. Holding the
// records of one Write back until sixteen are there moves a third more per second over
// a fast path, and gives the kernel segments worth offloading.
type TLS struct{ buffers heldBuffers }

// Client makes the client side of a connection over c.
func (t *TLS) Client(c net.Conn, config *tls.Config, count *Counter) *Conn {
	below := &holdingConn{Conn: c, buffers: &t.buffers}
	return newConn(below, tls.Client(below, config), count)
}

// Server makes the server side of a connection over c.
func (t *TLS) Server(c net.Conn, config *tls.Config, count *Counter) *Conn {
	below := &holdingConn{Conn: c, buffers: &t.buffers}
	return newConn(below, tls.Server(below, config), count)
}

// Conn is a TLS connection that writes its records together and counts what it
// carries. It deliberately has no ConnectionState method, by which net/http would take
// it for something else: HTTP/2 is spoken over it with prior knowledge.
type Conn struct {
	net.Conn // the *tls.Conn
	tls      *tls.Conn
	below    *holdingConn
	count    *Counter
}

func newConn(below *holdingConn, t *tls.Conn, count *Counter) *Conn {
	return &Conn{Conn: t, tls: t, below: below, count: count}
}

// Handshake runs the handshake; ctx bounds it.
func (c *Conn) Handshake(ctx context.Context) error { return c.tls.HandshakeContext(ctx) }

// State is what the handshake agreed on.
func (c *Conn) State() tls.ConnectionState { return c.tls.ConnectionState() }

// Raw is the connection below TLS.
func (c *Conn) Raw() net.Conn { return c.below.Conn }

// Read reads plaintext.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.tls.Read(p)
	c.count.Received(n)
	return n, err
}

// Write writes p as records that go out together, sixteen to a system call.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) <= recordPayload {
		n, err := c.tls.Write(p)
		c.count.Sent(n)
		return n, err
	}
	c.below.hold()
	n, err := c.tls.Write(p)
	if flushErr := c.below.release(); err == nil && flushErr != nil {
		// The peer got some of it at most; the connection is of no more use.
		n, err = 0, flushErr
	}
	c.count.Sent(n)
	return n, err
}

// Close ends the connection. One that is in the middle of a write, which a silent peer
// can hold up for long, is cut without the alert that would have to wait behind it.
func (c *Conn) Close() error {
	if c.below.writing.Load() {
		return c.below.Conn.Close()
	}
	return c.tls.Close()
}

// holdingConn keeps written records in memory between hold and release.
type holdingConn struct {
	net.Conn
	buffers *heldBuffers
	writing atomic.Bool // a write to Conn is under way

	mu      sync.Mutex
	buf     *[]byte // nil: not holding
	refused bool
}

func (c *holdingConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		c.buf = c.buffers.get()
	}
}

func (c *holdingConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		return nil
	}
	err := c.flushLocked()
	c.buffers.put(c.buf)
	c.buf = nil
	return err
}

func (c *holdingConn) flushLocked() error {
	if len(*c.buf) == 0 {
		return nil
	}
	_, err := c.writeLocked(*c.buf)
	*c.buf = (*c.buf)[:0]
	return err
}

func (c *holdingConn) writeLocked(p []byte) (int, error) {
	c.writing.Store(true)
	defer c.writing.Store(false)
	return c.Conn.Write(p)
}

func (c *holdingConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.refused:
		return len(p), nil
	case c.buf == nil:
		return c.writeLocked(p)
	}
	if len(*c.buf)+len(p) > cap(*c.buf) {
		if err := c.flushLocked(); err != nil {
			return 0, err
		}
	}
	if len(p) > cap(*c.buf) {
		return c.writeLocked(p)
	}
	*c.buf = append(*c.buf, p...)
	return len(p), nil
}

// Alert is the description of a fatal TLS alert (RFC 8446 section 6).
type Alert uint8

// Alerts for hellos that offer nothing that is spoken here.
const (
	AlertProtocolVersion       Alert = 70
	AlertNoApplicationProtocol Alert = 120 // RFC 7301 section 3.2
)

// Refuse ends a handshake from within GetConfigForClient with an alert of choice, which
// crypto/tls cannot be told to send there: conn is the Conn of the hello. The alert that
// crypto/tls then sends is dropped.
func Refuse(conn net.Conn, alert Alert) {
	c, ok := conn.(*holdingConn)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.writeLocked([]byte{21, 3, 3, 0, 2, 2, byte(alert)})
	c.refused = true
}
