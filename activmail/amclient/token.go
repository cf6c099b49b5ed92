package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// RenewToken asks for a new pull token for the message of an offer (AM-7.21). Errors:
// Denied, those of the peer's problem, Unavailable, Busy (an answer that is not
// understood).
func (c *Client) RenewToken(ctx context.Context, mid, offer vam.MessageID) (activmail.TokenGrant, error) {
	body, err := activmail.TokenRequest{Offer: offer}.Marshal()
	if err != nil {
		return activmail.TokenGrant{}, err
	}
	call := &call{method: http.MethodPost, path: "/m/" + string(mid) + "/token", contentType: activmail.HeadType, body: body}
	_, text, err := c.document(ctx, call, http.StatusOK)
	if err != nil {
		return activmail.TokenGrant{}, err
	}
	grant, err := activmail.ParseTokenGrant(text, c.options.Limits)
	return grant, call.misread(err)
}
