package userclient

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
)

// lent is the body of one request whose octets belong to somebody who will use them for
// something else. The transport may go on reading after the answer came, and for a while
// after the request failed (http.RoundTripper), and it does not close every reader that it
// got to repeat a request with: so that the octets are taken back from all of them.
type lent struct {
	data []byte

	mu  sync.Mutex
	out []*lentReader // those that were handed out
}

// attach makes l the body of req.
func (l *lent) attach(req *http.Request) {
	if len(l.data) == 0 {
		return
	}
	req.ContentLength = int64(len(l.data))
	req.GetBody = func() (io.ReadCloser, error) { return l.reader(), nil }
	req.Body = l.reader()
}

func (l *lent) reader() io.ReadCloser {
	r := &lentReader{octets: bytes.NewReader(l.data)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.out = append(l.out, r)
	return r
}

// takeBack ends all reading: when it returns, nobody reads the octets any more.
func (l *lent) takeBack() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.out {
		_ = r.Close()
	}
}

// lentReader has Read and no WriteTo: whoever reads gets a copy and never holds the octets.
type lentReader struct {
	mu     sync.Mutex
	octets *bytes.Reader
	closed bool
}

func (r *lentReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, errTakenBack
	}
	return r.octets.Read(p)
}

func (r *lentReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

var errTakenBack = errors.New("the request is over")

// answerBody calls after when the answer was closed.
type answerBody struct {
	io.ReadCloser
	after func()
}

func (b answerBody) Close() error {
	err := b.ReadCloser.Close()
	b.after()
	return err
}
