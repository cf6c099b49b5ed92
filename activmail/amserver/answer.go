package amserver

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

const (
	// piece is how much of a body is read and written at a time. HTTP/2 puts it into one
	// frame where the client allows that, and TLS into few system calls.
	piece = 1 << 20
	// smallPiece is enough for a log, a poster or a part of a live recording.
	smallPiece = 64 << 10
	// AM-10.22: a body that moves less than 16 KiB/s over 60 s is given up.
	minRate   = 16 << 10
	minWindow = 60 * time.Second
)

// writeTime is how long a piece of n octets may take.
func writeTime(n int) time.Duration {
	return max(minWindow, time.Duration(n)*time.Second/minRate)
}

// pieces holds buffers of one piece and of a small one, as pointers so that Put does not
// allocate.
type pieces struct{ large, small sync.Pool }

// get returns a buffer for a body of n octets.
func (p *pieces) get(n int64) *[]byte {
	pool, size := &p.large, piece
	if n <= smallPiece {
		pool, size = &p.small, smallPiece
	}
	if b, ok := pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, size)
	return &b
}

func (p *pieces) put(b *[]byte) {
	if len(*b) == smallPiece {
		p.small.Put(b)
		return
	}
	p.large.Put(b)
}

// sendAt writes n octets of c from offset on. The header must be sent by then; errors
// are cutOff.
func (h *handler) sendAt(out *bodyWriter, c io.ReaderAt, offset, n int64) error {
	buf := h.pieces.get(n)
	defer h.pieces.put(buf)
	// The first pieces are small, so that the first octets of a slow path come soon: a
	// reader has none of a frame before it has all.
	for ramp := int64(smallPiece); n > 0; ramp = min(2*ramp, piece) {
		want := min(n, int64(len(*buf)), ramp)
		got, err := c.ReadAt((*buf)[:want], offset)
		if int64(got) < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &cutOff{err}
		}
		if err := out.write((*buf)[:got]); err != nil {
			return err
		}
		offset, n = offset+want, n-want
	}
	return nil
}

// send writes all of r.
func (h *handler) send(out *bodyWriter, r io.Reader) error {
	buf := h.pieces.get(smallPiece)
	defer h.pieces.put(buf)
	for {
		n, err := io.ReadFull(r, *buf)
		if n > 0 {
			if err := out.write((*buf)[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return &cutOff{err}
		}
	}
}

// bodyWriter writes a body piece by piece, gives each piece its time, and stops at once
// when the message is withdrawn (AM-7.20).
type bodyWriter struct {
	w     http.ResponseWriter
	rc    *http.ResponseController
	done  chan struct{} // ends the watch
	watch sync.WaitGroup

	mu  sync.Mutex // orders the deadlines of pieces and of the end
	cut bool
}

var errWithdrawn = errors.New("the message was withdrawn")

// newBodyWriter writes to w until withdrawn, which may be nil, is closed. The caller
// closes it.
func newBodyWriter(w http.ResponseWriter, withdrawn <-chan struct{}) *bodyWriter {
	b := &bodyWriter{w: w, rc: http.NewResponseController(w), done: make(chan struct{})}
	if withdrawn != nil {
		b.watch.Go(func() {
			select {
			case <-withdrawn:
				b.stop()
			case <-b.done:
			}
		})
	}
	return b
}

// stop ends a write under way, and lets no other begin.
func (b *bodyWriter) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = true
	_ = b.rc.SetWriteDeadline(time.Unix(1, 0))
}

// close ends the watch, and is needed once.
func (b *bodyWriter) close() {
	close(b.done)
	b.watch.Wait()
}

// write writes one piece. Errors are cutOff.
func (b *bodyWriter) write(p []byte) error {
	if err := b.begin(len(p)); err != nil {
		return err
	}
	if _, err := b.w.Write(p); err != nil {
		return &cutOff{err}
	}
	return nil
}

func (b *bodyWriter) begin(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut {
		return &cutOff{errWithdrawn}
	}
	_ = b.rc.SetWriteDeadline(time.Now().Add(writeTime(n)))
	return nil
}

// writeDocument answers with a small document.
func writeDocument(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the peer is gone, and it asks again
	}
}

// byteSequence is the RFC 8941 section 3.3.5 form.
func byteSequence(b []byte) string { return ":" + base64.StdEncoding.EncodeToString(b) + ":" }

func notFound() error {
	return vam.Errorf(vam.NotFound, "there is no such resource here").WithProblem("not-found")
}
