package web_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam/internal/web"
)

// pacedReader takes each step after some time, and notes what it was asked meanwhile.
type pacedReader struct {
	*httptest.ResponseRecorder
	net.Conn
	pause  time.Duration
	waits  int
	gone   error
	writes []int
}

func (s *pacedReader) Write(p []byte) (int, error) {
	if s.waits == 0 {
		time.Sleep(s.pause) // else it was waited for before
	}
	s.writes = append(s.writes, len(p))
	return s.ResponseRecorder.Write(p)
}

func (s *pacedReader) SetWriteDeadline(time.Time) error { return nil }

func (s *pacedReader) WaitWritable() error {
	s.waits++
	time.Sleep(s.pause)
	return s.gone
}

// Whoever does not keep up is waited for before a step is read over HTTP/1.1, and holds
// little over HTTP/2. Whoever does is not asked any more, and takes larger steps.
func TestPaceOfReaders(t *testing.T) {
	const size = 2 * web.QuickAfter
	steps := func(size, step int) int { return (size + step - 1) / step }
	body := make([]byte, size)
	gone := errors.New("gone")
	for _, c := range []struct {
		name    string
		pause   time.Duration
		major   int
		gone    error
		waits   int
		largest int
		again   int // the largest step of the next request of the connection
	}{
		{"quick", 0, 1, nil, steps(web.QuickAfter, web.CopySize), web.QuickSize, web.QuickSize},
		{"slow", time.Second, 1, nil, steps(size, web.CopySize) + 1, web.CopySize, web.CopySize}, // before the end is seen, too
		{"quick over HTTP/2", 0, 2, nil, 0, web.CopySize, web.CopySize},
		{"slow over HTTP/2", time.Second, 2, nil, 0, web.SmallSize, web.SmallSize},
		{"gone meanwhile", time.Second, 1, gone, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &pacedReader{ResponseRecorder: httptest.NewRecorder(), pause: c.pause, gone: c.gone}
				r := httptest.NewRequestWithContext(web.ConnContext(context.Background(), s), http.MethodGet, "/", nil)
				r.ProtoMajor = c.major
				web.ServeContent(s, r, bytes.NewReader(body), size)
				want := size
				if c.gone != nil {
					want = 0
				}
				if s.waits != c.waits || s.Body.Len() != want {
					t.Errorf("it was waited for %d times, want %d, and got %d octets, want %d", s.waits, c.waits, s.Body.Len(), want)
				}
				if want == 0 {
					return
				}
				if got := slices.Max(s.writes); got != c.largest {
					t.Errorf("the largest step has %d octets, want %d", got, c.largest)
				}
				first := web.CopySize
				if c.major == 2 {
					first = web.SmallSize
				}
				if s.writes[0] != first {
					t.Errorf("the first step has %d octets, want %d", s.writes[0], first)
				}
				s.ResponseRecorder, s.writes, s.waits = httptest.NewRecorder(), nil, 0
				web.ServeContent(s, r, bytes.NewReader(body), size)
				if s.writes[0] != c.again {
					t.Errorf("the next request begins with %d octets, want %d", s.writes[0], c.again)
				}
			})
		})
	}
}
