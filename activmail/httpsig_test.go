package activmail_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

const (
	keyid = "v1._domainkey.a.example"
	nonce = "9pP3Zkq0tV2hC7mXwY1sLg"
)

var (
	requestKey = activmail.RequestKey{ID: keyid, Private: keyOf("request")}
	signedAt   = time.Unix(1795424405, 0)
)

// knows is a look-up that has one key and counts what it is asked.
type knows struct{ asked []string }

func (k *knows) lookup(_ context.Context, id string) (ed25519.PublicKey, error) {
	k.asked = append(k.asked, id)
	if id != keyid {
		return nil, vam.Errorf(vam.Unauthenticated, "no such key").WithProblem("key-not-found")
	}
	return publicOf(requestKey.Private), nil
}

// sent is a request that was signed and came to a server.
func sent(t testing.TB, method, target string, body []byte) (*http.Request, activmail.Digest) {
	t.Helper()
	client, err := http.NewRequest(method, "https://vam1.b.example:1398"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		client.Header.Set("Content-Type", "application/json")
	}
	digest := activmail.DigestOf(body)
	if err := activmail.SignRequest(client, digest, requestKey, signedAt, nonce); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewRequest(method, target, nil)
	server.Host, server.Header = "vam1.b.example:1398", client.Header
	return server, digest
}

func verify(r *http.Request, d activmail.Digest) (activmail.VerifiedRequest, error) {
	return activmail.VerifyRequest(r, d, (&knows{}).lookup, signedAt)
}

// TestSignatureOfEveryMethod: GET and HEAD are signed without content, the others with it
// (AM-3.2).
func TestSignatureOfEveryMethod(t *testing.T) {
	for _, tc := range []struct {
		method, target string
		body           []byte
	}{
		{"PUT", "/vam/v1/in/a.example/x/y", []byte(`{"a":1}`)},
		{"POST", "/vam/v1/m/x/token", []byte("{}")},
		{"POST", "/vam/v1/in/a/b/poke", []byte{}},
		{"GET", "/vam/v1/in/a.example/x/y", nil},
		{"HEAD", "/vam/v1/in/a.example/x/y", nil},
		{"GET", "/vam/v1/m/x/log?from=3&x=%20", nil},
		{"DELETE", "/vam/v1/x", []byte{}},
		{"GET", "/", nil},
	} {
		r, d := sent(t, tc.method, tc.target, tc.body)
		got, err := verify(r, d)
		want := activmail.VerifiedRequest{Domain: "a.example", KeyID: keyid, Nonce: nonce, Created: signedAt.UTC(), Expires: signedAt.Add(5 * time.Minute).UTC()}
		if err != nil || got != want {
			t.Errorf("%s %s: %+v, %v", tc.method, tc.target, got, err)
		}
		if has := strings.Contains(r.Header.Get("Signature-Input"), "content-digest"); has != (tc.body != nil) {
			t.Errorf("%s covers the content: %v", tc.method, has)
		}
		// A second look sees the same: nothing was consumed.
		if _, err := verify(r, d); err != nil {
			t.Errorf("%s the second time: %v", tc.method, err)
		}
	}
}

func TestSignRequestRefuses(t *testing.T) {
	for name, sign := range map[string]func(r *http.Request) error{
		"a PUT without digest": func(r *http.Request) error {
			return activmail.SignRequest(r, activmail.Digest{}, requestKey, signedAt, nonce)
		},
		"no content type": func(r *http.Request) error {
			r.Header.Del("Content-Type")
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), requestKey, signedAt, nonce)
		},
		"two content types": func(r *http.Request) error {
			r.Header.Add("Content-Type", "text/plain")
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), requestKey, signedAt, nonce)
		},
		"no key": func(r *http.Request) error {
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), activmail.RequestKey{ID: keyid}, signedAt, nonce)
		},
		"a short nonce": func(r *http.Request) error {
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), requestKey, signedAt, "short")
		},
		"a keyid with a line end": func(r *http.Request) error {
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), activmail.RequestKey{ID: "a\nb", Private: requestKey.Private}, signedAt, nonce)
		},
		"no host": func(r *http.Request) error {
			r.Host, r.URL.Host = "", ""
			return activmail.SignRequest(r, activmail.DigestOf([]byte("x")), requestKey, signedAt, nonce)
		},
	} {
		r, err := http.NewRequest("PUT", "https://vam1.b.example:1398/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if fault := errorFault(sign(r), vam.Invalid, "malformed"); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
		if r.Header.Get("Signature") != "" {
			t.Errorf("%s: a signature was left behind", name)
		}
	}
}

