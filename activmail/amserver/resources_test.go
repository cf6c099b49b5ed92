package amserver_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// resource is a request that is sent twice, and what must come back.
type resource struct {
	name          string
	ask           ask
	first, second int
	problem       string
	contentType   string
	check         func(t *testing.T, a answer)
}

// Every resource, over both transports, each request twice: the second answer is that of
// a repetition, and nothing happens again (AM-1.16, AM-11.5).
// It is AM-6.1, AM-6.2, AM-7.1, AM-7.13, AM-7.15, AM-8.5.
func TestResourcesTwice(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		w := newWorld(t, amtest.PeerOptions{})
		c := w.client(t, network)
		content := pattern(1<<20 + 11)
		m, token := w.sealed(t, content)
		rows := append(w.pullRows(m, token, content), w.signedRows(t, m)...)
		rows = append(rows, strangeRows(m, token)...)
		for _, row := range rows {
			t.Run(row.name, func(t *testing.T) {
				for _, status := range []int{row.first, row.second} {
					got := c.do(t, row.ask)
					got.want(t, status, row.problem)
					if ct := got.header.Get("Content-Type"); row.contentType != "" && ct != row.contentType {
						t.Errorf("the type is %q, want %q", ct, row.contentType)
					}
					if row.check != nil {
						row.check(t, got)
					}
				}
			})
		}
		if got := len(m.Receipts()); got != 1 {
			t.Errorf("%d receipts were taken of one that was sent twice", got)
		}
		if got := w.peer.Inbox.Pokes(); got != 2 {
			t.Errorf("%d pokes arrived, of 2", got)
		}
	})
}

func hasBody(want []byte) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if !bytes.Equal(a.body, want) {
			t.Errorf("the body has %d octets, want %d", len(a.body), len(want))
		}
	}
}

func hasHeader(name, want string) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		if got := a.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func all(checks ...func(*testing.T, answer)) func(*testing.T, answer) {
	return func(t *testing.T, a answer) {
		t.Helper()
		for _, c := range checks {
			c(t, a)
		}
	}
}

// pullRows are what a token opens.
func (w *world) pullRows(m *amtest.Message, token activmail.Token, content []byte) []resource {
	part := content[:activmail.FilePart]
	sum := sha256.Sum256(part)
	blob := "/b/" + hex.EncodeToString(sum[:])
	get := func(rest string) ask { return ask{method: "GET", path: messagePath(m.ID, rest), token: token} }
	head := func(rest string) ask { return ask{method: "HEAD", path: messagePath(m.ID, rest), token: token} }
	return []resource{
		{name: "head", ask: get(""), first: 200, second: 200, contentType: activmail.HeadType, check: func(t *testing.T, a answer) {
			if h, err := activmail.ParseHead(a.body, activmail.DefaultLimits()); err != nil || h.MessageID != m.ID || h.LogSize != 3 {
				t.Errorf("%+v, %v", h, err)
			}
		}},
		{name: "log", ask: get("/log?from=1"), first: 200, second: 200, contentType: activmail.LogType, check: func(t *testing.T, a answer) {
			if lines := bytes.Count(a.body, []byte("\n{")) + 1; lines != 2 {
				t.Errorf("%d lines", lines)
			}
		}},
		{name: "log, its end", ask: get("/log?from=3"), first: 204, second: 204},
		{name: "log, beyond", ask: get("/log?from=4"), first: 416, second: 416, problem: "log-position"},
		{name: "log, no index", ask: get("/log?from=-1"), first: 400, second: 400, problem: "malformed"},
		{name: "entry", ask: get("/e/0"), first: 200, second: 200, contentType: "video/mp4", check: all(hasBody(part), func(t *testing.T, a answer) {
			line, err := base64.StdEncoding.DecodeString(string(bytes.Trim([]byte(a.header.Get("VAM-Record")), ":")))
			if err != nil || !bytes.HasPrefix(line, []byte(`{"k":"part"`)) {
				t.Errorf("VAM-Record is %q, %v", line, err)
			}
		})},
		{name: "entry without blob", ask: get("/e/2"), first: 200, second: 200, check: hasBody(nil)},
		{name: "entry that is not there", ask: get("/e/99"), first: 204, second: 204},
		{name: "entry beyond every log", ask: get("/e/200000"), first: 400, second: 400, problem: "malformed"},
		{name: "media", ask: get("/media"), first: 200, second: 200, contentType: "video/mp4", check: all(hasBody(content), hasHeader("Accept-Ranges", "bytes"))},
		{name: "media, head", ask: head("/media"), first: 200, second: 200, check: all(hasBody(nil), hasHeader("Content-Length", "1048587"))},
		{name: "blob", ask: get(blob), first: 200, second: 200, check: all(hasBody(part), hasHeader("Cache-Control", "private, immutable"),
			hasHeader("Repr-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"))},
		{name: "blob, unknown", ask: get("/b/" + hex.EncodeToString(make([]byte, 32))), first: 404, second: 404, problem: "not-found"},
		{name: "blob, no hash", ask: get("/b/XYZ"), first: 404, second: 404, problem: "not-found"},
		{name: "inclusion", ask: get("/proof?leaf=1&size=3"), first: 200, second: 200, contentType: activmail.HeadType},
		{name: "consistency", ask: get("/proof?from=1&size=3"), first: 200, second: 200},
		{name: "proof of nothing", ask: get("/proof?from=0&size=4"), first: 400, second: 400, problem: "malformed"},
		{name: "proof of both", ask: get("/proof?from=1&leaf=1&size=4"), first: 400, second: 400, problem: "malformed"},
		{name: "proof beyond", ask: get("/proof?leaf=1&size=4"), first: 416, second: 416, problem: "log-position"},
		{
			name: "another token", ask: ask{method: "GET", path: messagePath(m.ID, ""), token: activmail.NewPullToken()},
			first: 401, second: 401, problem: "token-invalid", check: hasHeader("WWW-Authenticate", "Bearer"),
		},
		{name: "no token", ask: ask{method: "GET", path: messagePath(m.ID, "")}, first: 401, second: 401, problem: "token-invalid"},
		{
			name: "no message", ask: ask{method: "GET", path: messagePath(vam.NewMessageID(time.Now()), ""), token: token},
			first: 401, second: 401, problem: "token-invalid",
		},
		{name: "no message id", ask: ask{method: "GET", path: messagePath("x", ""), token: token}, first: 401, second: 401, problem: "token-invalid"},
	}
}

