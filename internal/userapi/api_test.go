package userapi_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

// fill puts a message into the pattern of a route.
func fill(route string, id vam.MessageID) string {
	return strings.NewReplacer("{origin}", "b.example", "{mid}", string(id), "{sum}", fmt.Sprintf("%x", sha256.Sum256([]byte("x"))),
		"{part}", string(id)[24:], "{address}", "bob@b.example").Replace(route)
}

func TestEveryRouteNeedsAToken(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.sent(t, "alice", nil, []byte("film"))
	good := "Bearer " + string(d.tokens["alice"])
	for _, pattern := range userapi.Routes() {
		route := fill(pattern, id)
		for name, auth := range map[string]string{
			"none": "", "another scheme": "Basic " + string(d.tokens["alice"]), "another token": "Bearer " + string(activmail.NewPullToken()),
			"no scheme": string(d.tokens["alice"]), "more": good + "x", "less": good[:len(good)-1], "empty": "Bearer ",
		} {
			a := d.refused(t, "", route, nil, http.StatusUnauthorized, "", "Authorization", auth)
			if got := a.Header.Get("WWW-Authenticate"); got == "" {
				t.Errorf("%s, %s: no word of what is wanted", route, name)
			}
			if a.Header.Get("X-Content-Type-Options") != "nosniff" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, %s: headers %v", route, name, a.Header)
			}
		}
	}
	// RFC 9110: the scheme is the same in every case, and spaces do not count.
	for _, auth := range []string{good, strings.ToLower(good[:6]) + good[6:], strings.Replace(good, " ", "   ", 1)} {
		d.ok(t, "", "GET /me", nil, http.StatusOK, "Authorization", auth)
	}
	devices, err := d.DB.Accounts().Devices(t.Context(), d.people["alice"].ID)
	if err != nil || len(devices) != 1 {
		t.Fatal(devices, err)
	}
	if err := d.DB.Accounts().RemoveDevice(t.Context(), d.people["alice"].ID, devices[0].ID); err != nil {
		t.Fatal(err)
	}
	d.refused(t, "alice", "GET /me", nil, http.StatusUnauthorized, "")
}

// What belongs to somebody else looks like what is not there, and stays as it is.
func TestOthersMessagesAreNotFound(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	sent := d.sent(t, "alice", nil, []byte("film"))
	draft := d.draft(t, "alice", nil)
	d.part(t, "alice", draft, []byte("film"))
	before := [][]byte{d.do(t, "alice", "GET "+at(draft), nil).Body, d.do(t, "alice", "GET "+at(sent), nil).Body, d.do(t, "bob", "GET "+box(sent), nil).Body}
	for _, pattern := range userapi.Routes() {
		if !strings.Contains(pattern, "{mid}") || pattern == "PUT /m/{mid}" {
			continue
		}
		for _, id := range []vam.MessageID{sent, draft} {
			a := d.refused(t, "mallory", fill(pattern, id), nil, http.StatusNotFound, "")
			none := d.id()
			nothing := d.refused(t, "mallory", fill(pattern, none), nil, http.StatusNotFound, "")
			if want := bytes.ReplaceAll(nothing.Body, []byte(none), []byte(id)); !bytes.Equal(a.Body, want) {
				t.Errorf("%s tells that there is something: %s", pattern, a.Body)
			}
		}
	}
	if got := as[userwire.Entries](t, d.ok(t, "mallory", "GET /box/"+string(sent)[20:], nil, http.StatusOK)); len(got.Entries) != 0 {
		t.Errorf("found %v", got)
	}
	d.refused(t, "mallory", "PUT "+at(draft), map[string]any{"to": []string{"bob@b.example"}}, http.StatusConflict, "")
	after := [][]byte{d.do(t, "alice", "GET "+at(draft), nil).Body, d.do(t, "alice", "GET "+at(sent), nil).Body, d.do(t, "bob", "GET "+box(sent), nil).Body}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("they changed: %s", diff)
	}
}