// TestFreshNonces: each attempt has its own (AM-3.7) (AM-14.9).
func TestFreshNonces(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		r, err := http.NewRequest("GET", "https://vam1.b.example:1398/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := activmail.SignRequest(r, activmail.Digest{}, requestKey, signedAt, ""); err != nil {
			t.Fatal(err)
		}
		got, err := verify(r, activmail.Digest{})
		if err != nil || len(got.Nonce) < 16 || seen[got.Nonce] {
			t.Fatalf("nonce %q (%v)", got.Nonce, err)
		}
		seen[got.Nonce] = true
	}
}

// TestEveryComponentIsCovered changes one thing of a signed request at a time (AM-3.2 to
// AM-3.5): each is refused with signature-invalid.
func TestEveryComponentIsCovered(t *testing.T) {
	edit := func(field, old, with string) func(r *http.Request) {
		return func(r *http.Request) {
			r.Header.Set(field, strings.Replace(r.Header.Get(field), old, with, 1))
		}
	}
	const put = "PUT"
	for _, tc := range []struct {
		name   string
		method string
		change func(r *http.Request)
	}{
		{"method", put, func(r *http.Request) { r.Method = "POST" }},
		{"authority", put, func(r *http.Request) { r.Host = "vam2.b.example:1398" }},
		{"port", put, func(r *http.Request) { r.Host = "vam1.b.example" }},
		{"path", put, func(r *http.Request) { r.RequestURI = "/vam/v1/y?q=1" }},
		{"case of the path", put, func(r *http.Request) { r.RequestURI = "/VAM/v1/x?q=1" }},
		{"a percent sign in the path", put, func(r *http.Request) { r.RequestURI = "/vam/v1/%78?q=1" }},
		{"slash at the end of the path", put, func(r *http.Request) { r.RequestURI = "/vam/v1/x/?q=1" }},
		{"query", put, func(r *http.Request) { r.RequestURI = "/vam/v1/x?q=2" }},
		{"no query", put, func(r *http.Request) { r.RequestURI = "/vam/v1/x" }},
		{"content type", put, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{"a second content type", put, func(r *http.Request) { r.Header.Add("Content-Type", "application/json") }},
		{"no content type", put, func(r *http.Request) { r.Header.Del("Content-Type") }},
		{"digest", put, func(r *http.Request) {
			r.Header.Set("Content-Digest", activmail.DigestOf([]byte("other")).String())
		}},
		{"no digest", put, func(r *http.Request) { r.Header.Del("Content-Digest") }},
		{"a second digest", put, func(r *http.Request) { r.Header.Add("Content-Digest", r.Header.Get("Content-Digest")) }},
		{"a digest of another kind", put, func(r *http.Request) { r.Header.Set("Content-Digest", "sha-512=:"+strings.Repeat("A", 86)+"==:") }},
		{"created", put, edit("Signature-Input", "created=1795424405", "created=1795424406")},
		{"expires", put, edit("Signature-Input", "expires=1795424705", "expires=1795424704")},
		{"keyid", put, edit("Signature-Input", "v1._domainkey.a", "v1._domainkey.b")},
		{"nonce", put, edit("Signature-Input", nonce, "xxxxxxxxxxxxxxxxxxxxxx")},
		{"tag", put, edit("Signature-Input", `"vam1"`, `"vam2"`)},
		{"a parameter more", put, edit("Signature-Input", `;tag`, `;alg="ed25519";tag`)},
		{"a component more", put, edit("Signature-Input", `"content-type")`, `"content-type" "date")`)},
		{"a component less", put, edit("Signature-Input", ` "@query"`, ``)},
		{"components in another order", put, edit("Signature-Input", `"@path" "@query"`, `"@query" "@path"`)},
		{"a component with a parameter", put, edit("Signature-Input", `"@path"`, `"@path";req`)},
		{"components as tokens", put, edit("Signature-Input", `"content-type"`, `content-type`)},
		{"the components of a GET", put, edit("Signature-Input", ` "content-digest" "content-type"`, ``)},
		{"another label", put, edit("Signature-Input", "vam=", "sig=")},
		{"another label of the signature", put, edit("Signature", "vam=", "sig=")},
		{"the signature", put, func(r *http.Request) {
			r.Header.Set("Signature", "vam=:"+base64.StdEncoding.EncodeToString(make([]byte, 64))+":")
		}},
		{"a short signature", put, func(r *http.Request) { r.Header.Set("Signature", "vam=:AAAA:") }},
		{"a signature that is a list", put, func(r *http.Request) { r.Header.Set("Signature", "vam=(:AAAA:)") }},
		{"no signature", put, func(r *http.Request) { r.Header.Del("Signature") }},
		{"no input", put, func(r *http.Request) { r.Header.Del("Signature-Input") }},
		{"an input that is no list", put, func(r *http.Request) { r.Header.Set("Signature-Input", "vam=1") }},
		{"an input that is nothing", put, func(r *http.Request) { r.Header.Set("Signature-Input", "") }},
		{"an input that is no dictionary", put, func(r *http.Request) { r.Header.Set("Signature-Input", "vam=((") }},
		{"method of a GET", "GET", func(r *http.Request) { r.Method = "HEAD" }},
		{"the components of a PUT", "GET", edit("Signature-Input", `"@query"`, `"@query" "content-digest" "content-type"`)},
		{"a digest that is not covered", "GET", func(r *http.Request) { r.Header.Set("Content-Digest", activmail.DigestOf([]byte("x")).String()) }},
	} {
		var body []byte
		if tc.method == put {
			body = []byte(`{"a":1}`)
		}
		r, d := sent(t, tc.method, "/vam/v1/x?q=1", body)
		if _, err := verify(r, d); err != nil {
			t.Fatal(err)
		}
		tc.change(r)
		problem := "signature-invalid"
		if tc.name == "keyid" {
			problem = "key-not-found"
		}
		_, err := verify(r, d)
		if fault := errorFault(err, vam.Unauthenticated, problem); fault != "" {
			t.Errorf("%s of a %s: %s", tc.name, tc.method, fault)
		}
	}
}

// TestBodyIsCovered: the octets that were read are those that were signed (AM-3.4).
func TestBodyIsCovered(t *testing.T) {
	r, _ := sent(t, "PUT", "/x", []byte("body"))
	for name, body := range map[string][]byte{"another": []byte("BODY"), "shorter": []byte("bod"), "longer": []byte("body\n"), "empty": {}, "none": nil} {
		if fault := errorFault(second(verify(r, activmail.DigestOf(body))), vam.Unauthenticated, "signature-invalid"); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
	get, _ := sent(t, "GET", "/x", nil)
	if _, err := verify(get, activmail.DigestOf([]byte{})); err != nil {
		t.Errorf("an empty body of a GET is none: %v", err)
	}
	wantError(t, second(verify(get, activmail.DigestOf([]byte("x")))), vam.Unauthenticated, "signature-invalid")
	// No body and an empty one are signed differently and hash the same.
	empty, _ := sent(t, "POST", "/x", []byte{})
	if _, err := verify(empty, activmail.Digest{}); err != nil {
		t.Errorf("a POST of no octets: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestSignatureTimes: sixty seconds of skew on either side, five minutes of life (AM-3.6).
func TestSignatureTimes(t *testing.T) {
	r, d := sent(t, "GET", "/x", nil)
	for _, tc := range []struct {
		now time.Time
		ok  bool
	}{
		{signedAt, true},
		{signedAt.Add(-time.Minute), true},
		{signedAt.Add(-time.Minute - time.Nanosecond), false},
		{signedAt.Add(-time.Hour), false},
		{signedAt.Add(5 * time.Minute), true},
		{signedAt.Add(6 * time.Minute), true},
		{signedAt.Add(6*time.Minute + time.Nanosecond), false},
		{signedAt.Add(10 * 365 * 24 * time.Hour), false},
		{time.Time{}, false},
	} {
		k := &knows{}
		_, err := activmail.VerifyRequest(r, d, k.lookup, tc.now)
		if tc.ok != (err == nil) {
			t.Errorf("at %s: %v", tc.now.Sub(signedAt), err)
		}
		if !tc.ok {
			wantError(t, err, vam.Unauthenticated, "signature-invalid")
			if len(k.asked) > 0 {
				t.Error("DNS was asked for a signature of another time (AM-3.11)")
			}
		}
	}
}

// TestNobodyIsAskedInVain: the form is checked before the key is looked up (AM-3.11,
// AM-2.28), and what the look-up says comes through.
func TestNobodyIsAskedInVain(t *testing.T) {
	r, d := sent(t, "GET", "/x", nil)
	for _, bad := range []string{"b.example", "V1._domainkey.a.example", "v1._domainkey.a.example.", "v1._domainkey.A.example", "._domainkey.a.example", "v1._domainkey.localhost"} {
		k := &knows{}
		changed := r.Clone(t.Context())
		changed.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), keyid, bad, 1))
		_, err := activmail.VerifyRequest(changed, d, k.lookup, signedAt)
		wantError(t, err, vam.Unauthenticated, "signature-invalid")
		if len(k.asked) > 0 {
			t.Errorf("the key %s was looked up", bad)
		}
	}
	for _, want := range []error{
		vam.Errorf(vam.Unavailable, "DNS is down").WithProblem("key-not-found"), vam.Errorf(vam.Busy, "too many look-ups"), vam.Errorf(vam.Denied, "not that domain"), errors.New("odd"),
	} {
		_, err := activmail.VerifyRequest(r, d, func(context.Context, string) (ed25519.PublicKey, error) { return nil, want }, signedAt)
		if !errors.Is(err, want) {
			t.Errorf("%v comes through as %v", want, err)
		}
	}
	// A key of the wrong length verifies nothing, and does not panic.
	for _, key := range []ed25519.PublicKey{nil, make([]byte, 31), make([]byte, 33), make([]byte, 32)} {
		_, err := activmail.VerifyRequest(r, d, func(context.Context, string) (ed25519.PublicKey, error) { return key, nil }, signedAt)
		wantError(t, err, vam.Unauthenticated, "signature-invalid")
	}
}

// TestOtherSignatures: those of proxies are theirs (AM-3.12), and of two under our label one
// counts, the last (AM-3.2).
func TestOtherSignatures(t *testing.T) {
	zero := "vam=:" + base64.StdEncoding.EncodeToString(make([]byte, 64)) + ":"
	for _, tc := range []struct {
		name   string
		change func(h http.Header)
		ok     bool
	}{
		{"a proxy's in fields of their own", func(h http.Header) {
			h.Add("Signature-Input", `proxy=("@method");created=1;alg="rsa-v1_5-sha256"`)
			h.Add("Signature", "proxy=:AAAA:")
		}, true},
		{"a proxy's before ours", func(h http.Header) {
			h.Set("Signature-Input", `p=(), `+h.Get("Signature-Input"))
			h.Set("Signature", "p=:AA==:, "+h.Get("Signature"))
		}, true},
		{"a proxy that says nothing of its signature", func(h http.Header) { h.Add("Signature-Input", `proxy=("date")`) }, true},
		{"a wrong one of ours before", func(h http.Header) { h.Set("Signature", zero+", "+h.Get("Signature")) }, true},
		{"a wrong one of ours behind", func(h http.Header) { h.Add("Signature", zero) }, false},
		{"another input of ours behind", func(h http.Header) { h.Add("Signature-Input", `vam=("@method")`) }, false},
		{"a field that is no dictionary", func(h http.Header) { h.Add("Signature-Input", `proxy=(`) }, false},
		{"8 KiB", func(h http.Header) { h.Add("Signature", `x="`+strings.Repeat("x", 8192)+`"`) }, false},
	} {
		r, d := sent(t, "PUT", "/x", []byte("body"))
		tc.change(r.Header)
		_, err := verify(r, d)
		if tc.ok != (err == nil) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if !tc.ok {
			wantError(t, err, vam.Unauthenticated, "signature-invalid")
		}
	}
}

// TestAnyChangeOfTheInput: no octet of the parameters can be changed without notice.
func TestAnyChangeOfTheInput(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r, d := sent(t, "PUT", "/vam/v1/x?q=1", []byte("body"))
		field := rapid.SampledFrom([]string{"Signature-Input", "Signature", "Content-Digest", "Content-Type"}).Draw(rt, "field")
		old := r.Header.Get(field)
		b := []byte(old)
		at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
		b[at] = rapid.SampledFrom([]byte(` "'(),;:=?@/ABZabz019_-+`)).Draw(rt, "octet")
		r.Header.Set(field, string(b))
		if _, err := verify(r, d); err == nil && !strings.EqualFold(string(b), old) && field != "Signature" {
			rt.Fatalf("%s: %s passed for %s", field, b, old)
		} else if err == nil && field == "Signature" && !sameSignature(string(b), old) {
			rt.Fatalf("the signature %s passed for %s", b, old)
		}
	})
}

