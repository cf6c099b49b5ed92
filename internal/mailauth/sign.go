package mailauth

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// signedFields are the header fields that a signature covers, each once more often
// than it is there, so that none can be added later (AM-12.6). They are all that a
// reader is shown or that decides how the body is read.
func signedFields() []string {
	return []string{
		"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID",
		"In-Reply-To", "References", "Auto-Submitted", "Message-Context", "Expires",
		activmail.MessageHeaderName,
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition",
	}
}

// SigningKey is a private key and the selector under which its public half is in DNS.
type SigningKey struct {
	Selector string
	Key      crypto.Signer // Ed25519, or RSA of MinSigningBits or more
}

// Signer signs the mail of one domain. Ed25519 alone is enough between VAM servers;
// RSA beside it serves mail servers that do not know RFC 8463. A Signer may be used
// by several goroutines.
type Signer struct {
	Domain vam.Domain
	Keys   []SigningKey // one signature each, in this order
	// Lifetime is how long a signature is good (x=); 0 is without end. A letter that
	// waits in a mailbox must still verify when it is forwarded or exported.
	Lifetime time.Duration
	Now      func() time.Time // for Lifetime; nil is time.Now
}

// Sign returns mail with a DKIM-Signature field for each key in front. The mail must
// be in CRLF lines, with one From whose domain is the signer's or lies below it.
// Errors: Invalid, TooLarge; Internal when a key fails.
func (s *Signer) Sign(mail []byte) ([]byte, error) {
	m, err := rfc5322.Scan(mail)
	if err != nil {
		return nil, err
	}
	if err := m.CheckSingle(signedFields()...); err != nil {
		return nil, err
	}
	from, err := rfc5322.ParseMailbox(m.Get("From"))
	if err != nil {
		return nil, err
	}
	if !isBelow(from.Addr.Domain, s.Domain) {
		return nil, vam.Errorf(vam.Invalid, "%s cannot sign mail from %s", s.Domain, from.Addr.Domain)
	}
	if len(s.Keys) == 0 {
		return nil, vam.Errorf(vam.Internal, "no key to sign the mail of %s with", s.Domain)
	}
	var out bytes.Buffer
	for _, key := range s.Keys {
		field, err := s.signature(m, mail, key)
		if err != nil {
			return nil, vam.Wrap(vam.Internal, err, "the mail of %s could not be signed with key %s", s.Domain, key.Selector)
		}
		out.WriteString(field)
	}
	out.Write(mail)
	return out.Bytes(), nil
}

func (s *Signer) signature(m *rfc5322.Mail, mail []byte, key SigningKey) (string, error) {
	public := key.Key.Public()
	if err := checkPublic(public); err != nil {
		return "", err
	}
	if k, ok := public.(*rsa.PublicKey); ok && k.N.BitLen() < MinSigningBits {
		return "", vam.Errorf(vam.Invalid, "an RSA key that signs needs %d bits", MinSigningBits)
	}
	opts := &dkim.SignOptions{
		Domain:                 string(s.Domain),
		Selector:               key.Selector,
		Signer:                 key.Key,
		Hash:                   crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization:   dkim.CanonicalizationRelaxed,
		HeaderKeys:             overSigned(m),
	}
	if s.Lifetime > 0 {
		now := time.Now
		if s.Now != nil {
			now = s.Now
		}
		opts.Expiration = now().Add(s.Lifetime)
	}
	signer, err := dkim.NewSigner(opts)
	if err != nil {
		return "", err
	}
	_, writeErr := signer.Write(mail)
	if err := signer.Close(); err != nil {
		return "", err
	}
	if writeErr != nil {
		return "", writeErr
	}
	return signer.Signature(), nil
}

func overSigned(m *rfc5322.Mail) []string {
	var out []string
	for _, name := range signedFields() {
		if m.Has(name) {
			out = append(out, name)
		}
		out = append(out, name)
	}
	return out
}

// isBelow reports whether d is the domain base or lies below it.
func isBelow(d, base vam.Domain) bool {
	return base != "" && (d == base || strings.HasSuffix(string(d), "."+string(base)))
}
