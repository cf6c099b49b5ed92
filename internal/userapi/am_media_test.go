package userapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/userwire"
)

// draft makes a message to nobody in particular.
func (d *door) draft() string {
	d.t.Helper()
	id := vam.NewMessageID(d.Clock.Now())
	d.do(201, "PUT", "/m/"+string(id), "application/json", `{"to":["ann@b.example"],"kind":"video","type":"video/mp4"}`)
	return "/m/" + string(id)
}

// TestBlobs is AM-13.7, and AM-13.8 with AM-14.6: what is here of one message is not here
// for another.
func TestBlobs(t *testing.T) {
	d := newDoor(t, hosttest.Options{})
	one, other := d.draft(), d.draft()
	data := hosttest.Pattern(1000, 3)
	name := fmt.Sprintf("%x", sha256.Sum256(data))
	d.do(422, "PUT", one+"/b/"+name, "", "something else")
	have := func(path string) int {
		t.Helper()
		var missing userwire.Missing
		w := d.do(200, "POST", path+"/have", "application/json", fmt.Sprintf(`{"pieces":[{"b":%q,"l":%d,"at":-1}]}`, name, len(data)))
		if err := json.Unmarshal(w.Body.Bytes(), &missing); err != nil {
			t.Fatal(err)
		}
		return len(missing.Pieces)
	}
	if have(one) != 1 {
		t.Error("the wrong octets were kept")
	}
	d.do(201, "PUT", one+"/b/"+name+"?at=77", "", string(data))
	d.do(200, "PUT", one+"/b/"+name, "", string(data))
	if have(one) != 0 || have(other) != 1 {
		t.Errorf("%d is missing where it was uploaded, %d elsewhere", have(one), have(other))
	}
}

// TestAppends is AM-13.9 and AM-13.10.
func TestAppends(t *testing.T) {
	d := newDoor(t, hosttest.Options{})
	path := d.draft()
	data := hosttest.Pattern(1000, 3)
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sha256.Sum256(data), Length: 1000}.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	post := func(want int, match, body string) *httptest.ResponseRecorder {
		t.Helper()
		req := httptest.NewRequest("POST", userwire.Base+path+"/log", strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+string(d.token))
		if match != "" {
			req.Header.Set("If-Match", match)
		}
		w := httptest.NewRecorder()
		d.http.ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("%s: %d, %d is right: %s", match, w.Code, want, w.Body)
		}
		return w
	}
	both := string(line) + "\n" + string(line) + "\n"
	if w := post(409, `"0"`, both); bytes.Contains(w.Body.Bytes(), []byte("log-position")) {
		t.Errorf("a line without its blob: %s", w.Body)
	}
	d.do(201, "PUT", fmt.Sprintf("%s/b/%x", path, sha256.Sum256(data)), "", string(data))
	if w := post(400, "", both); problemOf(w) != "malformed" {
		t.Errorf("without If-Match: %s", w.Body)
	}
	if w := post(403, `"0"`, string(line)+"\n"+`{"k":"revoke","at":"2026-11-23T09:00:05Z"}`+"\n"); problemOf(w) != "policy" {
		t.Errorf("a revoke: %s", w.Body)
	}
	if w := post(200, `"0"`, both); w.Header().Get("ETag") != `"2"` {
		t.Errorf("the ETag is %s", w.Header().Get("ETag"))
	}
	w := post(412, `"0"`, both)
	err = activmail.ParseProblem(w.Code, w.Header(), w.Body.Bytes()).Err()
	if pos := (*activmail.PositionError)(nil); !errors.As(err, &pos) || pos.Size != 2 {
		t.Errorf("the position is %v", err)
	}
}
