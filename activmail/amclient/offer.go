package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// OfferName names an offer.
type OfferName struct {
	Origin    vam.Domain
	MessageID vam.MessageID
	Offer     vam.MessageID
}

func (n OfferName) path() string {
	return "/in/" + string(n.Origin) + "/" + string(n.MessageID) + "/" + string(n.Offer)
}

// OfferResult is how a recipient's domain took an offer.
type OfferResult struct {
	// Known says that the same octets had been taken before.
	Known  bool
	Answer activmail.OfferAnswer
}

// PutOffer offers a message; body is the stored octets of the offer, the same at every
// attempt (AM-6.1, AM-6.5). Errors: those of the peer's problem, Unavailable, Busy (an
// answer that is not understood: the offer may have been taken, AM-8.23).
func (c *Client) PutOffer(ctx context.Context, name OfferName, body []byte) (OfferResult, error) {
	call := &call{method: http.MethodPut, path: name.path(), contentType: activmail.OfferType, body: body}
	status, text, err := c.document(ctx, call, http.StatusCreated, http.StatusAccepted, http.StatusOK)
	if err != nil {
		return OfferResult{}, err
	}
	answer, err := activmail.ParseOfferAnswer(text, c.options.Limits)
	return OfferResult{Known: status == http.StatusOK, Answer: answer}, call.misread(err)
}
