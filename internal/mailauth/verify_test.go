package mailauth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

const (
	mid    = vam.MessageID("01936b2e-5c00-7abc-8def-0123456789ab")
	keyRec = "m1._domainkey.a.example"
)

func messageKey() ed25519.PublicKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)).Public().(ed25519.PublicKey)
}

// compose writes an unsigned letter of message mid.
func compose(t testing.TB, from string, origin vam.Domain) []byte {
	t.Helper()
	author, err := vam.ParseAddress(from)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := (&letter.Letter{
		From:    rfc5322.Mailbox{Name: "Alice", Addr: author},
		To:      []rfc5322.Mailbox{{Addr: vam.Address{Local: "bob", Domain: "b.example"}}},
		Subject: "Sunday, café",
		Words:   "Hello Bob,\n\nlook at this.",
		Date:    time.Date(2026, 11, 23, 8, 44, 23, 0, time.UTC),
		Kind:    vam.Video,
		Header:  activmail.MessageHeader{ID: mid, Origin: origin, Key: messageKey()},
	}).Compose()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func sign(t testing.TB, s *mailauth.Signer, raw []byte) []byte {
	t.Helper()
	signed, err := s.Sign(raw)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func verify(z *mailauthtest.Zone, raw []byte) (*mailauth.Verified, error) {
	v := &mailauth.Verifier{DNS: z}
	return v.Verify(context.Background(), raw)
}

// refuse checks kind and problem type of an error and that it says something.
func refuse(t *testing.T, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	ve, ok := err.(*vam.Error)
	if !ok || ve.Kind != kind || ve.Problem != problem || len(ve.Message) < 20 {
		t.Errorf("got %#v (%v), want kind %v, problem %s", err, err, kind, problem)
	}
}

// TestSignAndVerify is AM-12.6.
func TestSignAndVerify(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	raw := sign(t, s, compose(t, "alice@a.example", "a.example"))
	got, err := verify(z, raw)
	if err != nil {
		t.Fatal(err)
	}
	want := &mailauth.Verified{
		From: vam.Address{Local: "alice", Domain: "a.example"}, SigningDomain: "a.example", Selector: "m1",
		Header:    activmail.MessageHeader{ID: mid, Origin: "a.example", Key: messageKey()},
		MessageID: "<" + string(mid) + "@a.example>", Subject: "Sunday, café", Date: time.Date(2026, 11, 23, 8, 44, 23, 0, time.UTC),
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{keyRec}, z.Asked()); d != "" {
		t.Errorf("one key is all that DNS is asked for: %s", d)
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > rfc5322.MaxLine || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

func TestSignWithSeveralKeys(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	s.Keys = append(s.Keys, mailauthtest.RSA(t, z, "r1", "a.example", 2048))
	raw := sign(t, s, compose(t, "alice@a.example", "a.example"))
	if n := bytes.Count(raw, []byte("DKIM-Signature:")); n != 2 {
		t.Fatalf("%d signatures", n)
	}
	if v, err := verify(z, raw); err != nil || v.Selector != "m1" {
		t.Errorf("both: %v, %v", v, err)
	}
	z.Set(keyRec)
	if v, err := verify(z, raw); err != nil || v.Selector != "r1" {
		t.Errorf("RSA alone: %v, %v", v, err)
	}
	z.Set("r1._domainkey.a.example")
	_, err := verify(z, raw)
	refuse(t, err, vam.Unavailable, "key-not-found")
}

func TestSignRefuses(t *testing.T) {
	z := &mailauthtest.Zone{}
	good := mailauthtest.Signer(t, z, "a.example")
	raw := compose(t, "alice@a.example", "a.example")
	short := mailauthtest.RSA(t, z, "r0", "a.example", 1024)
	for name, tc := range map[string]struct {
		s    *mailauth.Signer
		raw  []byte
		want vam.ErrorKind
	}{
		"another domain":   {good, compose(t, "alice@b.example", "a.example"), vam.Invalid},
		"a look-alike":     {good, compose(t, "alice@xa.example", "a.example"), vam.Invalid},
		"two From":         {good, append([]byte("From: eve@a.example\r\n"), raw...), vam.Invalid},
		"bare LF":          {good, append(bytes.Clone(raw), "x\ny"...), vam.Invalid},
		"no key":           {&mailauth.Signer{Domain: "a.example"}, raw, vam.Internal},
		"a short RSA key":  {&mailauth.Signer{Domain: "a.example", Keys: []mailauth.SigningKey{short}}, raw, vam.Internal},
		"a key that fails": {&mailauth.Signer{Domain: "a.example", Keys: []mailauth.SigningKey{{Selector: "m1", Key: brokenKey{}}}}, raw, vam.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tc.s.Sign(tc.raw); vam.KindOf(err) != tc.want || err == nil {
				t.Fatalf("got %v, want kind %v", err, tc.want)
			}
		})
	}
	if _, err := verify(z, sign(t, good, compose(t, "alice@mail.a.example", "a.example"))); vam.KindOf(err) != vam.Denied {
		t.Errorf("a subdomain is signed, and aligns only where a policy says so: %v", err)
	}
}

// A body length, a missing or extra signature, a wrong or unusable key: each is
// refused with the problem type of AM-12.11 (AM-12.1, AM-12.3, AM-12.5, AM-10.16, AM-10.17).
func TestVerifyRefuses(t *testing.T) {
	type world struct {
		z   *mailauthtest.Zone
		s   *mailauth.Signer
		raw []byte // signed
	}
	resign := func(t *testing.T, w *world, opts dkim.SignOptions) {
		var out bytes.Buffer
		opts.Signer = w.s.Keys[0].Key
		if opts.Domain == "" {
			opts.Domain = "a.example"
		}
		if opts.Selector == "" {
			opts.Selector = "m1"
		}
		if err := dkim.Sign(&out, bytes.NewReader(compose(t, "alice@a.example", "a.example")), &opts); err != nil {
			t.Fatal(err)
		}
		w.raw = out.Bytes()
	}
	for name, tc := range map[string]struct {
		change  func(t *testing.T, w *world)
		kind    vam.ErrorKind
		problem string
	}{
		"no signature": {func(t *testing.T, w *world) { w.raw = compose(t, "alice@a.example", "a.example") }, vam.Unauthenticated, "signature-invalid"},
		"a second From in front": {
			func(t *testing.T, w *world) { w.raw = append([]byte("From: eve@e.example\r\n"), w.raw...) },
			vam.Invalid, "policy",
		},
		"two authors": {func(t *testing.T, w *world) {
			raw := bytes.Replace(compose(t, "alice@a.example", "a.example"), []byte("<alice@a.example>"), []byte("<alice@a.example>, eve@a.example"), 1)
			w.raw = append([]byte{}, raw...)
		}, vam.Invalid, "policy"},
		"a second VAM-Message in front": {
			func(t *testing.T, w *world) { w.raw = append([]byte("VAM-Message: v=1\r\n"), w.raw...) },
			vam.Invalid, "policy",
		},
		"a second VAM-Message behind": {func(t *testing.T, w *world) {
			w.raw = bytes.Replace(w.raw, []byte("MIME-Version"), []byte("vam-message: v=1\r\nMIME-Version"), 1)
		}, vam.Invalid, "policy"},
		"no VAM-Message":      {func(t *testing.T, w *world) { w.raw = drop(w.raw, "VAM-Message") }, vam.Invalid, "policy"},
		"a bad VAM-Message":   {func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte("v=1; id="), []byte("v=1; di="), 1) }, vam.Invalid, "policy"},
		"another Message-ID":  {func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte("<0193"), []byte("<0194"), 1) }, vam.Invalid, "policy"},
		"no Date":             {func(t *testing.T, w *world) { w.raw = drop(w.raw, "Date") }, vam.Invalid, "policy"},
		"a Bcc":               {func(t *testing.T, w *world) { w.raw = append([]byte("Bcc: x@y.example\r\n"), w.raw...) }, vam.Invalid, "policy"},
		"bare LF":             {func(t *testing.T, w *world) { w.raw = append(w.raw, "\n"...) }, vam.Invalid, "malformed"},
		"too many fields":     {func(t *testing.T, w *world) { w.raw = append(bytes.Repeat([]byte("A: b\r\n"), 1000), w.raw...) }, vam.TooLarge, "too-large"},
		"an Added field":      {func(t *testing.T, w *world) { w.raw = append([]byte("Reply-To: eve@e.example\r\n"), w.raw...) }, vam.Unauthenticated, "signature-invalid"},
		"longer body":         {func(t *testing.T, w *world) { w.raw = append(w.raw, "more\r\n"...) }, vam.Unauthenticated, "signature-invalid"},
		"no key in DNS":       {func(t *testing.T, w *world) { w.z.Set(keyRec) }, vam.Unavailable, "key-not-found"},
		"no such name in DNS": {func(t *testing.T, w *world) { w.z.Fail(keyRec, &net.DNSError{IsNotFound: true}) }, vam.Unavailable, "key-not-found"},
		"not found, our word": {func(t *testing.T, w *world) { w.z.Fail(keyRec, vam.Errorf(vam.NotFound, "none")) }, vam.Unavailable, "key-not-found"},
		"DNS does not answer": {func(t *testing.T, w *world) { w.z.Fail(keyRec, &net.DNSError{IsTimeout: true}) }, vam.Unavailable, "key-not-found"},
		"two key records":     {func(t *testing.T, w *world) { w.z.Set(keyRec, "v=DKIM1; p=", "v=DKIM1; p=") }, vam.Unauthenticated, "signature-invalid"},
		"a revoked key":       {func(t *testing.T, w *world) { w.z.Set(keyRec, "v=DKIM1; k=ed25519; p=") }, vam.Unauthenticated, "signature-invalid"},
		"not a key":           {func(t *testing.T, w *world) { w.z.Set(keyRec, "v=spf1 -all") }, vam.Unauthenticated, "signature-invalid"},
		"a request key": {func(t *testing.T, w *world) {
			w.z.Set(keyRec, activmail.FormatRequestKey(w.s.Keys[0].Key.Public().(ed25519.PublicKey)))
		}, vam.Unauthenticated, "signature-invalid"},
		"another key": {func(t *testing.T, w *world) { mailauthtest.Ed25519(t, w.z, "m1", "a.example") }, vam.Unauthenticated, "signature-invalid"},
		"a body length": {
			func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte(" a=ed"), []byte(" l=10; a=ed"), 1) },
			vam.Unauthenticated, "signature-invalid",
		},
		"expired": {func(t *testing.T, w *world) {
			w.s.Lifetime, w.s.Now = time.Hour, func() time.Time { return time.Now().Add(-2 * time.Hour) }
			w.raw = sign(t, w.s, compose(t, "alice@a.example", "a.example"))
		}, vam.Unauthenticated, "signature-invalid"},
		"VAM-Message not covered": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "Message-Context", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}})
		}, vam.Unauthenticated, "signature-invalid"},
		"Subject not covered": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{HeaderKeys: []string{"From", "To", "VAM-Message", "Date", "Message-ID", "Message-Context", "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}})
		}, vam.Unauthenticated, "signature-invalid"},
		"an identity below a strict key": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{Identifier: "alice@mail.a.example"})
			w.z.Set(keyRec, strings.Replace(mustKey(t, w.s.Keys[0].Key.Public()), "k=", "t=s; k=", 1))
		}, vam.Unauthenticated, "signature-invalid"},
		"wrong d=, nobody's": {
			func(t *testing.T, w *world) {
				w.raw = bytes.Replace(w.raw, []byte("d=a.example"), []byte("d=e.invalid"), 1)
			},
			vam.Denied, "author-unaligned",
		},
		"wrong d=, somebody's own": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{Domain: "evil.test"})
			w.z.Set("m1._domainkey.evil.test", mustKey(t, w.s.Keys[0].Key.Public()))
		}, vam.Denied, "author-unaligned"},
		"wrong d=, a neighbour": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{Domain: "evil.example"})
			w.z.Set("m1._domainkey.evil.example", mustKey(t, w.s.Keys[0].Key.Public()))
		}, vam.Denied, "author-unaligned"},
		"wrong d=, below without a policy": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{Domain: "x.a.example"})
			w.z.Set("m1._domainkey.x.a.example", mustKey(t, w.s.Keys[0].Key.Public()))
		}, vam.Denied, "author-unaligned"},
		"no policy for now": {func(t *testing.T, w *world) {
			resign(t, w, dkim.SignOptions{Domain: "x.a.example"})
			w.z.Set("m1._domainkey.x.a.example", mustKey(t, w.s.Keys[0].Key.Public()))
			w.z.Fail("_dmarc.a.example", &net.DNSError{IsTimeout: true})
		}, vam.Unavailable, "key-not-found"},
		"a selector that is no name": {
			func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte("s=m1"), []byte("s=m1/../x"), 1) },
			vam.Unauthenticated, "signature-invalid",
		},
		"a tag twice":  {func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte("s=m1"), []byte("s=m1; s=m1"), 1) }, vam.Unauthenticated, "signature-invalid"},
		"an 8-bit tag": {func(t *testing.T, w *world) { w.raw = bytes.Replace(w.raw, []byte("s=m1"), []byte("s=m1; z=é"), 1) }, vam.Unauthenticated, "signature-invalid"},
		"a long signature": {func(t *testing.T, w *world) {
			w.raw = bytes.Replace(w.raw, []byte(" a=ed"), []byte(" z="+strings.Repeat("x", 9000)+"; a=ed"), 1)
		}, vam.TooLarge, "too-large"},
		"a long h=": {func(t *testing.T, w *world) {
			w.raw = bytes.Replace(w.raw, []byte("h=From"), []byte("h="+strings.Repeat("a:", 300)+"From"), 1)
		}, vam.TooLarge, "too-large"},
		"five bad signatures in front": {func(t *testing.T, w *world) {
			w.raw = append(bytes.Repeat([]byte("DKIM-Signature: v=1; d=a.example; s=m1; a=x; b=; bh=; h=from\r\n"), 5), w.raw...)
		}, vam.Unauthenticated, "signature-invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{z: &mailauthtest.Zone{}}
			w.s = mailauthtest.Signer(t, w.z, "a.example")
			w.raw = sign(t, w.s, compose(t, "alice@a.example", "a.example"))
			tc.change(t, w)
			v, err := verify(w.z, w.raw)
			if err == nil {
				t.Fatalf("verified as %+v", v)
			}
			refuse(t, err, tc.kind, tc.problem)
		})
	}
}

