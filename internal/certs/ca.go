package certs

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/videoactivmail/vam"
)

// The files of a CA in its folder.
const (
	// CAFile is the certificate, for those who are to trust it.
	CAFile = "ca.pem"
	// caSecret holds key and certificate in one file, so that no crash leaves one
	// without the other.
	caSecret = "ca-key.pem"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 90 * 24 * time.Hour
	// backdate covers clocks that are a little behind.
	backdate = time.Hour
)

// CA is a certificate authority for one machine. It is trusted by nobody but those
// who are told to. Safe for concurrent use.
type CA struct {
	cert *x509.Certificate
	key  crypto.Signer
	now  func() time.Time
}

// NewCA loads the authority of the folder dir, and makes it when there is none; an
// empty dir keeps it in memory. now is the clock; nil is time.Now. Errors: Invalid
// when the files are no authority or one that has expired; those of the file system.
func NewCA(dir string, now func() time.Time) (*CA, error) {
	if now == nil {
		now = time.Now
	}
	if dir == "" {
		ca, _, err := makeCA(now)
		return ca, err
	}
	secret := filepath.Join(dir, caSecret)
	b, err := os.ReadFile(secret)
	var ca *CA
	switch {
	case err == nil:
		ca, err = parseCA(secret, b, now)
	case errors.Is(err, os.ErrNotExist):
		if ca, b, err = makeCA(now); err == nil {
			if err = os.MkdirAll(dir, 0o700); err == nil {
				err = writeFile(secret, b, 0o600)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	public := filepath.Join(dir, CAFile)
	if have, err := os.ReadFile(public); err == nil && bytes.Equal(have, ca.PEM()) {
		return ca, nil
	}
	return ca, writeFile(public, ca.PEM(), 0o644)
}

func makeCA(now func() time.Time) (*CA, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	t := now()
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: localAuthority, Organization: []string{"not for the Internet"}},
		NotBefore:    t.Add(-backdate), NotAfter: t.Add(caLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	ca := &CA{cert: cert, key: key, now: now}
	return ca, append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), ca.PEM()...), nil
}

func parseCA(name string, b []byte, now func() time.Time) (*CA, error) {
	pair, err := tls.X509KeyPair(b, b)
	if err != nil || !pair.Leaf.IsCA {
		return nil, vam.Wrap(vam.Invalid, err, "%s is no local authority; remove it to make a new one", name)
	}
	if t := now(); t.After(pair.Leaf.NotAfter) || t.Before(pair.Leaf.NotBefore) {
		return nil, vam.Errorf(vam.Invalid, "the local authority in %s is valid from %s until %s only; remove it to make a new one", name, day(pair.Leaf.NotBefore), day(pair.Leaf.NotAfter))
	}
	return &CA{cert: pair.Leaf, key: pair.PrivateKey.(crypto.Signer), now: now}, nil
}

// localAuthority is the name of every CA's certificate.
const localAuthority = "vam local authority"

// Local reports whether an authority of this package issued cert.
func Local(cert *x509.Certificate) bool { return cert.Issuer.CommonName == localAuthority }

// Certificate is the authority's own.
func (c *CA) Certificate() *x509.Certificate { return c.cert }

// PEM is the authority's certificate for a file.
func (c *CA) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})
}

// Pool trusts this authority and no other.
func (c *CA) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c.cert)
	return p
}

// Leaf says what a certificate is for. At least one name or address is needed.
type Leaf struct {
	DNSNames []string
	// SRV are the domains whose VAM service it vouches for (RFC 4985).
	SRV []vam.Domain
	IPs []netip.Addr
	// NotBefore and NotAfter are an hour ago and in 90 days when zero.
	NotBefore time.Time
	NotAfter  time.Time
}

// Issue makes a key and a certificate for it. The chain holds the authority too, as
// TLSA records with usage 2 want it. Errors: Invalid.
func (c *CA) Issue(l Leaf) (tls.Certificate, error) {
	var none tls.Certificate
	if len(l.DNSNames)+len(l.SRV)+len(l.IPs) == 0 {
		return none, vam.Errorf(vam.Invalid, "a certificate needs a name")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return none, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{"vam local"}},
		NotBefore:    l.NotBefore, NotAfter: l.NotAfter,
		DNSNames:    l.DNSNames,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = c.now().Add(-backdate)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = c.now().Add(leafLife)
	}
	for _, a := range l.IPs {
		template.IPAddresses = append(template.IPAddresses, net.IP(a.AsSlice()))
	}
	if len(l.SRV) > 0 {
		// The library writes no SRV-IDs; with one, all names are written here.
		san, err := subjectAltName(l)
		if err != nil {
			return none, err
		}
		template.ExtraExtensions = []pkix.Extension{san}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key.Public(), c.key)
	if err != nil {
		return none, vam.Wrap(vam.Invalid, err, "the certificate cannot be made")
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return none, vam.Wrap(vam.Invalid, err, "the certificate cannot be made")
	}
	return tls.Certificate{Certificate: [][]byte{der, c.cert.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// IssueFiles issues a certificate into pair.Cert and pair.Key, over what was there. A
// reader sees each file old or new, never a half.
func (c *CA) IssueFiles(pair Pair, l Leaf) error {
	cert, err := c.Issue(l)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		return err
	}
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	if err := writeFile(pair.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600); err != nil {
		return err
	}
	return writeFile(pair.Cert, chain, 0o644)
}

func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:])  // never fails
	b[0] = b[0]&0x7f | 0x40 // positive, and of one length
	return new(big.Int).SetBytes(b[:])
}
