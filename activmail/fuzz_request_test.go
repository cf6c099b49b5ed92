package activmail_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// sigInput is the grammar of section 3.2 for a member of Signature-Input.
var sigInput = regexp.MustCompile(`^\("@method" "@authority" "@path" "@query"( "content-digest" "content-type")?\);created=[0-9]{1,12};expires=[0-9]{1,13};keyid="[a-z0-9.-]+\._domainkey\.[a-z0-9.-]+";nonce="[A-Za-z0-9_-]{16,64}";tag="vam1"$`)

// FuzzSignature verifies whatever fields come, once as they are and once with a signature
// that is right for them: then only the one profile is taken.
func FuzzSignature(f *testing.F) {
	sigs := vectorInputs(f, "verify-request", "header")
	const input = `("@method" "@authority" "@path" "@query" "content-digest" "content-type");created=1795424405;expires=1795424705;keyid="` + keyid + `";nonce="` + nonce + `";tag="vam1"`
	f.Add("PUT", "b.example", "/x", input, "", "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:", "application/json")
	f.Add("GET", "B.example:443", "/x?y", strings.Replace(input, ` "content-digest" "content-type"`, "", 1), "", "", "")
	for _, s := range sigs {
		if value, ok := strings.CutPrefix(s, "Signature-Input: vam="); ok {
			f.Add("PUT", "b.example", "/x", value, "", "", "text/plain")
		}
		if value, ok := strings.CutPrefix(s, "Signature: "); ok {
			f.Add("GET", "b.example", "/x", input, value, "", "")
		}
	}
	f.Fuzz(func(t *testing.T, method, authority, target, input, signature, digest, contentType string) {
		r := &http.Request{Method: method, Host: authority, RequestURI: target, URL: &url.URL{}, Header: http.Header{}}
		set := func(name, value string) {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		set("Content-Digest", digest)
		set("Content-Type", contentType)
		set("Signature-Input", "vam="+input)
		set("Signature", signature)
		body := activmail.DigestOf([]byte("x"))
		if _, err := activmail.VerifyRequest(r, body, (&knows{}).lookup, signedAt); err != nil {
			refused(t, err)
		}
		base, err := activmail.SignatureBase(r, input)
		if err != nil {
			refused(t, err)
			return
		}
		r.Header.Set("Signature", "vam=:"+base64.StdEncoding.EncodeToString(ed25519.Sign(requestKey.Private, base))+":")
		any := func(context.Context, string) (ed25519.PublicKey, error) { return publicOf(requestKey.Private), nil }
		got, err := activmail.VerifyRequest(r, body, any, signedAt)
		if err != nil {
			refused(t, err)
			return
		}
		_, params, _ := strings.Cut(string(base), `"@signature-params": `)
		if i := strings.LastIndex(string(base), `"@signature-params": `); i >= 0 {
			params = string(base[i+len(`"@signature-params": `):])
		}
		if !sigInput.MatchString(params) || !strings.HasSuffix(got.KeyID, "."+string(got.Domain)) || got.Expires.Sub(got.Created) > activmail.MaxSignatureLife {
			t.Fatalf("%q was taken: %+v", params, got)
		}
		if withBody := strings.Contains(params, "content-digest"); withBody == (method == "GET" || method == "HEAD") {
			t.Fatalf("a %s with %s was taken", method, params)
		}
	})
}

func FuzzContentDigest(f *testing.F) {
	for _, s := range vectorInputs(f, "content-digest", "header") {
		_, value, _ := strings.Cut(s, ": ")
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, err := activmail.ContentDigest(http.Header{"Content-Digest": {value}})
		if err != nil {
			refused(t, err)
			return
		}
		if !d.Has || d.String() != strings.Trim(value, " \t") {
			t.Fatalf("%q is read as %s", value, d)
		}
	})
}

func FuzzMessageHeader(f *testing.F) {
	for _, s := range vectorInputs(f, "message-header", "value") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		h, err := activmail.ParseMessageHeader(value)
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, h, func(h activmail.MessageHeader) ([]byte, error) { return []byte(h.String()), nil }, func(b []byte) (activmail.MessageHeader, error) {
			return activmail.ParseMessageHeader(string(b))
		})
	})
}

