package amserver

import (
	"net/http"
	"strconv"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// entry answers GET /m/{mid}/e/{n} (AM-7.9).
func (h *handler) entry(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	n, ok := count(r.PathValue("n"))
	if !ok || n >= h.Limits.Lines {
		return vam.Errorf(vam.Invalid, "a log has entries 0 to %d", h.Limits.Lines-1).WithProblem("malformed")
	}
	wait, e := preferredWait(r), Entry{}
	err = h.waiting(p.Token, wait, func() (err error) {
		e, err = h.Outbound.Entry(r.Context(), p, n, wait)
		return err
	})
	if err != nil {
		return err
	}
	if e.Blob != nil {
		defer e.Blob.Close()
	}
	if e.Line == nil {
		return nothingYet(w, e.Ended, e.Size)
	}
	body := e.Blob != nil && r.Method != http.MethodHead
	if body {
		leave, err := h.sending(p.Token)
		if err != nil {
			return err
		}
		defer leave()
	}
	header := w.Header()
	header["Vam-Record"] = []string{byteSequence(e.Line)}
	header["Vam-Checkpoint"] = []string{byteSequence(e.Checkpoint)}
	header.Set("Content-Type", h.recordType(e.Line))
	header.Set("Content-Length", strconv.FormatInt(int64(e.Length), 10))
	w.WriteHeader(http.StatusOK)
	if !body {
		return nil
	}
	out := newBodyWriter(w, e.Withdrawn)
	defer out.close()
	return h.sendAt(out, e.Blob, 0, int64(e.Length))
}

func (h *handler) recordType(line []byte) string {
	if rec, err := activmail.ParseRecord(line, h.Limits); err == nil && rec.ContentType != "" {
		return rec.ContentType
	}
	return octetStream
}
