package wire

import (
	"io"
	"sync/atomic"
)

// Counter counts octets of HTTP connections before TLS or QUIC framing. Its zero value
// is ready, and it is safe for concurrent use. A nil Counter counts nothing.
//
// Over TCP that is every octet of the HTTP/2 connections: preface, settings, headers,
// data, window updates. Over QUIC it is every HTTP/3 frame with its frame header as it
// is created or parsed, settings included, and DATA payload as the application reads
// or writes it; the two octets that name each of the control streams are not counted.
type Counter struct{ sent, received atomic.Int64 }

// Sent adds n octets that were written.
func (c *Counter) Sent(n int) {
	if c != nil && n > 0 {
		c.sent.Add(int64(n))
	}
}

// Received adds n octets that were read.
func (c *Counter) Received(n int) {
	if c != nil && n > 0 {
		c.received.Add(int64(n))
	}
}

// Totals returns what was counted so far.
func (c *Counter) Totals() (sent, received int64) {
	return c.sent.Load(), c.received.Load()
}

// Reader counts what is read from R as received; Writer-side bodies use SentReader.
func (c *Counter) Reader(r io.ReadCloser) io.ReadCloser { return &countedReader{r, c.Received} }

// SentReader counts what is read from r as sent: it wraps the body of a request that
// this end makes.
func (c *Counter) SentReader(r io.ReadCloser) io.ReadCloser { return &countedReader{r, c.Sent} }

type countedReader struct {
	io.ReadCloser
	add func(int)
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.add(n)
	return n, err
}
