package amserver

import (
	"net/http"

	"github.com/videoactivmail/vam/activmail"
)

// offerState answers GET /in/{origin}/{mid}/{offer} (AM-6.10).
func (h *handler) offerState(w http.ResponseWriter, r *http.Request) error {
	name, err := offerPath(r)
	if err != nil {
		return err
	}
	if err := h.admit(r, "offer-state", ""); err != nil {
		return err
	}
	signed, err := h.verify(r, nil, signature{operation: "offer-state", domain: name.Origin})
	if err != nil {
		return err
	}
	answer, err := h.Inbound.OfferState(r.Context(), StateRequest{OfferName: name, Signed: signed, Remote: remoteOf(r)})
	if err != nil {
		return err
	}
	body, err := answer.Marshal()
	if err != nil {
		return err
	}
	writeDocument(w, r, http.StatusOK, activmail.HeadType, body)
	return nil
}
