package amclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// failing is an origin whose every head is an error.
type failing struct {
	amserver.Outbound
	err chan error
}

func (f failing) Head(context.Context, amserver.Pull) (activmail.Head, error) {
	return activmail.Head{}, <-f.err
}

// somebody is a pull of a message that a hostile or failing server answers for.
func somebody() amclient.Pull {
	return amclient.Pull{MessageID: "0193a0c0-0000-7000-8000-000000000000", Token: activmail.NewPullToken()}
}

// Every kind of error goes over the wire and comes back as the kind that a client can act
// on, with the same temporary or permanent nature (AM-9.3, AM-9.7), over both transports.
func TestEveryKindOverTheWire(t *testing.T) {
	want := map[vam.ErrorKind]vam.ErrorKind{
		vam.Internal: vam.Unavailable, // a failure inside the peer
		vam.NotVAM:   vam.NotVAM,
	}
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		backend := failing{err: make(chan error, 1)}
		w := newWorld(t, amtest.PeerOptions{Wrap: func(http.Handler) http.Handler {
			return amserver.NewHandler(amserver.HandlerOptions{Outbound: backend})
		}})
		c := w.client(t, w.b, w.a, mode)
		head := func(err error) error {
			backend.err <- err
			_, got := c.Head(t.Context(), somebody())
			return got
		}
		for _, kind := range vam.ErrorKinds() {
			wanted, ok := want[kind]
			if !ok {
				wanted = kind
			}
			sent := vam.Wrap(kind, errors.New("a secret of the operator"), "why it failed")
			got := head(sent)
			if vam.KindOf(got) != wanted || vam.KindOf(got).Temporary() != kind.Temporary() {
				t.Errorf("%v came back as %v (%v)", kind, vam.KindOf(got), got)
			}
			if strings.Contains(got.Error(), "secret") {
				t.Errorf("%v tells the cause: %v", kind, got)
			}
			if kind != vam.Internal && vam.Public(got) != "why it failed" {
				t.Errorf("%v came back saying %q", kind, vam.Public(got))
			}
		}
		for _, name := range activmail.ProblemNames() {
			got := head(vam.Errorf(vam.Internal, "x").WithProblem(name).WithRetry(90 * time.Second))
			var e *vam.Error
			if !errors.As(got, &e) || e.Problem != name || e.RetryAfter != 90*time.Second {
				t.Errorf("%s came back as %+v", name, got)
			}
		}
		got := head(errors.New("nobody classified this"))
		if vam.KindOf(got) != vam.Unavailable || strings.Contains(got.Error(), "nobody") {
			t.Errorf("an unknown error came back as %v (%v)", vam.KindOf(got), got)
		}
		if c.Stats().Networks[amclient.Network(mode)].Failures != 0 {
			t.Error("problems count as failures of the network")
		}
	})
}

// What is no problem document counts as the problem of its status, and is read no
// further than the limit (AM-9.1, AM-9.3).
func TestAnswersThatAreNoProblem(t *testing.T) {
	rows := []struct {
		name    string
		answer  http.HandlerFunc
		kind    vam.ErrorKind
		problem string
	}{
		{"nothing", status(http.StatusGone, ""), vam.Gone, "expired"},
		{"HTML", status(http.StatusForbidden, "<html>blocked by a proxy</html>"), vam.Denied, "policy"},
		{"broken JSON", status(http.StatusNotFound, `{"type":"`), vam.NotFound, "not-found"},
		{"JSON of another kind", status(http.StatusConflict, `[1,2,3]`), vam.Conflict, "offer-conflict"},
		{"deep JSON", status(http.StatusBadRequest, strings.Repeat("[", 30<<10)), vam.Invalid, "malformed"},
		{"another type", status(http.StatusTooManyRequests, `{"type":"https://example.org/p","detail":"slow"}`), vam.Busy, "rate"},
		{"huge", status(http.StatusServiceUnavailable, strings.Repeat(" ", 1<<20)), vam.Unavailable, "busy"},
		{"endless", endless(http.StatusInsufficientStorage), vam.OverQuota, "disk-full"},
		{"unknown status of class 4", status(499, ""), vam.Invalid, "malformed"},
		{"unknown status of class 5", status(599, ""), vam.Unavailable, "busy"},
		{"redirect", status(http.StatusFound, ""), vam.Invalid, ""},
		{"redirect for stores", status(http.StatusTemporaryRedirect, ""), vam.Invalid, ""},
		{"success of another kind", status(http.StatusAccepted, "{}"), vam.Invalid, ""},
		{"no content", status(http.StatusNoContent, ""), vam.Invalid, ""},
	}
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s, c := onStage(t, mode)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				s.play(row.answer)
				_, err := c.Head(t.Context(), somebody())
				wantProblem(t, err, row.kind, row.problem)
			})
		}
	})
}

// stage is a peer that does whatever a test wants of it.
type stage struct {
	handler atomic.Pointer[http.HandlerFunc]
}

func (s *stage) play(h http.HandlerFunc) { s.handler.Store(&h) }

func (s *stage) options() amtest.PeerOptions {
	return amtest.PeerOptions{Wrap: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load())(w, r) })
	}}
}

// onStage is such a peer, and a client of it.
func onStage(t *testing.T, mode amclient.Mode) (*stage, *amclient.Client) {
	t.Helper()
	s := &stage{}
	w := newWorld(t, s.options())
	return s, w.client(t, w.b, w.a, mode)
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// endless answers without end, for as long as somebody reads.
func endless(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(code)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}
}
