package web

import (
	"net/http"
	"strings"
)

// The paths of this door. Everything else on the port is somebody else's.
const (
	watchPath  = "/w/"
	staticPath = "/-/"
)

// Takes reports whether the request is one for this handler.
func Takes(r *http.Request) bool {
	p := r.URL.Path
	return p == "/" || p == "/robots.txt" || p == "/favicon.ico" || p == "/w" ||
		strings.HasPrefix(p, watchPath) || strings.HasPrefix(p, staticPath)
}

// Path is where the page behind a link stands.
func Path(token string) string { return watchPath + token }

// target is what a path below /w/ names.
type target struct {
	token string
	pass  string // what Unlock gave, "" for none
	rest  string // "" is the page itself
}

// parseTarget reads /w/{token}, /w/{token}/{rest} and /w/{token}/~{pass}/{rest}. What it
// lets through needs no escaping in a path.
func parseTarget(path string) (target, bool) {
	token, rest, _ := strings.Cut(strings.TrimPrefix(path, watchPath), "/")
	t := target{token: token, rest: rest}
	if tail, ok := strings.CutPrefix(rest, "~"); ok {
		t.pass, t.rest, _ = strings.Cut(tail, "/")
		if !secretChars(t.pass) {
			return target{}, false
		}
	}
	const longest = 256
	return t, strings.HasPrefix(path, watchPath) && secretChars(token) && len(path) <= longest
}

// secretChars reports whether s is of the base64url alphabet and not empty.
func secretChars(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

// base is the path of the page; everything that belongs to it is below.
func (t target) base() string {
	if t.pass == "" {
		return watchPath + t.token
	}
	return watchPath + t.token + "/~" + t.pass
}

// RedactPath is a path as a log may have it: without the token and the pass of a link.
func RedactPath(path string) string {
	tail, ok := strings.CutPrefix(path, watchPath)
	if !ok {
		return path
	}
	const hidden = "…"
	_, rest, more := strings.Cut(tail, "/")
	out := watchPath + hidden
	if strings.HasPrefix(rest, "~") {
		_, rest, more = strings.Cut(rest, "/")
		out += "/~" + hidden
	}
	if more {
		out += "/" + rest
	}
	return out
}
