package amserver

import (
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// receipt answers PUT /m/{mid}/rcpt/{rid}/{event} (AM-8.1).
func (h *handler) receipt(w http.ResponseWriter, r *http.Request) error {
	mid, err := vam.ParseMessageID(r.PathValue("mid"))
	if err != nil {
		return notFound()
	}
	body, release, err := h.readBody(w, r, "receipt", activmail.HeadType, h.Limits.Document)
	if err != nil {
		return err
	}
	defer release()
	rec, err := activmail.ParseReceipt(body, h.Limits)
	if err != nil {
		return err
	}
	// The body says which domain must have signed; nothing else of it counts before.
	signed, err := h.verify(r, body, signature{
		operation: "receipt", domain: rec.Recipient.Domain,
		mismatch: vam.Errorf(vam.Denied, "a receipt is signed by the domain of its recipient, %s", rec.Recipient.Domain).
			WithProblem("policy"),
	})
	if err != nil {
		return err
	}
	if r.PathValue("rid") != activmail.RecipientID(mid, rec.Recipient) || r.PathValue("event") != string(rec.Event) {
		return vam.Errorf(vam.Invalid, "the receipt is of another recipient or event than its path").WithProblem("malformed")
	}
	if !rec.Event.Known() {
		w.WriteHeader(http.StatusOK) // AM-8.8
		return nil
	}
	created, err := h.Outbound.PutReceipt(r.Context(), ReceiptRequest{MessageID: mid, Receipt: rec, Signed: signed, Remote: remoteOf(r)})
	if err != nil {
		return err
	}
	if created {
		w.WriteHeader(http.StatusCreated)
	} else {
		w.WriteHeader(http.StatusOK)
	}
	return nil
}
