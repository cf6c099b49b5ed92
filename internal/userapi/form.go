package userapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/userwire"
)

// maxFields is how many fields a form has at most.
const maxFields = 1000

// putWhole takes a whole message in one request: a form with the fields to (one or
// more), from, subject, text and kind, then one file. It is cut into parts, sealed
// and sent, so that any program that can post a form can send a video.
func (h *Handler) putWhole(r *request, id vam.MessageID) error {
	form, err := r.MultipartReader()
	if err != nil {
		return vam.Errorf(vam.Invalid, "the form cannot be read: %s", err)
	}
	var w userwire.Draft
	octets := 0
	for range maxFields {
		part, err := form.NextPart()
		if err == io.EOF { // bare: a form that was cut has an error around it
			return vam.Errorf(vam.Invalid, "the form has no file; it comes after the fields to, subject and text")
		}
		if err != nil {
			return errForm(err)
		}
		if part.FileName() != "" || part.FormName() == "media" {
			w.Name, w.Type = part.FileName(), mediaType(part.Header.Get("Content-Type"))
			return h.storeWhole(r, id, w, form, part)
		}
		value, err := io.ReadAll(io.LimitReader(part, maxJSON))
		if err != nil {
			return errForm(err)
		}
		if octets += len(part.FormName()) + len(value); octets >= maxJSON {
			return vam.Errorf(vam.TooLarge, "the fields of the form may have %s together (this server's limit)", vam.Bytes(maxJSON)).WithProblem("too-large")
		}
		if err := formField(&w, part.FormName(), string(value)); err != nil {
			return err
		}
	}
	return vam.Errorf(vam.TooLarge, "a form has at most %d fields (this server's limit)", maxFields).WithProblem("too-large")
}

func errForm(err error) error {
	return vam.Wrap(vam.Invalid, err, "the form cannot be read to its end; send it again under the same id")
}

// mediaType is what a program says that a file is, if a seal can say it too.
func mediaType(s string) string {
	if _, err := (activmail.Record{Kind: activmail.RecordSeal, SHA256: sha256.Sum256(nil), ContentType: s}).MarshalLine(); err != nil {
		return ""
	}
	return s
}

func formField(w *userwire.Draft, name, value string) error {
	switch name {
	case "from":
		w.From = value
	case "to":
		w.To = append(w.To, value)
	case "bcc":
		w.Bcc = append(w.Bcc, value)
	case "subject":
		w.Subject = value
	case "text":
		w.Text = value
	case "kind":
		w.Kind = value
	default:
		return vam.Errorf(vam.Invalid, "the form has no field %q: there are from, to, bcc, subject, text, kind and the file", name)
	}
	return nil
}

func (h *Handler) storeWhole(r *request, id vam.MessageID, w userwire.Draft, form *multipart.Reader, file io.Reader) error {
	d, err := draft(w)
	if err != nil {
		return err
	}
	ctx := r.Context()
	m, _, err := h.o.Submission.Put(ctx, r.acct, id, d)
	if err != nil {
		return err
	}
	var last [][]byte                   // the line of the last part
	sealed := !m.Head.SealedAt.IsZero() // an earlier request came this far
	if sealed {
		err = sameFile(m, file)
	} else {
		m, last, err = h.storeFile(ctx, r, m, file)
	}
	if err == nil {
		err = endOf(form)
	}
	if err != nil {
		if len(last) > 0 { // so that the same request, repeated, goes on behind it
			_, _ = h.o.Submission.Append(context.WithoutCancel(ctx), r.acct, m.Key, m.Head.Lines, last)
		}
		return err
	}
	if !sealed {
		if _, err := h.o.Submission.AppendSeal(ctx, r.acct, m.Key, m.Head.Lines, last); err != nil {
			return err
		}
	}
	if m, err = h.o.Submission.Send(ctx, r.acct, m.Key); err != nil {
		return err
	}
	return h.answerMessage(r, http.StatusAccepted, m)
}

