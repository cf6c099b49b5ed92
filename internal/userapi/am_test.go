package userapi_test

import (
	"bytes"
	"encoding/json"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/rfc5322"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

// door is the API of b.example with an account bob.
type door struct {
	*hosttest.Host
	t     *testing.T
	http  http.Handler
	bob   account.Account
	token activmail.Token
}

func newDoor(t *testing.T, o hosttest.Options) *door {
	t.Helper()
	h := hosttest.New(t, o)
	d := &door{Host: h, t: t, bob: h.Account("bob@b.example", 0)}
	d.token = h.Token(d.bob)
	d.http = userapi.New(userapi.Options{
		Accounts: h.Accounts, Messages: h.Messages, Submission: h.Submission, Delivery: h.Delivery, Reception: h.Reception,
		Mailbox: h.DB.Mailboxes(), Now: h.Clock.Now,
	})
	return d
}

// do makes a request and compares the status.
func (d *door) do(want int, method, path, contentType, body string) *httptest.ResponseRecorder {
	d.t.Helper()
	req := httptest.NewRequest(method, userwire.Base+path, strings.NewReader(body))
	if d.token != "" {
		req.Header.Set("Authorization", "Bearer "+string(d.token))
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	d.http.ServeHTTP(w, req)
	if w.Code != want {
		d.t.Errorf("%s %s: %d, %d is right: %s", method, path, w.Code, want, w.Body)
	}
	return w
}

func problemOf(w *httptest.ResponseRecorder) string {
	return activmail.ParseProblem(w.Code, w.Header(), w.Body.Bytes()).Name
}

// TestHeldMessageShowsLittle is AM-6.22: 120 characters of the author's words, without
// links, and neither letter nor media before the recipient has accepted.
func TestHeldMessageShowsLittle(t *testing.T) {
	zone := new(mailauthtest.Zone)
	signer := mailauthtest.Signer(t, zone, "a.example")
	d := newDoor(t, hosttest.Options{Hold: true, Zone: zone})
	r := hosttest.NewRecording(t, "a.example", d.Clock.Now())
	r.AddFile([]byte("film"), 4)
	r.Seal()
	o := r.Offer(signer, d.Clock.Now(), r.Size(), d.bob.Address)
	words := "Look: https://evil.example/x?y and www.evil.example or evil.example/path, me@evil.example. " + strings.Repeat("word ", 60)
	l := letter.Letter{
		From: rfc5322.Mailbox{Addr: o.Envelope.From}, Subject: "Win at http://evil.example now", Words: words, Date: d.Clock.Now(), Kind: vam.Video,
		Header: activmail.MessageHeader{ID: r.Key.ID, Origin: r.Key.Origin, Key: r.Public()},
	}
	mail, err := l.Compose()
	if err != nil {
		t.Fatal(err)
	}
	if o.Mail, err = signer.Sign(mail); err != nil {
		t.Fatal(err)
	}
	body, err := o.Marshal(activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Reception.Offer(t.Context(), o, body); err != nil {
		t.Fatal(err)
	}
	path := "/box/" + r.Key.String()
	var e userwire.Entry
	w := d.do(200, "GET", path, "", "")
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatal(err)
	}
	for _, seen := range []string{w.Body.String(), d.do(200, "GET", "/box", "", "").Body.String(), d.do(200, "GET", "/box/"+string(r.Key.ID)[20:], "", "").Body.String()} {
		if strings.Contains(seen, "evil") {
			t.Errorf("a link is shown: %s", seen)
		}
	}
	if n := len([]rune(e.Subject + e.Text)); n > 120 || n < 100 || !strings.HasPrefix(e.Subject, "Win at") {
		t.Errorf("%d characters are shown: %q %q", n, e.Subject, e.Text)
	}
	if e.State != "held" || e.SHA256 != "" || e.Name != "" || e.Available != 0 || e.From != "alice@a.example" {
		t.Errorf("the entry is %+v", e)
	}
	d.do(409, "GET", path+"/mail", "", "")
	d.do(409, "GET", path+"/media", "", "")
	d.do(204, "POST", path+"/accept", "", "")
	if mail := d.do(200, "GET", path+"/mail", "", "").Body.String(); !strings.Contains(mail, "https://evil.example") {
		t.Errorf("what was accepted has the letter %q", mail)
	}
	w = d.do(200, "GET", path, "", "")
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || !strings.Contains(e.Text, "https://evil.example") {
		t.Errorf("what was accepted has the text %q: %v", e.Text, err)
	}
}

// TestTokensOfDevices is AM-13.1 and AM-14.3: without a token that is known there is
// nothing here, and the token itself is not in the database.
func TestTokensOfDevices(t *testing.T) {
	d := newDoor(t, hosttest.Options{})
	d.do(200, "GET", "/me", "", "")
	good := d.token
	for _, bad := range []activmail.Token{"", good[:len(good)-1], "vd_" + activmail.Token(strings.Repeat("A", 43))} {
		d.token = bad
		w := d.do(401, "GET", "/me", "", "")
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") || problemOf(w) != "token-invalid" {
			t.Errorf("%q is answered %v %s", bad, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), string(good)) {
			t.Error("the answer holds a token")
		}
	}
	for _, x := range []string{"vam.db", "vam.db-wal"} {
		if holds(t, d.Dir, x, string(good)) {
			t.Errorf("%s holds the token", x)
		}
	}
}

// TestMe is AM-13.15.
func TestMe(t *testing.T) {
	d := newDoor(t, hosttest.Options{})
	var me map[string]any
	if err := json.Unmarshal(d.do(200, "GET", "/me", "", "").Body.Bytes(), &me); err != nil {
		t.Fatal(err)
	}
	limits, _ := me["limits"].(map[string]any)
	for _, name := range []string{"part_bytes", "message_bytes", "log_lines", "recipients", "text_bytes"} {
		if limits[name] == nil {
			t.Errorf("there is no limit %s in %v", name, me)
		}
	}
	if me["address"] != "bob@b.example" || me["quota_bytes"] == nil || me["used_bytes"] == nil {
		t.Errorf("the account is %v", me)
	}
}

// TestMessageInOneRequest is AM-13.6, with the answer of AM-13.5; a misspelt field or
// member is refused (AM-13.17). The type is in the first record (AM-4.13).
func TestMessageInOneRequest(t *testing.T) {
	d := newDoor(t, hosttest.Options{})
	d.Account("ann@b.example", 0)
	id := vam.NewMessageID(d.Clock.Now())
	post := func(want int, field string) userwire.Message {
		t.Helper()
		var form bytes.Buffer
		m := multipart.NewWriter(&form)
		_ = m.WriteField(field, "ann@b.example")
		part, err := m.CreateFormFile("media", "clip.bin")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = part.Write(hosttest.Pattern(1<<20+5, 1))
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		var out userwire.Message
		w := d.do(want, "PUT", "/m/"+string(id), m.FormDataContentType(), form.String())
		if want == http.StatusAccepted {
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	post(400, "too")
	for range 2 {
		m := post(202, "to")
		if m.ID != id || m.Origin != "b.example" || m.Lines != 3 || m.Bytes != 1<<20+5 || m.SHA256 == "" || m.Sent.IsZero() || len(m.Recipients) != 1 {
			t.Errorf("the message is %+v", m)
		}
	}
	key := "b.example/" + string(id)
	lines, err := d.Messages.Lines(t.Context(), mustKey(t, key), 0, 10)
	if err != nil || !bytes.Contains(lines[0].Raw, []byte(`"ct":"application/octet-stream"`)) || bytes.Contains(lines[1].Raw, []byte(`"ct"`)) {
		t.Errorf("the lines are %v: %v", lines, err)
	}
	d.do(400, "PUT", "/m/"+string(vam.NewMessageID(d.Clock.Now())), "application/json", `{"to":["ann@b.example"],"subjekt":"x"}`)
}
