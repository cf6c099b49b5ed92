package amserver

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// signedOperation reports whether an operation is authenticated by a request signature,
// not by a bearer token.
func signedOperation(op string) bool {
	switch op {
	case "put-offer", "offer-state", "poke", "receipt", "token":
		return true
	}
	return false
}

// signature says how a request must be signed.
type signature struct {
	operation string
	// domain must have signed; "" is anybody, whom the backend then judges. mismatch, if
	// not nil, is the error for another one in place of signature-invalid.
	domain   vam.Domain
	mismatch error
}

// verify checks the signature of a request with the body that was read; nil is none.
// The name of the key is compared with the domain before anybody is asked for the key
// (AM-3.11) (AM-3.9).
func (h *handler) verify(r *http.Request, body []byte, want signature) (activmail.VerifiedRequest, error) {
	lookup := func(ctx context.Context, keyid string) (ed25519.PublicKey, error) {
		domain, err := activmail.RequestKeyDomain(keyid)
		if err != nil {
			return nil, err
		}
		if want.domain != "" && domain != want.domain {
			if want.mismatch != nil {
				return nil, want.mismatch
			}
			return nil, vam.Errorf(vam.Unauthenticated, "the request is signed by %s and must be signed by %s", domain, want.domain).
				WithProblem("signature-invalid")
		}
		if err := h.admit(r, want.operation, domain); err != nil {
			return nil, err
		}
		if h.Keys == nil {
			return nil, vam.Errorf(vam.Unavailable, "this server cannot look up request keys now").WithProblem("key-not-found")
		}
		return h.Keys(ctx, keyid)
	}
	return activmail.VerifyRequest(r, activmail.DigestOf(body), lookup, h.Now())
}

func (h *handler) admit(r *http.Request, op string, domain vam.Domain) error {
	if h.Admit == nil {
		return nil
	}
	return h.Admit(r.Context(), Admission{Operation: op, Remote: remoteOf(r), Domain: domain})
}

// readBody reads the body of a signed request of the given media type into memory, as
// far as it is admitted and within limit. release gives the memory back (AM-14.5).
func (h *handler) readBody(w http.ResponseWriter, r *http.Request, op, mediaType string, limit vam.Bytes) (body []byte, release func(), err error) {
	if err := h.admit(r, op, ""); err != nil {
		return nil, nil, err
	}
	if r.Header.Get("Signature-Input") == "" || r.Header.Get("Signature") == "" {
		return nil, nil, vam.Errorf(vam.Unauthenticated, "this request must be signed (AM-3.1)").WithProblem("signature-invalid")
	}
	if err := checkMediaType(r, mediaType); err != nil {
		return nil, nil, err
	}
	longest := vam.Bytes(r.ContentLength)
	if longest > limit {
		return nil, nil, bodyTooLarge(limit)
	}
	if longest < 0 {
		longest = limit
	}
	held := h.memory.hold(remoteOf(r).Addr())
	body, err = held.readAll(http.MaxBytesReader(w, r.Body, int64(limit)), int64(longest))
	if err == nil {
		return body, held.release, nil
	}
	held.release()
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, nil, bodyTooLarge(limit)
	}
	if known := (*vam.Error)(nil); errors.As(err, &known) {
		return nil, nil, err
	}
	return nil, nil, vam.Wrap(vam.Invalid, err, "the body of the request did not arrive whole")
}

func bodyTooLarge(limit vam.Bytes) error {
	return vam.Errorf(vam.TooLarge, "the body is over the %v that this server takes here", limit).WithProblem("too-large")
}

// checkMediaType is AM-1.15.
func checkMediaType(r *http.Request, want string) error {
	if coding := r.Header.Get("Content-Encoding"); coding != "" {
		return &statusError{http.StatusUnsupportedMediaType, vam.Errorf(vam.Invalid, "a body of VAM/1 has no content coding").WithProblem("malformed")}
	}
	if got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || got != want {
		return &statusError{http.StatusUnsupportedMediaType, vam.Errorf(vam.Invalid, "the body must be of the type %s", want).WithProblem("malformed")}
	}
	return nil
}

// statusError is answered with a status other than that of its kind.
type statusError struct {
	status int
	err    *vam.Error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

// pull reads what every pull has: the message and the token. An id that is none is as
// unknown as a message that is not there, and both hide behind the token (AM-7.25).
func pull(r *http.Request) (Pull, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return Pull{}, vam.Errorf(vam.Unauthenticated, "this resource wants Authorization: Bearer and a pull token").WithProblem("token-invalid")
	}
	token, err := activmail.ParsePullToken(strings.TrimLeft(secret, " "))
	if err != nil {
		return Pull{}, err
	}
	mid, err := vam.ParseMessageID(r.PathValue("mid"))
	if err != nil {
		return Pull{}, vam.Wrap(vam.Unauthenticated, err, "the token does not open this message").WithProblem("token-invalid")
	}
	return Pull{MessageID: mid, Token: token, Remote: remoteOf(r)}, nil
}

// offerPath reads {origin}, {mid} and, where the path has it, {offer}.
func offerPath(r *http.Request) (OfferName, error) {
	origin, err1 := vam.ParseDomain(r.PathValue("origin"))
	mid, err2 := vam.ParseMessageID(r.PathValue("mid"))
	name := OfferName{Origin: origin, MessageID: mid}
	var err3 error
	if s := r.PathValue("offer"); s != "" {
		name.Offer, err3 = vam.ParseMessageID(s)
	}
	if err := errors.Join(err1, err2, err3); err != nil {
		return name, vam.Wrap(vam.Invalid, err, "the path is not /in/{domain}/{message id}/{offer id}").WithProblem("malformed")
	}
	if string(origin) != r.PathValue("origin") {
		return name, vam.Errorf(vam.Invalid, "the domain in the path must be in lower case").WithProblem("malformed")
	}
	return name, nil
}

// count reads a decimal number without sign or leading zeros.
func count(s string) (int64, bool) {
	if s == "" || len(s) > 15 || (s[0] == '0' && s != "0") {
		return 0, false
	}
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

func parseSum(s string) (activmail.Sum, bool) {
	var sum activmail.Sum
	if len(s) != 2*len(sum) || strings.ToLower(s) != s {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(s))
	return sum, err == nil
}

// preferredWait is the time of Prefer: wait (RFC 7240 section 4.3), at most that of the
// protocol; 0 without it and for HEAD (AM-10.20).
func preferredWait(r *http.Request) time.Duration {
	if r.Method == http.MethodHead {
		return 0
	}
	for _, field := range r.Header["Prefer"] {
		for _, item := range strings.Split(field, ",") {
			item, _, _ = strings.Cut(item, ";")
			name, value, _ := strings.Cut(item, "=")
			if !strings.EqualFold(strings.TrimSpace(name), "wait") {
				continue
			}
			n, ok := count(strings.Trim(strings.TrimSpace(value), `"`))
			if !ok {
				return 0
			}
			return min(time.Duration(min(n, 3600))*time.Second, activmail.MaxWait)
		}
	}
	return 0
}
