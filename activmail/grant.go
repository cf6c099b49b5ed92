package activmail

import (
	"time"

	"github.com/videoactivmail/vam"
)

// TokenRequest is the body of POST /m/{mid}/token: a recipient's domain asks for a new
// pull token for the message of an offer that it got (AM-7.21).
type TokenRequest struct {
	Offer vam.MessageID
}

// ParseTokenRequest reads the body. Errors: Invalid, TooLarge.
func ParseTokenRequest(b []byte, limits Limits) (TokenRequest, error) {
	d, err := openDocument(b, limits.Document, "token request")
	if err != nil {
		return TokenRequest{}, err
	}
	d.require("offer")
	r := TokenRequest{Offer: take(d, "offer", parsed(vam.ParseMessageID))}
	if d.err != nil {
		return TokenRequest{}, d.err
	}
	return r, nil
}

// Marshal writes the body. It never fails.
func (r TokenRequest) Marshal() ([]byte, error) {
	var w objectWriter
	w.text("offer", string(r.Offer))
	return w.end(), nil
}

// TokenGrant is the answer to a TokenRequest.
type TokenGrant struct {
	Token   Token
	Expires time.Time // whole seconds, UTC
}

// ParseTokenGrant reads an answer. Errors: Invalid, TooLarge.
func ParseTokenGrant(b []byte, limits Limits) (TokenGrant, error) {
	d, err := openDocument(b, limits.Document, "token answer")
	if err != nil {
		return TokenGrant{}, err
	}
	d.require("token", "expires")
	g := TokenGrant{
		Token:   take(d, "token", parsed(ParsePullToken)),
		Expires: take(d, "expires", decodeTime),
	}
	if d.err != nil {
		return TokenGrant{}, d.err
	}
	return g, nil
}

// Marshal writes the answer; it holds the secret. It never fails.
func (g TokenGrant) Marshal() ([]byte, error) {
	var w objectWriter
	w.text("token", string(g.Token))
	w.time("expires", g.Expires)
	return w.end(), nil
}
