// Package keyring owns the private keys of this server's domains: the request key
// that signs what it says to other servers, and the key that signs its users' mail.
//
// Below the data folder, each a PEM file in PKCS #8 that only its owner may read:
//
//	keys/a.example/request-v1.pem    Ed25519, DNS name v1._domainkey.a.example
//	keys/a.example/mail-m1.pem       Ed25519, DNS name m1._domainkey.a.example
//
// The part after the hyphen is the selector. With several files of one use the last
// one by name signs and all of them are published, so that a new key is first put
// beside the old one, then into DNS, and takes over with a restart (AM-2.30).
package keyring

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/mailauth"
)

// Folder is where keys lie below the data folder.
const Folder = "keys"

// The uses of a key and the selectors of the first ones.
const (
	request = "request"
	mail    = "mail"

	firstRequest = request + "-v1.pem"
	firstMail    = mail + "-m1.pem"
)

// Record is a TXT record that must be in DNS for a key.
type Record struct {
	Name string // "v1._domainkey.a.example"
	Text string // the value, as one string
	Use  string // what it is for, for people
}

// Keys are the keys of one domain. They are read-only (AM-2.34).
type Keys struct {
	Domain  vam.Domain
	Request activmail.RequestKey
	Mail    mailauth.SigningKey
	// Records are those of every key that is there, old ones included.
	Records []Record
}

// Create makes the keys of a domain that are missing, durably; what is there stays.
// Errors: Denied, Unavailable.
func Create(dataDir string, d vam.Domain) error {
	dir := filepath.Join(dataDir, Folder, d.String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fileError(err)
	}
	for _, use := range []struct{ use, first string }{{request, firstRequest}, {mail, firstMail}} {
		names, err := list(dir, use.use)
		if err != nil {
			return err
		}
		if len(names) > 0 {
			continue
		}
		if err := writeKey(filepath.Join(dir, use.first)); err != nil {
			return fileError(err)
		}
	}
	return nil
}

// Load reads the keys of a domain. Errors: NotFound with the way out, Invalid for a
// file that is no such key, Denied, Unavailable.
func Load(dataDir string, d vam.Domain) (Keys, error) {
	dir := filepath.Join(dataDir, Folder, d.String())
	k := Keys{Domain: d}
	for _, use := range []string{request, mail} {
		names, err := list(dir, use)
		if err != nil {
			return k, err
		}
		if len(names) == 0 {
			return k, vam.Errorf(vam.NotFound, "there is no %s key for %s in %s; `vam init %s` makes what is missing", use, d, dir, d)
		}
		for _, name := range names {
			if err := k.add(use, name); err != nil {
				return k, err
			}
		}
	}
	return k, nil
}

// list are the files of one use, in order of their names; none where there is no folder.
func list(dir, use string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fileError(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), use+"-") && strings.HasSuffix(e.Name(), ".pem") {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

func (k *Keys) add(use, file string) error {
	private, err := readKey(file)
	if err != nil {
		return err
	}
	selector := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), use+"-"), ".pem")
	public := private.Public().(ed25519.PublicKey)
	name := activmail.RequestKeyName(selector, k.Domain)
	if _, err := activmail.RequestKeyDomain(name); err != nil {
		return vam.Errorf(vam.Invalid, "%s: the part after %s- is no selector: letters a to z, digits and hyphens", file, use)
	}
	if use == request {
		k.Request = activmail.RequestKey{ID: name, Private: private}
		k.Records = append(k.Records, Record{name, activmail.FormatRequestKey(public), "verifies what this server says to others"})
		return nil
	}
	text, err := mailauth.FormatMailKey(public)
	if err != nil {
		return err
	}
	k.Mail = mailauth.SigningKey{Selector: selector, Key: private}
	k.Records = append(k.Records, Record{mailauth.KeyName(selector, k.Domain), text, "verifies the mail of its users (DKIM)"})
	return nil
}

const pemType = "PRIVATE KEY"

// writeKey makes a key and gives it its name only when its bytes are durable.
func writeKey(path string) error {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // gone already when all went well
	_, err = f.Write(pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readKey(path string) (ed25519.PrivateKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fileError(err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != pemType {
		return nil, vam.Errorf(vam.Invalid, "%s is no private key in PEM", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := key.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, vam.Wrap(vam.Invalid, err, "%s is no Ed25519 key", path)
	}
	return private, nil
}

func fileError(err error) error {
	kind := vam.Unavailable
	if errors.Is(err, os.ErrPermission) {
		kind = vam.Denied
	}
	return vam.Wrap(kind, err, "the keys of the server cannot be used")
}

// String names the keys for a log; it shows no secret.
func (k Keys) String() string {
	return fmt.Sprintf("keys of %s (%s, %s)", k.Domain, k.Request.ID, k.Mail.Selector)
}
