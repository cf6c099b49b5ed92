package main

import "github.com/videoactivmail/vam/internal/media"

// recording is what is known of a file before any of it is decoded, as
// `vam probe --json` prints it. It is a form of its own, because that of media.Info is
// what the database keeps. A key that is absent is not known.
type recording struct {
	Container  string           `json:"container,omitempty"` // mp4, mov, webm, matroska, mpegts, avi, ogg, mp3, wav …
	Brands     []string         `json:"brands,omitempty"`    // of an ISO base media file, the major one first
	Size       int64            `json:"size,omitempty"`
	Duration   float64          `json:"duration_seconds,omitempty"` // what a player shows
	Tracks     []recordingTrack `json:"tracks,omitempty"`
	Fragmented bool             `json:"fragmented,omitempty"` // an ISO base media file that comes in fragments
	IndexLast  bool             `json:"index_last,omitempty"` // its index stands behind the media
	Encrypted  bool             `json:"encrypted,omitempty"`  // at least one track needs a key
	Chapters   int              `json:"chapters,omitempty"`   // how many
}

type recordingTrack struct {
	ID            int             `json:"id"`                       // the container's own number
	Type          media.TrackType `json:"type"`                     // video, audio, text or data (what is not shown)
	Codec         string          `json:"codec,omitempty"`          // as ffprobe names it: h264, hevc, vp9, av1, aac, opus …
	RFC6381       string          `json:"rfc6381,omitempty"`        // the codecs parameter, such as avc1.64001f
	Profile       string          `json:"profile,omitempty"`        // as ffprobe names it: High, Main 10, LC …
	Width         int             `json:"width,omitempty"`          // in pixels, as coded
	Height        int             `json:"height,omitempty"`         // in pixels, as coded
	DisplayWidth  int             `json:"display_width,omitempty"`  // in pixels, as shown
	DisplayHeight int             `json:"display_height,omitempty"` // in pixels, as shown
	Rotation      int             `json:"rotation,omitempty"`       // degrees clockwise that make the picture stand upright
	FrameRate     float64         `json:"frame_rate,omitempty"`     // mean, frames a second
	VariableRate  bool            `json:"variable_rate,omitempty"`  // frames do not come at even distances
	PixelFormat   string          `json:"pixel_format,omitempty"`   // as ffmpeg names it, such as yuv420p10le
	BitDepth      int             `json:"bit_depth,omitempty"`      // of one component
	Colour        recordingColour `json:"colour,omitzero"`
	Channels      int             `json:"channels,omitempty"`
	SampleRate    int             `json:"sample_rate,omitempty"` // in Hz
	Language      string          `json:"language,omitempty"`    // a tag of BCP 47 or a code of ISO 639-2
	Default       bool            `json:"default,omitempty"`     // a player picks this one among those of its type
	Duration      float64         `json:"duration_seconds,omitempty"`
	Start         float64         `json:"start_seconds,omitempty"` // on the clock of the recording; may be negative
	BitRate       int64           `json:"bit_rate,omitempty"`      // bits a second
}

type recordingColour struct {
	Primaries string `json:"primaries,omitempty"`  // as ffmpeg names it: bt709, bt2020 …
	Transfer  string `json:"transfer,omitempty"`   // the same: bt709, smpte2084 (PQ), arib-std-b67 (HLG) …
	Matrix    string `json:"matrix,omitempty"`     // the same
	FullRange bool   `json:"full_range,omitempty"` // black is 0 rather than 16
}

func recordingOf(i media.Info) recording {
	out := recording{
		Container: i.Container, Brands: i.Brands, Size: i.Size, Duration: i.Duration.Seconds(),
		Fragmented: i.Fragmented, IndexLast: i.IndexLast, Encrypted: i.Encrypted, Chapters: i.Chapters,
	}
	for _, t := range i.Tracks {
		out.Tracks = append(out.Tracks, recordingTrack{
			ID: t.ID, Type: t.Type, Codec: t.Codec, RFC6381: t.RFC6381, Profile: t.Profile,
			Width: t.Width, Height: t.Height, DisplayWidth: t.DisplayWidth, DisplayHeight: t.DisplayHeight,
			Rotation: t.Rotation, FrameRate: t.FrameRate, VariableRate: t.VariableRate,
			PixelFormat: t.PixelFormat, BitDepth: t.BitDepth, Colour: recordingColour(t.Colour),
			Channels: t.Channels, SampleRate: t.SampleRate, Language: t.Language, Default: t.Default,
			Duration: t.Duration.Seconds(), Start: t.Start.Seconds(), BitRate: t.BitRate,
		})
	}
	return out
}
