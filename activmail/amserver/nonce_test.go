package amserver_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// minting grants every token.
type minting struct{ amserver.Outbound }

func (minting) RenewToken(context.Context, amserver.RenewRequest) (activmail.TokenGrant, error) {
	return activmail.TokenGrant{Token: activmail.NewPullToken(), Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}, nil
}

// The answer to a token request is a secret, so a signed one is good once, for as long
// as its signature lives (AM-3.8); and a domain that asks too much is the only one that
// waits.
func TestTokenNonces(t *testing.T) {
	n := must(amtest.NewNetwork())
	now := time.Now()
	handler := amserver.NewHandler(amserver.HandlerOptions{Outbound: minting{}, Keys: n.Lookup, Now: func() time.Time { return now }})
	body := must(activmail.TokenRequest{Offer: anyMessage}.Marshal())
	request := func(key *activmail.RequestKey, nonce string) *http.Request {
		r := httptest.NewRequest("POST", messagePath(anyMessage, "/token"), bytes.NewReader(body))
		r.Header.Set("Content-Type", activmail.HeadType)
		if err := activmail.SignRequest(r, activmail.DigestOf(body), *key, now, nonce); err != nil {
			t.Fatal(err)
		}
		return r
	}
	serve := func(r *http.Request) int {
		r = r.Clone(t.Context())
		r.Body = http.NoBody
		r.Body = readCloser{bytes.NewReader(body)}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	b, c := must(n.RequestKey("b.test")), must(n.RequestKey("c.test"))
	const nonce = "0123456789abcdef"
	first := request(b, nonce)
	if code := serve(first); code != http.StatusOK {
		t.Fatalf("a token request was answered %d", code)
	}
	if code := serve(first); code != http.StatusUnauthorized {
		t.Errorf("its replay was answered %d", code)
	}
	if code := serve(request(c, nonce)); code != http.StatusOK {
		t.Errorf("the same nonce of another key was answered %d", code)
	}
	codes := map[int]int{}
	for range 1001 {
		codes[serve(request(b, ""))]++
	}
	if codes[http.StatusTooManyRequests] == 0 || codes[http.StatusOK] < 900 {
		t.Errorf("1001 more were answered %v", codes)
	}
	if code := serve(request(c, "")); code != http.StatusOK {
		t.Errorf("the other domain was answered %d", code)
	}
	now = now.Add(activmail.MaxSignatureLife + activmail.MaxSkew + time.Second)
	if code := serve(request(b, "")); code != http.StatusOK {
		t.Errorf("when the old ones are forgotten the answer is %d", code)
	}
	if code := serve(first); code != http.StatusUnauthorized {
		t.Errorf("a replay after that was answered %d", code)
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

// Signed requests other than that for a token may be replayed: nothing changes.
func TestReplayOfAnOffer(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	var offer resource
	m, _ := w.sealed(t, []byte("x"))
	for _, row := range w.signedRows(t, m) {
		if row.name == "offer" {
			offer = row
		}
	}
	req := c.request(t, offer.ask)
	for _, status := range []int{http.StatusCreated, http.StatusOK} {
		replay := req.Clone(t.Context())
		replay.Body = readCloser{bytes.NewReader(offer.ask.body)}
		c.send(t, replay).want(t, status, "")
	}
	old := c.request(t, offer.ask)
	if err := activmail.SignRequest(old, activmail.DigestOf(offer.ask.body), *w.key, time.Now().Add(-activmail.MaxSignatureLife-activmail.MaxSkew-time.Minute), ""); err != nil {
		t.Fatal(err)
	}
	c.send(t, old).want(t, http.StatusUnauthorized, "signature-invalid")
	forged := c.request(t, ask{method: "PUT", path: offer.ask.path, contentType: activmail.OfferType, body: offer.ask.body, key: must(w.network.RequestKey(vam.Domain("c.test")))})
	c.send(t, forged).want(t, http.StatusUnauthorized, "signature-invalid")
}
