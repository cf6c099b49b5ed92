package discovery_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
)

// authority makes an authority whose clock is c.
func authority(t *testing.T, c *clock) *certs.CA {
	t.Helper()
	ca, err := certs.NewCA("", c.now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *certs.CA, l certs.Leaf) tls.ConnectionState {
	t.Helper()
	pair, err := ca.Issue(l)
	if err != nil {
		t.Fatal(err)
	}
	return tls.ConnectionState{PeerCertificates: []*x509.Certificate{pair.Leaf, ca.Certificate()}}
}

// endpoint finds vam1.b.example under a rule.
func endpoint(t *testing.T, rule discovery.Rule, c *clock, roots *x509.CertPool, tlsa ...discovery.TLSA) discovery.Endpoint {
	t.Helper()
	d := newDNS()
	d.publish(rule == discovery.RuleTLSA || rule == discovery.RuleSecureSRV)
	source := &documents{of: map[vam.Domain]activmail.Policy{}}
	switch rule {
	case discovery.RuleTLSA:
		d.tlsa["_1398._tcp.vam1.b.example"] = discovery.Answer[discovery.TLSA]{Records: tlsa, TTL: time.Hour, Authenticated: true}
	case discovery.RulePolicy:
		d.txt["_vam.b.example"] = discovery.Answer[string]{Records: []string{"v=VAM1; id=1"}, TTL: time.Hour}
		source.of["b.example"] = activmail.Policy{MX: []string{"vam1.b.example"}, MaxAge: time.Hour}
	}
	got, err := discovery.New(discovery.Options{Resolver: d, Policies: source, Now: c.now, Roots: roots}).Lookup(t.Context(), "b.example")
	if err != nil {
		t.Fatal(err)
	}
	if got.TCP[0].Rule != rule {
		t.Fatalf("the rule is %d, want %d", got.TCP[0].Rule, rule)
	}
	return got.TCP[0]
}

// TestVerifyWantsTheNameOfTheRule is AM-2.22.
func TestVerifyWantsTheNameOfTheRule(t *testing.T) {
	c := newClock()
	ca := authority(t, c)
	for _, tc := range []struct {
		name  string
		leaf  certs.Leaf
		rules []discovery.Rule // under which it is taken
	}{
		{"target", certs.Leaf{DNSNames: []string{"vam1.b.example"}}, []discovery.Rule{2, 3}},
		{"domain", certs.Leaf{DNSNames: []string{"b.example"}}, []discovery.Rule{4}},
		{"both", certs.Leaf{DNSNames: []string{"b.example", "vam1.b.example"}}, []discovery.Rule{2, 3, 4}},
		{"wildcard covers the target only", certs.Leaf{DNSNames: []string{"*.b.example"}}, []discovery.Rule{2, 3}},
		{"wildcard of the parent", certs.Leaf{DNSNames: []string{"*.example"}}, []discovery.Rule{4}},
		{"SRV-ID", certs.Leaf{SRV: []vam.Domain{"b.example"}}, []discovery.Rule{4}},
		{"SRV-ID beside another name", certs.Leaf{DNSNames: []string{"x.example"}, SRV: []vam.Domain{"b.example"}}, []discovery.Rule{4}},
		{"SRV-ID of another domain", certs.Leaf{SRV: []vam.Domain{"c.example"}}, nil},
		{"another name", certs.Leaf{DNSNames: []string{"c.example"}}, nil},
		{"the address", certs.Leaf{IPs: []netip.Addr{netip.MustParseAddr("1.2.3.4")}}, nil},
	} {
		cs := issue(t, ca, tc.leaf)
		for _, rule := range []discovery.Rule{discovery.RuleSecureSRV, discovery.RulePolicy, discovery.RuleDomain} {
			err := endpoint(t, rule, c, ca.Pool()).Verify(cs)
			if (err == nil) != slices.Contains(tc.rules, rule) {
				t.Errorf("%s under rule %d: %v", tc.name, rule, err)
			}
			if err != nil && vam.KindOf(err) != vam.Unavailable {
				t.Errorf("%s under rule %d: kind %v", tc.name, rule, vam.KindOf(err))
			}
		}
	}
}

func TestVerifySaysWhatIsWrong(t *testing.T) {
	c := newClock()
	ca, stranger := authority(t, c), authority(t, c)
	day := 24 * time.Hour
	for _, tc := range []struct {
		name string
		cs   tls.ConnectionState
		text string
	}{
		{
			"expired",
			issue(t, ca, certs.Leaf{DNSNames: []string{"b.example"}, NotBefore: c.now().Add(-90 * day), NotAfter: c.now().Add(-day)}),
			"vam1.b.example showed a certificate for b.example by vam local authority, valid until 2026-11-22 09:00 UTC: it has expired",
		},
		{
			"not yet valid",
			issue(t, ca, certs.Leaf{DNSNames: []string{"b.example"}, NotBefore: c.now().Add(day)}),
			"vam1.b.example showed a certificate for b.example by vam local authority, valid until 2027-02-21 09:00 UTC: it is valid from 2026-11-24 09:00 UTC only",
		},
		{
			"wrong name",
			issue(t, ca, certs.Leaf{DNSNames: []string{"c.example", "www.c.example"}}),
			"vam1.b.example showed a certificate for c.example, www.c.example by vam local authority, valid until 2027-02-21 09:00 UTC; one for b.example was expected (vam1.b.example is named by unsigned DNS only, and no policy lists it)",
		},
		{
			"unknown authority",
			issue(t, stranger, certs.Leaf{DNSNames: []string{"b.example"}}),
			"vam1.b.example showed a certificate for b.example by vam local authority, valid until 2027-02-21 09:00 UTC: its authority is not trusted here",
		},
		{
			"many names",
			issue(t, ca, certs.Leaf{DNSNames: []string{"a.example", "c.example", "d.example", "e.example", "f.example", "g.example"}}),
			"vam1.b.example showed a certificate for a.example, c.example, d.example, e.example and 2 more by vam local authority, valid until 2027-02-21 09:00 UTC; one for b.example was expected (vam1.b.example is named by unsigned DNS only, and no policy lists it)",
		},
		{"none", tls.ConnectionState{}, "vam1.b.example showed no certificate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := endpoint(t, discovery.RuleDomain, c, ca.Pool()).Verify(tc.cs)
			if err == nil {
				t.Fatal("it was taken")
			}
			if diff := cmp.Diff(tc.text, vam.Public(err)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVerifyTLSA(t *testing.T) {
	c := newClock()
	ca, other := authority(t, c), authority(t, c)
	good := issue(t, ca, certs.Leaf{DNSNames: []string{"vam1.b.example"}})
	nameless := issue(t, ca, certs.Leaf{DNSNames: []string{"c.example"}})
	old := issue(t, ca, certs.Leaf{DNSNames: []string{"vam1.b.example"}, NotBefore: c.now().Add(-48 * time.Hour), NotAfter: c.now().Add(-time.Hour)})
	leaf := good.PeerCertificates[0]
	s256 := func(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
	s512 := func(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
	record := func(usage, selector, matching uint8, data []byte) discovery.TLSA {
		return discovery.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
	}
	wrong := record(3, 1, 1, s256([]byte("another key")))
	for _, tc := range []struct {
		name string
		tlsa []discovery.TLSA
		cs   tls.ConnectionState
		ok   bool
	}{
		{"3 0 0", []discovery.TLSA{record(3, 0, 0, leaf.Raw)}, good, true},
		{"3 0 1", []discovery.TLSA{record(3, 0, 1, s256(leaf.Raw))}, good, true},
		{"3 0 2", []discovery.TLSA{record(3, 0, 2, s512(leaf.Raw))}, good, true},
		{"3 1 0", []discovery.TLSA{record(3, 1, 0, leaf.RawSubjectPublicKeyInfo)}, good, true},
		{"3 1 1", []discovery.TLSA{record(3, 1, 1, s256(leaf.RawSubjectPublicKeyInfo))}, good, true},
		{"3 1 2", []discovery.TLSA{record(3, 1, 2, s512(leaf.RawSubjectPublicKeyInfo))}, good, true},
		{"one of several, as in a change of keys", []discovery.TLSA{wrong, record(3, 1, 1, s256(leaf.RawSubjectPublicKeyInfo))}, good, true},
		{"wrong key", []discovery.TLSA{wrong}, good, false},
		{"digest of the other selector", []discovery.TLSA{record(3, 0, 1, s256(leaf.RawSubjectPublicKeyInfo))}, good, false},
		{"3 names the leaf, not the authority", []discovery.TLSA{record(3, 0, 1, s256(ca.Certificate().Raw))}, good, false},
		{"usage 3: names do not matter", []discovery.TLSA{record(3, 0, 1, s256(nameless.PeerCertificates[0].Raw))}, nameless, true},
		{"usage 3: dates do not matter", []discovery.TLSA{record(3, 0, 1, s256(old.PeerCertificates[0].Raw))}, old, true},
		{"2 0 1", []discovery.TLSA{record(2, 0, 1, s256(ca.Certificate().Raw))}, good, true},
		{"2 1 1", []discovery.TLSA{record(2, 1, 1, s256(ca.Certificate().RawSubjectPublicKeyInfo))}, good, true},
		{"usage 2: names matter", []discovery.TLSA{record(2, 0, 1, s256(ca.Certificate().Raw))}, nameless, false},
		{"usage 2: dates matter", []discovery.TLSA{record(2, 0, 1, s256(ca.Certificate().Raw))}, old, false},
		{"usage 2: another authority", []discovery.TLSA{record(2, 0, 1, s256(other.Certificate().Raw))}, good, false},
		{
			"usage 2: the named authority is sent and did not sign",
			[]discovery.TLSA{record(2, 0, 1, s256(other.Certificate().Raw))},
			tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf, other.Certificate()}},
			false,
		},
		{"the unusable record beside is passed over", []discovery.TLSA{record(0, 0, 1, s256(leaf.Raw)), record(2, 0, 1, s256(ca.Certificate().Raw))}, good, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// No authority is trusted: only the record counts.
			err := endpoint(t, discovery.RuleTLSA, c, x509.NewCertPool(), tc.tlsa...).Verify(tc.cs)
			if (err == nil) != tc.ok {
				t.Errorf("Verify = %v", err)
			}
		})
	}
}

func TestTLSAUsable(t *testing.T) {
	for _, tc := range []struct {
		record discovery.TLSA
		want   bool
	}{
		{discovery.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}, true},
		{discovery.TLSA{Usage: 2, Selector: 0, MatchingType: 2, Data: make([]byte, 64)}, true},
		{discovery.TLSA{Usage: 3, Selector: 0, MatchingType: 0, Data: []byte{1}}, true},
		{discovery.TLSA{Usage: 3, Selector: 0, MatchingType: 0}, false},
		{discovery.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 31)}, false},
		{discovery.TLSA{Usage: 3, Selector: 1, MatchingType: 2, Data: make([]byte, 32)}, false},
		{discovery.TLSA{Usage: 3, Selector: 1, MatchingType: 3, Data: make([]byte, 32)}, false},
		{discovery.TLSA{Usage: 3, Selector: 2, MatchingType: 1, Data: make([]byte, 32)}, false},
		{discovery.TLSA{Usage: 0, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}, false},
		{discovery.TLSA{Usage: 1, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}, false},
		{discovery.TLSA{Usage: 4, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}, false},
	} {
		if got := tc.record.Usable(); got != tc.want {
			t.Errorf("%+v: Usable = %v", tc.record, got)
		}
	}
}

// TestVerifyRefusesAnSRVIDOfAConstrainedAuthority: whoever may issue for *.c.example
// only must not vouch for the service of b.example.
func TestVerifyRefusesAnSRVIDOfAConstrainedAuthority(t *testing.T) {
	c := newClock()
	chain := constrainedChain(t, c)
	roots := x509.NewCertPool()
	roots.AddCert(chain[1])
	err := endpoint(t, discovery.RuleDomain, c, roots).Verify(tls.ConnectionState{PeerCertificates: chain})
	if err == nil || !strings.Contains(vam.Public(err), "limited to certain names") {
		t.Errorf("Verify = %v", err)
	}
}

// TestVerifyReadsACriticalNameExtension: a certificate without subject has a critical
// subjectAltName (RFC 5280 section 4.1.2.6), which the library does not understand
// when an SRV-ID is all that is in it.
func TestVerifyReadsACriticalNameExtension(t *testing.T) {
	c := newClock()
	san := srvOnly(t, "b.example")
	san.Critical = true
	for _, tc := range []struct {
		name  string
		extra []pkix.Extension
		ok    bool
	}{
		{"names alone", []pkix.Extension{san}, true},
		{"beside something unknown", []pkix.Extension{san, {Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}, false},
	} {
		chain := chainOf(t, c, &x509.Certificate{}, &x509.Certificate{ExtraExtensions: tc.extra})
		roots := x509.NewCertPool()
		roots.AddCert(chain[1])
		err := endpoint(t, discovery.RuleDomain, c, roots).Verify(tls.ConnectionState{PeerCertificates: chain})
		if (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestDescribeCertIsPlain(t *testing.T) {
	chain := chainOf(t, newClock(), &x509.Certificate{}, &x509.Certificate{DNSNames: []string{"b.example"}})
	chain[0].Issuer.CommonName = "Honest CA\r\n\x1b[31m\u202e" + strings.Repeat("x", 500)
	got := discovery.DescribeCert(chain[0])
	if len(got) > 250 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%q", got)
	}
}
