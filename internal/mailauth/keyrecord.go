package mailauth

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/videoactivmail/vam"
)

// The RSA keys that are used, in bits: at least what RFC 8301 section 3.2 demands of
// a verifier, at most what it must be able to verify, because the work grows with
// the size that a stranger chose. Our own keys have MinSigningBits.
const (
	MinRSABits     = 1024
	MaxRSABits     = 4096
	MinSigningBits = 2048
)

// maxKeyRecord is the longest key record that is read, in octets; RSA with MaxRSABits
// needs about 750.
const maxKeyRecord = 2048

// ServiceMail is the service of the s= tag that a key for mail must allow (RFC 6376
// section 3.6.1). A key for requests between servers says s=vam alone, so that it
// can never vouch for a mail (AM-2.33); package activmail writes and reads those.
const ServiceMail = "email"

// KeyRecord is a DKIM key record in DNS.
type KeyRecord struct {
	// Public is an ed25519.PublicKey or a *rsa.PublicKey; nil is a revoked key.
	Public crypto.PublicKey
	// Services are those that the key is for; nil is all of them.
	Services []string
	// Strict says that an identity (i=) must be of the very domain that signs (t=s).
	Strict bool
}

// Allows reports whether the key is for the service.
func (k KeyRecord) Allows(service string) bool {
	return k.Services == nil || slices.Contains(k.Services, service)
}

// KeyName is the DNS name of a key: "m1._domainkey.a.example".
func KeyName(selector string, domain vam.Domain) string {
	return selector + "._domainkey." + string(domain)
}

// FormatMailKey writes the TXT record of a key that signs mail: "v=DKIM1;
// k=ed25519; p=…" or "v=DKIM1; k=rsa; p=…". An RSA record is longer than 255
// octets: it is one record of several strings. Errors: Invalid for another kind or
// size of key.
func FormatMailKey(public crypto.PublicKey) (string, error) {
	if err := checkPublic(public); err != nil {
		return "", err
	}
	switch k := public.(type) {
	case ed25519.PublicKey:
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(k), nil
	default:
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return "", vam.Wrap(vam.Invalid, err, "the RSA key cannot be written")
		}
		return "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	}
}

// ParseKey reads a key record (RFC 6376 section 3.6.1). A revoked key, one with an
// empty p=, is no error. Errors: Invalid, TooLarge.
func ParseKey(record string) (KeyRecord, error) {
	if len(record) > maxKeyRecord {
		return KeyRecord{}, vam.Errorf(vam.TooLarge, "the key record is longer than %d octets, the limit of VAM/1", maxKeyRecord)
	}
	tags, err := parseTags(record)
	if err != nil {
		return KeyRecord{}, vam.Wrap(vam.Invalid, err, "the key record is not a list of tags")
	}
	if v, ok := tags["v"]; ok && v != "DKIM1" {
		return KeyRecord{}, vam.Errorf(vam.Invalid, "the key record is not of version DKIM1")
	}
	if h, ok := tags["h"]; ok && !slices.Contains(list(h), "sha256") {
		return KeyRecord{}, vam.Errorf(vam.Invalid, "the key record does not allow SHA-256")
	}
	var k KeyRecord
	if s, ok := tags["s"]; ok && !slices.Contains(list(s), "*") {
		k.Services = list(s)
	}
	k.Strict = slices.Contains(list(tags["t"]), "s")
	p, ok := tags["p"]
	if !ok {
		return KeyRecord{}, vam.Errorf(vam.Invalid, "the key record has no key (p=)")
	}
	if p == "" {
		return k, nil
	}
	k.Public, err = parsePublic(tags["k"], unspaced(p))
	return k, err
}

func list(s string) []string { return strings.Split(unspaced(s), ":") }

func parsePublic(kind, p string) (crypto.PublicKey, error) {
	b, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the key in the record is not base64")
	}
	var public crypto.PublicKey
	switch kind {
	case "ed25519":
		public = ed25519.PublicKey(b)
	case "rsa", "":
		// Both encodings are in use (RFC 6376 erratum 3017).
		if public, err = x509.ParsePKIXPublicKey(b); err != nil {
			if public, err = x509.ParsePKCS1PublicKey(b); err != nil {
				return nil, vam.Wrap(vam.Invalid, err, "the RSA key in the record cannot be read")
			}
		}
	default:
		return nil, vam.Errorf(vam.Invalid, "the key in the record is neither Ed25519 nor RSA")
	}
	return public, checkPublic(public)
}

func checkPublic(public crypto.PublicKey) error {
	switch k := public.(type) {
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return vam.Errorf(vam.Invalid, "the Ed25519 key has %d octets, %d are wanted", len(k), ed25519.PublicKeySize)
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSABits || n > MaxRSABits {
			return vam.Errorf(vam.Invalid, "the RSA key has %d bits; %d to %d are allowed", n, MinRSABits, MaxRSABits)
		}
	default:
		return vam.Errorf(vam.Invalid, "the key is neither Ed25519 nor RSA")
	}
	return nil
}
