package amserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

func prefer(seconds int) http.Header {
	return http.Header{"Prefer": {"wait=" + strconv.Itoa(seconds)}}
}

// Without news an answer comes after the time that was asked for, and after 25 s at the
// latest (AM-7.5); what will not grow is not waited for (AM-10.20).
func TestWaitWithoutNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		origin := amtest.NewOrigin("a.test")
		handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: origin})
		message := func(sealed bool) (*amtest.Message, activmail.Token) {
			m := must(origin.NewMessage(vam.Video))
			appendPart(t, m, pattern(10))
			if sealed {
				if err := m.Seal(); err != nil {
					t.Fatal(err)
				}
			}
			return m, m.Grant("b.test")
		}
		live, liveToken := message(false)
		done, doneToken := message(true)
		for _, row := range []struct {
			name, method, path string
			sealed             bool
			prefer             []string
			want               time.Duration
			status             int
		}{
			{"log", "GET", "/log?from=1", false, []string{"wait=3"}, 3 * time.Second, 204},
			{"entry", "GET", "/e/1", false, []string{"wait=3"}, 3 * time.Second, 204},
			{"too long", "GET", "/e/1", false, []string{"wait=600"}, 25 * time.Second, 204},
			{"absurd", "GET", "/e/1", false, []string{"wait=99999999999999999999"}, 0, 204},
			{"beside others", "GET", "/e/1", false, []string{"respond-async", "handling=lenient, Wait = \"2\"; x=y"}, 2 * time.Second, 204},
			{"no number", "GET", "/e/1", false, []string{"wait=soon"}, 0, 204},
			{"without", "GET", "/e/1", false, nil, 0, 204},
			{"head", "HEAD", "/e/1", false, []string{"wait=3"}, 0, 204}, // AM-7.29
			{"there already", "GET", "/e/0", false, []string{"wait=3"}, 0, 200},
			{"sealed", "GET", "/e/2", true, []string{"wait=3"}, 0, 204},
			{"beyond", "GET", "/log?from=5", true, []string{"wait=3"}, 0, 416},
		} {
			m, token := live, liveToken
			if row.sealed {
				m, token = done, doneToken
			}
			r := httptest.NewRequest(row.method, messagePath(m.ID, row.path), nil)
			r.Header.Set("Authorization", "Bearer "+string(token))
			r.Header["Prefer"] = row.prefer
			w, start := httptest.NewRecorder(), time.Now()
			handler.ServeHTTP(w, r)
			if d := time.Since(start); d != row.want || w.Code != row.status {
				t.Errorf("%s: %d after %v, want %d after %v", row.name, w.Code, d, row.status, row.want)
			}
		}
	})
}

// News ends the wait: a record that is appended, and the end of the log.
func TestWaitWithNews(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		origin := announcing{amtest.NewOrigin("a.test"), make(chan struct{})}
		w := newWorld(t, withOutbound(origin, amserver.HandlerOptions{}))
		w.peer.Origin = origin.Origin
		c := w.client(t, network)
		m, token := w.live(t, pattern(10))
		get := func(path string) ask {
			return ask{method: "GET", path: messagePath(m.ID, path), token: token, header: prefer(25)}
		}
		var waiting sync.WaitGroup
		waiting.Go(func() {
			got := c.do(t, get("/e/1"))
			if got.status != http.StatusOK || len(got.body) != 20 {
				t.Errorf("the entry: %d with %d octets", got.status, len(got.body))
			}
		})
		waiting.Go(func() {
			got := c.do(t, get("/log?from=1"))
			if got.status != http.StatusOK {
				t.Errorf("the log: %d", got.status)
			}
		})
		<-origin.waits
		<-origin.waits
		appendPart(t, m, pattern(20))
		waiting.Wait()

		waiting.Go(func() { c.do(t, get("/e/3")).want(t, http.StatusRequestedRangeNotSatisfiable, "log-position") })
		<-origin.waits
		if err := m.Revoke(); err != nil {
			t.Fatal(err)
		}
		waiting.Wait()
		at := func(path string) ask { return ask{method: "GET", path: messagePath(m.ID, path), token: token} }
		c.do(t, at("/log?from=3")).want(t, http.StatusRequestedRangeNotSatisfiable, "log-position")
		c.do(t, at("/log?from=2")).want(t, http.StatusOK, "") // the revoke itself stays readable
	})
}

// announcing says when somebody is about to wait.
type announcing struct {
	*amtest.Origin
	waits chan struct{}
}

