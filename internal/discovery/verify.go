package discovery

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
)

// identity is what one server has to prove.
type identity struct {
	domain vam.Domain
	host   string
	rule   Rule
	tlsa   []TLSA         // usable records, rule 1 only
	roots  *x509.CertPool // nil is the system's
	now    func() time.Time
}

// name is the DNS name that the certificate must hold.
func (id identity) name() string {
	if id.rule == RuleDomain {
		return string(id.domain)
	}
	return id.host
}

func (id identity) verify(cs tls.ConnectionState) error {
	if len(cs.PeerCertificates) == 0 {
		return vam.Errorf(vam.Unavailable, "%s showed no certificate", id.host)
	}
	leaf, chain := cs.PeerCertificates[0], cs.PeerCertificates[1:]
	if id.rule == RuleTLSA {
		return id.verifyDANE(leaf, chain)
	}
	return id.verifyPKIX(leaf, chain, id.roots)
}

// verifyDANE follows RFC 7671: with DANE-EE the record names the certificate and its
// names and dates mean nothing (section 5.1); with DANE-TA the record names an
// authority that must be part of what the server sends (section 5.2.1).
func (id identity) verifyDANE(leaf *x509.Certificate, chain []*x509.Certificate) error {
	anchors := x509.NewCertPool()
	found := false
	for _, t := range id.tlsa {
		if t.Usage == DANEEE {
			if t.Matches(leaf) {
				return nil
			}
			continue
		}
		for _, c := range chain {
			if t.Matches(c) {
				anchors.AddCert(c)
				found = true
			}
		}
	}
	if !found {
		return vam.Errorf(vam.Unavailable, "%s showed %s; the TLSA record of %s names another one", id.host, DescribeCert(leaf), id.host)
	}
	return id.verifyPKIX(leaf, chain, anchors)
}

// verifyPKIX is AM-2.22.
func (id identity) verifyPKIX(leaf *x509.Certificate, chain []*x509.Certificate, roots *x509.CertPool) error {
	byName := leaf.VerifyHostname(id.name()) == nil
	bySRVID := !byName && id.rule == RuleDomain && slices.Contains(SRVIDs(leaf), SRVID(id.domain))
	if !byName && !bySRVID {
		return vam.Errorf(vam.Unavailable, "%s showed %s; one for %s was expected (%s)", id.host, DescribeCert(leaf), id.name(), id.why())
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain {
		intermediates.AddCert(c)
	}
	chains, err := namesRead(leaf).Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: intermediates,
		CurrentTime:   id.now(),
	})
	if err != nil {
		return id.explain(leaf, err)
	}
	if bySRVID && !slices.ContainsFunc(chains, unconstrained) {
		return vam.Errorf(vam.Unavailable, "%s showed %s; its authority is limited to certain names, so its SRV-ID proves nothing", id.host, DescribeCert(leaf))
	}
	return nil
}

// namesRead returns a copy of leaf without the mark that a critical subjectAltName
// was not understood: the TLS library leaves it on a certificate that has an SRV-ID
// as its only name, and that one was read here.
func namesRead(leaf *x509.Certificate) *x509.Certificate {
	c := *leaf
	c.UnhandledCriticalExtensions = nil
	for _, oid := range leaf.UnhandledCriticalExtensions {
		if !oid.Equal(OIDSubjectAltName()) {
			c.UnhandledCriticalExtensions = append(c.UnhandledCriticalExtensions, oid)
		}
	}
	return &c
}

// unconstrained reports whether no authority in chain is limited by name. Limits on
// DNS names say nothing of SRV-IDs, so an authority that may issue for one customer's
// domain only could otherwise vouch for any service.
func unconstrained(chain []*x509.Certificate) bool {
	for _, c := range chain[1:] {
		if len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
			len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0 {
			return false
		}
	}
	return true
}

// why says which identity rule asked for the name.
func (id identity) why() string {
	if id.rule == RuleDomain {
		return fmt.Sprintf("%s is named by unsigned DNS only, and no policy lists it", id.host)
	}
	return id.rule.String()
}

// explain puts the library's reason into plain words; the library's own stays as the
// cause.
func (id identity) explain(leaf *x509.Certificate, err error) error {
	what := fmt.Sprintf("%s showed %s", id.host, DescribeCert(leaf))
	now := id.now()
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case now.After(leaf.NotAfter):
		what += ": it has expired"
	case now.Before(leaf.NotBefore):
		what += ": it is valid from " + leaf.NotBefore.UTC().Format(certTime) + " only"
	case errors.As(err, &authority):
		what += ": its authority is not trusted here"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		what += ": its authority's certificate expired on " + invalid.Cert.NotAfter.UTC().Format(certTime)
	default:
		what += ": it cannot be verified"
	}
	return vam.Wrap(vam.Unavailable, err, "%s", what)
}

const certTime = "2006-01-02 15:04 UTC"

// DescribeCert says in a few words what a certificate is for, who issued it and until
// when it is valid: "a certificate for b.example, *.b.example by Example CA, valid
// until 2026-12-01 10:00 UTC". What the certificate's maker wrote is clipped and
// quoted where it could fool a reader.
func DescribeCert(cert *x509.Certificate) string {
	const most = 4
	names := CertNames(cert)
	rest := len(names) - most
	for i, n := range names[:min(len(names), most)] {
		names[i] = plain(n)
	}
	list := "no name"
	if len(names) > 0 {
		list = strings.Join(names[:min(len(names), most)], ", ")
	}
	if rest > 0 {
		list += fmt.Sprintf(" and %d more", rest)
	}
	issuer := cert.Issuer.CommonName
	if issuer == "" && len(cert.Issuer.Organization) > 0 {
		issuer = cert.Issuer.Organization[0]
	}
	if issuer != "" {
		list += " by " + plain(issuer)
	}
	return fmt.Sprintf("a certificate for %s, valid until %s", list, cert.NotAfter.UTC().Format(certTime))
}

// plain keeps a stranger's text short and on one line.
func plain(s string) string {
	const most = 64
	odd := strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' })
	if len(s) > most {
		s = s[:most] + "…"
	}
	if odd {
		return fmt.Sprintf("%+q", s)
	}
	return s
}