func TestJSONIsStrict(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	put := "PUT " + at(d.id())
	for name, body := range map[string]string{
		"no JSON": "to=bob", "half": `{"to":["bob@b.example"]`, "unknown member": `{"to":["bob@b.example"],"tow":1}`, "wrong type": `{"to":"bob@b.example"}`,
		"two values": `{"to":["bob@b.example"]}{}`, "a tail": `{"to":["bob@b.example"]}]`, "an array": `[]`, "a number": `17`,
		"no recipients": `{}`, "bad address": `{"to":["bob"]}`, "negative size": `{"to":["bob@b.example"],"size":-1}`,
		"bad kind": `{"to":["bob@b.example"],"kind":"film"}`, "bad time": `{"to":["bob@b.example"],"expires":"tomorrow"}`,
		"huge number": `{"to":["bob@b.example"],"size":99999999999999999999}`, "bad forward": `{"to":["bob@b.example"],"media_of":"x"}`,
		"bad from": `{"to":["bob@b.example"],"from":"@"}`, "bad bcc": `{"to":["bob@b.example"],"bcc":["bob@"]}`,
	} {
		t.Run(name, func(t *testing.T) { d.refused(t, "alice", put, body, http.StatusBadRequest, "") })
	}
	d.refused(t, "alice", put, `{"text":"`+strings.Repeat("x", 256<<10)+`"}`, http.StatusRequestEntityTooLarge, "too-large")
	d.refused(t, "alice", "PUT /m/17", `{}`, http.StatusBadRequest, "")
	d.refused(t, "alice", "PUT /m/"+strings.ToUpper(string(d.id())), `{}`, http.StatusBadRequest, "")
	if a := d.ok(t, "alice", "GET /box?folder=sent", nil, http.StatusOK); len(as[userwire.Entries](t, a).Entries) != 0 {
		t.Errorf("something is there: %s", a.Body)
	}
	d.ok(t, "alice", put, " {\"to\":[\"bob@b.example\"]}\n ", http.StatusCreated)
}

