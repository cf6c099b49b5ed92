package discovery

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/videoactivmail/vam"
)

// Service is the service name in SRV-IDs and SRV records, as registered with IANA
// for port 1398.
const Service = "_video-activmail"

// SRVID is the name under which a certificate vouches for the VAM service of d and
// for nothing else (RFC 4985 section 2), such as "_video-activmail.b.example".
func SRVID(d vam.Domain) string { return Service + "." + string(d) }

// OIDSubjectAltName names the certificate extension that holds the names (RFC 5280
// section 4.2.1.6), OIDDNSSRV the kind of other name that is an SRV-ID.
func OIDSubjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }

// OIDDNSSRV is id-on-dnsSRV of RFC 4985.
func OIDDNSSRV() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7}
}

// SRVIDs returns the SRV-IDs of a certificate, in lower case. The bytes are a
// stranger's: what is malformed is left out, never guessed.
func SRVIDs(cert *x509.Certificate) []string {
	var out []string
	for _, ext := range cert.Extensions {
		if ext.Id.Equal(OIDSubjectAltName()) {
			out = append(out, parseSRVIDs(ext.Value)...)
		}
	}
	return out
}

// parseSRVIDs walks a GeneralNames sequence and keeps the
// otherName [0] { id-on-dnsSRV, [0] EXPLICIT IA5String } members.
func parseSRVIDs(der []byte) []string {
	input := cryptobyte.String(der)
	var names cryptobyte.String
	if !input.ReadASN1(&names, cbasn1.SEQUENCE) || !input.Empty() {
		return nil
	}
	var out []string
	other := cbasn1.Tag(0).ContextSpecific().Constructed()
	for !names.Empty() {
		var name cryptobyte.String
		var tag cbasn1.Tag
		if !names.ReadAnyASN1(&name, &tag) {
			return nil
		}
		if tag != other {
			continue
		}
		var oid asn1.ObjectIdentifier
		var wrapped, text cryptobyte.String
		if !name.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(OIDDNSSRV()) ||
			!name.ReadASN1(&wrapped, other) || !name.Empty() ||
			!wrapped.ReadASN1(&text, cbasn1.IA5String) || !wrapped.Empty() {
			continue
		}
		if id := strings.ToLower(string(text)); isSRVID(id) {
			out = append(out, id)
		}
	}
	return out
}

func isSRVID(s string) bool {
	service, domain, ok := strings.Cut(s, ".")
	if !ok || len(service) < 2 || len(service) > 16 || service[0] != '_' {
		return false
	}
	_, err := vam.ParseDomain(domain)
	return err == nil
}

// CertNames lists everything that a certificate vouches for, for people: DNS names,
// SRV-IDs and IP addresses.
func CertNames(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	names = append(names, SRVIDs(cert)...)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
