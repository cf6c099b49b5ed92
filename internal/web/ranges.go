package web

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// maxRanges is how many ranges of one request are served; a request for more gets the
// whole (RFC 9110 section 14.2).
const maxRanges = 32

// boundRange drops a Range that need not be served: in a unit that is not known here, or
// of too many parts. The request itself stays as it is.
func boundRange(r *http.Request) *http.Request {
	header := r.Header.Get("Range")
	const unit = "bytes="
	if header == "" || len(header) >= len(unit) && strings.EqualFold(header[:len(unit)], unit) && strings.Count(header, ",") < maxRanges {
		return r
	}
	out := r.Clone(r.Context())
	out.Header.Del("Range")
	return out
}

// content is a body of a known length.
type content struct {
	io.ReadSeeker
	etag     string // with its quotes
	modified time.Time
	// alive, if not nil, is asked now and then while the body is sent; an error ends it.
	alive func() error
	// sent, if not nil, is told of octets of the body that went out.
	sent func(int64)
}

// serve answers GET and HEAD with all that RFC 9110 has for ranges and conditions.
func (c content) serve(w http.ResponseWriter, r *http.Request, copies *copyBuffers) {
	w.Header().Set("ETag", c.etag)
	w.Header().Set("Accept-Ranges", "bytes")
	out := &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), copies: copies, alive: c.alive, sent: c.sent}
	http.ServeContent(out, boundRange(r), "", c.modified, c)
}

const (
	// copySize is small because a slow reader holds one for as long as it reads, and large
	// enough for two TLS records.
	copySize = 32 << 10
	// stallTime is how long a reader may take none of a copySize. A player that is paused
	// asks again for what it then needs.
	stallTime = time.Minute
	// deadlineStep is how often the deadline is moved; it costs a message in HTTP/2.
	deadlineStep = 5 * time.Second
)

// copyBuffers lends buffers of copySize.
type copyBuffers struct{ pool sync.Pool }

func (b *copyBuffers) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, copySize)
	return &p
}

func (b *copyBuffers) put(p *[]byte) { b.pool.Put(p) }

// pacedWriter copies a body in small steps, each of which has its time.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	copies  *copyBuffers
	alive   func() error
	sent    func(int64)
	until   time.Time // the deadline that is set
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// ReadFrom implements io.ReaderFrom, which http.ServeContent uses.
func (w *pacedWriter) ReadFrom(src io.Reader) (total int64, err error) {
	buf := w.copies.get()
	defer w.copies.put(buf)
	for {
		n, err := src.Read(*buf)
		if n > 0 {
			if err := w.write((*buf)[:n]); err != nil {
				return total, err
			}
			total += int64(n)
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if n < len(*buf) { // the source may wait now
			_ = w.control.Flush()
		}
	}
}

func (w *pacedWriter) write(p []byte) error {
	if w.alive != nil {
		if err := w.alive(); err != nil {
			return err
		}
	}
	if now := time.Now(); w.until.Sub(now) < stallTime {
		w.until = now.Add(stallTime + deadlineStep)
		_ = w.control.SetWriteDeadline(w.until) // without one the server's own applies
	}
	n, err := w.Write(p)
	if w.sent != nil && n > 0 {
		w.sent(int64(n))
	}
	return err
}

// writeWhole answers with a small body.
func writeWhole(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a reader that is gone needs no answer
	}
}
