package keyring_test

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/mailauth"
)

const domain = vam.Domain("a.example")

func TestKeysStayAndMatchTheirRecords(t *testing.T) {
	dir := t.TempDir()
	if _, err := keyring.Load(dir, domain); vam.KindOf(err) != vam.NotFound || !strings.Contains(err.Error(), "vam init a.example") {
		t.Fatalf("without keys: %v", err)
	}
	var first keyring.Keys
	for i := range 2 {
		if err := keyring.Create(dir, domain); err != nil {
			t.Fatal(err)
		}
		k, err := keyring.Load(dir, domain)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = k
		} else if !k.Request.Private.Equal(first.Request.Private) {
			t.Fatal("a second Create replaced the keys")
		}
	}
	public, err := activmail.ParseRequestKey(first.Records[0].Text)
	if err != nil || !public.Equal(first.Request.Private.Public()) || first.Records[0].Name != "v1._domainkey.a.example" {
		t.Errorf("request record %+v: %v", first.Records[0], err)
	}
	record, err := mailauth.ParseKey(first.Records[1].Text)
	if err != nil || !record.Public.(ed25519.PublicKey).Equal(first.Mail.Key.Public()) || !record.Allows(mailauth.ServiceMail) {
		t.Errorf("mail record %+v: %v", first.Records[1], err)
	}
	info, err := os.Stat(filepath.Join(dir, "keys", "a.example", "request-v1.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// The last selector signs; the old one stays published (AM-2.34).
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	if err := keyring.Create(dir, domain); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "keys", "a.example")
	other := t.TempDir()
	if err := keyring.Create(other, domain); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(other, "keys", "a.example", "request-v1.pem"), filepath.Join(folder, "request-v2.pem")); err != nil {
		t.Fatal(err)
	}
	k, err := keyring.Load(dir, domain)
	if err != nil || k.Request.ID != "v2._domainkey.a.example" || len(k.Records) != 3 {
		t.Fatalf("%v, %+v, %v", k, k.Records, err)
	}
}

func TestWhatIsNoKey(t *testing.T) {
	for name, content := range map[string]string{
		"request-v9.pem":  "not PEM",
		"request-V A.pem": "",
	} {
		dir := t.TempDir()
		if err := keyring.Create(dir, domain); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(dir, "keys", "a.example")
		if content == "" {
			b, err := os.ReadFile(filepath.Join(folder, "request-v1.pem"))
			if err != nil {
				t.Fatal(err)
			}
			content = string(b)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := keyring.Load(dir, domain); vam.KindOf(err) != vam.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFolderThatCannotBeRead: keys that are there and cannot be seen are not called missing,
// and none are made beside them.
func TestFolderThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys", "a.example"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Load(dir, domain); vam.KindOf(err) != vam.Unavailable || err == nil {
		t.Errorf("Load: %v", err)
	}
	if err := keyring.Create(dir, domain); vam.KindOf(err) != vam.Unavailable || err == nil {
		t.Errorf("Create: %v", err)
	}
	if os.Geteuid() == 0 {
		return // root may read everything
	}
	other := t.TempDir()
	if err := keyring.Create(other, domain); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(other, "keys", "a.example")
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(folder, 0o700) })
	if _, err := keyring.Load(other, domain); vam.KindOf(err) != vam.Denied {
		t.Errorf("Load: %v", err)
	}
}
