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

// maxNonces bounds the store: one signed request costs its sender a signature and us
// some 200 octets for six minutes.
const maxNonces = 100_000

// nonces remembers the pairs of key and nonce that were accepted, until their signature
// is out of date (AM-3.8). Its loss at a restart opens a window of minutes in which
// whoever has seen a request inside TLS could repeat it.
type nonces struct {
	mu   sync.Mutex
	seen map[nonceKey]time.Time // until when
	next time.Time              // of the clean-up
}

type nonceKey struct{ key, nonce string }

func (s *nonces) use(v activmail.VerifiedRequest, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[nonceKey]time.Time)
	}
	if !now.Before(s.next) {
		for k, until := range s.seen {
			if now.After(until) {
				delete(s.seen, k)
			}
		}
		s.next = now.Add(10 * time.Second)
	}
	k := nonceKey{v.KeyID, v.Nonce}
	if _, used := s.seen[k]; used {
		return vam.Errorf(vam.Unauthenticated, "this signed request was used before; sign it anew").WithProblem("signature-invalid")
	}
	if len(s.seen) >= maxNonces {
		return vam.Errorf(vam.Busy, "too many token requests at this server").WithProblem("rate").WithRetry(time.Minute)
	}
	s.seen[k] = v.Expires.Add(activmail.MaxSkew)
	return nil
}
