package userclient

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userwire"
)

// List selects entries of the mailbox; zero fields are the server's defaults.
type List struct {
	Folder, State, Before string
	Limit                 int
}

// Entries lists a folder, newest first.
func (c *Client) Entries(ctx context.Context, l List) (userwire.Entries, error) {
	q := url.Values{}
	for name, value := range map[string]string{"folder": l.Folder, "state": l.State, "before": l.Before} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if l.Limit > 0 {
		q.Set("limit", strconv.Itoa(l.Limit))
	}
	return ask[userwire.Entries](ctx, c, http.MethodGet, "/box?"+q.Encode(), nil)
}

// Find lists the entries whose message id begins or ends with part.
func (c *Client) Find(ctx context.Context, part string) (userwire.Entries, error) {
	return ask[userwire.Entries](ctx, c, http.MethodGet, "/box/"+segment(part), nil)
}

func entryPath(origin vam.Domain, id vam.MessageID) string {
	return "/box/" + segment(string(origin)) + "/" + segment(string(id))
}

// Entry is one entry with everything that is known of it.
func (c *Client) Entry(ctx context.Context, origin vam.Domain, id vam.MessageID) (userwire.Entry, error) {
	return ask[userwire.Entry](ctx, c, http.MethodGet, entryPath(origin, id), nil)
}

// Media reads the file of a message from an offset on, also while it still arrives; size
// is the length of what follows, -1 while nobody knows. Close it.
func (c *Client) Media(ctx context.Context, origin vam.Domain, id vam.MessageID, from int64) (body io.ReadCloser, size int64, err error) {
	r := request{method: http.MethodGet, path: entryPath(origin, id) + "/media", header: http.Header{}}
	if from > 0 {
		r.header.Set("Range", "bytes="+strconv.FormatInt(from, 10)+"-")
	}
	res, err := c.send(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	return mediaBody{res.Body, ctx, c}, res.ContentLength, nil
}

// mediaBody turns a broken connection into a temporary error.
type mediaBody struct {
	io.ReadCloser
	ctx context.Context // of the request, which the body ends with
	c   *Client
}

func (b mediaBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		err = b.c.unreachable(b.ctx, err)
	}
	return n, err
}

// Mail is the RFC 5322 mail of a message.
func (c *Client) Mail(ctx context.Context, origin vam.Domain, id vam.MessageID) ([]byte, error) {
	_, mail, err := c.read(ctx, request{method: http.MethodGet, path: entryPath(origin, id) + "/mail"})
	return mail, err
}

// Accept takes a held message; its media is fetched from then on.
func (c *Client) Accept(ctx context.Context, origin vam.Domain, id vam.MessageID) error {
	return c.call(ctx, http.MethodPost, entryPath(origin, id)+"/accept", nil, nil)
}

// Decline refuses a held message; its author is told only when tell is set.
func (c *Client) Decline(ctx context.Context, origin vam.Domain, id vam.MessageID, tell bool) error {
	return c.call(ctx, http.MethodPost, entryPath(origin, id)+"/decline", userwire.Decline{Tell: tell}, nil)
}

// Seen marks an entry as looked at.
func (c *Client) Seen(ctx context.Context, origin vam.Domain, id vam.MessageID) error {
	return c.call(ctx, http.MethodPost, entryPath(origin, id)+"/seen", nil, nil)
}

// Delete removes an entry from the mailbox.
func (c *Client) Delete(ctx context.Context, origin vam.Domain, id vam.MessageID) error {
	return c.call(ctx, http.MethodDelete, entryPath(origin, id), nil, nil)
}

// Link makes a link to a message for somebody without an account, or shows the one that
// is there, under terms.
func (c *Client) Link(ctx context.Context, origin vam.Domain, id vam.MessageID, terms userwire.LinkTerms) (userwire.Link, error) {
	return ask[userwire.Link](ctx, c, http.MethodPost, entryPath(origin, id)+"/links", terms)
}

// Links lists the links that the account gave to a message.
func (c *Client) Links(ctx context.Context, origin vam.Domain, id vam.MessageID) (userwire.Links, error) {
	return ask[userwire.Links](ctx, c, http.MethodGet, entryPath(origin, id)+"/links", nil)
}

// RevokeLink ends a link.
func (c *Client) RevokeLink(ctx context.Context, id string) (userwire.Link, error) {
	return ask[userwire.Link](ctx, c, http.MethodDelete, "/links/"+segment(id), nil)
}

// Contacts lists the correspondents that the account has decided about.
func (c *Client) Contacts(ctx context.Context) (userwire.Contacts, error) {
	return ask[userwire.Contacts](ctx, c, http.MethodGet, "/contacts", nil)
}

// SetContact makes an address known or blocked.
func (c *Client) SetContact(ctx context.Context, a vam.Address, standing string) error {
	return c.call(ctx, http.MethodPut, "/contacts/"+segment(a.String()), userwire.Contact{Address: a, Standing: standing}, nil)
}

// DropContact forgets what was decided about an address.
func (c *Client) DropContact(ctx context.Context, a vam.Address) error {
	return c.call(ctx, http.MethodDelete, "/contacts/"+segment(a.String()), nil, nil)
}
