package amserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
)

// checking is a backend that wants what the handler promises of its arguments.
type checking struct{ t *testing.T }

func (c *checking) message(mid vam.MessageID) error {
	c.t.Helper()
	if got, err := vam.ParseMessageID(string(mid)); err != nil || got != mid {
		c.t.Errorf("a backend was asked for the message %q", mid)
	}
	return vam.Errorf(vam.NotFound, "nothing here")
}

func (c *checking) Head(_ context.Context, p amserver.Pull) (activmail.Head, error) {
	return activmail.Head{}, c.message(p.MessageID)
}

func (c *checking) Log(_ context.Context, p amserver.Pull, from int64, _ time.Duration) (amserver.Log, error) {
	if from < 0 {
		c.t.Errorf("from is %d", from)
	}
	return amserver.Log{}, c.message(p.MessageID)
}

func (c *checking) Entry(_ context.Context, p amserver.Pull, n int64, _ time.Duration) (amserver.Entry, error) {
	if n < 0 || n >= activmail.DefaultLimits().Lines {
		c.t.Errorf("n is %d", n)
	}
	return amserver.Entry{}, c.message(p.MessageID)
}

func (c *checking) Media(_ context.Context, p amserver.Pull) (amserver.Media, error) {
	return amserver.Media{}, c.message(p.MessageID)
}

func (c *checking) Blob(_ context.Context, p amserver.Pull, _ activmail.Sum) (amserver.Blob, error) {
	return amserver.Blob{}, c.message(p.MessageID)
}

func (c *checking) Proof(_ context.Context, p amserver.Pull, r amserver.ProofRequest) (activmail.Proof, error) {
	if r.Inclusion && (r.Leaf < 0 || r.Leaf >= r.Size) || !r.Inclusion && (r.From <= 0 || r.From > r.Size) {
		c.t.Errorf("the proof is of %+v", r)
	}
	return activmail.Proof{}, c.message(p.MessageID)
}

func (c *checking) PutReceipt(context.Context, amserver.ReceiptRequest) (bool, error) {
	c.t.Error("an unsigned receipt reached the backend")
	return false, nil
}

func (c *checking) RenewToken(context.Context, amserver.RenewRequest) (activmail.TokenGrant, error) {
	c.t.Error("an unsigned token request reached the backend")
	return activmail.TokenGrant{}, nil
}

func (c *checking) PutOffer(context.Context, amserver.OfferRequest) (amserver.OfferResult, error) {
	c.t.Error("an unsigned offer reached the backend")
	return amserver.OfferResult{}, nil
}

func (c *checking) OfferState(context.Context, amserver.StateRequest) (activmail.OfferAnswer, error) {
	c.t.Error("an unsigned question reached the backend")
	return activmail.OfferAnswer{}, nil
}

func (c *checking) Poke(context.Context, amserver.PokeRequest) error {
	c.t.Error("an unsigned poke reached the backend")
	return nil
}

// FuzzPath: whatever the target of a request is, a backend sees only ids and numbers of
// the right form, nothing that needs a signature without one, and every answer is a
// problem document.
func FuzzPath(f *testing.F) {
	mid := string(anyMessage)
	for _, target := range []string{
		"/", "*", "/vam/v1", "/vam/v1/m/" + mid, "/vam/v1/m/" + mid + "/log?from=3", "/vam/v1/m/" + mid + "/e/199999",
		"/vam/v1/m/" + mid + "/media", "/vam/v1/m/" + mid + bodyPaths()["blob"], "/vam/v1/m/" + mid + "/proof?leaf=1&size=9",
		"/vam/v1/m/" + mid + "/proof?from=2&size=2", "/vam/v1/m/%2e%2e/log", "/vam/v1//m/x", "/vam/v1/m/" + mid + "/e/-1",
		"/vam/v1/in/b.test/" + mid + "/" + mid, "/vam/v1/in/B.test/" + mid + "/poke", "/vam/v1/m/" + mid + "/token", "/vam/v1/m/" + mid + "/rcpt/x/stored",
		"/vam/v1/m/" + mid + "/log?from=1;from=2&from=%zz", "/vam/v3/",
	} {
		for _, method := range []string{"GET", "HEAD", "PUT", "POST", "CONNECT"} {
			f.Add(method, target)
		}
	}
	token := "Bearer " + string(activmail.NewPullToken())
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Scheme != "" {
			return // no HTTP stack passes it on
		}
		b := &checking{t}
		handler := amserver.NewHandler(amserver.HandlerOptions{Inbound: b, Outbound: b})
		r := &http.Request{
			Method: method, URL: u, RequestURI: target, Host: "vam.a.test", Proto: "HTTP/2.0", ProtoMajor: 2,
			Header: http.Header{"Authorization": {token}, "Content-Type": {activmail.OfferType}}, Body: http.NoBody, RemoteAddr: "192.0.2.1:1",
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if (w.Code < 400 || w.Code > 499) && w.Code != http.StatusNotImplemented { // another version (AM-15.1)
			t.Errorf("%s %q: %d", method, target, w.Code)
		}
		if target != "*" && w.Header().Get("Content-Type") != activmail.ProblemType {
			t.Errorf("%s %q: %d of the type %q", method, target, w.Code, w.Header().Get("Content-Type"))
		}
	})
}
