package ffmpeg

import (
	"strings"

	"github.com/videoactivmail/vam/internal/media"
)

// decoders name, for what is decoded, the decoders of ffmpeg where they have other names
// than the codec; the first that a build has is used.
func decoders(codec string) []string {
	switch codec {
	case "av1":
		return []string{"libdav1d", "libaom-av1", "av1"}
	case "mp3":
		return []string{"mp3float", "mp3"}
	case "mp2":
		return []string{"mp2float", "mp2"}
	case "amr_nb":
		return []string{"amrnb"}
	case "amr_wb":
		return []string{"amrwb"}
	case "dts":
		return []string{"dca"}
	case "flv1":
		return []string{"flv"}
	case "msmpeg4v3":
		return []string{"msmpeg4"}
	case "ssa":
		return []string{"ssa", "ass"}
	case "subrip":
		return []string{"subrip", "srt"}
	}
	return []string{codec}
}

// whitelist is what may be decoded of those types of tracks.
func whitelist(types ...media.TrackType) string {
	var out []string
	for _, t := range types {
		for _, c := range media.Codecs(t) {
			out = append(out, decoders(c)...)
		}
	}
	return strings.Join(out, ",")
}

// maxStreams is more than a recording has; MaxTracks is judged later, with a reason.
const maxStreams = "64"

// beside are decoders that ffprobe needs to open a file with cover art or pictures of text,
// of which nothing is made: it gives up on a track that it may not decode.
const beside = ",png,pgssub,dvdsub,dvbsub"

// reading are the arguments before an input: nothing but this one file, in this one
// container, with decoders of the list.
func reading(container string) []string { return restrict(container, "") }

func restrict(container, more string) []string {
	d := demuxer(container)
	return []string{"-protocol_whitelist", "file", "-format_whitelist", d, "-codec_whitelist", whitelist(media.Video, media.Audio, media.Text) + more, "-max_streams", maxStreams, "-f", d}
}
