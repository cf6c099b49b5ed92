package discovery_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
)

// chainOf makes a leaf and its authority from templates that a test bends.
func chainOf(t testing.TB, c *clock, ca, leaf *x509.Certificate) []*x509.Certificate {
	t.Helper()
	make1 := func(template, parent *x509.Certificate, pub ed25519.PublicKey, key ed25519.PrivateKey) *x509.Certificate {
		template.SerialNumber = big.NewInt(1)
		template.NotBefore, template.NotAfter = c.now().Add(-time.Hour), c.now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, pub, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	caPub, caKey, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	leafPub, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	ca.Subject = pkix.Name{CommonName: "test authority"}
	root := make1(ca, ca, caPub, caKey)
	return []*x509.Certificate{make1(leaf, root, leafPub, caKey), root}
}

// srvOnly is a subjectAltName with an SRV-ID as its only name.
func srvOnly(t testing.TB, d vam.Domain) pkix.Extension {
	t.Helper()
	ca, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := ca.Issue(certs.Leaf{SRV: []vam.Domain{d}})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pair.Leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(discovery.OIDSubjectAltName()) })
	return pair.Leaf.Extensions[i]
}

func constrainedChain(t testing.TB, c *clock) []*x509.Certificate {
	t.Helper()
	return chainOf(t, c,
		&x509.Certificate{PermittedDNSDomains: []string{"c.example"}, PermittedDNSDomainsCritical: true},
		&x509.Certificate{ExtraExtensions: []pkix.Extension{srvOnly(t, "b.example")}})
}