// sameSignature: a structured field may spell the same octets in several ways (AM-1.9).
func sameSignature(a, b string) bool {
	decode := func(s string) []byte {
		s = strings.TrimSuffix(strings.TrimPrefix(s, "vam=:"), ":")
		out, _ := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
		return out
	}
	return string(decode(a)) == string(decode(b))
}

// TestRFC9421 verifies the Ed25519 example of appendix B.2.6, whose key is that of B.1.4.
func TestRFC9421(t *testing.T) {
	seed, err := hex.DecodeString("9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5")
	if err != nil {
		t.Fatal(err)
	}
	key := ed25519.NewKeyFromSeed(seed)
	const input = `("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`
	r := httptest.NewRequest("POST", "/foo?param=Value&Pet=dog", nil)
	r.Host = "example.com"
	r.Header.Set("Date", "Tue, 20 Apr 2021 02:07:55 GMT")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Length", "18")
	base, err := activmail.SignatureBase(r, input)
	if err != nil {
		t.Fatal(err)
	}
	const want = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
	if got := base64.StdEncoding.EncodeToString(ed25519.Sign(key, base)); got != want {
		t.Errorf("the signature is %s over\n%s", got, base)
	}
	for name, bad := range map[string]string{
		"a field that is missing": `("x")`, "a parameter of a component": `("date";sf)`, "no list": "1", "two members": `("date"), b=("date")`, "a derived component that is not known": `("@status")`, "no structured field": `(`,
		"a number for a name": `(1)`,
	} {
		if _, err := activmail.SignatureBase(r, bad); err == nil {
			t.Errorf("%s has a base", name)
		} else {
			wantError(t, err, vam.Unauthenticated, "signature-invalid")
		}
	}
}