func FuzzKeyRecord(f *testing.F) {
	for _, s := range vectorInputs(f, "key-record", "txt") {
		f.Add(s)
	}
	for _, s := range vectorInputs(f, "policy-record", "txt") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, txt string) {
		if key, err := activmail.ParseRequestKey(txt); err != nil {
			refused(t, err)
		} else if back, err := activmail.ParseRequestKey(activmail.FormatRequestKey(key)); err != nil || !back.Equal(key) || len(key) != ed25519.PublicKeySize {
			t.Fatalf("%q is read as %x (%v)", txt, key, err)
		}
		if r, err := activmail.ParsePolicyRecord(txt); err != nil {
			refused(t, err)
		} else if back, err := activmail.ParsePolicyRecord(r.String()); err != nil || back != r {
			t.Fatalf("%q is read as %+v and %+v (%v)", txt, r, back, err)
		}
	})
}

func FuzzKeyID(f *testing.F) {
	for _, s := range vectorInputs(f, "key-id", "keyid") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, id string) {
		domain, err := activmail.RequestKeyDomain(id)
		if err != nil {
			refused(t, err)
			return
		}
		selector, _, _ := strings.Cut(id, "._domainkey.")
		if activmail.RequestKeyName(selector, domain) != id || len(id) > 253 || strings.ToLower(id) != id {
			t.Fatalf("%q is a key of %s", id, domain)
		}
	})
}

func FuzzToken(f *testing.F) {
	for _, s := range vectorInputs(f, "token", "token") {
		f.Add(s)
	}
	form := regexp.MustCompile(`^v[pd]_[A-Za-z0-9_-]{43}$`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (activmail.Token, error){activmail.ParsePullToken, activmail.ParseDeviceToken} {
			tok, err := parse(text)
			if err != nil {
				refused(t, err)
			} else if string(tok) != text || !form.MatchString(text) {
				t.Fatalf("%q passes for a token", text)
			}
		}
	})
}

func FuzzNames(f *testing.F) {
	for _, s := range vectorInputs(f, "address", "address") {
		f.Add(s)
	}
	f.Add(string(origin) + "/" + string(mid))
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := activmail.ParseAddress(text); err != nil {
			refused(t, err)
		} else if a.String() != text {
			t.Fatalf("%q is read as %s", text, a)
		}
		if r, err := activmail.ParseMessageRef(text); err != nil {
			refused(t, err)
		} else if r.String() != text {
			t.Fatalf("%q is read as %s", text, r)
		}
		if s, err := activmail.ParseSum(text); err != nil {
			refused(t, err)
		} else if s.String() != text {
			t.Fatalf("%q is read as %s", text, s)
		}
		if k, err := activmail.ParseMessageKey(text); err != nil {
			refused(t, err)
		} else if activmail.FormatMessageKey(k) != text {
			t.Fatalf("%q is read as %x", text, k)
		}
	})
}

// FuzzProblem reads what a peer answers: it never fails, and what comes out may be shown.
func FuzzProblem(f *testing.F) {
	for _, s := range vectorInputs(f, "read-problem", "body") {
		if len(s) < 4096 {
			f.Add(403, "5", s)
		}
	}
	f.Fuzz(func(t *testing.T, status int, retry, body string) {
		p := activmail.ParseProblem(status, http.Header{"Retry-After": {retry}}, []byte(body))
		err := p.Err()
		if vam.KindOf(err) == vam.Internal || !slices.Contains(activmail.ProblemNames(), p.Name) || p.Status != status || p.RetryAfter < 0 {
			t.Fatalf("%+v, %v", p, err)
		}
		if len(p.Detail) > 500 || !utf8.ValidString(p.Detail) || strings.ContainsAny(err.Error(), "\r\n\x00\x1b") {
			t.Fatalf("the detail %q", p.Detail)
		}
		again := activmail.ParseProblem(status, http.Header{"Retry-After": {retry}}, p.Marshal())
		if again != p {
			t.Fatalf("%+v comes back as %+v", p, again)
		}
	})
}
