package e2e_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amtest"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/userwire"
)

// siege is a server with a friend, a.test, and an enemy, evil.test.
type siege struct {
	*pair
	evil *harness.Evil
}

func newSiege(t *testing.T, b harness.Options) *siege {
	t.Helper()
	b.Env = append(b.Env, noHold)
	p := newPair(t, harness.Options{}, b)
	return &siege{pair: p, evil: p.Evil("evil.test")}
}

// honest sends a message from the friend: whatever the enemy does, it arrives.
func (s *siege) honest() {
	s.T.Helper()
	content := harness.Content(uint64(time.Now().UnixNano()), 200_000)
	m := s.alice.SendTo(content, s.bob)
	s.bob.Holds(s.a.Domain, m.ID, content)
}

// inbox counts what bob has of the enemy.
func (s *siege) inbox() (n int) {
	s.T.Helper()
	for _, e := range s.bob.Inbox() {
		if e.Origin == s.evil.Domain {
			n++
		}
	}
	return n
}

// TestHostileOffers makes offers that lie about who makes them, what they are, or what
// was offered before.
func TestHostileOffers(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	e := s.evil
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	content := harness.Content(60, 5000)
	for _, tc := range []struct {
		what    string
		offer   func(o *activmail.Offer, m *amtest.Message)
		key     *activmail.RequestKey
		problem string
	}{
		{what: "the key of somebody else", key: &activmail.RequestKey{ID: e.Keys.Request.ID, Private: other}, problem: "signature-invalid"},
		{what: "a key that is not in DNS", key: &activmail.RequestKey{ID: "v9._domainkey.evil.test", Private: e.Keys.Request.Private}, problem: "key-not-found"},
		{what: "the name of a friend's key", key: &activmail.RequestKey{ID: "v1._domainkey.a.test", Private: e.Keys.Request.Private}, problem: "signature-invalid"},
		{what: "a friend as its author", offer: func(o *activmail.Offer, m *amtest.Message) {
			o.Envelope.From = s.alice.Addr
			o.Mail = e.Letter(m, s.alice.Addr, s.bob)
		}, problem: "author-unaligned"},
		{what: "a letter that was changed", offer: func(o *activmail.Offer, _ *amtest.Message) {
			o.Mail = bytes.Replace(o.Mail, []byte("trust me"), []byte("trust us"), 1)
		}, problem: "signature-invalid"},
		{what: "the letter of another message", offer: func(o *activmail.Offer, _ *amtest.Message) {
			o.Mail = e.Letter(e.Message(content), e.From(), s.bob)
		}, problem: "policy"},
		{what: "a checkpoint of another log", offer: func(o *activmail.Offer, _ *amtest.Message) {
			o.Checkpoint = e.Offer(e.Message(content), s.bob).Checkpoint
		}, problem: "malformed"},
		{what: "a line that was taken out", offer: func(o *activmail.Offer, _ *amtest.Message) { o.Log = o.Log[1:] }, problem: "digest-mismatch"},
	} {
		m := e.Message(content)
		o := e.Offer(m, s.bob)
		if tc.offer != nil {
			tc.offer(o, m)
		}
		_, err := e.Put(s.b, o, e.Bytes(o), tc.key)
		if err == nil {
			t.Errorf("%s: the offer was taken", tc.what)
			continue
		}
		if p := problemOf(err); p != tc.problem {
			t.Errorf("%s: problem %q, %q is right: %v", tc.what, p, tc.problem, err)
		}
	}
	if n := s.inbox(); n != 0 {
		t.Errorf("bob has %d of them", n)
	}
	s.honest()

	// Oversize: a line, and an offer as a whole.
	m := e.Message(content)
	o := e.Offer(m, s.bob)
	body := bytes.Replace(e.Bytes(o), []byte(`"log":[`), []byte(`"log":["{\"k\":\"x\",\"y\":\"`+strings.Repeat("z", 5000)+`\"}",`), 1)
	if status, text := s.b.Do(s.b.HTTP2(), e.Request(s.b, o, body, e.Keys.Request), body); status < 400 || status >= 500 {
		t.Errorf("a line of 5,000 octets: %d %s", status, text)
	}
	body = append(e.Bytes(o), bytes.Repeat([]byte(" "), 8<<20)...)
	if status, text := s.b.Do(s.b.HTTP2(), e.Request(s.b, o, body, e.Keys.Request), body); status != http.StatusRequestEntityTooLarge {
		t.Errorf("an offer of 8 MiB: %d %s", status, text)
	}
	if n := s.inbox(); n != 0 {
		t.Errorf("bob has %d messages of the enemy", n)
	}
	s.honest()
}

