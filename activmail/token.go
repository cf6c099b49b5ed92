package activmail

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"

	"github.com/videoactivmail/vam"
)

// The prefixes tell a secret scanner, and a person who reads a log, what they found.
const (
	pullPrefix   = "vp_"
	devicePrefix = "vd_"
)

// Token is a bearer secret: a prefix and 32 random octets in base64url. Printed or
// logged it shows its prefix only; string(t) is the secret.
type Token string

// NewPullToken mints a token that opens one message to one recipient domain (AM-14.9).
func NewPullToken() Token { return newToken(pullPrefix) }

// NewDeviceToken mints a token that a user's program signs in with.
func NewDeviceToken() Token { return newToken(devicePrefix) }

func newToken(prefix string) Token {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return Token(prefix + base64.RawURLEncoding.EncodeToString(b[:]))
}

// ParsePullToken accepts exactly the form of NewPullToken. Errors: Unauthenticated.
func ParsePullToken(s string) (Token, error) { return parseToken(s, pullPrefix) }

// ParseDeviceToken accepts exactly the form of NewDeviceToken. Errors:
// Unauthenticated.
func ParseDeviceToken(s string) (Token, error) { return parseToken(s, devicePrefix) }

func parseToken(s, prefix string) (Token, error) {
	rest, ok := strings.CutPrefix(s, prefix)
	b, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	// The decoder skips line ends, so the length of the text counts too.
	if !ok || err != nil || len(b) != 32 || len(rest) != base64.RawURLEncoding.EncodedLen(32) {
		return "", vam.Errorf(vam.Unauthenticated, "that is not a token: %s and 43 characters are wanted", prefix).
			WithProblem("token-invalid")
	}
	return Token(s), nil
}

// TokenHash is what a server stores in place of the token: 256 random bits need no
// salt and no slow hash.
func TokenHash(t Token) Sum { return Sum(sha256.Sum256([]byte(t))) }

// Hash is TokenHash.
func (t Token) Hash() Sum { return TokenHash(t) }

// String shows the prefix only.
func (t Token) String() string {
	for _, p := range []string{pullPrefix, devicePrefix} {
		if strings.HasPrefix(string(t), p) {
			return p + "…"
		}
	}
	if t == "" {
		return ""
	}
	return "…"
}

// GoString is String, so that %#v shows no secret either.
func (t Token) GoString() string { return t.String() }

// LogValue is String for log/slog.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }
