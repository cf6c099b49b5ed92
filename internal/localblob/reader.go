package localblob

import (
	"io"
	"sync/atomic"

	"github.com/videoactivmail/vam/internal/blob"
)

// readStep is how much a reader asks the disk for at once, in octets.
const readStep = 1 << 20

// reader reads a span of a file. It holds the file by itself.
type reader struct {
	file   *file
	at     int64 // of the next octet that is not in buf
	end    int64
	buf    []byte // lent; nil until a small read
	rest   []byte // of buf, read and not handed out
	err    error
	closed atomic.Bool
}

func (o *object) Reader(off, n int64) io.ReadCloser {
	r := &reader{file: o.file, at: off, end: off + max(n, 0)}
	if o.closed.Load() || off < 0 || r.end < off {
		r.err = errClosed
		r.closed.Store(true)
		return r
	}
	o.store.share(o.file)
	return r
}

func (r *reader) buffers() *blob.Buffers { return &r.file.store.buffer }

// Read hands large reads through and serves small ones from a large step.
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.rest) == 0 && len(p) >= readStep/4 {
		return r.fill(p)
	}
	if len(r.rest) == 0 {
		if r.buf == nil && r.err == nil {
			r.buf = r.buffers().Get(readStep)
		}
		n, err := r.fill(r.buf)
		if n == 0 {
			return 0, err
		}
		r.rest = r.buf[:n]
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// fill reads the next octets from the file into p.
func (r *reader) fill(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.closed.Load() {
		return 0, errClosed
	}
	if r.at >= r.end {
		return 0, io.EOF
	}
	n, err := readAt(r.file, p[:min(int64(len(p)), r.end-r.at)], r.at)
	r.at += int64(n)
	switch {
	case err == io.EOF && r.at == r.end:
		err = nil
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	}
	r.err = err
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// WriteTo copies the rest to w in large steps.
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(r.rest)
	total := int64(n)
	r.rest = r.rest[n:]
	if err != nil {
		return total, err
	}
	buf := r.buffers().Get(readStep)
	defer r.buffers().Put(buf)
	for {
		n, err := r.fill(buf)
		if n > 0 {
			m, err := w.Write(buf[:n])
			total += int64(m)
			if err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (r *reader) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		if r.buf != nil {
			r.buffers().Put(r.buf)
			r.buf, r.rest = nil, nil
		}
		r.file.store.letGo(r.file)
	}
	return nil
}