func problemOf(err error) string {
	var e *vam.Error
	if ok := errors.As(err, &e); !ok {
		return ""
	}
	return e.Problem
}

// TestReplay sends an offer again: the same octets, signed once or anew, and other
// octets under its name.
func TestReplay(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	e := s.evil
	content := harness.Content(61, 1<<20+5)
	m := e.Message(content)
	o := e.Offer(m, s.bob)
	body := e.Bytes(o)
	captured, client := e.Request(s.b, o, body, e.Keys.Request), s.b.HTTP2()
	if status, text := s.b.Do(client, captured, body); status != http.StatusCreated {
		t.Fatalf("the offer: %d %s", status, text)
	}
	s.bob.Holds(e.Domain, m.ID, content)
	in := s.b.Metrics().MediaIn()
	for range 3 {
		if status, text := s.b.Do(client, captured, body); status != http.StatusOK {
			t.Errorf("the same request again: %d %s", status, text)
		}
		res, err := e.Put(s.b, o, body, nil)
		if err != nil || !res.Known {
			t.Errorf("the same offer again: %+v %v", res, err)
		}
	}
	changed := *o
	changed.Envelope.DeliverBy = changed.Envelope.DeliverBy.Add(time.Minute)
	if _, err := e.Put(s.b, &changed, e.Bytes(&changed), nil); problemOf(err) != "offer-conflict" {
		t.Errorf("other octets under the same name: %v", err)
	}
	if status, text := s.b.Do(client, captured, e.Bytes(&changed)); status != http.StatusUnauthorized {
		t.Errorf("other octets under a captured signature: %d %s", status, text)
	}
	second := e.Offer(m, s.bob) // another offer of the same message
	if res, err := e.Put(s.b, second, e.Bytes(second), nil); err != nil || res.Known {
		t.Errorf("a second offer of the message: %+v %v", res, err)
	}
	s.bob.Holds(e.Domain, m.ID, content)
	if now := s.b.Metrics().MediaIn(); now != in {
		t.Errorf("%d octets of media were pulled again", now-in)
	}
	if n := s.inbox(); n != 1 {
		t.Errorf("bob has %d messages of one", n)
	}
}

// below answers requests whose path ends in what.
func below(what string, answer harness.Answer) harness.Answer {
	return func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
		return strings.HasSuffix(r.URL.Path, what) && answer(w, r, honest)
	}
}

// anywhere answers all requests but receipts, which the test wants to hear.
func anywhere(answer harness.Answer) harness.Answer {
	return func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
		return !strings.Contains(r.URL.Path, "/rcpt/") && answer(w, r, honest)
	}
}

