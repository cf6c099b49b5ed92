package userclient

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/userwire"
)

// Me is the account of the token.
func (c *Client) Me(ctx context.Context) (userwire.Me, error) {
	return ask[userwire.Me](ctx, c, http.MethodGet, "/me", nil)
}

// Put makes a draft or replaces what was said of it.
func (c *Client) Put(ctx context.Context, id vam.MessageID, d userwire.Draft) (userwire.Message, error) {
	m, _, err := c.put(ctx, id, d)
	return m, err
}

// put also says whether this request made the draft.
func (c *Client) put(ctx context.Context, id vam.MessageID, d userwire.Draft) (m userwire.Message, made bool, err error) {
	r, err := jsonRequest(http.MethodPut, "/m/"+string(id), d)
	if err != nil {
		return m, false, err
	}
	status, err := c.document(ctx, r, &m)
	return m, status == http.StatusCreated, err
}

// Message is a message of the account as its author sees it.
func (c *Client) Message(ctx context.Context, id vam.MessageID) (userwire.Message, error) {
	return ask[userwire.Message](ctx, c, http.MethodGet, "/m/"+string(id), nil)
}

// Upload stores one part, which stands at an offset of the file. data may be changed when
// Upload has returned, unless ctx has ended.
func (c *Client) Upload(ctx context.Context, id vam.MessageID, sum activmail.Sum, at int64, data []byte) error {
	r := request{method: http.MethodPut, path: "/m/" + string(id) + "/b/" + sum.String() + "?at=" + strconv.FormatInt(at, 10), body: data, header: http.Header{}}
	r.header.Set("Content-Type", "application/octet-stream")
	_, err := c.document(ctx, r, nil)
	return err
}

// Missing asks which pieces are still to be uploaded.
func (c *Client) Missing(ctx context.Context, id vam.MessageID, pieces []userwire.Piece) ([]userwire.Piece, error) {
	missing, err := ask[userwire.Missing](ctx, c, http.MethodPost, "/m/"+string(id)+"/have", userwire.Have{Pieces: pieces})
	return missing.Pieces, err
}

// Append extends the log by lines when it has exactly size of them. Conflict
// (log-position) otherwise.
func (c *Client) Append(ctx context.Context, id vam.MessageID, size int64, lines [][]byte) (m userwire.Message, err error) {
	r := request{method: http.MethodPost, path: "/m/" + string(id) + "/log", body: bytes.Join(lines, []byte("\n")), header: http.Header{}}
	r.header.Set("Content-Type", "application/vnd.vam.log")
	r.header.Set("If-Match", strconv.Quote(strconv.FormatInt(size, 10)))
	_, err = c.document(ctx, r, &m)
	return m, err
}

// Seal ends the log; sum, unless it is zero, is what the file must hash to.
func (c *Client) Seal(ctx context.Context, id vam.MessageID, sum activmail.Sum) (userwire.Message, error) {
	var in userwire.Seal
	if sum != (activmail.Sum{}) {
		in.SHA256 = sum.String()
	}
	return ask[userwire.Message](ctx, c, http.MethodPost, "/m/"+string(id)+"/seal", in)
}

// Send hands the message over to the server, which is responsible for it from then on.
func (c *Client) Send(ctx context.Context, id vam.MessageID) (userwire.Message, error) {
	return ask[userwire.Message](ctx, c, http.MethodPost, "/m/"+string(id)+"/send", nil)
}

// Revoke takes a message back.
func (c *Client) Revoke(ctx context.Context, id vam.MessageID) (userwire.Message, error) {
	return ask[userwire.Message](ctx, c, http.MethodPost, "/m/"+string(id)+"/revoke", nil)
}

// Discard removes a message that was not sent.
func (c *Client) Discard(ctx context.Context, id vam.MessageID) error {
	return c.call(ctx, http.MethodDelete, "/m/"+string(id), nil, nil)
}
