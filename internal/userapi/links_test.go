package userapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/userwire"
)

func TestLinks(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.id()
	kind, body := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: []byte("film")}.body(t)
	d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind)
	path := "/box/b.example/" + string(id) + "/links"
	made := as[userwire.Link](t, d.ok(t, "alice", "POST "+path, []byte(`{"for":"zoe@c.example"}`), http.StatusOK))
	if !strings.HasPrefix(made.URL, "https://v.b.example/w/") || made.For != "zoe@c.example" || made.Locked || !made.Expires.After(d.Clock.Now()) {
		t.Errorf("%+v", made)
	}
	again := as[userwire.Link](t, d.ok(t, "alice", "POST "+path, []byte(`{"for":"Zoe@c.example","password":"swordfish"}`), http.StatusOK))
	if again.URL != made.URL || again.ID != made.ID || !again.Locked {
		t.Errorf("%+v, at first %+v", again, made)
	}
	for body, locked := range map[string]bool{`{"for":"zoe@c.example"}`: true, `{"for":"zoe@c.example","password":null}`: true, `{"for":"zoe@c.example","password":""}`: false} {
		d.ok(t, "alice", "POST "+path, []byte(`{"for":"zoe@c.example","password":"swordfish"}`), http.StatusOK)
		if l := as[userwire.Link](t, d.ok(t, "alice", "POST "+path, []byte(body), http.StatusOK)); l.ID != made.ID || l.Locked != locked {
			t.Errorf("%s: %+v", body, l)
		}
	}
	list := as[userwire.Links](t, d.ok(t, "alice", "GET "+path, nil, http.StatusOK)).Links
	if len(list) != 1 || list[0].ID != made.ID || list[0].URL != "" || list[0].Plays != 0 {
		t.Errorf("%+v", list)
	}
	// Nobody else's, and not what nobody decided about.
	d.refused(t, "mallory", "GET "+path, nil, http.StatusNotFound, "")
	d.refused(t, "mallory", "POST "+path, []byte(`{"for":"zoe@c.example"}`), http.StatusNotFound, "")
	d.refused(t, "mallory", "DELETE /links/"+made.ID, nil, http.StatusNotFound, "")
	for _, bad := range []string{`{}`, `{"for":"zoe"}`, `{"for":"zoe@c.example","expires":"2001-01-01T00:00:00Z"}`, `{"for":"zoe@c.example","pasword":"x"}`} {
		d.refused(t, "alice", "POST "+path, []byte(bad), http.StatusBadRequest, "")
	}
	d.refused(t, "alice", "DELETE /links/x", nil, http.StatusBadRequest, "")

	gone := as[userwire.Link](t, d.ok(t, "alice", "DELETE /links/"+made.ID, nil, http.StatusOK))
	d.ok(t, "alice", "DELETE /links/"+made.ID, nil, http.StatusOK)
	if gone.Revoked.IsZero() {
		t.Errorf("%+v", gone)
	}
	_, err := d.Grants.Open(t.Context(), strings.TrimPrefix(made.URL, "https://v.b.example/w/"))
	if vam.KindOf(err) != vam.Gone {
		t.Errorf("a revoked link: %v", err)
	}
	other := as[userwire.Link](t, d.ok(t, "alice", "POST "+path, []byte(`{"for":"zoe@c.example"}`), http.StatusOK))
	if other.URL == made.URL || other.ID == made.ID || other.Locked {
		t.Errorf("after the end of the first: %+v", other)
	}
	d.Clock.Advance(31 * 24 * time.Hour)
	if _, err := d.Grants.Open(t.Context(), strings.TrimPrefix(other.URL, "https://v.b.example/w/")); vam.KindOf(err) != vam.Gone {
		t.Errorf("after its time: %v", err)
	}
}

func TestNoLinkToWhatIsHeld(t *testing.T) {
	d := newDesk(t, hosttest.Options{Hold: true})
	id := d.id()
	kind, body := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: []byte("film")}.body(t)
	d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind)
	d.Work(t.Context())
	d.refused(t, "bob", "POST /box/b.example/"+string(id)+"/links", []byte(`{"for":"zoe@c.example"}`), http.StatusConflict, "")
}
