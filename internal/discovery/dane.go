package discovery

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
)

// The certificate usages that VAM honours (RFC 7671 section 4). PKIX-TA(0) and
// PKIX-EE(1) add nothing to what rules 2 to 4 check and are unusable, as in RFC 7672.
const (
	DANETA uint8 = 2
	DANEEE uint8 = 3
)

// Selectors and matching types (RFC 6698 sections 2.1.2 and 2.1.3).
const (
	SelectCert  uint8 = 0
	SelectSPKI  uint8 = 1
	MatchFull   uint8 = 0
	MatchSHA256 uint8 = 1
	MatchSHA512 uint8 = 2
)

// Usable reports whether t can be matched against a certificate. A secure set without
// a usable record is treated as no set at all (RFC 7673 section 3.3).
func (t TLSA) Usable() bool {
	if (t.Usage != DANETA && t.Usage != DANEEE) || t.Selector > SelectSPKI {
		return false
	}
	switch t.MatchingType {
	case MatchFull:
		return len(t.Data) > 0
	case MatchSHA256:
		return len(t.Data) == sha256.Size
	case MatchSHA512:
		return len(t.Data) == sha512.Size
	}
	return false
}

// Matches reports whether t names cert. The usage is not looked at.
func (t TLSA) Matches(cert *x509.Certificate) bool {
	selected := cert.Raw
	if t.Selector == SelectSPKI {
		selected = cert.RawSubjectPublicKeyInfo
	}
	switch t.MatchingType {
	case MatchFull:
		return bytes.Equal(selected, t.Data)
	case MatchSHA256:
		sum := sha256.Sum256(selected)
		return bytes.Equal(sum[:], t.Data)
	case MatchSHA512:
		sum := sha512.Sum512(selected)
		return bytes.Equal(sum[:], t.Data)
	}
	return false
}

func usable(records []TLSA) []TLSA {
	var out []TLSA
	for _, t := range records {
		if t.Usable() {
			out = append(out, t)
		}
	}
	return out
}