// TestSignatureBaseOnTheWire: server and client build the same base, whatever the form of
// the URL (AM-3.5).
func TestSignatureBaseOnTheWire(t *testing.T) {
	const input = `("@method" "@authority" "@path" "@query")`
	for _, tc := range []struct{ url, host, authority, path, query string }{
		{"https://VAM1.b.example:1398/vam/v1/x?y=z", "", "vam1.b.example:1398", "/vam/v1/x", "?y=z"},
		{"https://b.example:443/", "", "b.example", "/", "?"},
		{"https://b.example", "", "b.example", "/", "?"},
		{"https://192.0.2.1:1398/x", "b.example:1398", "b.example:1398", "/x", "?"},
		{"https://b.example:1443/x", "", "b.example:1443", "/x", "?"},
		{"https://b.example/a%2Fb?%20", "", "b.example", "/a%2Fb", "?%20"},
		{"https://b.example/x?", "", "b.example", "/x", "?"},
		{"https://[2001:db8::1]:443/x", "", "[2001:db8::1]", "/x", "?"},
	} {
		r, err := http.NewRequest("GET", tc.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tc.host != "" {
			r.Host = tc.host
		}
		base, err := activmail.SignatureBase(r, input)
		want := "\"@method\": GET\n\"@authority\": " + tc.authority + "\n\"@path\": " + tc.path + "\n\"@query\": " + tc.query + "\n\"@signature-params\": " + input
		if err != nil || string(base) != want {
			t.Errorf("%s (%v):\n%s\nnot\n%s", tc.url, err, base, want)
		}
		server := httptest.NewRequest("GET", r.URL.RequestURI(), nil)
		server.Host = r.Host
		if got, err := activmail.SignatureBase(server, input); err != nil || string(got) != want {
			t.Errorf("%s at the server (%v):\n%s", tc.url, err, got)
		}
	}
}

func TestDigest(t *testing.T) {
	if d := activmail.DigestOf(nil); d.Has {
		t.Error("no body has a digest")
	}
	d := activmail.DigestOf([]byte("x"))
	if !d.Has || d.Sum != sha256.Sum256([]byte("x")) || d.String() != "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=:" {
		t.Errorf("the digest is %s", d)
	}
	h := http.Header{}
	if got, err := activmail.ContentDigest(h); err != nil || got.Has {
		t.Errorf("no field is %v (%v)", got, err)
	}
	h.Set("Content-Digest", " "+d.String()+"\t")
	if got, err := activmail.ContentDigest(h); err != nil || got != d {
		t.Errorf("%v is %v (%v)", h, got, err)
	}
	for _, bad := range []string{"", "x", d.String() + ";a=b", d.String() + ", " + d.String(), d.String() + ", sha-512=:AAAA:", strings.ToUpper(d.String()), "sha-256=LXEW", "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIF=:", "sha-256=:LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE:", strings.Repeat(" ", 300) + d.String()} {
		h.Set("Content-Digest", bad)
		_, err := activmail.ContentDigest(h)
		wantError(t, err, vam.Unauthenticated, "signature-invalid")
	}
}

func TestAcceptSignature(t *testing.T) {
	for body, want := range map[bool]string{
		true:  `vam=("@method" "@authority" "@path" "@query" "content-digest" "content-type");created;expires;tag="vam1"`,
		false: `vam=("@method" "@authority" "@path" "@query");created;expires;tag="vam1"`,
	} {
		if got := activmail.AcceptSignature(body); got != want {
			t.Errorf("Accept-Signature is %s, not %s (AM-3.13)", got, want)
		}
	}
}
