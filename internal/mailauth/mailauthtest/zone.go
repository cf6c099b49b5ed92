// Package mailauthtest has a DNS zone in memory and signing keys, for the tests of
// every package that signs or verifies mail.
package mailauthtest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"sync"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailauth"
)

// Zone answers for TXT records. The zero value is an empty zone; it may be used by
// several goroutines.
type Zone struct {
	mu      sync.Mutex
	records map[string][]string
	errs    map[string]error
	asked   []string
}

// Set makes records the TXT records of name; none removes the name.
func (z *Zone) Set(name string, records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.records == nil {
		z.records = make(map[string][]string)
	}
	z.records[name] = records
}

// Fail makes every question for name end in err.
func (z *Zone) Fail(name string, err error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.errs == nil {
		z.errs = make(map[string]error)
	}
	z.errs[name] = err
}

// LookupTXT implements mailauth.TXTResolver.
func (z *Zone) LookupTXT(ctx context.Context, name string) ([]string, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked = append(z.asked, name)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := z.errs[name]; err != nil {
		return nil, err
	}
	return slices.Clone(z.records[name]), nil
}

// Asked returns the names asked for since the last call, in order.
func (z *Zone) Asked() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	out := z.asked
	z.asked = nil
	return out
}

// Ed25519 makes a mail key of domain and publishes it under selector.
func Ed25519(t testing.TB, z *Zone, selector string, domain vam.Domain) mailauth.SigningKey {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, z, selector, domain, public)
	return mailauth.SigningKey{Selector: selector, Key: private}
}

// RSA makes a mail key of domain with so many bits and publishes it under selector.
func RSA(t testing.TB, z *Zone, selector string, domain vam.Domain, bits int) mailauth.SigningKey {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, z, selector, domain, private.Public())
	return mailauth.SigningKey{Selector: selector, Key: private}
}

// Signer makes a signer of domain with one Ed25519 key, published under "m1".
func Signer(t testing.TB, z *Zone, domain vam.Domain) *mailauth.Signer {
	t.Helper()
	return &mailauth.Signer{Domain: domain, Keys: []mailauth.SigningKey{Ed25519(t, z, "m1", domain)}}
}

func publish(t testing.TB, z *Zone, selector string, domain vam.Domain, public any) {
	t.Helper()
	record, err := mailauth.FormatMailKey(public)
	if err != nil {
		t.Fatal(err)
	}
	z.Set(mailauth.KeyName(selector, domain), record)
}
