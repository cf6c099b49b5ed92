package amclient

import (
	"context"
	"net/http"
	"strconv"

	"github.com/videoactivmail/vam/activmail"
)

// Inclusion asks for the proof that line leaf is in the tree of size lines (AM-7.14); it
// is not verified yet. Errors: Conflict (log-position), those of the peer's problem,
// Unavailable, Invalid.
func (c *Client) Inclusion(ctx context.Context, p Pull, leaf, size int64) (activmail.Proof, error) {
	return c.proof(ctx, p, "leaf=", leaf, size)
}

// Consistency asks for the proof that the tree of from lines is a prefix of that of size
// lines. Errors: as Inclusion.
func (c *Client) Consistency(ctx context.Context, p Pull, from, size int64) (activmail.Proof, error) {
	return c.proof(ctx, p, "from=", from, size)
}

func (c *Client) proof(ctx context.Context, p Pull, what string, n, size int64) (activmail.Proof, error) {
	call := get(p, "/proof")
	call.query = what + strconv.FormatInt(n, 10) + "&size=" + strconv.FormatInt(size, 10)
	_, text, err := c.document(ctx, call, http.StatusOK)
	if err != nil {
		return activmail.Proof{}, err
	}
	return activmail.ParseProof(text, c.options.Limits)
}