func (o announcing) Log(ctx context.Context, p amserver.Pull, from int64, wait time.Duration) (amserver.Log, error) {
	if wait == activmail.MaxWait {
		o.waits <- struct{}{}
	}
	return o.Origin.Log(ctx, p, from, wait)
}

func (o announcing) Entry(ctx context.Context, p amserver.Pull, n int64, wait time.Duration) (amserver.Entry, error) {
	if wait == activmail.MaxWait {
		o.waits <- struct{}{}
	}
	return o.Origin.Entry(ctx, p, n, wait)
}

// gate is an origin whose entries wait until their request ends.
type gate struct {
	amserver.Outbound
	began, ended chan struct{}
	linger       time.Duration // between the end of a request and that of its handler
}

func newGate() *gate {
	return &gate{began: make(chan struct{}, 100), ended: make(chan struct{}, 100)}
}

func (g *gate) Entry(ctx context.Context, _ amserver.Pull, n int64, wait time.Duration) (amserver.Entry, error) {
	if wait > 0 {
		g.began <- struct{}{}
		defer func() { g.ended <- struct{}{} }()
		<-ctx.Done()
		time.Sleep(g.linger)
	}
	if n == 13 {
		panic(http.ErrAbortHandler)
	}
	return amserver.Entry{}, nil
}

// A token has its number of places to wait, the server has one too, and a place is given
// back when the peer goes away or the backend fails badly (AM-7.11, AM-10.21).
func TestWaitPlaces(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		g := newGate()
		w := newWorld(t, withOutbound(g, amserver.HandlerOptions{Waits: 3, WaitsPerToken: 2}))
		c := w.client(t, network)
		alice, bob, carol := activmail.NewPullToken(), activmail.NewPullToken(), activmail.NewPullToken()
		path := messagePath(anyMessage, "/e/1")
		wait := func(token activmail.Token, path string) (end func()) {
			ctx, cancel := context.WithCancel(t.Context())
			req := c.request(t, ask{method: "GET", path: path, token: token, header: prefer(25)}).WithContext(ctx)
			var waiting sync.WaitGroup
			waiting.Go(func() {
				for { // the place of a request that has just ended may not be free yet
					resp, err := c.http.Do(req)
					if err != nil {
						return
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusTooManyRequests {
						t.Errorf("a request that was cancelled was answered %d", resp.StatusCode)
					}
				}
			})
			<-g.began
			return func() { cancel(); waiting.Wait(); <-g.ended }
		}
		refused := func(token activmail.Token) {
			t.Helper()
			got := c.do(t, ask{method: "GET", path: path, token: token, header: prefer(25)})
			got.want(t, http.StatusTooManyRequests, "rate")
			if got.header.Get("Retry-After") == "" {
				t.Error("429 without Retry-After")
			}
		}
		end1, end2 := wait(alice, path), wait(alice, messagePath(anyMessage, "/e/13"))
		refused(alice) // her two
		end3 := wait(bob, path)
		refused(carol) // all three
		c.do(t, ask{method: "GET", path: path, token: carol}).want(t, http.StatusNoContent, "")
		end1()
		end4 := wait(carol, path)
		end2() // panics in the backend
		end5 := wait(alice, path)
		end3()
		end4()
		end5()
	})
}

// FuzzPrefer: whatever the field says, a backend waits whole seconds, 25 at most.
func FuzzPrefer(f *testing.F) {
	for _, s := range []string{"wait=25", "wait=0", "respond-async, wait=10", `wait="5"`, "wait=-1", "wait", "wait=1;x=y", "WAIT=7", "wait=1e3", "wait=99999999999999999999"} {
		f.Add(s)
	}
	o := &waitRecorder{}
	handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: o})
	token := "Bearer " + string(activmail.NewPullToken())
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", messagePath(anyMessage, "/e/1"), nil)
		r.Header = http.Header{"Prefer": {value}, "Authorization": {token}}
		w := httptest.NewRecorder()
		o.wait = -1
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusNoContent || o.wait < 0 || o.wait > activmail.MaxWait || o.wait%time.Second != 0 {
			t.Errorf("%q: %d after a wait of %v", value, w.Code, o.wait)
		}
	})
}

type waitRecorder struct {
	amserver.Outbound
	wait time.Duration
}

func (o *waitRecorder) Entry(_ context.Context, _ amserver.Pull, _ int64, wait time.Duration) (amserver.Entry, error) {
	o.wait = wait
	return amserver.Entry{}, nil
}
