package userapi_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/userwire"
)

// form is a form with fields, "name=value", and then a file.
type form struct {
	fields []string
	name   string
	kind   string
	file   []byte
	tail   []string // fields behind the file
}

func (f form) body(t testing.TB) (contentType string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	field := func(f string) {
		name, value, _ := strings.Cut(f, "=")
		if err := w.WriteField(name, value); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range f.fields {
		field(x)
	}
	if f.file != nil {
		h := textproto.MIMEHeader{"Content-Disposition": {multipart.FileContentDisposition("media", f.name)}, "Content-Type": {f.kind}}
		p, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write(f.file); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range f.tail {
		field(x)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.FormDataContentType(), b.Bytes()
}

var harbour = []string{"to=bob@b.example", "to=mallory@b.example", "subject=The harbour", "text=Look at this.", "kind=video"}

func TestForm(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(5<<19, 1) // two and a half parts
	kind, body := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: content}.body(t)
	id := d.id()
	for range 2 {
		m := as[userwire.Message](t, d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind))
		if m.State != vam.Sealed || m.Bytes != int64(len(content)) || m.Lines != 4 || m.SHA256 != fmt.Sprintf("%x", sha256.Sum256(content)) || len(m.Recipients) != 2 || m.Kind != vam.Video {
			t.Errorf("%+v", m)
		}
		d.Work(t.Context())
	}
	e := as[userwire.Entry](t, d.ok(t, "bob", "GET "+box(id), nil, http.StatusOK))
	if e.State != "stored" || e.Name != "a.mp4" || e.Type != "video/mp4" || e.Subject != "The harbour" {
		t.Errorf("bob has %+v", e)
	}
	if a := d.ok(t, "mallory", "GET "+box(id)+"/media", nil, http.StatusOK); !bytes.Equal(a.Body, content) {
		t.Error("the media is another one")
	}
	// The same id does not mean another file.
	kind, body = form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: content[1:]}.body(t)
	d.refused(t, "alice", "PUT "+at(id), body, http.StatusConflict, "", "Content-Type", kind)
}

// A request that was cut, wherever, sends nothing; the same again goes on.
func TestFormIsCut(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(5<<19, 1)
	kind, body := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: content}.body(t)
	id := d.id()
	for _, n := range []int{10, 400, 1 << 20, 2 << 20, len(body) - 100, len(body) - 8, len(body) - 3} {
		d.refused(t, "alice", "PUT "+at(id), body[:n], http.StatusBadRequest, "", "Content-Type", kind)
		if a := d.do(t, "alice", "GET "+at(id), nil); a.Status == http.StatusOK && as[userwire.Message](t, a).State != vam.Draft {
			t.Fatalf("%d octets are enough to send it", n)
		}
	}
	// Also when it is the connection that ends.
	req := d.request(t, "alice", "PUT "+at(id), io.MultiReader(bytes.NewReader(body[:2<<20]), failing{}), "Content-Type", kind)
	if _, err := d.client.Do(req); err == nil {
		t.Error("a broken request has an answer")
	}
	// Another file does not go on with this one.
	other := bytes.Clone(content)
	other[0] ^= 1
	okind, obody := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: other}.body(t)
	d.refused(t, "alice", "PUT "+at(id), obody, http.StatusConflict, "", "Content-Type", okind)
	okind, obody = form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: content[:1<<20]}.body(t) // which is shorter
	d.refused(t, "alice", "PUT "+at(id), obody, http.StatusConflict, "", "Content-Type", okind)
	m := as[userwire.Message](t, d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind))
	if m.SHA256 != fmt.Sprintf("%x", sha256.Sum256(content)) {
		t.Errorf("%+v", m)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrNoProgress }

