package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// PutReceipt tells the origin what became of a recipient (AM-8.1). A repetition changes
// nothing. Errors: Denied, those of the peer's problem, Unavailable, Busy (an answer
// that is not understood).
func (c *Client) PutReceipt(ctx context.Context, mid vam.MessageID, r activmail.Receipt) error {
	body, err := r.Marshal()
	if err != nil {
		return err
	}
	_, _, err = c.document(ctx, &call{
		method:      http.MethodPut,
		path:        "/m/" + string(mid) + "/rcpt/" + activmail.RecipientID(mid, r.Recipient) + "/" + string(r.Event),
		contentType: activmail.HeadType, body: body,
	}, http.StatusCreated, http.StatusOK)
	return err
}
