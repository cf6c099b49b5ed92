package mailauth_test

import (
	"bytes"
	"crypto/ed25519"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/videoactivmail/vam"
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