func TestFormRefuses(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	film := []byte("film")
	var many []string
	for range 1001 {
		many = append(many, "text=x")
	}
	for name, tt := range map[string]struct {
		form
		status int
	}{
		"unknown field":   {form{fields: []string{"to=bob@b.example", "tow=x"}, file: film}, http.StatusBadRequest},
		"no file":         {form{fields: harbour}, http.StatusBadRequest},
		"no recipient":    {form{fields: []string{"subject=x"}, file: film}, http.StatusBadRequest},
		"bad address":     {form{fields: []string{"to=bob"}, file: film}, http.StatusBadRequest},
		"two files":       {form{fields: harbour, file: film, tail: []string{"media=more"}}, http.StatusBadRequest},
		"late field":      {form{fields: harbour, file: film, tail: []string{"subject=other"}}, http.StatusBadRequest},
		"many fields":     {form{fields: many, file: film}, http.StatusRequestEntityTooLarge},
		"long field":      {form{fields: []string{"to=bob@b.example", "text=" + strings.Repeat("x", 256<<10)}, file: film}, http.StatusRequestEntityTooLarge},
		"long field name": {form{fields: []string{strings.Repeat("x", 300<<10) + "=x"}, file: film}, http.StatusRequestEntityTooLarge},
		"not hers":        {form{fields: []string{"to=bob@b.example", "from=bob@b.example"}, file: film}, http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			id := d.id()
			kind, body := tt.body(t)
			d.refused(t, "alice", "PUT "+at(id), body, tt.status, "", "Content-Type", kind)
			if a := d.do(t, "alice", "GET "+at(id), nil); a.Status == http.StatusOK && as[userwire.Message](t, a).State != vam.Draft {
				t.Errorf("it was sent: %s", a.Body)
			}
		})
	}
	d.refused(t, "alice", "PUT "+at(d.id()), "x", http.StatusBadRequest, "", "Content-Type", "multipart/form-data")
	// What no seal can say of a file is left out.
	for _, bad := range []string{"", "video", "video/mp4; codecs=x", "a/b/c", strings.Repeat("x", 300) + "/y"} {
		id := d.id()
		kind, body := form{fields: harbour, name: "a.mp4", kind: bad, file: film}.body(t)
		d.ok(t, "alice", "PUT "+at(id), body, http.StatusAccepted, "Content-Type", kind)
	}
}

// TestFormCut: a form that ends anywhere before its last line is not sent, however much
// the end looks like one.
func TestFormCut(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	kind, body := form{fields: harbour, name: "a.mp4", kind: "video/mp4", file: []byte("film")}.body(t)
	end := bytes.LastIndex(body, []byte("--")) // of "--boundary--"
	for n := bytes.LastIndex(body, []byte("film")); n < end; n++ {
		d.refused(t, "alice", "PUT "+at(d.id()), body[:n], http.StatusBadRequest, "", "Content-Type", kind)
	}
	d.ok(t, "alice", "PUT "+at(d.id()), body, http.StatusAccepted, "Content-Type", kind)
}

func FuzzForm(f *testing.F) {
	d := newDesk(f, hosttest.Options{})
	for _, x := range []form{{fields: harbour, name: "a.mp4", kind: "video/mp4", file: []byte("film")}, {fields: harbour}, {file: []byte("x")}, {fields: []string{"kind=x"}, file: []byte("x")}} {
		_, body := x.body(f)
		first, _, _ := bytes.Cut(body, []byte("\r\n"))
		f.Add(bytes.ReplaceAll(body, first[2:], []byte("line")))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		id := d.id()
		req := httptest.NewRequest(http.MethodPut, userwire.Base+at(id), bytes.NewReader(body))
		req.Header.Set("Authorization", "Bearer "+string(d.tokens["alice"]))
		req.Header.Set("Content-Type", "multipart/form-data; boundary=line")
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, req)
		if w.Code >= 500 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w.Code == http.StatusAccepted && !bytes.Contains(body, []byte("\n--line--")) {
			t.Fatalf("sent without an end of the form: %q", body)
		}
	})
}

func FuzzFormField(f *testing.F) {
	f.Add("to", "bob@b.example", "text", "x")
	f.Add("bcc", "bob@[127.0.0.1]", "kind", "video")
	f.Add("from", "\"a b\"@b.example", "subject", "x\r\ny")
	f.Fuzz(func(t *testing.T, n1, v1, n2, v2 string) {
		if err := userapi.DraftOf([][2]string{{n1, v1}, {n2, v2}}); err != nil && vam.KindOf(err) == vam.Internal {
			t.Fatal(err)
		}
	})
}

func FuzzPreview(f *testing.F) {
	f.Add("See evil.example", "https://evil.example/x?y#z me@evil.example")
	f.Add("", strings.Repeat("é", 500))
	f.Add("\u202e\x00a\xff", "javascript:alert(1) WWW.EVIL.EXAMPLE.")
	f.Fuzz(func(t *testing.T, subject, text string) {
		s, x := userapi.Preview(subject, text)
		if n := utf8.RuneCountInString(s) + utf8.RuneCountInString(x); n > 120 || !utf8.ValidString(s+x) {
			t.Fatalf("%d characters: %q %q", n, s, x)
		}
		for _, l := range []string{"://", "@"} {
			if strings.Contains(s, l) || strings.Contains(x, l) {
				t.Fatalf("%q is left in %q %q", l, s, x)
			}
		}
	})
}
