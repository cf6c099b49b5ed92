package userapi

import (
	"context"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/userwire"
)

// Links are what lets people without an account watch; grant.Service has them.
type Links interface {
	Mint(ctx context.Context, account int64, k message.Key, rcpt vam.Address, t grant.Terms) (grant.Link, error)
	List(ctx context.Context, account int64, k message.Key) ([]grant.Grant, error)
	Revoke(ctx context.Context, account int64, id grant.ID) (grant.Grant, error)
}

// putLink makes a link, or shows the one that is there, under the terms of the body.
func (h *Handler) putLink(r *request) error {
	e, k, err := h.held(r)
	if err != nil {
		return err
	}
	if e.Bounce {
		return errReport()
	}
	if undecided(e) {
		return vam.Errorf(vam.Conflict, "the message is %s; accept it before you let others watch it", e.State)
	}
	terms, err := decode[userwire.LinkTerms](r)
	if err != nil {
		return err
	}
	rcpt, err := vam.ParseAddress(terms.For)
	if err != nil {
		return err
	}
	l, err := h.o.Links.Mint(r.Context(), r.acct.ID, k, rcpt, grant.Terms{Expires: terms.Expires, Password: terms.Password})
	if err != nil {
		return err
	}
	out := wireLink(l.Grant)
	out.URL = h.o.LinkURL(l.Token)
	return r.answer(http.StatusOK, out)
}

func (h *Handler) links(r *request) error {
	_, k, err := h.held(r)
	if err != nil {
		return err
	}
	list, err := h.o.Links.List(r.Context(), r.acct.ID, k)
	if err != nil {
		return err
	}
	out := userwire.Links{Links: []userwire.Link{}}
	for _, g := range list {
		out.Links = append(out.Links, wireLink(g))
	}
	return r.answer(http.StatusOK, out)
}

func (h *Handler) revokeLink(r *request) error {
	id, err := grant.ParseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	g, err := h.o.Links.Revoke(r.Context(), r.acct.ID, id)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, wireLink(g))
}

func wireLink(g grant.Grant) userwire.Link {
	return userwire.Link{
		ID: g.ID.String(), For: g.Rcpt.String(), Created: g.Created, Expires: g.Expires, Revoked: g.Revoked,
		Locked: g.Locked, Plays: g.Plays, Watched: g.Watched, LastPlay: g.LastPlay,
	}
}
