package userapi

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

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

// media serves the bytes of a message, also while they arrive: what is not here yet
// is waited for. Ranges are those of the final file.
func (h *Handler) media(r *request) error {
	e, k, err := h.held(r)
	if err != nil {
		return err
	}
	if err := readable(e); err != nil {
		return err
	}
	m, err := h.o.Messages.Get(r.Context(), k)
	if err != nil {
		return err
	}
	header := r.w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	name := "message-" + string(k.ID)
	if seal, err := h.o.Messages.SealRecord(r.Context(), m); err == nil && seal.Name != "" {
		name = seal.Name
	}
	header.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	if !m.Head.SealedAt.IsZero() && m.Head.MediaBytes == 0 {
		r.w.WriteHeader(http.StatusOK)
		return nil
	}
	media, err := h.o.Messages.OpenMedia(r.Context(), k)
	if err != nil {
		return err
	}
	defer func() { _ = media.Close() }()
	if m.Complete {
		header.Set("ETag", fmt.Sprintf("%q", fmt.Sprintf("%x", m.Head.Digest[:])))
		content := media.Content(r.Context(), m.Head.MediaBytes)
		defer func() { _ = content.Close() }()
		http.ServeContent(r.w, r.Request, "", time.Time{}, content)
		return nil
	}
	return h.stream(r, media)
}

func readable(e mailbox.Entry) error {
	switch e.State {
	case mailbox.Held:
		return vam.Errorf(vam.Conflict, "the message is held; accept it first, then its media is fetched")
	case mailbox.Withdrawn:
		return vam.Errorf(vam.Gone, "the sender took this message back").WithProblem("revoked")
	case mailbox.Expired:
		return vam.Errorf(vam.Gone, "this message has expired").WithProblem("expired")
	case mailbox.Failed, mailbox.Declined, mailbox.Lapsed:
		return vam.Errorf(vam.NotFound, "the message is %s; its media is not here", e.State)
	}
	return nil
}

// openRange reads a Range that names one place to start from. The end of a message that
// still arrives is not known, so that no other range has a meaning.
func openRange(header string) (from int64, ranged bool, err error) {
	if header == "" {
		return 0, false, nil
	}
	digits, ok := strings.CutPrefix(header, "bytes=")
	digits, open := strings.CutSuffix(digits, "-")
	if from, err = strconv.ParseInt(digits, 10, 64); err != nil || !ok || !open || from < 0 {
		return 0, false, vam.Errorf(vam.Invalid, "the message still arrives; ask for one range that is open at its end, as in bytes=0-")
	}
	return from, true, nil
}

// contentRange is that of an answer that goes on to the end, which may not be known yet
// (RFC 8673 section 2).
func contentRange(from, size int64, final bool) string {
	if final {
		return fmt.Sprintf("bytes %d-%d/%d", from, size-1, size)
	}
	const veryLarge = 1<<53 - 1
	return fmt.Sprintf("bytes %d-%d/*", from, int64(veryLarge))
}

// stream sends a message that still arrives, from the offset that Range names on.
func (h *Handler) stream(r *request, media *message.Media) error {
	from, ranged, err := openRange(r.Header.Get("Range"))
	if err != nil {
		return err
	}
	err = media.WaitFor(r.Context(), from)
	size, final := media.Size()
	header := r.w.Header()
	if errors.Is(err, io.EOF) && final {
		header.Set("Content-Range", fmt.Sprintf("bytes */%d", size))
		r.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	if err != nil {
		return err
	}
	status := http.StatusOK
	if final {
		header.Set("Content-Length", strconv.FormatInt(size-from, 10))
	}
	if ranged {
		status = http.StatusPartialContent
		header.Set("Content-Range", contentRange(from, size, final))
	}
	r.w.WriteHeader(status)
	flush := http.NewResponseController(r.w)
	buf := make([]byte, 256<<10)
	for at := from; ; {
		if err := media.WaitFor(r.Context(), at); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			panic(http.ErrAbortHandler) // a short body must not look whole
		}
		n, err := media.ReadAt(buf[:min(int64(len(buf)), media.Available(at)-at)], at)
		if n > 0 {
			if _, err := r.w.Write(buf[:n]); err != nil {
				return nil
			}
			at += int64(n)
			_ = flush.Flush()
		}
		if err != nil && n == 0 {
			panic(http.ErrAbortHandler)
		}
	}
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
