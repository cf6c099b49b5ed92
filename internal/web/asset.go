package web

import (
	"fmt"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/playback"
)

// asset sends something that was made of the recording.
func (v *visit) asset(name string) error {
	r, err := v.h.o.Playback.Open(v.Context(), v.grant.Key, name)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	kind, ok := assetType(name)
	if !ok {
		return vam.Errorf(vam.NotFound, "there is no such thing of this message")
	}
	mediaHeaders(v.w.Header(), kind)
	c := content{ReadSeeker: r, size: r.Size(), etag: assetTag(r, ""), alive: v.alive(nil)}
	if strings.HasSuffix(name, ".mp4") {
		c.sent = v.sent
	}
	c.serve(v.w, v.Request, &v.h.copies)
	return nil
}

// assetTag names the octets of an asset, or of a form that is computed from it: an object
// is never used twice.
func assetTag(r *playback.Reader, form string) string {
	return fmt.Sprintf("%q", r.Object.String()+form)
}

// assetType is the media type of an asset by its name: a maker's word is not enough for
// what a browser runs.
func assetType(name string) (string, bool) {
	for _, t := range []struct{ ext, kind string }{
		{".mp4", "video/mp4"},
		{".jpg", "image/jpeg"},
		{".gif", "image/gif"},
		{".vtt", "text/vtt; charset=utf-8"},
		{".json", "application/json"},
	} {
		if strings.HasSuffix(name, t.ext) {
			return t.kind, true
		}
	}
	return "", false
}
