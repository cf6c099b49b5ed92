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
	// corked is whether it is now, within what it was last, broken what Uncork says.
	corked bool
	within time.Duration
	broken error
	wrong  int // steps that were corked and need not be, or the other way round
}

func (s *pacedReader) Cork(within time.Duration) { s.corked, s.within = true, within }

func (s *pacedReader) Uncork() error {
	if !s.corked {
		s.wrong++
	}
	s.corked = false
	return s.broken
}

func (s *pacedReader) Write(p []byte) (int, error) {
	if s.waits == 0 {
		time.Sleep(s.pause) // else it was waited for before
	}
	s.writes = append(s.writes, len(p))
	if s.corked != (len(p) > web.CopySize) {
		s.wrong++
	}
	return s.ResponseRecorder.Write(p)
}

func (s *pacedReader) SetWriteDeadline(time.Time) error { return nil }

func (s *pacedReader) WaitWritable() error {
	s.waits++
	time.Sleep(s.pause)
	return s.gone
}

// Whoever does not keep up is waited for before a step is read over HTTP/1.1, and holds
// little over HTTP/2. Whoever does is not asked any more, and takes larger steps, the records
// of each together.
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
		{"quick over HTTP/2", 0, 2, nil, 0, web.QuickSize, web.QuickSize},
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
				if s.corked || s.wrong > 0 {
					t.Errorf("%d steps went out together with others, or did not", s.wrong)
				}
				if s.writes[0] != c.again {
					t.Errorf("the next request begins with %d octets, want %d", s.writes[0], c.again)
				}
			})
		})
	}
}

// A connection that fails when it is uncorked ends the body there. Over HTTP/2 it has a
// time of its own to be written; the deadline is one of the stream.
func TestCorkedStepsFail(t *testing.T) {
	const size = 2 * web.QuickAfter
	for major, within := range map[int]bool{1: false, 2: true} {
		synctest.Test(t, func(t *testing.T) {
			s := &pacedReader{ResponseRecorder: httptest.NewRecorder(), broken: errors.New("broken")}
			r := httptest.NewRequestWithContext(web.ConnContext(context.Background(), s), http.MethodGet, "/", nil)
			r.ProtoMajor = major
			web.ServeContent(s, r, bytes.NewReader(make([]byte, size)), size)
			if got := s.Body.Len(); got < web.QuickAfter || got >= size || s.writes[len(s.writes)-1] != web.QuickSize {
				t.Errorf("HTTP/%d: it got %d octets, the last step %d", major, got, s.writes[len(s.writes)-1])
			}
			if (s.within > 0) != within {
				t.Errorf("HTTP/%d: a step may take %v", major, s.within)
			}
		})
	}
}
