package web

import (
	"strings"

	"github.com/videoactivmail/vam/internal/hls"
	"github.com/videoactivmail/vam/internal/media"
)

// source is one way to play: the page offers them in order and the browser takes the
// first that it can.
type source struct{ URL, Type string }

// caption is one track of captions.
type caption struct {
	URL, Lang, Label string
	Default          bool
}

// sources lists the ways to play, the best one for this browser first.
func (l look) sources(base string) []source {
	var own, made, segments []source
	st := l.state
	switch st.Verdict.Play {
	case media.PlayOriginal:
		own = append(own, source{base + "/play/original", originalType(st.Info)})
	case media.PlayView:
		own = append(own, source{base + "/play/view", viewType(st.Info)})
	}
	if st.Play == media.PlayNone {
		own = nil
	}
	for _, a := range st.Renditions() {
		if name, ok := strings.CutSuffix(a.Name, ".mp4"); ok {
			made = append(made, source{base + "/play/" + name, a.Type})
		}
	}
	if st.Play != media.PlayNone && l.segmented() {
		segments = append(segments, source{base + "/hls/index.m3u8", hlsType})
	}
	fits := l.engine == "" || st.Verdict.In(l.engine)
	switch {
	case l.engine == media.Safari:
		if fits {
			return concat(segments, own, made)
		}
		return concat(segments, made, own)
	case fits:
		return concat(own, made, segments)
	}
	return concat(made, segments, own)
}

func concat(lists ...[]source) (out []source) {
	for _, l := range lists {
		out = append(out, l...)
	}
	return out
}

// segmented reports whether HLS can be had: of a whole recording in ISO boxes whose
// codecs every player of HLS has, or of a rendition. A live recording has its own way.
func (l look) segmented() bool {
	return len(l.state.Renditions()) > 0 || l.originalSegments()
}

func (l look) originalSegments() bool {
	v := l.state.Verdict
	return isISO(l.state.Info.Container) && v.In(media.Safari) && (v.Play == media.PlayOriginal || v.Play == media.PlayView) && l.arrival.complete
}

func isISO(container string) bool {
	return container == "mp4" || container == "mov" || container == "3gp"
}

const hlsType = hls.Type

// originalType is the media type of a recording that plays as it is, with the codecs
// when all of them are known.
func originalType(i media.Info) string {
	t := ""
	switch i.Container {
	case "webm", "matroska":
		t = "/webm"
	case "ogg":
		t = "/ogg"
	case "mp3":
		return "audio/mpeg"
	case "wav":
		return "audio/wav"
	case "flac":
		return "audio/flac"
	case "adts":
		return "audio/aac"
	default:
		t = "/mp4"
	}
	if i.Video() == nil && len(i.Tracks) > 0 {
		return withCodecs("audio"+t, i)
	}
	return withCodecs("video"+t, i)
}

// viewType is that of its view.
func viewType(i media.Info) string {
	if i.Video() == nil {
		return withCodecs("audio/mp4", i)
	}
	return withCodecs("video/mp4", i)
}

func withCodecs(t string, i media.Info) string {
	var codecs []string
	for _, track := range []*media.Track{i.Video(), i.Audio()} {
		if track == nil {
			continue
		}
		name := track.RFC6381
		switch track.Codec {
		case "vp8", "opus", "vorbis", "flac":
			name = track.Codec
		}
		if !plainCodec(name) {
			return t
		}
		codecs = append(codecs, name)
	}
	if len(codecs) == 0 {
		return t
	}
	return t + `; codecs="` + strings.Join(codecs, ", ") + `"`
}

// plainCodec reports whether a name can stand in a parameter.
func plainCodec(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' {
			return false
		}
	}
	return s != ""
}

// captions lists the tracks that were made of the recording's own texts.
func (l look) captions(base string, words *Catalogue) ([]caption, error) {
	var out []caption
	texts := l.state.Info.Texts()
	for n := range texts {
		if _, ok := l.state.Asset(media.CaptionsFile(n)); !ok {
			continue
		}
		c := caption{URL: base + "/captions/" + itoa(n) + ".vtt", Lang: languageTag(texts[n].Language), Default: texts[n].Default && len(out) == 0}
		var err error
		if c.Label, err = words.text("player.captions.n", "n", len(out)+1); err != nil {
			return nil, err
		}
		if len(texts) == 1 {
			c.Label, err = words.text("player.captions")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// languageTag is a language that may stand in a page, "" for an unknown one.
func languageTag(s string) string {
	if len(s) > 12 || !plainCodec(s) || s == "und" {
		return ""
	}
	return s
}

// assetName is the name of what was made of a recording by the rest of a path.
func assetName(rest string) (string, bool) {
	switch rest {
	case media.StoryboardFile, media.StoryboardTableFile, media.PreviewFile, media.PeaksFile:
		return rest, true
	}
	if name, ok := strings.CutPrefix(rest, "play/rendition"); ok {
		return "rendition" + name + ".mp4", name == "" || name[0] == '-' && digits(name[1:])
	}
	if name, ok := strings.CutPrefix(rest, "captions/"); ok {
		n, ok := strings.CutSuffix(name, ".vtt")
		return "captions-" + n + ".vtt", ok && digits(n)
	}
	return "", false
}

// digits reports whether s is a short number.
func digits(s string) bool {
	return s != "" && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// poster is the picture before the first play; "" when there is none.
func (l look) poster(base string) string {
	if _, made := l.state.Asset(media.PosterFile); !made && !l.sentPoster {
		return ""
	}
	return base + "/" + media.PosterFile
}
