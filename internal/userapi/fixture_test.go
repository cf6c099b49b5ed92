package userapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

// desk is a server with three users, and its API.
type desk struct {
	*hosttest.Host
	handler http.Handler
	url     string
	client  *http.Client
	tokens  map[string]activmail.Token
	people  map[string]account.Account
}

func newDesk(t testing.TB, o hosttest.Options) *desk {
	t.Helper()
	d := &desk{Host: hosttest.New(t, o), tokens: map[string]activmail.Token{}, people: map[string]account.Account{}}
	for _, name := range []string{"alice", "bob", "mallory"} {
		d.people[name] = d.Account(name+"@b.example", 0)
		d.tokens[name] = d.Token(d.people[name])
	}
	d.handler = userapi.New(userapi.Options{
		Accounts: d.Accounts, Messages: d.Messages, Submission: d.Submission, Delivery: d.Delivery,
		Reception: d.Reception, Mailbox: d.DB.Mailboxes(), Now: d.Clock.Now,
		Links: d.Grants, LinkURL: func(token string) string { return "https://v.b.example/w/" + token },
	})
	srv := httptest.NewServer(d.handler)
	t.Cleanup(srv.Close)
	d.url, d.client = srv.URL, srv.Client()
	return d
}

// answer is what came for a request.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error // of reading the body
}

// do makes a request of a user; header has names and values in turn.
func (d *desk) do(t testing.TB, user, route string, body any, header ...string) answer {
	t.Helper()
	res, err := d.client.Do(d.request(t, user, route, body, header...))
	if err != nil {
		return answer{Err: err}
	}
	defer res.Body.Close()
	a := answer{Status: res.StatusCode, Header: res.Header}
	a.Body, a.Err = io.ReadAll(res.Body)
	return a
}

func (d *desk) request(t testing.TB, user, route string, body any, header ...string) *http.Request {
	t.Helper()
	method, path, _ := strings.Cut(route, " ")
	var rd io.Reader
	switch b := body.(type) {
	case nil:
	case io.Reader:
		rd = b
	case []byte:
		rd = bytes.NewReader(b)
	case string:
		rd = strings.NewReader(b)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		rd = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, d.url+userwire.Base+path, rd)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		req.Header.Set("Authorization", "Bearer "+string(d.tokens[user]))
	}
	for pair := range slices.Chunk(header, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	return req
}

// ok makes a request that must be answered with the status.
func (d *desk) ok(t testing.TB, user, route string, body any, status int, header ...string) answer {
	t.Helper()
	a := d.do(t, user, route, body, header...)
	if a.Err != nil || a.Status != status {
		t.Fatalf("%s: %d %s (%v), want %d", route, a.Status, a.Body, a.Err, status)
	}
	return a
}

// refused makes a request that must be refused in the way that every refusal has.
func (d *desk) refused(t testing.TB, user, route string, body any, status int, problem string, header ...string) answer {
	t.Helper()
	a := d.do(t, user, route, body, header...)
	if a.Err != nil || a.Status != status {
		t.Errorf("%s: %d %s (%v), want %d %s", route, a.Status, a.Body, a.Err, status, problem)
		return a
	}
	p := activmail.ParseProblem(status, a.Header, a.Body)
	if p.Name == "" || problem != "" && p.Name != problem {
		t.Errorf("%s: the problem is %q, want %s: %s", route, p.Name, problem, a.Body)
	}
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: a refusal of type %q", route, got)
	}
	return a
}

func as[T any](t testing.TB, a answer) (v T) {
	t.Helper()
	if err := json.Unmarshal(a.Body, &v); err != nil {
		t.Fatalf("%s: %v", a.Body, err)
	}
	return v
}

// id mints a message id.
func (d *desk) id() vam.MessageID {
	d.Clock.Advance(time.Millisecond)
	return vam.NewMessageID(d.Clock.Now())
}

func at(id vam.MessageID) string { return "/m/" + string(id) }

func box(id vam.MessageID) string { return "/box/b.example/" + string(id) }

// draft makes a draft of a user with the members given.
func (d *desk) draft(t testing.TB, user string, members map[string]any) vam.MessageID {
	t.Helper()
	id := d.id()
	body := map[string]any{"to": []string{"bob@b.example"}, "subject": "The harbour", "text": "Look at this.", "kind": "video"}
	maps.Copy(body, members)
	d.ok(t, user, "PUT "+at(id), body, http.StatusCreated)
	return id
}

// part uploads one piece of a file at its end and names it in the log.
func (d *desk) part(t testing.TB, user string, id vam.MessageID, data []byte) userwire.Message {
	t.Helper()
	m := as[userwire.Message](t, d.ok(t, user, "GET "+at(id), nil, http.StatusOK))
	d.ok(t, user, fmt.Sprintf("PUT %s/b/%x?at=%d", at(id), sha256.Sum256(data), m.Bytes), data, http.StatusCreated)
	return as[userwire.Message](t, d.ok(t, user, "POST "+at(id)+"/log", partLine(t, data), http.StatusOK, "If-Match", fmt.Sprintf("%q", fmt.Sprint(m.Lines))))
}

func partLine(t testing.TB, data []byte) []byte {
	t.Helper()
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sha256.Sum256(data), Length: vam.Bytes(len(data))}.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// sent makes a whole message and delivers it here.
func (d *desk) sent(t testing.TB, user string, members map[string]any, content []byte) vam.MessageID {
	t.Helper()
	id := d.draft(t, user, members)
	if len(content) > 0 {
		d.part(t, user, id, content)
	}
	d.ok(t, user, "POST "+at(id)+"/seal", nil, http.StatusOK)
	d.ok(t, user, "POST "+at(id)+"/send", nil, http.StatusAccepted)
	d.Work(t.Context())
	return id
}

func (d *desk) state(t testing.TB, user string, id vam.MessageID) string {
	t.Helper()
	a := d.do(t, user, "GET "+box(id), nil)
	if a.Status == http.StatusNotFound {
		return ""
	}
	return as[userwire.Entry](t, a).State
}
