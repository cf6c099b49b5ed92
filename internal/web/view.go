package web

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/hls"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
)

// playView is the original in other boxes, which exist as a computation: one file with a
// known size and ranges. Where there is no view, or not yet, it is the original itself.
func (v *visit) playView() error {
	st, err := v.h.o.Playback.State(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	if st.Play == media.PlayNone || st.Verdict.Play != media.PlayView {
		return vam.Errorf(vam.NotFound, "this recording is not played in this form")
	}
	m, src, err := v.open()
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	contentType, _, _ := mime.ParseMediaType(viewType(st.Info))
	mediaHeaders(v.w.Header(), contentType)
	view, err := v.viewOf(m, src)
	if err != nil {
		return v.send(m, src)
	}
	ctx, cancel := v.untilStop()
	defer cancel()
	content{
		ReadSeeker: view.Progressive(waitingReaderAt{ctx, src}), size: view.Size(), etag: etag(m, "-view"), modified: m.Head.SealedAt,
		alive: v.alive(src), sent: v.sent,
	}.serve(v.w, v.Request, &v.h.copies)
	return nil
}

// viewOf is the view of the original. Of one whose end is not known there is none: it would
// end with what is here now.
func (v *visit) viewOf(m message.Message, src *message.Media) (*cmaf.View, error) {
	size, final := src.Size()
	if m.Media == (blob.ID{}) || size == 0 || !final {
		return nil, errIndexMissing()
	}
	return v.h.views.get(v.Context(), viewKey{m.Media, size}, hereReader{src})
}

// originalTrack is the name of the original among the tracks of HLS; the others are those
// of renditions.
const originalTrack = "original"

// track is one rendition for HLS: the view and where its media is read from. Close it.
type track struct {
	view *cmaf.View
	io.ReaderAt
	io.Closer
	etag  string
	alive func() error
}

// track opens the view of a rendition or of the original, whose octets are waited for until
// ctx ends.
func (v *visit) track(ctx context.Context, name string) (*track, error) {
	if name == originalTrack {
		m, src, err := v.open()
		if err != nil {
			return nil, err
		}
		view, err := v.viewOf(m, src)
		if err != nil {
			_ = src.Close()
			return nil, err
		}
		return &track{view, waitingReaderAt{ctx, src}, src, strings.Trim(etag(m, ""), `"`), v.alive(src)}, nil
	}
	r, err := v.h.o.Playback.Open(v.Context(), v.grant.Key, name+".mp4")
	if err != nil {
		return nil, err
	}
	view, err := v.h.views.get(v.Context(), viewKey{r.Object, r.Size()}, r)
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return &track{view, r, r, r.Object.String(), v.alive(nil)}, nil
}

// hlsIndex lists the renditions, the one to begin with first.
func (v *visit) hlsIndex() error {
	st, err := v.h.o.Playback.State(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	m, err := v.h.o.Messages.Get(v.Context(), v.grant.Key)
	if err != nil {
		return err
	}
	l, err := v.look(m, st)
	if err != nil {
		return err
	}
	var list hls.Multivariant
	list.Independent = true
	add := func(name string, is hls.Variant) {
		t, err := v.track(v.Context(), name)
		if err != nil {
			v.h.o.Log.Warn("a rendition cannot be listed", "message", v.grant.Key.String(), "rendition", name, "err", err)
			return
		}
		defer func() { _ = t.Close() }()
		list.Independent = list.Independent && t.view.Independent()
		is.URI, is.Codecs = name+"/index.m3u8", t.view.Codecs()
		is.Bandwidth, is.Average = t.view.Bandwidth()
		list.Variants = append(list.Variants, is)
	}
	if l.originalSegments() {
		var is hls.Variant
		if t := st.Info.Video(); t != nil {
			is = hls.Variant{Width: t.DisplayWidth, Height: t.DisplayHeight, FrameRate: t.FrameRate, VideoRange: videoRange(t.Colour)}
		}
		add(originalTrack, is)
	}
	for _, a := range st.Renditions() {
		add(strings.TrimSuffix(a.Name, ".mp4"), hls.Variant{Width: a.Width, Height: a.Height})
	}
	if len(list.Variants) == 0 {
		return vam.Errorf(vam.NotFound, "this recording is not played in this form")
	}
	return v.playlist(list.String())
}

// videoRange is the word of HLS for a high dynamic range; "" is the ordinary one.
func videoRange(c media.Colour) string {
	switch c.Transfer {
	case "smpte2084":
		return "PQ"
	case "arib-std-b67":
		return "HLG"
	}
	return ""
}

func (v *visit) playlist(text string) error {
	mediaHeaders(v.w.Header(), hlsType)
	writeWhole(v.w, v.Request, http.StatusOK, []byte(text))
	return nil
}

// hlsFile is the playlist of one rendition, its init segment, or one of its segments.
func (v *visit) hlsFile(name, file string) error {
	ctx, cancel := v.untilStop()
	defer cancel()
	t, err := v.track(ctx, name)
	if err != nil {
		return err
	}
	defer func() { _ = t.Close() }()
	c := content{alive: t.alive, etag: fmt.Sprintf("%q", t.etag+"-"+file)}
	segments := t.view.Segments()
	switch n, err := strconv.Atoi(strings.TrimSuffix(file, ".m4s")); {
	case file == "index.m3u8":
		list := hls.Media{Map: "init.mp4", Independent: t.view.Independent()}
		for i, s := range segments {
			list.Segments = append(list.Segments, hls.Segment{URI: strconv.Itoa(i) + ".m4s", Duration: s.Duration})
		}
		return v.playlist(list.String())
	case file == "init.mp4":
		c.ReadSeeker, c.size = strings.NewReader(string(t.view.Init())), int64(len(t.view.Init()))
	case err == nil && n < len(segments):
		c.ReadSeeker, c.size, c.sent = t.view.Open(t.ReaderAt, n), segments[n].Size, v.sent
	default:
		return vam.Errorf(vam.NotFound, "there is no such segment")
	}
	mediaHeaders(v.w.Header(), "video/mp4")
	c.serve(v.w, v.Request, &v.h.copies)
	return nil
}

// hlsName reads "hls/{track}/{file}".
func hlsName(rest string) (track, file string, ok bool) {
	rest, ok = strings.CutPrefix(rest, "hls/")
	track, file, cut := strings.Cut(rest, "/")
	number, segment := strings.CutSuffix(file, ".m4s")
	known := file == "index.m3u8" || file == "init.mp4" || segment && digits(number)
	tail, made := strings.CutPrefix(track, "rendition")
	made = made && (tail == "" || tail[0] == '-' && digits(tail[1:]))
	return track, file, ok && cut && known && (track == originalTrack || made)
}
