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
	// AM-10.22: a body that moves less than 16 KiB/s over 60 s is given up.
	minRate   = 16 << 10
	minWindow = 60 * time.Second
)

// writeTime is how long a piece of n octets may take.
func writeTime(n int) time.Duration {
	return max(minWindow, time.Duration(n)*time.Second/minRate)
}

// pieces holds buffers of one piece, as pointers so that Put does not allocate.
type pieces struct{ pool sync.Pool }

func (p *pieces) get() *[]byte {
	if b, ok := p.pool.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, piece)
	return &b
}

// sendAt writes n octets of c from offset on. The header must be sent by then; errors
// are cutOff.
func (h *handler) sendAt(w http.ResponseWriter, c io.ReaderAt, offset, n int64) error {
	buf := h.pieces.get()
	defer h.pieces.pool.Put(buf)
	rc := http.NewResponseController(w)
	for n > 0 {
		want := min(n, piece)
		got, err := c.ReadAt((*buf)[:want], offset)
		if int64(got) < want {
			if err == nil || errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return &cutOff{err}
		}
		if err := writePiece(w, rc, (*buf)[:got]); err != nil {
			return err
		}
		offset, n = offset+want, n-want
	}
	return nil
}

// send writes all of r.
func (h *handler) send(w http.ResponseWriter, r io.Reader) error {
	buf := h.pieces.get()
	defer h.pieces.pool.Put(buf)
	rc := http.NewResponseController(w)
	for {
		n, err := io.ReadFull(r, *buf)
		if n > 0 {
			if err := writePiece(w, rc, (*buf)[:n]); err != nil {
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

func writePiece(w http.ResponseWriter, rc *http.ResponseController, p []byte) error {
	_ = rc.SetWriteDeadline(time.Now().Add(writeTime(len(p))))
	if _, err := w.Write(p); err != nil {
		return &cutOff{err}
	}
	return nil
}

// cutWhen ends the writes of a response when the message is withdrawn. The returned
// function ends the watch.
func cutWhen(w http.ResponseWriter, withdrawn <-chan struct{}) (stop func()) {
	if withdrawn == nil {
		return func() {}
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-withdrawn:
			_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		case <-done:
		}
	}()
	return func() { close(done); <-ended }
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
