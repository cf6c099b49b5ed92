package media

import (
	"slices"
	"strings"
)

// What is decoded here. It is a short list on purpose: every decoder is code that reads
// strangers' octets, and the rare ones are the ones with holes.
var (
	videoCodecs = [...]string{
		"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "h263", "mpeg1video", "mpeg2video",
		"theora", "mjpeg", "prores", "dnxhd", "dvvideo", "flv1", "vp6f", "msmpeg4v3", "wmv2", "wmv3", "vc1",
	}
	audioCodecs = [...]string{
		"aac", "mp3", "mp2", "opus", "vorbis", "flac", "alac", "ac3", "eac3", "dts", "amr_nb", "amr_wb",
		"speex", "wmav1", "wmav2", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms",
		"pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le", "pcm_s32be",
		"pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_f64be", "pcm_mulaw", "pcm_alaw",
	}
	textCodecs = [...]string{"subrip", "webvtt", "mov_text", "ass", "ssa"}
)

// Codecs lists what is decoded of a type of tracks, as ffprobe names it.
func Codecs(t TrackType) []string {
	switch t {
	case Video:
		return slices.Clone(videoCodecs[:])
	case Audio:
		return slices.Clone(audioCodecs[:])
	case Text:
		return slices.Clone(textCodecs[:])
	}
	return nil
}

// Decodable reports whether renditions can be made of the track.
func (t Track) Decodable() bool {
	switch t.Type {
	case Video:
		return slices.Contains(videoCodecs[:], t.Codec)
	case Audio:
		return slices.Contains(audioCodecs[:], t.Codec)
	case Text:
		return slices.Contains(textCodecs[:], t.Codec)
	}
	return false
}

// The families of containers that browsers know.
const (
	isoBMFF = "iso-bmff"
	webM    = "webm"
	oggs    = "ogg"
	plain   = "plain" // sound alone: the container is the codec
)

func family(container string) string {
	switch container {
	case "mp4", "mov", "3gp":
		return isoBMFF
	case "webm":
		return webM
	case "ogg":
		return oggs
	case "mp3", "wav", "flac", "adts":
		return plain
	}
	return ""
}

func everyBrowser() []string { return []string{Chromium, Firefox, Safari} }

// browsers are those that play the track in that family of containers, with what is known
// in 2026 of their current releases. Where it depends on the hardware the answer is no.
func (t Track) browsers(family string) []string {
	if t.Type == Video {
		return t.pictureBrowsers(family)
	}
	switch family {
	case isoBMFF:
		switch t.Codec {
		case "aac", "mp3", "opus", "flac":
			return everyBrowser()
		case "alac", "ac3", "eac3":
			return []string{Safari}
		}
	case webM:
		if t.Codec == "opus" || t.Codec == "vorbis" {
			return everyBrowser()
		}
	case oggs:
		if t.Codec == "opus" || t.Codec == "vorbis" || t.Codec == "flac" {
			return []string{Chromium, Firefox}
		}
	case plain:
		switch t.Codec {
		case "mp3", "flac", "aac", "pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_f32le":
			return everyBrowser()
		}
	}
	return nil
}

func (t Track) pictureBrowsers(family string) []string {
	switch {
	case family == isoBMFF && t.Codec == "h264":
		if t.ordinary() {
			return everyBrowser()
		}
		return []string{Chromium}
	case family == isoBMFF && t.Codec == "hevc":
		return []string{Safari}
	case family == isoBMFF && t.Codec == "vp9", (family == isoBMFF || family == webM) && t.Codec == "av1":
		return t.free()
	case family == webM && t.Codec == "vp8":
		return everyBrowser()
	case family == webM && t.Codec == "vp9":
		if t.ordinary() {
			return everyBrowser()
		}
		return t.free()
	}
	return nil
}

// free are the browsers with decoders of their own for VP9 and AV1. Firefox does not bring
// a high dynamic range down to that of the screen; the picture would be pale.
func (t Track) free() []string {
	if t.Colour.HDR() {
		return []string{Chromium}
	}
	return []string{Chromium, Firefox}
}

// ordinary reports whether the picture has 8 bit and 4:2:0, which every decoder in
// hardware takes. What is not known is taken for ordinary.
func (t Track) ordinary() bool {
	if t.BitDepth > 8 || t.Colour.HDR() {
		return false
	}
	for _, odd := range []string{"High 10", "4:2:2", "4:4:4", "CAVLC", "Profile 1", "Profile 2", "Profile 3"} {
		if strings.Contains(t.Profile, odd) {
			return false
		}
	}
	return t.PixelFormat == "" || t.PixelFormat == "yuv420p" || t.PixelFormat == "yuvj420p"
}