func mustKey(t *testing.T, public crypto.PublicKey) string {
	t.Helper()
	record, err := mailauth.FormatMailKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// drop removes a field with its folding.
func drop(raw []byte, name string) []byte {
	m, err := rfc5322.Scan(raw)
	if err != nil {
		panic(err)
	}
	var out []byte
	for _, f := range m.Fields {
		if !f.Is(name) {
			out = append(out, f.Raw...)
		}
	}
	return append(append(out, "\r\n"...), m.Body...)
}

func TestVerifyAccepts(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte{
		"trace fields in front": func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte {
			return append([]byte("Return-Path: <alice@a.example>\r\nReceived: from x\r\n by y\r\nReceived: z\r\n"), raw...)
		},
		"four bad signatures in front": func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte {
			return append(bytes.Repeat([]byte("DKIM-Signature: v=1; d=a.example; s=gone; a=ed25519-sha256; b=AA==; bh=AA==; h=from\r\n"), 4), raw...)
		},
		"any number of signatures behind": func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte {
			return bytes.Replace(raw, []byte("From: "), []byte(strings.Repeat("DKIM-Signature: v=1; d=a.example; s=x\r\n", 50)+"From: "), 1)
		},
		"other white space": func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte {
			return bytes.Replace(raw, []byte("Message-Context: video"), []byte("message-context:\r\n\t  video"), 1)
		},
		"a strict key": func(t *testing.T, z *mailauthtest.Zone, raw []byte) []byte {
			text, err := z.LookupTXT(t.Context(), keyRec)
			if err != nil {
				t.Fatal(err)
			}
			z.Set(keyRec, text[0]+"; t=s; s=email")
			return raw
		},
	} {
		t.Run(name, func(t *testing.T) {
			z := &mailauthtest.Zone{}
			s := mailauthtest.Signer(t, z, "a.example")
			raw := change(t, z, sign(t, s, compose(t, "alice@a.example", "a.example")))
			if _, err := verify(z, raw); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The clock decides about x=, and a signature without one never ends.
func TestVerifyExpiry(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	forever := sign(t, s, compose(t, "alice@a.example", "a.example"))
	s.Lifetime = time.Hour
	hour := sign(t, s, compose(t, "alice@a.example", "a.example"))
	later := func(d time.Duration) *mailauth.Verifier {
		return &mailauth.Verifier{DNS: z, Now: func() time.Time { return time.Now().Add(d) }}
	}
	for _, d := range []time.Duration{0, 59 * time.Minute} {
		if _, err := later(d).Verify(t.Context(), hour); err != nil {
			t.Errorf("after %v: %v", d, err)
		}
	}
	_, err := later(61*time.Minute).Verify(t.Context(), hour)
	refuse(t, err, vam.Unauthenticated, "signature-invalid")
	if _, err := later(10*365*24*time.Hour).Verify(t.Context(), forever); err != nil {
		t.Error(err)
	}
}

func TestVerifyStopsWithItsContext(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	raw := sign(t, s, compose(t, "alice@a.example", "a.example"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&mailauth.Verifier{DNS: z}).Verify(ctx, raw)
	refuse(t, err, vam.Unavailable, "key-not-found")
}

// Names that can never align are not asked for: a stranger cannot make us ask DNS
// for any name.
func TestVerifyAsksForRelatedNamesOnly(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	raw := sign(t, s, compose(t, "alice@a.example", "a.example"))
	raw = append([]byte("DKIM-Signature: v=1; d=victim.test; s=x; a=ed25519-sha256; b=AA==; bh=AA==; h=from\r\n"), raw...)
	if _, err := verify(z, raw); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{keyRec}, z.Asked()); d != "" {
		t.Error(d)
	}
}

func TestCheckBinding(t *testing.T) {
	z := &mailauthtest.Zone{}
	s := mailauthtest.Signer(t, z, "a.example")
	v, err := verify(z, sign(t, s, compose(t, "alice@a.example", "a.example")))
	if err != nil {
		t.Fatal(err)
	}
	if err := mailauth.CheckBinding(v, "a.example", mid, messageKey()); err != nil {
		t.Error(err)
	}
	other := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	for name, err := range map[string]error{
		"origin":      mailauth.CheckBinding(v, "b.example", mid, messageKey()),
		"message":     mailauth.CheckBinding(v, "a.example", vam.NewMessageID(time.Now()), messageKey()),
		"message key": mailauth.CheckBinding(v, "a.example", mid, other),
		"no key":      mailauth.CheckBinding(v, "a.example", mid, nil),
	} {
		t.Run(name, func(t *testing.T) { refuse(t, err, vam.Denied, "policy") })
	}
	for _, tc := range []struct {
		from, signing, origin vam.Domain
		ok                    bool
	}{
		{"a.example", "a.example", "a.example", true},
		{"a.example", "a.example", "vam.a.example", true},
		{"a.example", "mail.a.example", "a.example", true},
		{"mail.a.example", "a.example", "mail.a.example", true},
		{"mail.a.example", "a.example", "a.example", true},
		{"a.example", "a.example", "xa.example", false},
		{"a.example", "mail.a.example", "vam.a.example", false},
		{"a.example", "a.example", "example", false},
		{"a.example", "", "b.example", false},
	} {
		v := &mailauth.Verified{
			From: vam.Address{Local: "x", Domain: tc.from}, SigningDomain: tc.signing,
			Header: activmail.MessageHeader{ID: mid, Origin: tc.origin, Key: messageKey()},
		}
		if err := mailauth.CheckBinding(v, tc.origin, mid, messageKey()); (err == nil) != tc.ok {
			t.Errorf("%+v: %v", tc, err)
		}
	}
}

// brokenKey is a signer whose device is gone.
type brokenKey struct{}

func (brokenKey) Public() crypto.PublicKey { return messageKey() }

func (brokenKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, fmt.Errorf("the device is gone")
}
