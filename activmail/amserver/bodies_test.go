package amserver_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

func offerPath() string {
	return amserver.BasePath + "/in/b.test/" + string(anyMessage) + "/" + string(anyMessage)
}

// What lies over a limit is refused: by its announced length before an octet of it came,
// and else at the octet that is too much (AM-10.5, AM-10.12, AM-10.13, AM-10.31).
func TestBodiesOverTheirLimit(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		w := newWorld(t, amtest.PeerOptions{})
		c := w.client(t, network)
		m, _ := w.sealed(t, []byte("x"))
		bob := must(vam.ParseAddress("bob@b.test"))
		for _, row := range []struct {
			name  string
			ask   ask
			limit vam.Bytes
		}{
			{"offer", ask{method: "PUT", path: offerPath(), contentType: activmail.OfferType}, vam.MiB},
			{"poke", ask{method: "POST", path: amserver.BasePath + "/in/b.test/" + string(m.ID) + "/poke", contentType: activmail.CheckpointType}, 2 * vam.KiB},
			{"receipt", ask{method: "PUT", path: messagePath(m.ID, "/rcpt/"+activmail.RecipientID(m.ID, bob)+"/stored"), contentType: activmail.HeadType}, 64 * vam.KiB},
			{"token", ask{method: "POST", path: messagePath(m.ID, "/token"), contentType: activmail.HeadType}, 64 * vam.KiB},
		} {
			t.Run(row.name, func(t *testing.T) {
				row.ask.key, row.ask.body = w.key, []byte{}
				silent, end := io.Pipe()
				defer end.Close()
				announced := c.request(t, row.ask)
				announced.ContentLength, announced.Body = int64(row.limit)+1, silent
				c.send(t, announced).want(t, http.StatusRequestEntityTooLarge, "too-large")

				unannounced := c.request(t, row.ask)
				unannounced.ContentLength, unannounced.Body = -1, io.NopCloser(bytes.NewReader(make([]byte, row.limit+1)))
				c.send(t, unannounced).want(t, http.StatusRequestEntityTooLarge, "too-large")

				fits := c.request(t, row.ask)
				fits.ContentLength, fits.Body = -1, io.NopCloser(bytes.NewReader(make([]byte, row.limit)))
				if got := c.send(t, fits); got.status == http.StatusRequestEntityTooLarge {
					t.Errorf("a body of %v is too large", row.limit)
				}
			})
		}
	})
}

// TestBodiesOfAnotherKind is AM-1.15.
func TestBodiesOfAnotherKind(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	base := ask{method: "PUT", path: offerPath(), contentType: activmail.OfferType, body: []byte("{}"), key: w.key}
	plain, coded, wrong := base, base, base
	plain.contentType = "text/plain"
	coded.header = http.Header{"Content-Encoding": {"gzip"}}
	c.do(t, plain).want(t, http.StatusUnsupportedMediaType, "malformed")
	c.do(t, coded).want(t, http.StatusUnsupportedMediaType, "malformed") // AM-7.18
	c.do(t, wrong).want(t, http.StatusBadRequest, "malformed")

	// The digest of the header is that of the body, or the signature is not valid.
	req := c.request(t, base)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader("[]")), 2
	c.send(t, req).want(t, http.StatusUnauthorized, "signature-invalid")
}

// A GET has no body: one that is announced is refused, and one that just comes is not
// kept while the request waits.
func TestGetWithBody(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	m, token := w.live(t, pattern(10))
	a := ask{method: "GET", path: messagePath(m.ID, "/e/1"), token: token, header: prefer(1)}
	req := c.request(t, a)
	req.ContentLength, req.Body = 4, io.NopCloser(strings.NewReader("body"))
	c.send(t, req).want(t, http.StatusBadRequest, "malformed")

	a.header = nil
	req = c.request(t, a)
	req.ContentLength, req.Body = -1, io.NopCloser(bytes.NewReader(make([]byte, 10<<20)))
	c.send(t, req).want(t, http.StatusNoContent, "")
}

