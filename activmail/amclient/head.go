package amclient

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Head asks where a message stands (AM-7.3). Its checkpoint is not verified yet.
// Errors: Unauthenticated (token-invalid), Gone, those of the peer's problem,
// Unavailable, Invalid.
func (c *Client) Head(ctx context.Context, p Pull) (activmail.Head, error) {
	_, text, err := c.document(ctx, get(p, ""), http.StatusOK)
	if err != nil {
		return activmail.Head{}, err
	}
	head, err := activmail.ParseHead(text, c.options.Limits)
	if err == nil && head.MessageID != p.MessageID {
		return head, vam.Errorf(vam.Invalid, "the peer answered with the head of another message")
	}
	return head, err
}