// TestJourney is a message from its draft to its end, step by step, each step twice.
func TestJourney(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id, content := d.id(), hosttest.Pattern(5000, 1)
	first, second := content[:3000], content[3000:]
	twice := func(user, route string, body any, status, again int, header ...string) answer {
		t.Helper()
		d.ok(t, user, route, body, status, header...)
		return d.ok(t, user, route, body, again, header...)
	}
	draft := map[string]any{"to": []string{"bob@b.example"}, "bcc": []string{"mallory@b.example"}, "subject": "The harbour", "text": "Look at this.", "kind": "video", "name": "a.mp4", "type": "video/mp4"}
	twice("alice", "PUT "+at(id), draft, http.StatusCreated, http.StatusOK)
	upload := func(data []byte, at_ int) string {
		return fmt.Sprintf("PUT %s/b/%x?at=%d", at(id), sha256.Sum256(data), at_)
	}
	twice("alice", upload(first, 0), first, http.StatusCreated, http.StatusOK)
	have := userwire.Have{Pieces: []userwire.Piece{
		{Blob: fmt.Sprintf("%x", sha256.Sum256(first)), Length: 3000},
		{Blob: fmt.Sprintf("%x", sha256.Sum256(second)), Length: 2000, At: 3000},
	}}
	if got := as[userwire.Missing](t, d.ok(t, "alice", "POST "+at(id)+"/have", have, http.StatusOK)); !cmp.Equal(got.Pieces, have.Pieces[1:]) {
		t.Errorf("missing %v", got)
	}
	d.refused(t, "alice", upload(first, 3000), second[:2000], http.StatusUnprocessableEntity, "digest-mismatch")
	twice("alice", upload(second, 3000), second, http.StatusCreated, http.StatusOK)
	log := string(partLine(t, first)) + "\n" + string(partLine(t, second)) + "\n"
	d.refused(t, "alice", "POST "+at(id)+"/log", log, http.StatusPreconditionFailed, "log-position", "If-Match", `"1"`)
	a := d.ok(t, "alice", "POST "+at(id)+"/log", log, http.StatusOK, "If-Match", `"0"`)
	if p := d.refused(t, "alice", "POST "+at(id)+"/log", log, http.StatusPreconditionFailed, "log-position", "If-Match", `"0"`); !bytes.Contains(p.Body, []byte(`"size":2`)) {
		t.Errorf("a repetition is not told where the log stands: %s", p.Body)
	}
	if got := a.Header.Get("ETag"); got != `"2"` {
		t.Errorf("the log has %s lines", got)
	}
	d.refused(t, "alice", "POST "+at(id)+"/seal", map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(nil))}, http.StatusUnprocessableEntity, "digest-mismatch")
	seal := map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(content))}
	m := as[userwire.Message](t, twice("alice", "POST "+at(id)+"/seal", seal, http.StatusOK, http.StatusOK))
	if m.SHA256 != seal["sha256"] || m.Lines != 3 || m.Bytes != 5000 || len(m.Recipients) != 0 {
		t.Errorf("sealed as %+v", m)
	}
	twice("alice", "POST "+at(id)+"/send", nil, http.StatusAccepted, http.StatusAccepted)
	d.Work(t.Context())
	d.Work(t.Context())
	m = as[userwire.Message](t, d.ok(t, "alice", "GET "+at(id), nil, http.StatusOK))
	var states []string
	for _, r := range m.Recipients {
		states = append(states, fmt.Sprintf("%s %v %s", r.Address, r.Bcc, r.State))
	}
	slices.Sort(states)
	if want := []string{"bob@b.example false stored", "mallory@b.example true stored"}; !cmp.Equal(states, want) {
		t.Errorf("recipients %v", states)
	}
	e := as[userwire.Entry](t, d.ok(t, "bob", "GET "+box(id), nil, http.StatusOK))
	if e.State != "stored" || e.Available != 5000 || e.SHA256 != seal["sha256"] || e.Name != "a.mp4" || e.Type != "video/mp4" || e.Text != "Look at this." || e.Seen || e.From != "alice@b.example" || len(e.Rcpts) != 0 {
		t.Errorf("bob has %+v", e)
	}
	if a := d.ok(t, "bob", "GET "+box(id)+"/media", nil, http.StatusOK); !bytes.Equal(a.Body, content) {
		t.Error("the media is another one")
	}
	mail := d.ok(t, "bob", "GET "+box(id)+"/mail", nil, http.StatusOK)
	if got := mail.Header.Get("Content-Disposition"); !strings.HasPrefix(got, "attachment;") || mail.Header.Get("Content-Type") != "message/rfc822" || bytes.Contains(mail.Body, []byte("mallory")) {
		t.Errorf("the mail: %v\n%s", mail.Header, mail.Body)
	}
	twice("bob", "POST "+box(id)+"/seen", nil, http.StatusNoContent, http.StatusNoContent)
	twice("bob", "POST "+box(id)+"/accept", nil, http.StatusNoContent, http.StatusNoContent) // it was
	d.refused(t, "bob", "POST "+box(id)+"/decline", nil, http.StatusConflict, "")
	d.ok(t, "bob", "DELETE "+box(id), nil, http.StatusNoContent)
	d.refused(t, "bob", "DELETE "+box(id), nil, http.StatusNotFound, "")
	d.refused(t, "alice", "DELETE "+at(id), nil, http.StatusConflict, "")
	twice("alice", "POST "+at(id)+"/revoke", nil, http.StatusOK, http.StatusOK)
	d.Work(t.Context())
	if st := d.state(t, "mallory", id); st != "withdrawn" {
		t.Errorf("mallory has it %s", st)
	}
	d.refused(t, "mallory", "GET "+box(id)+"/media", nil, http.StatusGone, "revoked")
}