// slowOffer sends a part of a body to a handler, and the rest when it is told.
type slowOffer struct {
	recorder *httptest.ResponseRecorder
	rest     *io.PipeWriter
	done     chan struct{}
}

func sendSlowly(handler http.Handler, remote string, announced int64, part int) *slowOffer {
	r, w := io.Pipe()
	s := &slowOffer{recorder: httptest.NewRecorder(), rest: w, done: make(chan struct{})}
	req := httptest.NewRequest("PUT", offerPath(), r)
	req.RemoteAddr, req.ContentLength = remote, announced
	req.Header = http.Header{"Content-Type": {activmail.OfferType}, "Signature-Input": {"vam=()"}, "Signature": {"vam=::"}}
	go func() {
		defer close(s.done)
		handler.ServeHTTP(s.recorder, req)
		r.Close()
	}()
	_, _ = w.Write(make([]byte, part)) // returns when all of it was read, or the handler has answered
	return s
}

func (s *slowOffer) end() int {
	s.rest.Close()
	<-s.done
	return s.recorder.Code
}

// Memory for bodies follows what arrives, in all and for each address (AM-10.31) (AM-11.9).
func TestBodyMemory(t *testing.T) {
	const alice, bob, carol = "192.0.2.1:1000", "192.0.2.2:1000", "[2001:db8:0:1::1]:1000"
	const neighbour = "[2001:db8:0:1::2]:1000" // of carol: the same /64
	handler := amserver.NewHandler(amserver.HandlerOptions{Inbound: amtest.NewInbox("a.test"), BodyMemory: 4 * vam.MiB})
	busy := func(remote string) {
		t.Helper()
		s := sendSlowly(handler, remote, 900<<10, 900<<10)
		if code := s.end(); code != http.StatusServiceUnavailable {
			t.Errorf("a body of %s was answered %d, want 503", remote, code)
		}
		if s.recorder.Header().Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
	}
	fine := func(remote string) {
		t.Helper()
		if code := sendSlowly(handler, remote, 900<<10, 900<<10).end(); code != http.StatusUnauthorized {
			t.Errorf("a body of %s was answered %d, want 401", remote, code)
		}
	}
	// Announcements alone cost next to nothing.
	var open []*slowOffer
	for range 20 {
		open = append(open, sendSlowly(handler, alice, 1<<20, 1))
	}
	fine(bob)
	for _, s := range open {
		if code := s.end(); code != http.StatusUnauthorized {
			t.Errorf("a body of which one octet came was answered %d", code)
		}
	}
	// An address has a quarter, 1 MiB; a network of IPv6 counts as one.
	first, third := sendSlowly(handler, alice, 1<<20, 900<<10), sendSlowly(handler, carol, 1<<20, 900<<10)
	busy(alice)
	busy(neighbour)
	fine(bob)
	// All have 4 MiB.
	others := []*slowOffer{sendSlowly(handler, "192.0.2.3:1", 1<<20, 900<<10), sendSlowly(handler, "192.0.2.4:1", 1<<20, 900<<10)}
	busy(bob)
	for _, s := range append(others, first, third) {
		s.end()
	}
	fine(alice)
	fine(neighbour)
}

// blocking is content that is read when it is told.
type blocking struct {
	reading, release chan struct{}
}

func (b blocking) ReadAt(p []byte, _ int64) (int, error) {
	b.reading <- struct{}{}
	<-b.release
	return len(p), nil
}

func (b blocking) Close() error { return nil }

