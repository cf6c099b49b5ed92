package amclient

import (
	"context"
	"encoding/hex"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Blob asks for a blob by its name and the length that a record gives, and returns it
// verified (AM-7.13). Errors: Corrupt (other bytes), TooLarge (the length is over what
// is read here), NotFound, Gone, Unauthenticated, those of the peer's problem,
// Unavailable.
func (c *Client) Blob(ctx context.Context, p Pull, name activmail.Sum, length vam.Bytes) ([]byte, error) {
	if limit := max(c.options.Limits.Part, c.options.Limits.MailRef); length > limit {
		return nil, vam.Errorf(vam.TooLarge, "a blob of %v is over the %v that are read here", length, limit).WithProblem("too-large")
	}
	call := get(p, "/b/"+hex.EncodeToString(name[:]))
	call.bulk = length >= bulkRange
	a, err := c.expect(ctx, call, http.StatusOK, http.StatusTemporaryRedirect)
	if err != nil {
		return nil, err
	}
	resp := a.Response
	if resp.StatusCode == http.StatusTemporaryRedirect {
		if resp, err = c.redirected(ctx, a, ""); err != nil {
			return nil, err
		}
	}
	defer resp.Body.Close()
	return readBlob(resp, name, length)
}