// signedRows are what a key opens.
func (w *world) signedRows(t *testing.T, sent *amtest.Message) []resource {
	t.Helper()
	origin := amtest.NewOrigin("b.test")
	m := must(origin.NewMessage(vam.File))
	if err := m.AppendFile("video/mp4", []byte("content")); err != nil {
		t.Fatal(err)
	}
	bob := must(vam.ParseAddress("bob@b.test"))
	offer := m.Offer(bob, []vam.Address{must(vam.ParseAddress("alice@a.test"))}, []byte("Subject: hi\r\n\r\n"))
	body := must(offer.Marshal(activmail.DefaultLimits()))
	path := amserver.BasePath + "/in/b.test/" + string(m.ID)
	offerPath := path + "/" + string(offer.ID)
	put := ask{method: "PUT", path: offerPath, contentType: activmail.OfferType, body: body, key: w.key}
	unsigned := put
	unsigned.key = nil

	receipt := activmail.Receipt{Recipient: bob, Event: activmail.EventStored, At: time.Now().UTC().Truncate(time.Second)}
	receiptBody := must(receipt.Marshal())
	sentOffer := sent.Offer(must(vam.ParseAddress("alice@a.test")), []vam.Address{bob}, nil)
	renew := must(activmail.TokenRequest{Offer: sentOffer.ID}.Marshal())
	rcpt := "/rcpt/" + activmail.RecipientID(sent.ID, bob) + "/"
	return []resource{
		{name: "offer state before", ask: ask{method: "GET", path: offerPath, key: w.key}, first: 404, second: 404, problem: "not-found"},
		{name: "offer", ask: put, first: 201, second: 200, contentType: activmail.HeadType},
		{
			name: "offer, unsigned", ask: unsigned, first: 401, second: 401, problem: "signature-invalid",
			check: hasHeader("Accept-Signature", activmail.AcceptSignature(true)),
		},
		{name: "offer, other octets", ask: ask{method: "PUT", path: offerPath, contentType: activmail.OfferType, body: append(body, ' '), key: w.key}, first: 409, second: 409, problem: "offer-conflict"},
		{name: "offer, other path", ask: ask{method: "PUT", path: path + "/" + string(vam.NewMessageID(time.Now())), contentType: activmail.OfferType, body: body, key: w.key}, first: 400, second: 400, problem: "malformed"},
		{name: "offer state", ask: ask{method: "GET", path: offerPath, key: w.key}, first: 200, second: 200, contentType: activmail.HeadType},
		{
			name: "offer state, unsigned", ask: ask{method: "GET", path: offerPath}, first: 401, second: 401, problem: "signature-invalid",
			check: hasHeader("Accept-Signature", activmail.AcceptSignature(false)),
		},
		{name: "poke", ask: ask{method: "POST", path: path + "/poke", contentType: activmail.CheckpointType, body: offer.Checkpoint, key: w.key}, first: 204, second: 204},
		{name: "receipt", ask: ask{method: "PUT", path: messagePath(sent.ID, rcpt+"stored"), contentType: activmail.HeadType, body: receiptBody, key: w.key}, first: 201, second: 200},
		{name: "receipt, other event", ask: ask{method: "PUT", path: messagePath(sent.ID, rcpt+"played"), contentType: activmail.HeadType, body: receiptBody, key: w.key}, first: 400, second: 400, problem: "malformed"},
		{name: "token", ask: ask{method: "POST", path: messagePath(sent.ID, "/token"), contentType: activmail.HeadType, body: renew, key: w.key}, first: 200, second: 200, check: func(t *testing.T, a answer) {
			if g, err := activmail.ParseTokenGrant(a.body, activmail.DefaultLimits()); err != nil || g.Token == "" {
				t.Errorf("%v, %v", g, err)
			}
		}},
	}
}

