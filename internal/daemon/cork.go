package daemon

import (
	"net"
	"sync"
	"time"
)

const (
	// corkOctets is how much ciphertext is held back: a step of 64 KiB in HTTP/2 frames and
	// TLS records, and a header.
	corkOctets = 68 << 10
	// corkTime is how long anything is held back that whoever corked does not release: the
	// rest of his step may stand behind the window of an HTTP/2 stream, which the client
	// opens for what it has got.
	corkTime = time.Millisecond
)

// corkBuffers lends buffers of corkOctets. A connection has one only while it is corked.
type corkBuffers struct{ pool sync.Pool }

func (b *corkBuffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, corkOctets)
	return &p
}

func (b *corkBuffers) put(p *[]byte) {
	*p = (*p)[:0]
	b.pool.Put(p)
}

// corkConn is a connection below TLS that can hold back the records that are written to it,
// so that one system call takes several: crypto/tls makes one of each, and a second one of
// the last nine octets of an HTTP/2 frame.
type corkConn struct {
	net.Conn
	buffers  *corkBuffers
	patience time.Duration // corkTime

	mu     sync.Mutex
	corked int     // how many have corked and not uncorked
	buf    *[]byte // nil: nothing is held back
	within time.Duration
	late   *time.Timer
	err    error // of a write of what was held back: the stream of records has a hole
}

// Cork implements web.Corker. Several may cork at a time.
func (c *corkConn) Cork(within time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.within = within
	if c.corked++; c.corked > 1 {
		return
	}
	c.buf = c.buffers.get()
	if c.late == nil {
		c.late = time.AfterFunc(c.patience, c.release)
		return
	}
	c.late.Reset(c.patience)
}

// release ends holding back for those who have corked: what they still have to write stands
// behind what the client waits for.
func (c *corkConn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.releaseLocked() // the next one who writes is told
}

// Uncork implements web.Corker.
func (c *corkConn) Uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.corked--; c.corked > 0 {
		return c.flushLocked()
	}
	c.late.Stop()
	return c.releaseLocked()
}

func (c *corkConn) releaseLocked() error {
	err := c.flushLocked()
	if c.buf != nil {
		c.buffers.put(c.buf)
		c.buf = nil
	}
	return err
}

// flushLocked ends the connection when it fails, so that nobody waits for what is missing.
func (c *corkConn) flushLocked() error {
	if c.err != nil || c.buf == nil || len(*c.buf) == 0 {
		return c.err
	}
	if c.within > 0 {
		_ = c.SetWriteDeadline(time.Now().Add(c.within))
	}
	_, c.err = c.Conn.Write(*c.buf)
	*c.buf = (*c.buf)[:0]
	if c.err != nil {
		_ = c.Conn.Close()
	} else if c.within > 0 {
		_ = c.SetWriteDeadline(time.Time{})
	}
	return c.err
}

// Write implements net.Conn. TLS has one write at a time.
func (c *corkConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.buf == nil && c.err == nil {
		c.mu.Unlock() // whoever corks meanwhile need not wait
		return c.Conn.Write(p)
	}
	defer c.mu.Unlock()
	if c.err != nil {
		return 0, c.err
	}
	if len(*c.buf)+len(p) > cap(*c.buf) {
		if err := c.flushLocked(); err != nil {
			return 0, err
		}
	}
	if len(p) > cap(*c.buf) {
		return c.Conn.Write(p)
	}
	*c.buf = append(*c.buf, p...)
	return len(p), nil
}
