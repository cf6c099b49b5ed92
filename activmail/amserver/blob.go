package amserver

import (
	"encoding/hex"
	"net/http"
	"strings"

	"github.com/videoactivmail/vam"
)

// blob answers GET /m/{mid}/b/{sha256} (AM-7.13).
func (h *handler) blob(w http.ResponseWriter, r *http.Request) error {
	p, err := pull(r)
	if err != nil {
		return err
	}
	name, ok := parseSum(r.PathValue("sum"))
	if !ok {
		return notFound()
	}
	b, err := h.Outbound.Blob(r.Context(), p, name)
	if err != nil {
		return err
	}
	header := w.Header()
	if b.Redirect != "" {
		if !strings.HasPrefix(b.Redirect, "https://") {
			return vam.Errorf(vam.Internal, "the store of a blob has the URL %q, which is not https", b.Redirect)
		}
		header.Set("Location", b.Redirect)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return nil
	}
	defer b.Content.Close()
	leave, err := h.sending(p.Token)
	if err != nil {
		return err
	}
	defer leave()
	header.Set("Cache-Control", "private, immutable")
	header["Repr-Digest"] = []string{"sha-256=" + byteSequence(name[:])}
	return h.serveRange(w, r, content{
		Content: b.Content, size: int64(b.Size), contentType: b.ContentType,
		etag: `"` + hex.EncodeToString(name[:]) + `"`, withdrawn: b.Withdrawn,
	})
}
