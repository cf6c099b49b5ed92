package mailauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/mailauth"
)

// The key of RFC 8463 appendix A.2.
const rfc8463Key = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

func TestFormatKeys(t *testing.T) {
	public, err := base64.StdEncoding.DecodeString(rfc8463Key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := mailauth.FormatMailKey(ed25519.PublicKey(public))
	if want := "v=DKIM1; k=ed25519; p=" + rfc8463Key; err != nil || got != want {
		t.Errorf("mail key is %q (%v), want %q", got, err, want)
	}
	request := activmail.FormatRequestKey(public)
	for record, want := range map[string]bool{got: true, request: false} {
		k, err := mailauth.ParseKey(record)
		if err != nil || !k.Public.(ed25519.PublicKey).Equal(ed25519.PublicKey(public)) {
			t.Fatalf("%q parses as %v (%v)", record, k, err)
		}
		if k.Allows(mailauth.ServiceMail) != want {
			t.Errorf("%q allows the wrong services: %v", record, k.Services)
		}
	}
	if name := mailauth.KeyName("m1", "a.example"); name != "m1._domainkey.a.example" {
		t.Errorf("the key is named %q", name)
	}
}

func TestFormatMailKeyRSA(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	record, err := mailauth.FormatMailKey(private.Public())
	if err != nil || !strings.HasPrefix(record, "v=DKIM1; k=rsa; p=MII") {
		t.Fatalf("%q, %v", record, err)
	}
	pkcs1 := "k=rsa; p=" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&private.PublicKey))
	for _, r := range []string{record, pkcs1, strings.Replace(record, "k=rsa; ", "", 1), record[:100] + " \t" + record[100:]} {
		k, err := mailauth.ParseKey(r)
		if err != nil || !private.PublicKey.Equal(k.Public) {
			t.Errorf("%q parses as %v (%v)", r, k, err)
		}
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mailauth.FormatMailKey(curve.Public()); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a P-256 key: %v", err)
	}
	if _, err := mailauth.FormatMailKey(ed25519.PublicKey("short")); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a short key: %v", err)
	}
}

func TestParseKey(t *testing.T) {
	p := "; p=" + rfc8463Key
	for _, tc := range []struct {
		record  string
		revoked bool
		strict  bool
		mail    bool
	}{
		{"v=DKIM1; k=ed25519" + p, false, false, true},
		{"k=ed25519" + p, false, false, true},
		{" v = DKIM1 ; k = ed25519 " + p + " ; ", false, false, true},
		{"v=DKIM1; k=ed25519; s=email:vam" + p, false, false, true},
		{"v=DKIM1; k=ed25519; s=*" + p, false, false, true},
		{"v=DKIM1; k=ed25519; s=vam : *" + p, false, false, true},
		{"v=DKIM1; k=ed25519; s=vam" + p, false, false, false},
		{"v=DKIM1; k=ed25519; s=" + p, false, false, false},
		{"v=DKIM1; k=ed25519; t=y:s; n=note; x=unknown" + p, false, true, true},
		{"v=DKIM1; k=ed25519; h=sha1:sha256" + p, false, false, true},
		{"v=DKIM1; p=", true, false, true},
		{"v=DKIM1; k=other; p=", true, false, true},
	} {
		k, err := mailauth.ParseKey(tc.record)
		if err != nil {
			t.Errorf("%q: %v", tc.record, err)
			continue
		}
		if (k.Public == nil) != tc.revoked || k.Strict != tc.strict || k.Allows(mailauth.ServiceMail) != tc.mail {
			t.Errorf("%q parses as %+v", tc.record, k)
		}
	}
	for _, record := range []string{
		"", "v=DKIM1", "v=DKIM2; k=ed25519" + p, "k=ed25519; k=ed25519" + p, "k=ed25519; p=AAAA", "k=ed25519; p=*",
		"k=ed448" + p, "k=rsa" + p, "v=DKIM1; k=ed25519; h=sha1" + p, "k=ed25519" + p + "; \u00a0p=x", "just text", "=x" + p, "1k=x" + p,
		"v=spf1 -all",
	} {
		if k, err := mailauth.ParseKey(record); vam.KindOf(err) != vam.Invalid || err == nil {
			t.Errorf("%q parses as %+v (%v)", record, k, err)
		}
	}
	if _, err := mailauth.ParseKey("k=ed25519" + p + "; n=" + strings.Repeat("x", 2048)); vam.KindOf(err) != vam.TooLarge {
		t.Errorf("a long record: %v", err)
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("v=DKIM1; k=ed25519; s=vam; p=" + rfc8463Key)
	f.Add("v=DKIM1; k=rsa; t=s; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB")
	f.Fuzz(func(t *testing.T, record string) {
		k, err := mailauth.ParseKey(record)
		if err != nil || k.Public == nil {
			return
		}
		again, err := mailauth.FormatMailKey(k.Public)
		if err != nil {
			t.Fatalf("the key of %q cannot be written: %v", record, err)
		}
		if _, err := mailauth.ParseKey(again); err != nil {
			t.Fatalf("%q is written as %q: %v", record, again, err)
		}
	})
}