func TestUploadRefuses(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.draft(t, "alice", nil)
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("film")))
	blob := "PUT " + at(id) + "/b/"
	d.refused(t, "alice", blob+"17", "film", http.StatusBadRequest, "")
	d.refused(t, "alice", blob+strings.ToUpper(sum), "film", http.StatusBadRequest, "")
	for _, where := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		d.refused(t, "alice", blob+sum+"?at="+where, "film", http.StatusBadRequest, "")
	}
	d.refused(t, "alice", blob+sum, struct{ *strings.Reader }{strings.NewReader("film")}, http.StatusBadRequest, "") // chunked
	d.refused(t, "alice", blob+sum, "filn", http.StatusUnprocessableEntity, "digest-mismatch")
	log := "POST " + at(id) + "/log"
	d.refused(t, "alice", log, partLine(t, []byte("film")), http.StatusBadRequest, "")                                   // no If-Match
	d.refused(t, "alice", log, partLine(t, []byte("film")), http.StatusBadRequest, "", "If-Match", "*")                  // not a number
	d.refused(t, "alice", log, "", http.StatusBadRequest, "", "If-Match", `"0"`)                                         // no line
	d.refused(t, "alice", log, "\n", http.StatusBadRequest, "", "If-Match", `"0"`)                                       // an empty one
	d.refused(t, "alice", log, `{"k":"revoke"}`, http.StatusBadRequest, "", "If-Match", `"0"`)                           // not the author's
	d.refused(t, "alice", log, strings.Repeat("x", 5<<20), http.StatusRequestEntityTooLarge, "", "If-Match", `"0"`)      // too much
	d.refused(t, "alice", log, partLine(t, []byte("film")), http.StatusConflict, "", "If-Match", `"0"`)                  // not uploaded
	d.refused(t, "alice", "POST "+at(id)+"/have", `{"pieces":[{"b":"x","l":1,"at":0}]}`, http.StatusBadRequest, "")      // no name
	d.refused(t, "alice", "POST "+at(id)+"/seal", `{"sha256":"x"}`, http.StatusBadRequest, "")                           // no sum
	if m := as[userwire.Message](t, d.ok(t, "alice", "GET "+at(id), nil, http.StatusOK)); m.Lines != 0 || m.Bytes != 0 { // nothing came of it
		t.Errorf("%+v", m)
	}
	d.ok(t, "alice", "DELETE "+at(id), nil, http.StatusNoContent)
	d.refused(t, "alice", "GET "+at(id), nil, http.StatusNotFound, "")
}

func TestBox(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	var ids []vam.MessageID
	for range 5 {
		ids = append(ids, d.sent(t, "alice", nil, nil))
	}
	slices.Reverse(ids) // the newest first
	var got []vam.MessageID
	for next := ""; ; {
		page := as[userwire.Entries](t, d.ok(t, "bob", "GET /box?limit=2&before="+next, nil, http.StatusOK))
		for _, e := range page.Entries {
			got = append(got, e.ID)
			if e.Text != "" || e.SHA256 != "" {
				t.Errorf("a list with %+v", e)
			}
		}
		if next = page.Next; next == "" {
			break
		}
	}
	if !cmp.Equal(got, ids) {
		t.Errorf("listed %v, want %v", got, ids)
	}
	sent := as[userwire.Entries](t, d.ok(t, "alice", "GET /box?folder=sent", nil, http.StatusOK))
	if len(sent.Entries) != 5 || len(sent.Entries[0].Rcpts) != 1 || sent.Entries[0].Rcpts[0].State != vam.Stored {
		t.Errorf("alice sent %+v", sent)
	}
	found := as[userwire.Entries](t, d.ok(t, "bob", "GET /box/"+string(ids[2])[24:], nil, http.StatusOK))
	if len(found.Entries) != 1 || found.Entries[0].ID != ids[2] {
		t.Errorf("found %+v", found)
	}
	for _, q := range []string{"limit=0", "limit=201", "limit=x", "limit=-1"} {
		d.refused(t, "bob", "GET /box?"+q, nil, http.StatusBadRequest, "")
	}
	if got := as[userwire.Entries](t, d.ok(t, "bob", "GET /box?folder=elsewhere", nil, http.StatusOK)); len(got.Entries) != 0 {
		t.Errorf("in a folder that is none: %+v", got)
	}
}

