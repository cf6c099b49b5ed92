package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam/activmail"
)

// OfferState asks for the present answer to an offer (AM-6.10). Errors: NotFound, those
// of the peer's problem, Unavailable, Invalid.
func (c *Client) OfferState(ctx context.Context, name OfferName) (activmail.OfferAnswer, error) {
	_, text, err := c.document(ctx, &call{method: http.MethodGet, path: name.path()}, http.StatusOK)
	if err != nil {
		return activmail.OfferAnswer{}, err
	}
	return activmail.ParseOfferAnswer(text, c.options.Limits)
}
