package amserver

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/videoactivmail/vam/activmail"
)

// head answers GET /m/{mid} (AM-7.3) (AM-7.30).
func (h *handler) head(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	doc, err := h.Outbound.Head(r.Context(), p)
	if err != nil {
		return err
	}
	body, err := doc.Marshal()
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	etag := `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	w.Header().Set("ETag", etag)
	w.Header().Set("Cache-Control", "private, no-cache")
	if noneMatch(r, etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	writeDocument(w, r, http.StatusOK, activmail.HeadType, body)
	return nil
}
