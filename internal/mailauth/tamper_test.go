package mailauth_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// seen is all that a person or a program learns from a mail.
type seen struct {
	Verified *mailauth.Verified
	View     *letter.View
}

func see(t testing.TB, z *mailauthtest.Zone, raw []byte) (seen, error) {
	v, err := verify(z, raw)
	if err != nil {
		return seen{}, err
	}
	view, err := letter.Read(raw)
	if err != nil {
		t.Fatalf("verified but not readable: %v", err)
	}
	view.Text = strings.Join(strings.Fields(view.Text), " ") // relaxed body canonicalization
	return seen{v, view}, nil
}

// Whatever octet is changed, removed or doubled, the mail is refused or says exactly
// what it said.
func TestVerifyEveryOctet(t *testing.T) {
	z := &mailauthtest.Zone{}
	raw := sign(t, mailauthtest.Signer(t, z, "a.example"), compose(t, "alice@a.example", "a.example"))
	want, err := see(t, z, raw)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	try := func(at int, changed []byte) {
		got, err := see(t, z, changed)
		if err != nil {
			refused++
			return
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("octet %d (%q): %s", at, raw[at], d)
		}
	}
	for i := range raw {
		for _, c := range []byte{raw[i] ^ 1, raw[i] ^ 0x20, raw[i] ^ 0x80, ' ', '\n', 'A', ';'} {
			changed := bytes.Clone(raw)
			changed[i] = c
			try(i, changed)
		}
		try(i, append(bytes.Clone(raw[:i]), raw[i+1:]...))
		try(i, append(append(bytes.Clone(raw[:i+1]), raw[i]), raw[i+1:]...))
	}
	if all := len(raw) * 9; refused < all*8/10 {
		t.Errorf("%d of %d changes were refused, which is hardly a signature", refused, all)
	}
}

// Each field of the letter is changed, removed, doubled before and behind, and each
// field that a signature covers is added where there was none.
func TestVerifyEveryField(t *testing.T) {
	z := &mailauthtest.Zone{}
	raw := sign(t, mailauthtest.Signer(t, z, "a.example"), compose(t, "alice@a.example", "a.example"))
	m, err := rfc5322.Scan(raw)
	if err != nil {
		t.Fatal(err)
	}
	build := func(change func(i int, f rfc5322.Field) []byte) []byte {
		var out []byte
		for i, f := range m.Fields {
			out = append(out, change(i, f)...)
		}
		return append(append(out, "\r\n"...), m.Body...)
	}
	for i, f := range m.Fields {
		only := func(edit func(f rfc5322.Field) []byte) []byte {
			return build(func(j int, f rfc5322.Field) []byte {
				if i == j {
					return edit(f)
				}
				return f.Raw
			})
		}
		forged := []byte(f.Name + ": forged@a.example\r\n")
		for what, changed := range map[string][]byte{
			"changed":        only(func(f rfc5322.Field) []byte { return bytes.Replace(f.Raw, []byte("\r\n"), []byte("x\r\n"), 1) }),
			"replaced":       only(func(rfc5322.Field) []byte { return forged }),
			"removed":        only(func(rfc5322.Field) []byte { return nil }),
			"doubled":        only(func(f rfc5322.Field) []byte { return append(bytes.Clone(f.Raw), f.Raw...) }),
			"forged before":  only(func(f rfc5322.Field) []byte { return append(bytes.Clone(forged), f.Raw...) }),
			"forged behind":  only(func(f rfc5322.Field) []byte { return append(bytes.Clone(f.Raw), forged...) }),
			"forged at top":  append(bytes.Clone(forged), raw...),
			"forged at end":  append(bytes.TrimSuffix(bytes.Clone(m.Header), []byte("\r\n")), append(bytes.Clone(forged), append([]byte("\r\n"), m.Body...)...)...),
			"forged in case": append([]byte(strings.ToLower(string(forged))), raw...),
		} {
			if f.Is("DKIM-Signature") && (strings.HasPrefix(what, "doubled") || strings.HasPrefix(what, "forged")) {
				continue // a further signature that fails takes nothing from the first
			}
			if v, err := verify(z, changed); err == nil {
				t.Errorf("%s %s: verified as %+v", f.Name, what, v)
			}
		}
	}
	for _, name := range []string{"Sender", "Reply-To", "Cc", "In-Reply-To", "References", "Auto-Submitted", "Expires", "Content-Disposition"} {
		if m.Has(name) {
			t.Fatalf("the letter has %s already", name)
		}
		for _, field := range []string{name + ": x@a.example\r\n", strings.ToLower(name) + ": x@a.example\r\n"} {
			if v, err := verify(z, append([]byte(field), raw...)); err == nil {
				t.Errorf("%s added: verified as %+v", name, v)
			}
		}
	}
}

// Arbitrary octets verify only as the one letter that the key signed.
func FuzzVerify(f *testing.F) {
	z := &mailauthtest.Zone{}
	seed := bytes.Repeat([]byte{3}, ed25519.SeedSize)
	key := ed25519.NewKeyFromSeed(seed)
	record, err := mailauth.FormatMailKey(key.Public())
	if err != nil {
		f.Fatal(err)
	}
	z.Set(keyRec, record)
	s := &mailauth.Signer{Domain: "a.example", Keys: []mailauth.SigningKey{{Selector: "m1", Key: key}}}
	raw := sign(f, s, compose(f, "alice@a.example", "a.example"))
	want, err := see(f, z, raw)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(append([]byte("From: eve@e.example\r\n"), raw...))
	f.Add([]byte("From: a@a.example\r\nVAM-Message: v=1\r\nDKIM-Signature: v=1; d=a.example; s=m1; h=from; b=; bh=; a=rsa-sha256\r\n\r\n"))
	f.Add(bytes.Replace(raw, []byte("d=a.example"), []byte("d=x.a.example; i=@y.x.a.example; x=1"), 1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := see(t, z, raw)
		if err != nil {
			return
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("verified as something else: %s", d)
		}
	})
}
