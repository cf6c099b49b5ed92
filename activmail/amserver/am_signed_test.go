package amserver_test

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// The domain of a key is the one that must have signed, and no parent or child of it
// (AM-3.9); a receipt of another domain is 403 (AM-8.6).
func TestKeyOfANeighbour(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	mid, offer := vam.NewMessageID(time.Now()), vam.NewMessageID(time.Now())
	get := func(origin string) ask {
		return ask{method: "GET", path: amserver.BasePath + "/in/" + origin + "/" + string(mid) + "/" + string(offer), key: w.key}
	}
	c.do(t, get("b.test")).want(t, http.StatusNotFound, "not-found")
	for _, neighbour := range []string{"x.b.test", "c.test", "xb.test", "b.test.c.test"} {
		c.do(t, get(neighbour)).want(t, http.StatusUnauthorized, "signature-invalid")
	}

	m, _ := w.sealed(t, []byte("x"))
	for _, address := range []string{"bob@x.b.test", "bob@c.test"} {
		to := must(vam.ParseAddress(address))
		body := must(activmail.Receipt{Recipient: to, Event: activmail.EventStored, At: time.Now().UTC().Truncate(time.Second)}.Marshal())
		c.do(t, ask{
			method: "PUT", path: messagePath(m.ID, "/rcpt/"+activmail.RecipientID(m.ID, to)+"/stored"), contentType: activmail.HeadType, body: body, key: w.key,
		}).want(t, http.StatusForbidden, "policy")
	}
	if len(m.Receipts()) != 0 {
		t.Error("a receipt of another domain was taken")
	}
}

// What a proxy says that the request was before is no part of it (AM-3.15).
func TestForwardingFields(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{Handler: amserver.HandlerOptions{Authority: func(host string) bool { return host == "vam.a.test" }}})
	c := w.client(t, "tcp")
	m, token := w.sealed(t, []byte("x"))
	fields := map[string]string{
		"Forwarded": "host=vam.a.test", "X-Forwarded-Host": "vam.a.test", "X-Original-Host": "vam.a.test", "X-HTTP-Method-Override": "DELETE",
		"X-Original-URL": "/nothing", "X-Rewrite-URL": "/nothing", "X-Forwarded-Prefix": "/nothing",
	}
	send := func(host string) answer {
		req := c.request(t, ask{method: "GET", path: messagePath(m.ID, ""), token: token})
		for name, value := range fields {
			req.Header.Set(name, value)
		}
		if host != "" {
			req.Host = host
		}
		return c.send(t, req)
	}
	send("").want(t, http.StatusOK, "")
	send("vam.c.test:1398").want(t, http.StatusMisdirectedRequest, "not-our-domain")
}

// A key of another algorithm, or a signature that names one, is none (AM-15.3).
func TestOtherAlgorithms(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	path := amserver.BasePath + "/in/b.test/" + string(vam.NewMessageID(time.Now())) + "/" + string(vam.NewMessageID(time.Now()))
	req := c.request(t, ask{method: "GET", path: path, key: w.key})
	req.Header.Set("Signature-Input", strings.Replace(req.Header.Get("Signature-Input"), `;keyid=`, `;alg="rsa-v1_5-sha256";keyid=`, 1))
	c.send(t, req).want(t, http.StatusUnauthorized, "signature-invalid")
	sum := sha256.Sum256(nil)
	if _, err := activmail.ParseRequestKey("v=DKIM1; k=rsa; s=vam; p=" + activmail.Hash(sum).String()); err == nil {
		t.Error("a key record of another algorithm was taken")
	}
}
