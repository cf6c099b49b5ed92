package activmail

import (
	"context"
	"crypto/ed25519"
	"net/http"
	"time"

	"github.com/videoactivmail/vam"
)

// Digest is the SHA-256 of a request body as it goes into Content-Digest (RFC 9530).
// Has is false for a request without body, which is signed without content fields.
type Digest struct {
	Sum Sum
	Has bool
}

// DigestOf hashes a body; a nil body has none.
func DigestOf(body []byte) Digest { return Digest{} }

// RequestKey is a key that signs requests and its DNS name.
type RequestKey struct {
	ID      string // SEL._domainkey.{domain}
	Private ed25519.PrivateKey
}

// SignRequest adds Content-Digest, Signature-Input and Signature to req, which must
// have its URL, Host, Method and Content-Type already (AM-3). An empty nonce is minted.
func SignRequest(req *http.Request, body Digest, key RequestKey, now time.Time, nonce string) error {
	return vam.Errorf(vam.Internal, "not written yet")
}

// KeyLookup finds the public key under a DNS name. Errors: Unauthenticated
// (key-not-found), Unavailable.
type KeyLookup func(ctx context.Context, keyid string) (ed25519.PublicKey, error)

// VerifiedRequest is what a signature proves.
type VerifiedRequest struct {
	Domain  vam.Domain // who signed
	KeyID   string
	Nonce   string
	Created time.Time
	Expires time.Time
}

// VerifyRequest checks the signature of a server request (AM-3). body is the digest
// of what was really read. Errors: Unauthenticated (signature-invalid, key-not-found),
// and those of lookup.
func VerifyRequest(req *http.Request, body Digest, lookup KeyLookup, now time.Time) (VerifiedRequest, error) {
	return VerifiedRequest{}, vam.Errorf(vam.Internal, "not written yet")
}

// AcceptSignature is the Accept-Signature header of a 401 (RFC 9421 section 5).
func AcceptSignature(hasBody bool) string { return "" }

// RequestKeyDomain checks the shape of a keyid and returns the domain that it belongs
// to. Ask DNS only after it. Errors: Unauthenticated.
func RequestKeyDomain(keyid string) (vam.Domain, error) { return "", nil }

// ParseRequestKey reads the TXT record of a request key:
// "v=DKIM1; k=ed25519; s=vam; p=BASE64". Errors: Unauthenticated.
func ParseRequestKey(txt string) (ed25519.PublicKey, error) {
	return nil, vam.Errorf(vam.Internal, "not written yet")
}

// FormatRequestKey writes the TXT record; a nil key writes a revoked one.
func FormatRequestKey(key ed25519.PublicKey) string { return "" }
