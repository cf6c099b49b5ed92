package mailauth

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/mail"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Verified is a mail whose author is proven.
type Verified struct {
	From          vam.Address
	SigningDomain vam.Domain // aligned with From
	Selector      string     // of the key that signed
	// Header is the one VAM-Message header of the mail, covered by the signature.
	Header activmail.MessageHeader

	MessageID string // "<MID@ORIGIN>"
	Subject   string // decoded and cleaned; covered if the mail has one
	Date      time.Time
}

// Verifier verifies mail. It may be used by several goroutines.
type Verifier struct {
	DNS TXTResolver
	Now func() time.Time // nil is time.Now
}

// Verify proves who wrote raw (AM-12.3): it has exactly one From with exactly one
// address and exactly one VAM-Message header; one of its first MaxSignatures
// signatures verifies, with a key that may sign mail, covers every field that a
// reader is shown, and is of a domain that aligns with the From, whatever DMARC
// policy that domain publishes or not. It asks at most MaxSignatures keys of DNS and
// no policy where author and signing domain are the same.
//
// Errors (AM-12.11): Invalid malformed and TooLarge too-large (octets and limits of
// AM-12.5), Invalid policy (the fields of AM-12.1), Unauthenticated signature-invalid,
// Denied author-unaligned; Unavailable key-not-found when DNS did not have a key or
// did not answer.
func (v *Verifier) Verify(ctx context.Context, raw []byte) (*Verified, error) {
	m, err := scan(raw)
	if err != nil {
		return nil, err
	}
	out, err := claim(m)
	if err != nil {
		return nil, err
	}
	signatures, err := scanSignatures(m, out.From.Domain)
	if err != nil {
		return nil, err
	}
	if len(signatures) == 0 {
		return nil, bad(nil, "the mail has no DKIM signature: %s must sign it", out.From.Domain)
	}
	keys := newKeyring(ctx, v.DNS, signatures)
	results, err := dkim.VerifyWithOptions(bytes.NewReader(raw), &dkim.VerifyOptions{
		LookupTXT:        keys.lookup,
		MaxVerifications: MaxSignatures,
	})
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) || len(results) != len(signatures) {
		return nil, bad(err, "the mail's signatures cannot be read")
	}
	passed, failure := v.judge(m, signatures, results, keys)
	signature, err := choose(newAligner(ctx, v.DNS), out.From.Domain, passed, failure)
	if err != nil {
		return nil, err
	}
	out.SigningDomain, out.Selector = signature.domain, signature.selector
	return out, nil
}

// scan checks the octets and the limits of a letter (AM-12.5).
func scan(raw []byte) (*rfc5322.Mail, error) {
	m, err := rfc5322.Scan(raw)
	if err == nil {
		err = m.CheckStructure()
	}
	if err == nil {
		return m, nil
	}
	name := problemForm
	if vam.KindOf(err) == vam.TooLarge {
		name = problemSize
	}
	return nil, vam.Wrap(vam.KindOf(err), err, "%s", vam.Public(err)).WithProblem(name)
}

// claim reads what the mail says of itself, before anything is proven: the fields of
// AM-12.1.
func claim(m *rfc5322.Mail) (*Verified, error) {
	if err := m.CheckSingle(signedFields()...); err != nil {
		return nil, unfit(err, "%s", vam.Public(err))
	}
	from, err := rfc5322.ParseMailbox(m.Get("From"))
	if err != nil {
		return nil, unfit(err, "the mail's From must hold exactly one valid address: %s", vam.Public(err))
	}
	if !m.Has(activmail.MessageHeaderName) {
		return nil, unfit(nil, "the mail has no %s header, so it names no message", activmail.MessageHeaderName)
	}
	header, err := activmail.ParseMessageHeader(m.Get(activmail.MessageHeaderName))
	if err != nil {
		return nil, unfit(err, "the mail's %s header is not valid: %s", activmail.MessageHeaderName, vam.Public(err))
	}
	id := "<" + string(header.ID) + "@" + string(header.Origin) + ">"
	if m.Get("Message-ID") != id {
		return nil, unfit(nil, "the mail's Message-ID is not %s, the one of the message that it names", id)
	}
	date, err := mail.ParseDate(rfc5322.Clean(m.Get("Date"), 100))
	if err != nil {
		return nil, unfit(err, "the mail has no Date that can be read (RFC 5322 section 3.3)")
	}
	if m.Has("Bcc") {
		return nil, unfit(nil, "the mail has a Bcc header, which would show hidden recipients")
	}
	return &Verified{
		From:      from.Addr,
		Header:    header,
		MessageID: id,
		Subject:   rfc5322.DecodeText(m.Get("Subject"), maxSubject),
		Date:      date.UTC(),
	}, nil
}