// TestHostileOrigins offers messages and then serves something else: nothing of it is
// shown as the message, the author is told where it is the origin's fault, and other
// people's mail goes on.
func TestHostileOrigins(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	e := s.evil
	content, flipped := harness.Content(62, 3<<20), harness.Content(63, 3<<20)

	for i, tc := range []struct {
		what string
		// prepare returns a message, its offer and its lies.
		prepare func() (*amtest.Message, *activmail.Offer, harness.Answer)
		// final says that the message ends as failed; else it stays to arrive.
		final bool
	}{
		{"a part with another hash", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m := e.Message(content)
			return m, e.Offer(m, s.bob), below("/media", func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
				honest.ServeHTTP(&flipWriter{ResponseWriter: w, at: 2<<20 + 17}, r)
				return true
			})
		}, true},
		{"an endless body", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m := e.Message(content)
			return m, e.Offer(m, s.bob), below("/media", endless)
		}, true},
		{"a whole file in place of a range, endless", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m := e.Message(content)
			return m, e.Offer(m, s.bob), below("/media", func(w http.ResponseWriter, r *http.Request, h http.Handler) bool {
				r.Header.Del("Range")
				return endless(w, r, h)
			})
		}, false},
		{"a redirect of everything", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m := e.Message(content)
			return m, e.Offer(m, s.bob), anywhere(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				http.Redirect(w, r, "https://127.0.0.1/secret", http.StatusTemporaryRedirect)
				return true
			})
		}, false},
		{"a log that breaks off", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m, o := s.beginning(content)
			return m, o, below("/log", func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
				honest.ServeHTTP(&cutWriter{ResponseWriter: w, left: 300}, r)
				panic(http.ErrAbortHandler)
			})
		}, false},
		{"a log without its last line", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m, o := s.beginning(content)
			return m, o, func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
				if strings.Contains(r.URL.Path, "/e/") {
					w.WriteHeader(http.StatusNoContent)
					return true
				}
				return below("/log", func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
					rewrite(w, r, honest, func(body []byte) []byte {
						lines, checkpoint, _ := bytes.Cut(body, []byte("\n\n"))
						lines = lines[:bytes.LastIndexByte(lines, '\n')+1]
						return activmail.AppendLogEnd(lines, checkpoint)
					})
					return true
				})(w, r, honest)
			}
		}, false},
		{"a line of 5,000 octets", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m, o := s.beginning(content)
			return m, o, below("/log", func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
				rewrite(w, r, honest, func(body []byte) []byte {
					return append([]byte(`{"k":"x","y":"`+strings.Repeat("z", 5000)+"\"}\n"), body...)
				})
				return true
			})
		}, false},
		{"two histories", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m, o := s.beginning(content)
			return m, o, s.twin(m, flipped)
		}, true},
		{"nothing but 410", func() (*amtest.Message, *activmail.Offer, harness.Answer) {
			m := e.Message(content)
			return m, e.Offer(m, s.bob), anywhere(func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
				w.WriteHeader(http.StatusGone)
				return true
			})
		}, false},
	} {
		content[0] = byte(i) // the same file again would be had from an earlier message
		before := s.b.Resident()
		m, o, lies := tc.prepare()
		asked := make(chan struct{}, 1000)
		e.Misbehave(m.ID, func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
			select {
			case asked <- struct{}{}:
			default:
			}
			return lies(w, r, honest)
		})
		if _, err := e.Put(s.b, o, e.Bytes(o), nil); err != nil {
			t.Fatalf("%s: %v", tc.what, err)
		}
		if tc.final {
			got := s.bob.AwaitEntry(tc.what+": the message fails", e.Domain, m.ID, harness.InStates("failed", "stored"))
			if got.State != "failed" || got.Reason == "" {
				t.Errorf("%s: the entry is %s, reason %q", tc.what, got.State, got.Reason)
			}
			harness.Await(t, tc.what+": the origin is told", func(context.Context) (bool, error) {
				for _, r := range m.Receipts() {
					if r.Event == activmail.EventFailed {
						return true, nil
					}
				}
				return false, harness.ErrPending
			})
			if body, err := s.bob.Download(e.Domain, m.ID, 0); err == nil {
				t.Errorf("%s: %d octets of a failed message can be read", tc.what, len(body))
			}
		} else {
			<-asked
			s.honest()
			if got := s.bob.AwaitEntry(tc.what, e.Domain, m.ID, func(userwire.Entry) bool { return true }); got.State != "arriving" {
				t.Errorf("%s: the entry is %s", tc.what, got.State)
			}
		}
		s.honest()
		if grown := s.b.Resident() - before; grown > 200<<20 {
			t.Errorf("%s: the server grew by %d MiB", tc.what, grown>>20)
		}
		if !tc.final { // it means no harm any more: then it is an ordinary message
			e.Misbehave(m.ID, nil)
			e.Poke(s.b, o)
			s.bob.Holds(e.Domain, m.ID, content)
		}
	}
	s.b.Stop()
	s.b.Check()
}

