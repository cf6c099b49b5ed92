package amserver

import (
	"crypto/sha256"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// putOffer answers PUT /in/{origin}/{mid}/{offer} (AM-6.1) (AM-6.2).
func (h *handler) putOffer(w http.ResponseWriter, r *http.Request) error {
	name, err := offerPath(r)
	if err != nil {
		return err
	}
	body, release, err := h.readBody(w, r, "put-offer", activmail.OfferType, h.Limits.Offer)
	if err != nil {
		return err
	}
	defer release()
	signed, err := h.verify(r, body, signature{operation: "put-offer", domain: name.Origin})
	if err != nil {
		return err
	}
	offer, err := activmail.ParseOffer(body, h.Limits)
	if err != nil {
		return err
	}
	if got := (OfferName{offer.Origin, offer.MessageID, offer.ID}); got != name {
		return vam.Errorf(vam.Invalid, "the offer names another message than its path").WithProblem("malformed")
	}
	result, err := h.Inbound.PutOffer(r.Context(), OfferRequest{
		Offer: offer, Body: body, Digest: sha256.Sum256(body), Signed: signed, Remote: remoteOf(r),
	})
	if err != nil {
		return err
	}
	answer, err := result.Answer.Marshal()
	if err != nil {
		return err
	}
	writeDocument(w, r, result.Status.http(), activmail.HeadType, answer)
	return nil
}

func (s OfferStatus) http() int {
	switch s {
	case OfferSame:
		return http.StatusOK
	case OfferPending:
		return http.StatusAccepted
	}
	return http.StatusCreated
}
