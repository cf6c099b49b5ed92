package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/doctor"
)

// zone is DNS as a map; what is not in it does not exist, and broken answers with
// an error.
type zone struct {
	srv    map[string][]discovery.SRV
	txt    map[string][]string
	addrs  map[string][]netip.Addr
	broken map[string]bool
}

func look[T any](z *zone, m map[string][]T, name, kind string) (discovery.Answer[T], error) {
	if z.broken[name] {
		return discovery.Answer[T]{}, errors.New("SERVFAIL")
	}
	if records := m[name]; len(records) > 0 {
		return discovery.Answer[T]{Records: append([]T(nil), records...), TTL: time.Minute}, nil
	}
	return discovery.Answer[T]{}, &discovery.NotFoundError{Name: name, Type: kind}
}

func (z *zone) LookupSRV(_ context.Context, name string) (discovery.Answer[discovery.SRV], error) {
	return look(z, z.srv, name, "SRV")
}

func (z *zone) LookupTXT(_ context.Context, name string) (discovery.Answer[string], error) {
	return look(z, z.txt, name, "TXT")
}

func (z *zone) LookupTLSA(context.Context, string) (discovery.Answer[discovery.TLSA], error) {
	return discovery.Answer[discovery.TLSA]{}, &discovery.NotFoundError{Type: "TLSA"}
}

func (z *zone) LookupAddrs(_ context.Context, host string) (discovery.Answer[netip.Addr], error) {
	return look(z, z.addrs, host, "A/AAAA")
}

// network answers probes; what is not in it is silent.
type network map[string]doctor.Answer

func (n network) Probe(_ context.Context, t doctor.Target) doctor.Answer {
	if a, ok := n[t.Network+" "+t.Addr.String()]; ok {
		a.At = noon
		return a
	}
	return doctor.Answer{Silent: true, Found: "no connection: refused", At: noon}
}

// policies is one document or error for every domain.
type policies struct {
	policy activmail.Policy
	err    error
}

func (p policies) FetchPolicy(context.Context, vam.Domain) (activmail.Policy, error) {
	return p.policy, p.err
}

// ports is who holds what; a nil map cannot tell.
type ports map[string][]doctor.Holder

func (p ports) Holders(_ context.Context, network string, _ uint16) ([]doctor.Holder, error) {
	if p == nil {
		return nil, errors.New("cannot tell here; `lsof` can")
	}
	return p[network], nil
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// issue makes a certificate for names that ends at notAfter.
func (a authority) issue(t *testing.T, notAfter time.Time, names ...string) tls.Certificate {
	t.Helper()
	return a.sign(t, &x509.Certificate{DNSNames: names, NotAfter: notAfter})
}

// issueSRV makes one for the VAM service of a domain and nothing else.
func (a authority) issueSRV(t *testing.T, notAfter time.Time, domain vam.Domain) tls.Certificate {
	t.Helper()
	text, err := asn1.MarshalWithParams(discovery.SRVID(domain), "ia5,explicit,tag:0")
	if err != nil {
		t.Fatal(err)
	}
	oid, err := asn1.Marshal(discovery.OIDDNSSRV())
	if err != nil {
		t.Fatal(err)
	}
	san, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: append(oid, text...)}})
	if err != nil {
		t.Fatal(err)
	}
	return a.sign(t, &x509.Certificate{NotAfter: notAfter, ExtraExtensions: []pkix.Extension{{Id: discovery.OIDSubjectAltName(), Value: san}}})
}

func (a authority) sign(t *testing.T, tmpl *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber, tmpl.NotBefore = big.NewInt(2), noon.AddDate(0, -1, 0)
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// speaks is the answer of a good server with that certificate.
func speaks(c tls.Certificate) doctor.Answer {
	return doctor.Answer{Speaks: true, Date: noon, TLS: &tls.ConnectionState{HandshakeComplete: true, Version: tls.VersionTLS13, PeerCertificates: []*x509.Certificate{c.Leaf}}}
}

// writePair puts a certificate and its key into PEM files.
func writePair(t *testing.T, c tls.Certificate, mode os.FileMode) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), mode); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}
