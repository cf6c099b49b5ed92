package web_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/web"
)

func TestTarget(t *testing.T) {
	for _, tc := range []struct {
		path, token, pass, rest string
		ok                      bool
	}{
		{"/w/abc", "abc", "", "", true},
		{"/w/abc/", "abc", "", "", true},
		{"/w/abc/hls/index.m3u8", "abc", "", "hls/index.m3u8", true},
		{"/w/abc/~p-_9", "abc", "p-_9", "", true},
		{"/w/abc/~p-_9/play/view", "abc", "p-_9", "play/view", true},
		{path: "/w/"},
		{path: "/w//original"},
		{path: "/w/a.b"},
		{path: "/w/a\"b"},
		{path: "/w/abc/~"},
		{path: "/w/abc/~x y/original"},
		{path: "/x/abc"},
		{path: "/w/abc/" + strings.Repeat("x", 300)},
	} {
		token, pass, rest, ok := web.ParseTarget(tc.path)
		if ok != tc.ok || ok && (token != tc.token || pass != tc.pass || rest != tc.rest) {
			t.Errorf("%s: %q %q %q %v", tc.path, token, pass, rest, ok)
		}
	}
}

func TestRedactPath(t *testing.T) {
	for path, want := range map[string]string{
		"/w/secret":                  "/w/…",
		"/w/secret/":                 "/w/…/",
		"/w/secret/original":         "/w/…/original",
		"/w/secret/~pass/hls/x.m3u8": "/w/…/~…/hls/x.m3u8",
		"/w/secret/~pass":            "/w/…/~…",
		"/-/watch.css":               "/-/watch.css",
		"/":                          "/",
	} {
		if got := web.RedactPath(path); got != want {
			t.Errorf("%s becomes %s, want %s", path, got, want)
		}
	}
}

// FuzzPath: whatever is taken is rebuilt from its parts, and no log has a secret of it.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/w/abcdefgh", "/w/abcdefgh/~pppppppp/original", "/w//x", "/w/abcdefgh/~", "//w/abcdefgh"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		token, pass, rest, ok := web.ParseTarget(path)
		if !ok {
			return
		}
		if strings.ContainsAny(token+pass, "/~\"<> \x00") {
			t.Errorf("%q: token %q, pass %q", path, token, pass)
		}
		logged := strings.TrimSuffix(web.RedactPath(path), "/"+rest)
		for _, secret := range []string{token, pass} {
			if len(secret) > 1 && strings.Contains(logged, secret) {
				t.Errorf("%q is logged as %q", path, logged)
			}
		}
	})
}

func TestTakes(t *testing.T) {
	for path, want := range map[string]bool{
		"/": true, "/robots.txt": true, "/favicon.ico": true, "/w/abc": true, "/-/watch.x.css": true,
		"/.well-known/x": false, "/vam/v1/me": false, "/in/x": false, "/wx": false,
	} {
		if got := web.Takes(httptest.NewRequest("GET", "https://mail.b.example"+path, nil)); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