func TestContacts(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	put := "PUT /contacts/eve@a.example"
	d.ok(t, "bob", put, nil, http.StatusNoContent)
	d.ok(t, "bob", put, `{"standing":"blocked"}`, http.StatusNoContent)
	d.refused(t, "bob", put, `{"standing":"friend"}`, http.StatusBadRequest, "")
	d.refused(t, "bob", "PUT /contacts/eve", nil, http.StatusBadRequest, "")
	got := as[userwire.Contacts](t, d.ok(t, "bob", "GET /contacts", nil, http.StatusOK))
	if len(got.Contacts) != 1 || got.Contacts[0].Standing != "blocked" || got.Contacts[0].Address.String() != "eve@a.example" {
		t.Errorf("contacts %+v", got)
	}
	if got := d.ok(t, "alice", "GET /contacts", nil, http.StatusOK); string(got.Body) != "{\"contacts\":[]}\n" {
		t.Errorf("alice has %s", got.Body)
	}
	for range 2 {
		d.ok(t, "bob", "DELETE /contacts/EVE@a.example", nil, http.StatusNoContent)
	}
	if got := as[userwire.Contacts](t, d.ok(t, "bob", "GET /contacts", nil, http.StatusOK)); len(got.Contacts) != 0 {
		t.Errorf("contacts %+v", got)
	}
}

// A stranger's words are shown in a small preview until they are accepted (AM-6.22).
func TestHeld(t *testing.T) {
	d := newDesk(t, hosttest.Options{Hold: true})
	words := "Win at https://evil.example/now or write to me@evil.example. " + strings.Repeat("so ", 200)
	id := d.sent(t, "alice", map[string]any{"subject": "See evil.example now", "text": words}, []byte("film"))
	e := as[userwire.Entry](t, d.ok(t, "bob", "GET "+box(id), nil, http.StatusOK))
	list := as[userwire.Entries](t, d.ok(t, "bob", "GET /box", nil, http.StatusOK))
	if e.State != "held" || len(list.Entries) != 1 || list.Entries[0].Subject != e.Subject {
		t.Fatalf("%+v, %+v", e, list)
	}
	if got := e.Subject + e.Text; len([]rune(got)) > 120 || strings.Contains(got, "evil") || e.Subject == "" || e.Text == "" {
		t.Errorf("the preview is %q, %q", e.Subject, e.Text)
	}
	if e.Available != 0 || e.SHA256 != "" || e.Name != "" {
		t.Errorf("held with %+v", e)
	}
	d.refused(t, "bob", "GET "+box(id)+"/media", nil, http.StatusConflict, "")
	d.refused(t, "bob", "GET "+box(id)+"/mail", nil, http.StatusConflict, "")
	d.ok(t, "bob", "POST "+box(id)+"/accept", nil, http.StatusNoContent)
	if e = as[userwire.Entry](t, d.ok(t, "bob", "GET "+box(id), nil, http.StatusOK)); e.State != "stored" || e.Text != strings.TrimSpace(words) && e.Text != words {
		t.Errorf("accepted: %+v", e)
	}
	if got := as[userwire.Contacts](t, d.ok(t, "bob", "GET /contacts", nil, http.StatusOK)); len(got.Contacts) != 1 || got.Contacts[0].Standing != "known" {
		t.Errorf("contacts %+v", got)
	}
	refuse := d.sent(t, "mallory", nil, []byte("film"))
	for range 2 {
		d.ok(t, "bob", "POST "+box(refuse)+"/decline", `{"tell":true}`, http.StatusNoContent)
	}
	d.refused(t, "bob", "POST "+box(refuse)+"/accept", nil, http.StatusConflict, "")
	d.refused(t, "bob", "GET "+box(refuse)+"/media", nil, http.StatusNotFound, "")
	d.Work(t.Context())
	if m := as[userwire.Message](t, d.ok(t, "mallory", "GET "+at(refuse), nil, http.StatusOK)); m.Recipients[0].State != vam.Declined {
		t.Errorf("mallory sees %+v", m.Recipients)
	}
}

func TestWhoAmI(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	got := as[userwire.Me](t, d.ok(t, "bob", "GET /me", nil, http.StatusOK))
	if got.Address.String() != "bob@b.example" || got.Used != 0 || got.Limits.Part != int64(d.Messages.Limits().Part) || got.Limits.Text == 0 {
		t.Errorf("%+v", got)
	}
	for _, route := range []string{"POST /me", "GET /nothing", "PATCH " + at(d.id())} {
		if a := d.do(t, "bob", route, nil); a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d", route, a.Status)
		}
	}
}
