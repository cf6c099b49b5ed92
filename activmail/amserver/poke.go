package amserver

import (
	"net/http"

	"github.com/videoactivmail/vam/activmail"
)

// poke answers POST /in/{origin}/{mid}/poke (AM-6.30).
func (h *handler) poke(w http.ResponseWriter, r *http.Request) error {
	name, err := offerPath(r)
	if err != nil {
		return err
	}
	body, release, err := h.readBody(w, r, "poke", activmail.CheckpointType, h.Limits.Checkpoint)
	if err != nil {
		return err
	}
	defer release()
	signed, err := h.verify(r, body, signature{operation: "poke", domain: name.Origin})
	if err != nil {
		return err
	}
	err = h.Inbound.Poke(r.Context(), PokeRequest{
		Origin: name.Origin, MessageID: name.MessageID, Checkpoint: body, Signed: signed, Remote: remoteOf(r),
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
