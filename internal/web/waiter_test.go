package web_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam/internal/web"
)

// slowReader takes each step after some time, and says what it was asked meanwhile.
type slowReader struct {
	*httptest.ResponseRecorder
	net.Conn
	pause time.Duration
	waits int
	gone  error
}

func (s *slowReader) Write(p []byte) (int, error) {
	if s.waits == 0 {
		time.Sleep(s.pause) // later ones are waited for before
	}
	return s.ResponseRecorder.Write(p)
}

func (s *slowReader) SetWriteDeadline(time.Time) error { return nil }

func (s *slowReader) WaitWritable() error {
	s.waits++
	time.Sleep(s.pause)
	return s.gone
}

// Who reads slowly is waited for before the next step is read; whoever keeps up is not
// asked, and neither is one over HTTP/2.
func TestSlowReadersAreWaitedFor(t *testing.T) {
	const steps = 10
	body := make([]byte, steps*web.CopySize)
	gone := errors.New("gone")
	for _, c := range []struct {
		name  string
		pause time.Duration
		major int
		gone  error
		waits int
		sent  int
	}{
		{"quick", 0, 1, nil, 0, len(body)},
		{"slow", time.Second, 1, nil, steps, len(body)}, // before the end is seen, too
		{"slow over HTTP/2", time.Second, 2, nil, 0, len(body)},
		{"gone meanwhile", time.Second, 1, gone, 1, web.CopySize},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &slowReader{ResponseRecorder: httptest.NewRecorder(), pause: c.pause, gone: c.gone}
				r := httptest.NewRequestWithContext(web.ConnContext(context.Background(), s), http.MethodGet, "/", nil)
				r.ProtoMajor = c.major
				web.ServeContent(s, r, bytes.NewReader(body), int64(len(body)))
				if s.waits != c.waits || s.Body.Len() != c.sent {
					t.Errorf("it was waited for %d times, want %d, and got %d octets, want %d", s.waits, c.waits, s.Body.Len(), c.sent)
				}
			})
		})
	}
}