// beginning is a message with an offer that has its first line only.
func (s *siege) beginning(content []byte) (*amtest.Message, *activmail.Offer) {
	s.T.Helper()
	m := s.evil.Live()
	if err := m.AppendFile("application/octet-stream", content[:1<<20]); err != nil {
		s.T.Fatal(err)
	}
	o := s.evil.Offer(m, s.bob)
	if err := errors.Join(m.AppendFile("", content[1<<20:]), m.Seal()); err != nil {
		s.T.Fatal(err)
	}
	return m, o
}

// twin serves another message under the id, the key and the tokens of m.
func (s *siege) twin(m *amtest.Message, content []byte) harness.Answer {
	s.T.Helper()
	other := s.evil.Live()
	known := other.ID // to its origin
	other.ID, other.Key = m.ID, m.Key
	if err := errors.Join(other.AppendFile("text/plain", content), other.Seal()); err != nil {
		s.T.Fatal(err)
	}
	token := other.Grant(s.b.Domain)
	return anywhere(func(w http.ResponseWriter, r *http.Request, honest http.Handler) bool {
		r.URL.Path = strings.Replace(r.URL.Path, string(m.ID), string(known), 1)
		r.Header.Set("Authorization", "Bearer "+string(token))
		honest.ServeHTTP(w, r)
		return true
	})
}

// endless answers a range with a body that has no end.
func endless(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
	w.Header().Set("ETag", `"x"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	status := http.StatusOK
	if span, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok {
		w.Header().Set("Content-Range", "bytes "+span+"/3145728")
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
	for block := make([]byte, 256<<10); ; {
		if _, err := w.Write(block); err != nil {
			return true
		}
	}
}

// flipWriter changes one bit of a file on its way out.
type flipWriter struct {
	http.ResponseWriter
	at   int64 // in the file
	next int64 // in the file; -1 before the first octet
	sent bool
}

func (f *flipWriter) Unwrap() http.ResponseWriter { return f.ResponseWriter }

func (f *flipWriter) Write(p []byte) (int, error) {
	if !f.sent {
		f.sent = true
		if span, ok := strings.CutPrefix(f.Header().Get("Content-Range"), "bytes "); ok {
			from, _, _ := strings.Cut(span, "-")
			f.next, _ = strconv.ParseInt(from, 10, 64)
		}
	}
	if i := f.at - f.next; i >= 0 && i < int64(len(p)) {
		p = bytes.Clone(p)
		p[i] ^= 1
	}
	f.next += int64(len(p))
	return f.ResponseWriter.Write(p)
}

// cutWriter lets the first octets through.
type cutWriter struct {
	http.ResponseWriter
	left int
}

func (c *cutWriter) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cutWriter) Write(p []byte) (int, error) {
	n := min(len(p), c.left)
	c.left -= n
	if _, err := c.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	return len(p), http.NewResponseController(c.ResponseWriter).Flush()
}

// rewrite changes the body of an honest answer.
func rewrite(w http.ResponseWriter, r *http.Request, honest http.Handler, change func([]byte) []byte) {
	h := &heldWriter{ResponseWriter: w, status: http.StatusOK}
	honest.ServeHTTP(h, r)
	body := h.body.Bytes()
	if h.status == http.StatusOK {
		body = change(body)
	}
	w.Header().Del("Content-Length")
	w.WriteHeader(h.status)
	_, _ = w.Write(body)
}

// heldWriter keeps an answer back.
type heldWriter struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (h *heldWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }
func (h *heldWriter) WriteHeader(status int)      { h.status = status }
func (h *heldWriter) Write(p []byte) (int, error) { return h.body.Write(p) }
func (h *heldWriter) FlushError() error           { return nil }
