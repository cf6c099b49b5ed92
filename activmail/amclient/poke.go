package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Poke says that a log has grown (AM-6.30). Errors: NotFound (the peer does not know the
// message: nothing to repeat), those of the peer's problem, Unavailable, Busy (an answer
// that is not understood).
func (c *Client) Poke(ctx context.Context, origin vam.Domain, mid vam.MessageID, checkpoint []byte) error {
	_, _, err := c.document(ctx, &call{
		method: http.MethodPost, path: "/in/" + string(origin) + "/" + string(mid) + "/poke",
		contentType: activmail.CheckpointType, body: checkpoint,
	}, http.StatusNoContent)
	return err
}
