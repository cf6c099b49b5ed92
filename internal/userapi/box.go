package userapi

import (
	"fmt"
	"net/http"
	"strconv"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/userwire"
)

func (h *Handler) list(r *request) error {
	q := r.URL.Query()
	f := mailbox.Filter{Folder: mailbox.Folder(q.Get("folder")), State: mailbox.State(q.Get("state")), Before: vam.MessageID(q.Get("before")), Limit: 50}
	if f.Folder == "" {
		f.Folder = mailbox.Inbox
	}
	if s := q.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 200 {
			return vam.Errorf(vam.Invalid, "limit is a number from 1 to 200")
		}
		f.Limit = n
	}
	entries, err := h.o.Mailbox.Entries(r.Context(), r.acct.ID, f)
	if err != nil {
		return err
	}
	out := userwire.Entries{Entries: make([]userwire.Entry, 0, len(entries))}
	for _, e := range entries {
		x := wireEntry(e)
		if e.Folder == mailbox.Sent && e.State != mailbox.Draft {
			if x.Rcpts, err = h.recipients(r.Context(), message.Key{Origin: e.Origin, ID: e.ID}); err != nil {
				return err
			}
		}
		out.Entries = append(out.Entries, x)
	}
	if len(entries) == f.Limit {
		out.Next = string(entries[len(entries)-1].ID)
	}
	return r.answer(http.StatusOK, out)
}

// find lists the entries whose id begins or ends with what was typed.
func (h *Handler) find(r *request) error {
	entries, err := h.o.Mailbox.FindEntries(r.Context(), r.acct.ID, r.PathValue("part"), 10)
	if err != nil {
		return err
	}
	out := userwire.Entries{Entries: make([]userwire.Entry, 0, len(entries))}
	for _, e := range entries {
		out.Entries = append(out.Entries, wireEntry(e))
	}
	return r.answer(http.StatusOK, out)
}

func wireEntry(e mailbox.Entry) userwire.Entry {
	out := userwire.Entry{
		ID: e.ID, Origin: e.Origin, Folder: string(e.Folder), State: string(e.State), Reason: e.Reason, From: e.From.String(), To: e.Rcpt.String(),
		Subject: e.Subject, Kind: e.Kind, Bounce: e.Bounce, Bytes: int64(e.Size), Duration: e.Duration.Seconds(), At: e.At, Seen: e.Seen,
	}
	if undecided(e) {
		out.Subject, _ = preview(e.Subject, "")
	}
	return out
}

// held is the entry that the path names, if the account has it.
func (h *Handler) held(r *request) (mailbox.Entry, message.Key, error) {
	k, err := message.ParseKey(r.PathValue("origin") + "/" + r.PathValue("mid"))
	if err != nil {
		return mailbox.Entry{}, k, err
	}
	e, err := h.o.Mailbox.Entry(r.Context(), r.acct.ID, k.Origin, k.ID)
	return e, k, err
}

func (h *Handler) entry(r *request) error {
	e, k, err := h.held(r)
	if err != nil {
		return err
	}
	m, err := h.o.Messages.Get(r.Context(), k)
	if err != nil {
		return err
	}
	out := wireEntry(e)
	if undecided(e) {
		_, out.Text = preview(e.Subject, m.Text)
		return r.answer(http.StatusOK, out)
	}
	out.Text, out.Sealed = m.Text, !m.Head.SealedAt.IsZero()
	if out.Sealed && !e.Bounce {
		out.SHA256 = fmt.Sprintf("%x", m.Head.Digest[:])
	}
	if media, err := h.o.Messages.OpenMedia(r.Context(), k); err == nil {
		out.Available = media.Available(0)
		_ = media.Close()
	}
	if seal, err := h.o.Messages.SealRecord(r.Context(), m); err == nil {
		out.Name, out.Type = seal.Name, seal.ContentType
	}
	if e.Folder == mailbox.Sent {
		if out.Rcpts, err = h.recipients(r.Context(), k); err != nil {
			return err
		}
	}
	return r.answer(http.StatusOK, out)
}

func (h *Handler) mail(r *request) error {
	e, k, err := h.held(r)
	if err != nil {
		return err
	}
	if undecided(e) {
		return vam.Errorf(vam.Conflict, "the message is %s; its letter can be read when it was accepted", e.State)
	}
	mail, err := h.o.Messages.Mail(r.Context(), k)
	if err != nil {
		return err
	}
	r.w.Header().Set("Content-Type", "message/rfc822")
	r.w.Header().Set("Content-Disposition", `attachment; filename="message.eml"`)
	r.w.Header().Set("Content-Length", strconv.Itoa(len(mail)))
	_, _ = r.w.Write(mail)
	return nil
}

func (h *Handler) accept(r *request) error {
	_, k, err := h.held(r)
	if err != nil {
		return err
	}
	if err := h.o.Reception.Accept(r.Context(), r.acct, k); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) decline(r *request) error {
	_, k, err := h.held(r)
	if err != nil {
		return err
	}
	wire, err := decode[userwire.Decline](r)
	if err != nil {
		return err
	}
	if err := h.o.Reception.Decline(r.Context(), r.acct, k, wire.Tell); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) seen(r *request) error {
	_, k, err := h.held(r)
	if err != nil {
		return err
	}
	if err := h.o.Mailbox.MarkSeen(r.Context(), r.acct.ID, k.Origin, k.ID, h.o.Now()); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) remove(r *request) error {
	_, k, err := h.held(r)
	if err != nil {
		return err
	}
	if err := h.o.Mailbox.DeleteEntry(r.Context(), r.acct.ID, k.Origin, k.ID); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) contacts(r *request) error {
	all, err := h.o.Accounts.Store().Contacts(r.Context(), r.acct.ID)
	if err != nil {
		return err
	}
	out := userwire.Contacts{Contacts: make([]userwire.Contact, 0, len(all))}
	for _, c := range all {
		out.Contacts = append(out.Contacts, userwire.Contact{Address: c.Address, Standing: string(c.Standing), Since: c.Since})
	}
	return r.answer(http.StatusOK, out)
}

func (h *Handler) putContact(r *request) error {
	a, err := vam.ParseAddress(r.PathValue("address"))
	if err != nil {
		return err
	}
	wire, err := decode[userwire.Contact](r)
	if err != nil {
		return err
	}
	st := account.Standing(wire.Standing)
	if st == "" {
		st = account.Known
	}
	if st != account.Known && st != account.Blocked {
		return vam.Errorf(vam.Invalid, "standing is known or blocked")
	}
	if err := h.o.Accounts.Store().SetStanding(r.Context(), r.acct.ID, a, st, h.o.Now()); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) dropContact(r *request) error {
	a, err := vam.ParseAddress(r.PathValue("address"))
	if err != nil {
		return err
	}
	if err := h.o.Accounts.Store().SetStanding(r.Context(), r.acct.ID, a, account.Unknown, h.o.Now()); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}
