package activmail

import (
	"encoding/json"
	"time"

	"github.com/videoactivmail/vam"
)

// TokenRequest is the body of POST /m/{mid}/token: a recipient's domain asks for a new
// pull token for the message of an offer that it got (AM-7.2).
type TokenRequest struct {
	Offer vam.MessageID `json:"offer"`
}

// ParseTokenRequest reads the body. Errors: Invalid, TooLarge.
func ParseTokenRequest(b []byte, limits Limits) (TokenRequest, error) {
	if vam.Bytes(len(b)) > limits.Document {
		return TokenRequest{}, vam.Errorf(vam.TooLarge, "the token request is over the %v of this server", limits.Document)
	}
	var r TokenRequest
	if err := json.Unmarshal(b, &r); err != nil {
		return TokenRequest{}, vam.Wrap(vam.Invalid, err, `the token request is not {"offer":"…"}`)
	}
	var err error
	r.Offer, err = vam.ParseMessageID(string(r.Offer))
	return r, err
}

// Marshal writes the body.
func (r TokenRequest) Marshal() ([]byte, error) { return json.Marshal(r) }

// TokenGrant is the answer to a TokenRequest.
type TokenGrant struct {
	Token   Token
	Expires time.Time // whole seconds, UTC
}

type grantJSON struct {
	Token   string `json:"token"`
	Expires string `json:"expires"`
}

// Marshal writes the answer; it holds the secret.
func (g TokenGrant) Marshal() ([]byte, error) {
	return json.Marshal(grantJSON{Token: string(g.Token), Expires: formatStamp(g.Expires)})
}

// ParseTokenGrant reads an answer. Errors: Invalid, Unauthenticated (not a pull
// token), TooLarge.
func ParseTokenGrant(b []byte, limits Limits) (TokenGrant, error) {
	if vam.Bytes(len(b)) > limits.Document {
		return TokenGrant{}, vam.Errorf(vam.TooLarge, "the token answer is over %v", limits.Document)
	}
	var j grantJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return TokenGrant{}, vam.Wrap(vam.Invalid, err, `the token answer is not {"token":"…","expires":"…"}`)
	}
	token, err := ParsePullToken(j.Token)
	if err != nil {
		return TokenGrant{}, err
	}
	expires, err := parseStamp(j.Expires)
	if err != nil || expires.IsZero() {
		return TokenGrant{}, vam.Wrap(vam.Invalid, err, "the token answer does not say when the token expires")
	}
	return TokenGrant{Token: token, Expires: expires}, nil
}
