package userclient

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
)

// lent is the body of one request whose octets belong to somebody who will use them for
// something else. The transport may go on reading after the answer came, and for a while
// after the request failed (http.RoundTripper); wait tells when it does not any more.
type lent struct {
	data []byte

	mu   sync.Mutex
	open []chan struct{} // one for each reader that was handed out
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
	r := &lentReader{Reader: bytes.NewReader(l.data), closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, r.closed)
	return r
}

// wait returns when nobody reads the octets any more, or when ctx ends: then it is not
// known, and they must be left alone.
func (l *lent) wait(ctx context.Context) {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	for _, closed := range open {
		select {
		case <-closed:
		case <-ctx.Done():
			return
		}
	}
}

type lentReader struct {
	*bytes.Reader
	closed chan struct{}
	once   sync.Once
}

func (r *lentReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

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