// A token has its number of bodies under way (AM-10.28).
func TestBodiesPerToken(t *testing.T) {
	b := blocking{make(chan struct{}), make(chan struct{})}
	w := newWorld(t, withOutbound(&withdrawing{content: b, size: 100}, amserver.HandlerOptions{BodiesPerToken: 2}))
	c := w.client(t, "tcp")
	alice, bob := activmail.NewPullToken(), activmail.NewPullToken()
	var pulling sync.WaitGroup
	pull := func(token activmail.Token, path string) {
		pulling.Go(func() {
			c.do(t, ask{method: "GET", path: messagePath(anyMessage, path), token: token}).want(t, http.StatusOK, "")
		})
		<-b.reading
	}
	paths := bodyPaths()
	pull(alice, paths["media"])
	pull(alice, paths["entry"])
	for _, path := range paths {
		c.do(t, ask{method: "GET", path: messagePath(anyMessage, path), token: alice}).want(t, http.StatusTooManyRequests, "rate")
	}
	pull(bob, paths["blob"])
	close(b.release)
	pulling.Wait()
	pull(alice, paths["blob"])
	pulling.Wait()
}

// Admit is asked before a body is read and before a key is looked up, and a key of
// another domain is never looked up (AM-3.11) (AM-14.5).
func TestAdmitComesFirst(t *testing.T) {
	n := must(amtest.NewNetwork())
	key := must(n.RequestKey("b.test"))
	type looked struct {
		admitted []amserver.Admission
		keys     []string
		failures []amserver.Failure
	}
	serve := func(refuse func(amserver.Admission) bool, signer *activmail.RequestKey, body io.Reader) (int, looked) {
		var l looked
		handler := amserver.NewHandler(amserver.HandlerOptions{
			Inbound: amtest.NewInbox("a.test"),
			Keys: func(ctx context.Context, keyid string) (ed25519.PublicKey, error) {
				l.keys = append(l.keys, keyid)
				return n.Lookup(ctx, keyid)
			},
			Admit: func(_ context.Context, a amserver.Admission) error {
				l.admitted = append(l.admitted, a)
				if refuse(a) {
					return vam.Errorf(vam.Busy, "not now").WithRetry(time.Minute)
				}
				return nil
			},
			Failed: func(_ context.Context, f amserver.Failure) { l.failures = append(l.failures, f) },
		})
		r := httptest.NewRequest("PUT", offerPath(), body)
		r.RemoteAddr = "192.0.2.1:1000"
		r.Header.Set("Content-Type", activmail.OfferType)
		if err := activmail.SignRequest(r, activmail.DigestOf([]byte("{}")), *signer, time.Now(), ""); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if len(l.failures) != 1 || l.failures[0].Status != w.Code || l.failures[0].Operation != "put-offer" || l.failures[0].Err == nil {
			t.Errorf("the failures are %+v after %d", l.failures, w.Code)
		}
		return w.Code, l
	}
	never := func(amserver.Admission) bool { return false }

	code, l := serve(never, key, strings.NewReader("{}"))
	if code != http.StatusBadRequest || len(l.keys) != 1 || len(l.admitted) != 2 ||
		l.admitted[0].Domain != "" || l.admitted[1].Domain != "b.test" || l.admitted[1].Remote.String() != "192.0.2.1:1000" {
		t.Errorf("an honest request: %d, %+v", code, l)
	}
	code, l = serve(func(amserver.Admission) bool { return true }, key, unreadable{t})
	if code != http.StatusTooManyRequests || len(l.keys) != 0 || len(l.admitted) != 1 {
		t.Errorf("a refused one: %d, %+v", code, l)
	}
	code, l = serve(func(a amserver.Admission) bool { return a.Domain != "" }, key, strings.NewReader("{}"))
	if code != http.StatusTooManyRequests || len(l.keys) != 0 || len(l.admitted) != 2 {
		t.Errorf("a refused domain: %d, %+v", code, l)
	}
	code, l = serve(never, must(n.RequestKey("c.test")), strings.NewReader("{}"))
	if code != http.StatusUnauthorized || len(l.keys) != 0 || len(l.admitted) != 1 {
		t.Errorf("a key of another domain: %d, %+v", code, l)
	}
}

// unreadable is a body that must not be read.
type unreadable struct{ t *testing.T }

func (u unreadable) Read([]byte) (int, error) {
	u.t.Error("the body of a request that was not admitted is read")
	return 0, io.EOF
}
