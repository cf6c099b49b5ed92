package web

import (
	"fmt"
	"io"
	"net/http"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// maxPosterLine is among how many lines of a log a poster is looked for: authors send it
// first, so that it is there before the media.
const maxPosterLine = 32

// sentPoster is the record of the picture that the author's program sent along; false when
// there is none, or none of a kind that is shown here.
func (v *visit) sentPoster(m message.Message) (activmail.Record, bool) {
	if m.Head.Sides == 0 {
		return activmail.Record{}, false
	}
	lines, err := v.h.o.Messages.Lines(v.Context(), m.Key, 0, maxPosterLine)
	if err != nil {
		return activmail.Record{}, false
	}
	for _, line := range lines {
		r, err := activmail.ParseRecord(line.Raw, v.h.o.Messages.Limits())
		if err != nil || r.Kind != activmail.RecordPoster {
			continue
		}
		switch r.ContentType {
		case "image/jpeg", "image/png", "image/webp":
			return r, true
		}
	}
	return activmail.Record{}, false
}

// poster sends the picture that was made here, or until then the one that was sent along.
func (v *visit) poster() error {
	err := v.asset(media.PosterFile)
	if err == nil || vam.KindOf(err) != vam.NotFound {
		return err
	}
	m, src, err := v.open()
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	r, ok := v.sentPoster(m)
	if !ok {
		return vam.Errorf(vam.NotFound, "there is no picture of this message")
	}
	blob, size, err := src.Side(v.Context(), r.Blob)
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(blob, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return err
	}
	if kind := http.DetectContentType(head[:n]); kind != r.ContentType {
		return vam.Errorf(vam.NotFound, "the picture of this message is none")
	}
	mediaHeaders(v.w.Header(), r.ContentType)
	content{ReadSeeker: blob, size: size, etag: fmt.Sprintf("%q", r.Blob.String()), alive: v.alive(src)}.serve(v.w, v.Request, &v.h.copies)
	return nil
}
