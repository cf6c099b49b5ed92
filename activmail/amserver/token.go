package amserver

import (
	"net/http"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// token answers POST /m/{mid}/token (AM-7.21).
func (h *handler) token(w http.ResponseWriter, r *http.Request) error {
	mid, err := vam.ParseMessageID(r.PathValue("mid"))
	if err != nil {
		return notFound()
	}
	body, release, err := h.readBody(w, r, "token", activmail.HeadType, h.Limits.Document)
	if err != nil {
		return err
	}
	defer release()
	req, err := activmail.ParseTokenRequest(body, h.Limits)
	if err != nil {
		return err
	}
	signed, err := h.verify(r, body, signature{operation: "token"})
	if err != nil {
		return err
	}
	if err := h.nonces.use(signed, h.Now()); err != nil {
		return err
	}
	grant, err := h.Outbound.RenewToken(r.Context(), RenewRequest{MessageID: mid, Offer: req.Offer, Signed: signed, Remote: remoteOf(r)})
	if err != nil {
		return err
	}
	answer, err := grant.Marshal()
	if err != nil {
		return err
	}
	writeDocument(w, r, http.StatusOK, activmail.HeadType, answer)
	return nil
}

// The store is bounded: one signed request costs its sender a signature and us some 200
// octets for six minutes. A domain has a part of it only, so that it locks out itself
// and nobody else.
const (
	maxNonces       = 100_000
	maxDomainNonces = 1_000
)

// nonces remembers the pairs of key and nonce that were accepted, until their signature
// is out of date (AM-3.8). Its loss at a restart opens a window of minutes in which
// whoever has seen a request inside TLS could repeat it.
type nonces struct {
	mu   sync.Mutex
	seen map[nonceKey]nonceUse
	of   map[vam.Domain]int
	next time.Time // of the clean-up
}

type nonceUse struct {
	domain vam.Domain
	until  time.Time
}

type nonceKey struct{ key, nonce string }

func (s *nonces) use(v activmail.VerifiedRequest, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen, s.of = make(map[nonceKey]nonceUse), make(map[vam.Domain]int)
	}
	s.cleanLocked(now)
	k := nonceKey{v.KeyID, v.Nonce}
	if _, used := s.seen[k]; used {
		return vam.Errorf(vam.Unauthenticated, "this signed request was used before; sign it anew").WithProblem("signature-invalid")
	}
	if len(s.seen) >= maxNonces || s.of[v.Domain] >= maxDomainNonces {
		return vam.Errorf(vam.Busy, "too many token requests at this server").WithProblem("rate").WithRetry(time.Minute)
	}
	s.seen[k] = nonceUse{v.Domain, v.Expires.Add(activmail.MaxSkew)}
	s.of[v.Domain]++
	return nil
}

func (s *nonces) cleanLocked(now time.Time) {
	if now.Before(s.next) {
		return
	}
	s.next = now.Add(10 * time.Second)
	for k, use := range s.seen {
		if !now.After(use.until) {
			continue
		}
		delete(s.seen, k)
		if s.of[use.domain]--; s.of[use.domain] == 0 {
			delete(s.of, use.domain)
		}
	}
}