// strangeRows are paths and methods that mean nothing (AM-7.29).
func strangeRows(m *amtest.Message, token activmail.Token) []resource {
	rows := []resource{
		{name: "method of media", ask: ask{method: "DELETE", path: messagePath(m.ID, "/media"), token: token}, first: 405, second: 405, problem: "not-found", check: hasHeader("Allow", "GET, HEAD")},
		{name: "method of an offer", ask: ask{method: "POST", path: amserver.BasePath + "/in/b.test/" + string(m.ID) + "/" + string(m.ID)}, first: 405, second: 405, check: hasHeader("Allow", "GET, PUT, HEAD")},
	}
	for _, path := range []string{"/", "/vam/v1", "/vam/v1/", "/vam/v2/m/x", "/vam/v1/m/x/y/z", "/vam/v1/m/x/media/", "//vam/v1/m/x", "/vam/v1/m/../m/x", "/vam/v1/m/%2e%2e/x", "/vam/v1/m/x%2Fmedia"} {
		status, problem := http.StatusNotFound, "not-found"
		if path == "/vam/v2/m/x" { // AM-15.1
			status, problem = http.StatusNotImplemented, "version"
		}
		if path == "/vam/v1/m/x%2Fmedia" { // one segment, and so a message id that is none
			status, problem = http.StatusUnauthorized, "token-invalid"
		}
		rows = append(rows, resource{name: "path " + path, ask: ask{method: "GET", path: path, token: token}, first: status, second: status, problem: problem})
	}
	return rows
}

// A signed request is for one authority: another name is another server (AM-3.10).
func TestAuthority(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		var seen atomic.Value
		w := newWorld(t, amtest.PeerOptions{Handler: amserver.HandlerOptions{
			Authority: func(host string) bool { seen.Store(host); return host == "vam.a.test" },
		}})
		c := w.client(t, network)
		m, token := w.sealed(t, []byte("x"))
		req := c.request(t, ask{method: "GET", path: messagePath(m.ID, ""), token: token})
		c.send(t, req).want(t, http.StatusOK, "")
		req = c.request(t, ask{method: "GET", path: messagePath(m.ID, ""), token: token})
		req.Host = "VAM.C.test.:1398"
		c.send(t, req).want(t, http.StatusMisdirectedRequest, "not-our-domain")
		if seen.Load() != "vam.c.test" {
			t.Errorf("the authority was asked for as %q", seen.Load())
		}
	})
}

// The receipt of an event that is not known is taken and forgotten (AM-8.8).
func TestUnknownReceipt(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "tcp")
	m, _ := w.sealed(t, []byte("x"))
	bob := must(vam.ParseAddress("bob@b.test"))
	body := []byte(`{"v":1,"rcpt":"bob@b.test","event":"transcribed","at":"2026-01-02T03:04:05Z"}`)
	got := c.do(t, ask{
		method: "PUT", path: messagePath(m.ID, "/rcpt/"+activmail.RecipientID(m.ID, bob)+"/transcribed"),
		contentType: activmail.HeadType, body: body, key: w.key,
	})
	got.want(t, http.StatusOK, "")
	if len(m.Receipts()) != 0 {
		t.Error("it reached the backend")
	}
}

// The port of HTTP/3 is announced over TCP only (AM-11.12).
func TestAltSvc(t *testing.T) {
	for name, port := range map[string]int{"own": 0, "given": 1398, "none": -1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{AltSvcPort: port}})
			udp := w.client(t, "udp").do(t, ask{method: "GET", path: "/"})
			if v := udp.header.Get("Alt-Svc"); v != "" {
				t.Errorf("over UDP it is %q", v)
			}
			want := map[string]string{
				"own":   `h3="` + w.peer.UDP.String()[len("127.0.0.1"):] + `"; ma=86400`,
				"given": `h3=":1398"; ma=86400`,
			}[name]
			if v := w.client(t, "tcp").do(t, ask{method: "GET", path: "/"}).header.Get("Alt-Svc"); v != want {
				t.Errorf("over TCP it is %q, want %q", v, want)
			}
		})
	}
}

// shortLog has three lines, and says so in an error of some other kind.
type shortLog struct{ amserver.Outbound }

func (shortLog) Proof(context.Context, amserver.Pull, amserver.ProofRequest) (activmail.Proof, error) {
	return activmail.Proof{}, vam.Wrap(vam.Invalid, &activmail.PositionError{Size: 3}, "not yet")
}

// A proof beyond the log tells where it ends, whatever a backend made of it (AM-7.14).
func TestProofBeyondTheLog(t *testing.T) {
	w := newWorld(t, withOutbound(shortLog{}, amserver.HandlerOptions{}))
	got := w.client(t, "tcp").do(t, ask{method: "GET", path: messagePath(anyMessage, "/proof?leaf=1&size=9"), token: activmail.NewPullToken()})
	got.want(t, http.StatusRequestedRangeNotSatisfiable, "log-position")
	if p := activmail.ParseProblem(got.status, got.header, got.body); p.Size != 3 {
		t.Errorf("the size is %d", p.Size)
	}
}