const maxSubject = 300 // characters

func unfit(cause error, format string, args ...any) error {
	return vam.Wrap(vam.Invalid, cause, format, args...).WithProblem(problemPolicy)
}

// judge sorts the signatures into those that hold, and the failure that tells most:
// one that may go away before one that will not.
func (v *Verifier) judge(m *rfc5322.Mail, signatures []*signature, results []*dkim.Verification, keys *keyring) (passed []*signature, failure error) {
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	for i, s := range signatures {
		err := s.check(m, results[i], keys, now())
		switch {
		case err == nil:
			passed = append(passed, s)
		case failure == nil, vam.KindOf(err) == vam.Unavailable, vam.KindOf(failure) == vam.Denied:
			failure = err
		}
	}
	return passed, failure
}

// check says why a signature does not hold.
func (s *signature) check(m *rfc5322.Mail, result *dkim.Verification, keys *keyring, now time.Time) error {
	if s.refused != nil {
		return s.refused
	}
	key, asked := keys.get(s.keyName())
	switch missing := s.covers(m); {
	case !s.expires.IsZero() && now.After(s.expires):
		return bad(nil, "the mail's signature by %s expired at %s: send it again", s.domain, s.expires.UTC().Format(time.RFC3339))
	case key.err != nil:
		return key.err
	case result.Err != nil || !asked:
		return bad(result.Err, "the mail's signature by %s does not verify: it is of another kind than VAM/1 takes, or the mail was changed after it was signed", s.domain)
	case vam.Domain(result.Domain) != s.domain && !sameDomain(result.Domain, s.domain):
		return bad(nil, "the mail's signature names its domain in a way that cannot be read")
	case key.record.Strict && s.identity != string(s.domain):
		return bad(nil, "the key %s signs for %s alone (t=s), not for %s", s.keyName(), s.domain, s.identity)
	case missing != "":
		return bad(nil, "the mail's signature by %s does not cover its %s header: sign it with that header", s.domain, missing)
	}
	return nil
}

func sameDomain(s string, d vam.Domain) bool {
	parsed, err := vam.ParseDomain(s)
	return err == nil && parsed == d
}

// choose returns the signature that speaks for the author: one of the same domain
// first, which needs no DNS.
func choose(a *aligner, author vam.Domain, passed []*signature, failure error) (*signature, error) {
	for _, s := range passed {
		if s.domain == author {
			return s, nil
		}
	}
	for _, s := range passed {
		ok, err := a.aligned(author, s.domain)
		switch {
		case ok:
			return s, nil
		case err != nil:
			failure = err
		case failure == nil:
			failure = unaligned(author, s.domain)
		}
	}
	return nil, failure
}

// CheckBinding proves that the mail belongs to an offer of message mid from origin
// under the message key: its VAM-Message header says the same, and the signing domain
// is the origin's, above it, or the origin is the author's own domain. Without it
// anybody could attach their media to somebody else's genuine mail (AM-12.4).
// Errors: Denied policy.
func CheckBinding(v *Verified, origin vam.Domain, mid vam.MessageID, key ed25519.PublicKey) error {
	unbound := func(format string, args ...any) error {
		return vam.Errorf(vam.Denied, format, args...).WithProblem(problemPolicy)
	}
	switch {
	case v.Header.Origin != origin:
		return unbound("the mail belongs to a message of %s, not of %s", v.Header.Origin, origin)
	case v.Header.ID != mid:
		return unbound("the mail belongs to another message than the one offered")
	case len(key) != ed25519.PublicKeySize || !v.Header.Key.Equal(key):
		return unbound("the mail names another message key than the one offered")
	case !isBelow(origin, v.SigningDomain) && origin != v.From.Domain:
		return unbound("the mail is signed by %s, which does not speak for %s", v.SigningDomain, origin)
	}
	return nil
}

// CheckOffer proves that the mail belongs to the offer that carries it: CheckBinding,
// and who sends is the mail's author or nobody (AM-12.10), and a header that was written
// over the sealed log says the size that is offered (AM-12.9). The root in the header is
// for whoever holds the log. Errors: Denied policy (AM-6.14).
func CheckOffer(v *Verified, o *activmail.Offer) error {
	if err := CheckBinding(v, o.Origin, o.MessageID, o.Key); err != nil {
		return err
	}
	if from := o.Envelope.From; !from.IsZero() && from.Key() != v.From.Key() {
		return vam.Errorf(vam.Denied, "%s offers a mail that %s has written", from, v.From).WithProblem(problemPolicy)
	}
	return v.Header.Binds(o)
}
