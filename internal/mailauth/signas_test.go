package mailauth_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
)

// signAs signs as any domain, which our own Signer refuses to do.
func signAs(t testing.TB, key ed25519.PrivateKey, signing vam.Domain, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	err := dkim.Sign(&out, bytes.NewReader(raw), &dkim.SignOptions{
		Domain: string(signing), Selector: "m1", Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A domain is the same in every case of letters, whoever signs it how.
func TestVerifyDomainInCapitals(t *testing.T) {
	z := &mailauthtest.Zone{}
	key := mailauthtest.Ed25519(t, z, "m1", "a.example").Key.(ed25519.PrivateKey)
	v, err := verify(z, signAs(t, key, "A.Example", compose(t, "alice@a.example", "a.example")))
	if err != nil {
		t.Fatal(err)
	}
	if v.SigningDomain != "a.example" {
		t.Errorf("%+v", v)
	}
}
