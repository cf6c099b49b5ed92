package web

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxRanges is how many ranges of one request are served; a request for more gets the
// whole (RFC 9110 section 14.2).
const maxRanges = 32

// plainRange is the request with its Range in the one form that http.ServeContent reads as
// it is meant (RFC 9110 section 14.1.2), for a body of size octets: it takes the unit in
// one case of letters only, answers an empty suffix with a part of no octets, and leaves
// the length out of its answer to a range that it cannot read.
func plainRange(r *http.Request, size int64) *http.Request {
	header := r.Header.Get("Range")
	if header == "" {
		return r
	}
	plain := readRange(header, size)
	if plain == header {
		return r
	}
	out := r.Clone(r.Context())
	if plain == "" {
		out.Header.Del("Range")
	} else {
		out.Header.Set("Range", plain)
	}
	return out
}

// readRange returns a Range that asks for the same in plain form: "" for the whole, one
// behind the end for what cannot be met or read.
func readRange(header string, size int64) string {
	const unit = "bytes="
	if len(header) < len(unit) || !strings.EqualFold(header[:len(unit)], unit) || len(header) == len(unit) || strings.Count(header, ",") >= maxRanges {
		return "" // an unknown unit is ignored, and so is too much
	}
	never := "bytes=" + strconv.FormatInt(size, 10) + "-"
	var plain []string
	for spec := range strings.SplitSeq(header[len(unit):], ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // as lists are read (RFC 9110 section 5.6.1.2)
		}
		from, to, ok := readSpan(spec, size)
		if !ok {
			return never
		}
		if from < size {
			plain = append(plain, strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(to, 10))
		}
	}
	if len(plain) == 0 {
		return never
	}
	return unit + strings.Join(plain, ",")
}

// readSpan reads "5-9", "5-" or "-5"; to is the last octet. A span that begins behind the
// end begins at size or later.
func readSpan(spec string, size int64) (from, to int64, ok bool) {
	first, last, dash := strings.Cut(spec, "-")
	first, last = strings.TrimRight(first, " "), strings.TrimLeft(last, " ")
	if !dash || first == "" && last == "" {
		return 0, 0, false
	}
	if first == "" {
		n, ok := octets(last)
		if n == 0 {
			return size, size, ok // no octet is asked for
		}
		return max(0, size-n), size - 1, ok
	}
	from, ok = octets(first)
	if !ok || last == "" {
		return from, size - 1, ok
	}
	to, ok = octets(last)
	return from, min(to, size-1), ok && from <= to
}

func octets(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// content is a body of a known length.
type content struct {
	io.ReadSeeker
	size     int64
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
	out := newPacedWriter(w, r, copies)
	out.alive, out.sent = c.alive, c.sent
	http.ServeContent(out, plainRange(r, c.size), "", c.modified, c)
}

const (
	// copySize is a step over HTTP/1.1 of a reader who does not keep up: what fills one TLS
	// record (RFC 8446 section 5.1).
	copySize = 16 << 10
	// smallSize is the same over HTTP/2, with the header of a frame (RFC 9113 section 4.1).
	// He holds it for as long as he reads, and the library as much again for the frame.
	smallSize = 4<<10 - 9
	// quickSize is a step of one who does: fewer system calls and, over HTTP/2, fewer turns
	// of the goroutines that have a part in a frame. He does not hold it for long.
	quickSize = 64 << 10
	// stallTime is how long a reader may take none of a step. A player that is paused
	// asks again for what it then needs.
	stallTime = time.Minute
	// deadlineStep is how often the deadline is moved; it costs a message in HTTP/2.
	deadlineStep = 5 * time.Second
)

// copyBuffers lends buffers of smallSize, copySize and quickSize.
type copyBuffers struct{ small, middle, large sync.Pool }

func (b *copyBuffers) of(size int) *sync.Pool {
	switch size {
	case smallSize:
		return &b.small
	case copySize:
		return &b.middle
	}
	return &b.large
}

func (b *copyBuffers) get(size int) *[]byte {
	if p, ok := b.of(size).Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, size)
	return &p
}

func (b *copyBuffers) put(p *[]byte) { b.of(len(*p)).Put(p) }

// pacedWriter copies a body in steps, each of which has its time.
type pacedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	copies  *copyBuffers
	alive   func() error
	sent    func(int64)
	pace    *connPace
	h1      bool
	until   time.Time // the deadline that is set
}

func newPacedWriter(w http.ResponseWriter, r *http.Request, copies *copyBuffers) *pacedWriter {
	return &pacedWriter{ResponseWriter: w, control: http.NewResponseController(w), copies: copies, pace: paceOf(r), h1: r.ProtoMajor == 1}
}

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// size is how much is copied next.
func (w *pacedWriter) size() int {
	switch {
	case w.pace.keepsUp():
		return quickSize
	case w.h1:
		return copySize
	}
	return smallSize
}

// ReadFrom implements io.ReaderFrom, which http.ServeContent uses.
func (w *pacedWriter) ReadFrom(src io.Reader) (total int64, err error) {
	for {
		if err := w.ready(); err != nil {
			return total, err
		}
		buf := w.copies.get(w.size())
		n, err := w.step(src, *buf)
		short := n < len(*buf)
		w.copies.put(buf)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		if short { // the source may wait now
			_ = w.control.Flush()
		}
	}
}

// ready waits over HTTP/1.1 for a reader who does not keep up. It holds no buffer, neither
// of these nor of TLS, so that many of them cost little more than their connections. (Over
// HTTP/2 the library stands between.)
func (w *pacedWriter) ready() error {
	if !w.h1 || w.pace.waiter == nil || w.pace.keepsUp() {
		return nil
	}
	start := time.Now()
	w.extend(start)
	err := w.pace.waiter.WaitWritable()
	w.pace.step(0, time.Since(start))
	return err
}

// step copies one buffer.
func (w *pacedWriter) step(src io.Reader, buf []byte) (int, error) {
	n, err := src.Read(buf)
	if n > 0 {
		if err := w.write(buf[:n]); err != nil {
			return 0, err
		}
	}
	return n, err
}

func (w *pacedWriter) write(p []byte) error {
	if w.alive != nil {
		if err := w.alive(); err != nil {
			return err
		}
	}
	start := time.Now()
	w.extend(start)
	n, err := w.writeTogether(p)
	w.pace.step(n, time.Since(start))
	if w.sent != nil && n > 0 {
		w.sent(int64(n))
	}
	return err
}

// writeTogether writes the records of a large step by one system call.
func (w *pacedWriter) writeTogether(p []byte) (int, error) {
	if w.pace.corker == nil || len(p) <= copySize {
		return w.Write(p)
	}
	within := time.Duration(0)
	if !w.h1 { // where the deadline is one of the stream, not of the connection
		within = stallTime
	}
	w.pace.corker.Cork(within)
	n, err := w.Write(p)
	if late := w.pace.corker.Uncork(); err == nil {
		err = late
	}
	return n, err
}

// extend moves the deadline.
func (w *pacedWriter) extend(now time.Time) {
	if w.until.Sub(now) < stallTime {
		w.until = now.Add(stallTime + deadlineStep)
		_ = w.control.SetWriteDeadline(w.until) // without one the server's own applies
	}
}

// writeWhole answers with a small body.
func writeWhole(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Length", itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a reader that is gone needs no answer
	}
}