// endOf reads what is behind the file, where the form ends.
func endOf(form *multipart.Reader) error {
	_, err := form.NextPart()
	switch {
	case err == io.EOF: // bare: a form that was cut has an error around it
		return nil
	case err == nil:
		return vam.Errorf(vam.Invalid, "there is something behind the file in the form; fields come before it, and one file")
	}
	return errForm(err) // what looked like the end of the file may not be
}

// sameFile compares a file with the one that a message was sealed over.
func sameFile(m message.Message, file io.Reader) error {
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return errForm(err)
	}
	if activmail.Hash(sum.Sum(nil)) != m.Head.Digest {
		return errOtherFile(m.Key)
	}
	return nil
}

// storeFile uploads file in parts and returns the line of the last one, which is left to
// go into the log with the seal; also after an error. A repetition of a request that was cut goes over what is
// there already, and finds out when that was another file.
func (h *Handler) storeFile(ctx context.Context, r *request, m message.Message, file io.Reader) (_ message.Message, last [][]byte, _ error) {
	buf := h.buffers.Get(int(activmail.FilePart))
	defer h.buffers.Put(buf)
	begun, line := m.Head.MediaBytes, int64(0)
	for at := int64(0); ; {
		n, err := fill(file, buf)
		if err != nil && !errors.Is(err, io.EOF) {
			return m, last, errForm(err)
		}
		if n > 0 {
			p := message.Piece{Sum: sha256.Sum256(buf[:n]), Length: int64(n), At: at}
			var perr error
			if at < begun {
				line, perr = h.sameAsBefore(ctx, m.Key, p, line)
			} else {
				m, last, perr = h.storePart(ctx, r, m, last, p, buf[:n])
			}
			if perr != nil {
				return m, last, perr
			}
			at += int64(n)
		}
		if err == nil {
			continue
		}
		if at < begun {
			return m, nil, errOtherFile(m.Key)
		}
		return m, last, nil
	}
}

// fill reads until buf is full or r ends. Other than io.ReadFull it tells the end, which
// is io.EOF, from a reader that broke.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	if n == len(buf) && errors.Is(err, io.EOF) {
		err = nil // the next call says it
	}
	return n, err
}

// sameAsBefore compares a part with the first line from line on that names media, and
// returns the line behind it.
func (h *Handler) sameAsBefore(ctx context.Context, k message.Key, p message.Piece, line int64) (int64, error) {
	for ; ; line++ {
		lines, err := h.o.Messages.Lines(ctx, k, line, 1)
		if err != nil {
			return line, err
		}
		if len(lines) == 0 {
			return line, errOtherFile(k)
		}
		l := lines[0]
		if l.Offset < 0 {
			continue
		}
		rec, err := activmail.ParseRecord(l.Raw, h.o.Messages.Limits())
		if err != nil || rec.Blob != p.Sum || l.Offset != p.At || l.Length != p.Length {
			return line, errOtherFile(k)
		}
		return line + 1, nil
	}
}

func errOtherFile(k message.Key) error {
	return vam.Errorf(vam.Conflict, "another file was begun under the message id %s; mint a fresh one, or delete the draft", k.ID)
}

// storePart appends the line of the part before, uploads a part, and returns its line.
func (h *Handler) storePart(ctx context.Context, r *request, m message.Message, before [][]byte, p message.Piece, data []byte) (message.Message, [][]byte, error) {
	if len(before) > 0 {
		after, err := h.o.Submission.Append(ctx, r.acct, m.Key, m.Head.Lines, before)
		if err != nil {
			return m, before, err
		}
		m = after
	}
	if _, err := h.o.Submission.Upload(ctx, r.acct, m.Key, p, bytes.NewReader(data)); err != nil {
		return m, nil, err
	}
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: p.Sum, Length: vam.Bytes(p.Length)}.MarshalLine()
	return m, [][]byte{line}, err
}
