package activmail

import (
	"crypto/ed25519"
	"strings"

	"github.com/videoactivmail/vam"
)

// keyInfix stands between selector and domain in the name of a request key.
const keyInfix = "._domainkey."

// RequestKeyName is the DNS name, and so the keyid, of a request key (AM-2.27).
func RequestKeyName(selector string, domain vam.Domain) string {
	return selector + keyInfix + string(domain)
}

// RequestKeyDomain checks the shape of a keyid, SEL._domainkey.{domain} in lower case,
// and returns the domain that it belongs to. Ask DNS only after it (AM-2.28). Errors:
// Unauthenticated (signature-invalid).
func RequestKeyDomain(keyid string) (vam.Domain, error) {
	selector, rest, ok := strings.Cut(keyid, keyInfix)
	if !ok || len(keyid) > vam.MaxDomainOctets {
		return "", badSignature("the keyid is not of the form SELECTOR._domainkey.DOMAIN")
	}
	for label := range strings.SplitSeq(selector, ".") {
		if !isLabel(label) {
			return "", badSignature("the selector of the keyid is not a DNS name in lower case")
		}
	}
	domain, err := parseDomain(rest)
	if err != nil {
		return "", badSignature("the domain of the keyid is not valid")
	}
	return domain, nil
}

func isLabel(s string) bool {
	const lowerDigits = "abcdefghijklmnopqrstuvwxyz0123456789"
	return len(s) >= 1 && len(s) <= 63 && strings.Trim(s, lowerDigits+"-") == "" && s[0] != '-' && s[len(s)-1] != '-'
}

// ParseRequestKey reads the TXT record of a request key,
// "v=DKIM1; k=ed25519; s=vam; p=BASE64" (AM-2.29). A record with an empty p is that of a
// key that was withdrawn (AM-2.30). Errors: Unauthenticated (signature-invalid).
func ParseRequestKey(txt string) (ed25519.PublicKey, error) {
	tags, err := parseTags(txt, "key record", maxTagList)
	if err != nil {
		return nil, badSignature("the key record is not a DKIM tag list")
	}
	if len(tags) == 0 || tags[0] != (tag{"v", "DKIM1"}) {
		return nil, badSignature("the key record does not begin with v=DKIM1")
	}
	if k, _ := lookup(tags, "k"); k != "ed25519" {
		return nil, badSignature("the key is not an ed25519 key")
	}
	if s, _ := lookup(tags, "s"); s != "vam" {
		return nil, badSignature("the key record has not s=vam: it is not a key for requests")
	}
	p, ok := lookup(tags, "p")
	if ok && p == "" {
		return nil, badSignature("the key was withdrawn by its domain")
	}
	key, err := ParseMessageKey(p)
	if err != nil {
		return nil, badSignature("the key record has not the base64 of 32 octets in p")
	}
	return key, nil
}

// FormatRequestKey writes the TXT record; a nil key writes that of a withdrawn one.
func FormatRequestKey(key ed25519.PublicKey) string {
	return "v=DKIM1; k=ed25519; s=vam; p=" + FormatMessageKey(key)
}

func badSignature(format string, args ...any) *vam.Error {
	return vam.Errorf(vam.Unauthenticated, format, args...).WithProblem("signature-invalid")
}
