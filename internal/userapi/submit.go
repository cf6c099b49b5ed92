package userapi

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/userwire"
)

// own is the message that the path names, if it is the account's.
func (h *Handler) own(r *request) (message.Key, submission.Draft, error) {
	id, err := vam.ParseMessageID(r.PathValue("mid"))
	if err != nil {
		return message.Key{}, submission.Draft{}, err
	}
	return h.o.Submission.Find(r.Context(), r.acct, id)
}

func (h *Handler) put(r *request) error {
	id, err := vam.ParseMessageID(r.PathValue("mid"))
	if err != nil {
		return err
	}
	if ct, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); ct == "multipart/form-data" {
		return h.putWhole(r, id)
	}
	wire, err := decode[userwire.Draft](r)
	if err != nil {
		return err
	}
	d, err := draft(wire)
	if err != nil {
		return err
	}
	m, created, err := h.o.Submission.Put(r.Context(), r.acct, id, d)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return h.answerMessage(r, status, m)
}

// draft turns the wire form into the service's, address by address.
func draft(w userwire.Draft) (d submission.Draft, err error) {
	d = submission.Draft{
		Subject: w.Subject, Text: w.Text, Kind: vam.Kind(w.Kind), Name: w.Name, Type: w.Type, Size: vam.Bytes(w.Size),
		DeliverBy: w.DeliverBy, NotBefore: w.NotBefore, Expires: w.Expires,
	}
	if d.Kind == "" {
		d.Kind = vam.File
	}
	if w.Size < 0 {
		return d, vam.Errorf(vam.Invalid, "the size is negative")
	}
	if w.From != "" {
		if d.From, err = vam.ParseAddress(w.From); err != nil {
			return d, err
		}
	}
	if d.To, err = addresses(w.To); err != nil {
		return d, err
	}
	if d.Bcc, err = addresses(w.Bcc); err != nil {
		return d, err
	}
	if w.MediaOf != "" {
		d.MediaOf, err = message.ParseKey(w.MediaOf)
	}
	return d, err
}

func addresses(in []string) ([]vam.Address, error) {
	out := make([]vam.Address, 0, len(in))
	for _, s := range in {
		a, err := vam.ParseAddress(s)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// upload is AM-13.7.
func (h *Handler) upload(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	sum, err := activmail.ParseSum(r.PathValue("sum"))
	if err != nil {
		return err
	}
	p := message.Piece{Sum: sum, Length: r.ContentLength, At: -1}
	if p.Length < 0 {
		return vam.Errorf(vam.Invalid, "a blob needs a Content-Length")
	}
	if at := r.URL.Query().Get("at"); at != "" {
		if p.At, err = strconv.ParseInt(at, 10, 64); err != nil || p.At < 0 {
			return vam.Errorf(vam.Invalid, "at is the offset of the blob in the file, a number from 0 on")
		}
	}
	created, err := h.o.Submission.Upload(r.Context(), r.acct, k, p, r.Body)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	r.w.WriteHeader(status)
	return nil
}

func (h *Handler) have(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	wire, err := decode[userwire.Have](r)
	if err != nil {
		return err
	}
	pieces := make([]message.Piece, 0, len(wire.Pieces))
	for _, p := range wire.Pieces {
		sum, err := activmail.ParseSum(p.Blob)
		if err != nil {
			return err
		}
		pieces = append(pieces, message.Piece{Sum: sum, Length: p.Length, At: p.At})
	}
	missing, err := h.o.Submission.Missing(r.Context(), r.acct, k, pieces)
	if err != nil {
		return err
	}
	out := userwire.Missing{Pieces: []userwire.Piece{}}
	for _, p := range missing {
		out.Pieces = append(out.Pieces, userwire.Piece{Blob: fmt.Sprintf("%x", p.Sum[:]), Length: p.Length, At: p.At})
	}
	return r.answer(http.StatusOK, out)
}

// append is AM-13.9, AM-13.10.
func (h *Handler) append(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	size, err := strconv.ParseInt(strings.Trim(r.Header.Get("If-Match"), `"`), 10, 64)
	if err != nil || size < 0 {
		return vam.Errorf(vam.Invalid, `an append needs If-Match with the number of lines that the log has, as in If-Match: "0"`)
	}
	body, err := io.ReadAll(http.MaxBytesReader(r.w, r.Body, maxLog))
	if err != nil {
		return err
	}
	body = bytes.TrimSuffix(body, []byte("\n"))
	if len(body) == 0 {
		return vam.Errorf(vam.Invalid, "there is no line in the body")
	}
	m, err := h.o.Submission.Append(r.Context(), r.acct, k, size, bytes.Split(body, []byte("\n")))
	if err != nil {
		return err
	}
	r.w.Header().Set("ETag", strconv.Quote(strconv.FormatInt(m.Head.Lines, 10)))
	return h.answerMessage(r, http.StatusOK, m)
}

// seal is AM-13.13.
func (h *Handler) seal(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	wire, err := decode[userwire.Seal](r)
	if err != nil {
		return err
	}
	var want activmail.Sum
	if wire.SHA256 != "" {
		if want, err = activmail.ParseSum(wire.SHA256); err != nil {
			return err
		}
	}
	m, err := h.o.Submission.Seal(r.Context(), r.acct, k, want)
	if err != nil {
		return err
	}
	return h.answerMessage(r, http.StatusOK, m)
}

func (h *Handler) send(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	m, err := h.o.Submission.Send(r.Context(), r.acct, k)
	if err != nil {
		return err
	}
	return h.answerMessage(r, http.StatusAccepted, m)
}

func (h *Handler) revoke(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	m, err := h.o.Submission.Revoke(r.Context(), r.acct, k)
	if err != nil {
		return err
	}
	return h.answerMessage(r, http.StatusOK, m)
}

func (h *Handler) discard(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	if err := h.o.Submission.Discard(r.Context(), r.acct, k); err != nil {
		return err
	}
	r.w.WriteHeader(http.StatusNoContent)
	return nil
}

func (h *Handler) show(r *request) error {
	k, _, err := h.own(r)
	if err != nil {
		return err
	}
	m, err := h.o.Messages.Get(r.Context(), k)
	if err != nil {
		return err
	}
	return h.answerMessage(r, http.StatusOK, m)
}

// answerMessage is AM-13.5.
func (h *Handler) answerMessage(r *request, status int, m message.Message) error {
	out := userwire.Message{
		ID: m.ID, Origin: m.Origin, State: m.State, Kind: m.Kind, From: m.Author, Subject: m.Subject, Text: m.Text,
		Lines: m.Head.Lines, Bytes: m.Head.MediaBytes, Duration: m.Head.Duration.Seconds(),
		Created: m.Created, Sent: m.SentAt, Sealed: m.Head.SealedAt, Expires: m.Expires,
	}
	if !m.Head.SealedAt.IsZero() {
		out.SHA256 = fmt.Sprintf("%x", m.Head.Digest[:])
	}
	var err error
	if out.Recipients, err = h.recipients(r.Context(), m.Key); err != nil {
		return err
	}
	return r.answer(status, out)
}

// recipients are where those of a sent message stand.
func (h *Handler) recipients(ctx context.Context, k message.Key) (out []userwire.Recipient, err error) {
	rcpts, err := h.o.Delivery.Recipients(ctx, k)
	for _, x := range rcpts {
		out = append(out, userwire.Recipient{
			Address: x.Address, Bcc: x.Hidden, State: x.State, Code: x.Code, Text: x.Text, Attempts: x.Attempts, Next: x.NextAt, Changed: x.Changed,
		})
	}
	return out, err
}
