package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam/activmail"
)

// OfferState asks for the present answer to an offer (AM-6.10). Errors: NotFound, those
// of the peer's problem, Unavailable, Busy (an answer that is not understood).
func (c *Client) OfferState(ctx context.Context, name OfferName) (activmail.OfferAnswer, error) {
	call := &call{method: http.MethodGet, path: name.path()}
	_, text, err := c.document(ctx, call, http.StatusOK)
	if err != nil {
		return activmail.OfferAnswer{}, err
	}
	answer, err := activmail.ParseOfferAnswer(text, c.options.Limits)
	return answer, call.misread(err)
}
