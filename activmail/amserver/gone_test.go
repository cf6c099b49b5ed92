package amserver_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// AM-7.19: after a revoke, what carries media is 410, and the log stays.
func TestGone(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		w := newWorld(t, amtest.PeerOptions{})
		c := w.client(t, network)
		m, token := w.sealed(t, pattern(100))
		if err := m.Revoke(); err != nil {
			t.Fatal(err)
		}
		for path, status := range map[string]int{
			"": 410, "/media": 410, "/e/0": 410, "/e/1": 200, "/e/2": 200, "/log": 200, "/log?from=2": 200, "/proof?leaf=0&size=3": 200,
		} {
			problem := ""
			if status == http.StatusGone {
				problem = "revoked"
			}
			for range 2 {
				c.do(t, ask{method: "GET", path: messagePath(m.ID, path), token: token}).want(t, status, problem)
			}
		}
	})
}

// withdrawing is an origin of one content, in every way that it is served, which is
// withdrawn while it is read.
type withdrawing struct {
	amserver.Outbound
	content   amserver.Content
	size      vam.Bytes
	withdrawn chan struct{}
}

func (o *withdrawing) Media(context.Context, amserver.Pull) (amserver.Media, error) {
	return amserver.Media{Content: o.content, Size: o.size, Complete: true, ETag: "x", Withdrawn: o.withdrawn}, nil
}

func (o *withdrawing) Blob(context.Context, amserver.Pull, activmail.Sum) (amserver.Blob, error) {
	return amserver.Blob{Content: o.content, Size: o.size, Withdrawn: o.withdrawn}, nil
}

func (o *withdrawing) Entry(context.Context, amserver.Pull, int64, time.Duration) (amserver.Entry, error) {
	return amserver.Entry{Size: 1, Line: []byte(`{"k":"part"}`), Blob: o.content, Length: o.size, Withdrawn: o.withdrawn}, nil
}

// endless is content of zeros.
type endless struct{}

func (endless) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

func (endless) Close() error { return nil }

func bodyPaths() map[string]string {
	return map[string]string{
		"media": "/media",
		"blob":  "/b/00000000000000000000000000000000000000000000000000000000000000ff",
		"entry": "/e/0",
	}
}

// AM-7.20: a body under way is reset, so that nobody takes the piece for the whole.
func TestRevokeCutsBodies(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		for name, path := range bodyPaths() {
			t.Run(name, func(t *testing.T) {
				o := &withdrawing{content: endless{}, size: vam.GiB, withdrawn: make(chan struct{})}
				w := newWorld(t, withOutbound(o, amserver.HandlerOptions{}))
				c := w.client(t, network)
				resp, err := c.http.Do(c.request(t, ask{method: "GET", path: messagePath(anyMessage, path), token: activmail.NewPullToken()}))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if _, err := io.CopyN(io.Discard, resp.Body, 100<<10); err != nil {
					t.Fatal(err)
				}
				close(o.withdrawn)
				if n, err := io.Copy(io.Discard, resp.Body); err == nil || n > int64(o.size)/2 {
					t.Errorf("after the revoke came %d octets and then %v", n, err)
				}
			})
		}
	})
}

// deadlines is a ResponseWriter that says when the deadline of a cut was set.
type deadlines struct {
	*httptest.ResponseRecorder
	cut           chan struct{}
	octets, first int
}

func (d *deadlines) SetWriteDeadline(at time.Time) error {
	if at.Before(time.Now()) {
		close(d.cut)
	}
	return nil
}

func (d *deadlines) Write(p []byte) (int, error) {
	if d.octets == 0 {
		d.first = len(p)
	}
	d.octets += len(p)
	return len(p), nil
}

// cutBetween is content that is withdrawn, for sure, between its first and second piece.
type cutBetween struct {
	endless
	withdrawn, cut chan struct{}
}

func (c cutBetween) ReadAt(p []byte, offset int64) (int, error) {
	if offset > 0 {
		close(c.withdrawn)
		<-c.cut
	}
	return len(p), nil
}

// A revoke between two pieces of a body must not be undone by the deadline of the next
// piece, which lies in the future.
func TestRevokeBetweenPieces(t *testing.T) {
	for name, path := range bodyPaths() {
		t.Run(name, func(t *testing.T) {
			w := &deadlines{ResponseRecorder: httptest.NewRecorder(), cut: make(chan struct{})}
			content := cutBetween{withdrawn: make(chan struct{}), cut: w.cut}
			handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: &withdrawing{
				content: content, size: 4 * vam.MiB, withdrawn: content.withdrawn,
			}})
			r := httptest.NewRequest("GET", messagePath(anyMessage, path), nil)
			r.Header.Set("Authorization", "Bearer "+string(activmail.NewPullToken()))
			func() {
				defer func() {
					if p := recover(); p != http.ErrAbortHandler {
						t.Errorf("the handler ended with %v and not with a reset", p)
					}
				}()
				handler.ServeHTTP(w, r)
			}()
			if w.octets > 1<<20 {
				t.Errorf("%d octets were written, of which the first piece has 1 MiB", w.octets)
			}
		})
	}
}

// Media that breaks off below the handler must not look complete either.
func TestBodyThatBreaksOff(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		short := inMemory(pattern(1000))
		w := newWorld(t, withOutbound(onlyMedia{media: func() amserver.Media {
			return amserver.Media{Content: short, Size: 2000, Complete: true, ETag: "x"}
		}}, amserver.HandlerOptions{}))
		c := w.client(t, network)
		resp, err := c.http.Do(c.request(t, ask{method: "GET", path: messagePath(anyMessage, "/media"), token: activmail.NewPullToken()}))
		if err != nil {
			return // the reset overtook the header
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err == nil {
			t.Errorf("%d octets and a clean end", n)
		}
	})
}

// A redirect of a blob goes to a store over https and nowhere else (AM-7.8).
func TestBlobRedirect(t *testing.T) {
	for target, status := range map[string]int{"https://store.test/x": http.StatusTemporaryRedirect, "http://store.test/x": http.StatusInternalServerError} {
		w := newWorld(t, withOutbound(redirecting{to: target}, amserver.HandlerOptions{}))
		got := w.client(t, "tcp").do(t, ask{method: "GET", path: messagePath(anyMessage, bodyPaths()["blob"]), token: activmail.NewPullToken()})
		if got.status != status || (status == http.StatusTemporaryRedirect) != (got.header.Get("Location") == target) {
			t.Errorf("%s: %d to %q", target, got.status, got.header.Get("Location"))
		}
	}
}

type redirecting struct {
	amserver.Outbound
	to string
}

func (o redirecting) Blob(context.Context, amserver.Pull, activmail.Sum) (amserver.Blob, error) {
	return amserver.Blob{Redirect: o.to}, nil
}

// A body of many pieces is written whole, its first octets before a whole piece is read.
func TestLargeBody(t *testing.T) {
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: &withdrawing{content: endless{}, size: 100*vam.MiB + 7}})
	r := httptest.NewRequest("GET", messagePath(anyMessage, "/media"), nil)
	r.Header.Set("Authorization", "Bearer "+string(activmail.NewPullToken()))
	handler.ServeHTTP(w, r)
	if w.octets != 100<<20+7 || w.first > 64<<10 {
		t.Errorf("%d octets were written, %d of them first", w.octets, w.first)
	}
}
