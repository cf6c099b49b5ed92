// Package media says what a recording is, where it plays as it is, and what is worth
// making of it: the words and rules that the readers of containers, the makers of
// renditions, the store and the watch page share. It does no I/O; all of it may be used
// from several goroutines at once.
package media

import (
	"time"

	"github.com/videoactivmail/vam"
)

// Limits of what is decoded at all. A recording beyond them may still be played as it is
// and downloaded.
const (
	// MaxPixels is the area of one picture, 8192 × 4320.
	MaxPixels = 8192 * 4320
	// MaxDuration is the longest recording of which pictures and renditions are made.
	MaxDuration = 12 * time.Hour
	// MaxTracks is how many tracks a container may have.
	MaxTracks = 32
)

// Info is what is known of a recording before any of it is decoded. The zero value knows
// nothing. It is stored as JSON; a field that is missing there is not known.
type Info struct {
	// Container is "mp4", "mov", "3gp", "heif", "webm", "matroska", "mpegts", "avi", "flv",
	// "ogg", "mp3", "wav", "flac", "adts", "amr" …; "" is unknown.
	Container string `json:"container,omitempty"`
	// Brands are those of ISO base media (ISO/IEC 14496-12 section 4.3), the major one first.
	Brands []string `json:"brands,omitempty"`
	// Size is in octets.
	Size int64 `json:"size,omitempty"`
	// Duration is what a player shows; 0 is not known, as in a recording of a browser that
	// was written as a stream.
	Duration time.Duration `json:"duration,omitempty"`
	Tracks   []Track       `json:"tracks,omitempty"`
	// Fragmented says that ISO base media comes in fragments (moof).
	Fragmented bool `json:"fragmented,omitempty"`
	// IndexLast says that the index (moov) stands behind the media.
	IndexLast bool `json:"indexLast,omitempty"`
	// Encrypted says that at least one track cannot be read without a key.
	Encrypted bool `json:"encrypted,omitempty"`
	Chapters  int  `json:"chapters,omitempty"`
	// Screen says that the picture is a screen or slides, whose text must stay sharp.
	Screen bool `json:"screen,omitempty"`
	// NoPicture says that all of its pictures turned out to be damaged. It is then taken for
	// its sound alone.
	NoPicture bool `json:"noPicture,omitempty"`
}

// TrackType says what a track carries.
type TrackType string

// The types of tracks. Data is everything that is not shown: time codes, metadata, cover art.
const (
	Video TrackType = "video"
	Audio TrackType = "audio"
	Text  TrackType = "text"
	Data  TrackType = "data"
)

// Track is one track of a recording.
type Track struct {
	// ID is the container's own number, unique within the recording.
	ID   int       `json:"id"`
	Type TrackType `json:"type"`
	// Codec is named as ffprobe names it: "h264", "hevc", "vp8", "vp9", "av1", "aac", "opus",
	// "vorbis", "mp3", "ac3", "pcm_s16be" …; "" is unknown.
	Codec string `json:"codec,omitempty"`
	// RFC6381 is the codecs parameter, such as "avc1.64001f"; "" is unknown.
	RFC6381 string `json:"rfc6381,omitempty"`
	// Profile is named as ffprobe names it: "High", "Main 10", "LC" …
	Profile string `json:"profile,omitempty"`
	// Width and Height are in pixels as coded.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
	// DisplayWidth and DisplayHeight are in pixels as shown, after sample aspect and rotation.
	DisplayWidth  int `json:"displayWidth,omitempty"`
	DisplayHeight int `json:"displayHeight,omitempty"`
	// Rotation is how far the picture is turned clockwise to stand upright: 0, 90, 180 or 270
	// degrees.
	Rotation int `json:"rotation,omitempty"`
	// FrameRate is the mean in frames per second; 0 is not known.
	FrameRate float64 `json:"frameRate,omitempty"`
	// VariableRate says that frames do not come at even distances.
	VariableRate bool `json:"variableRate,omitempty"`
	// PixelFormat is named as ffmpeg names it, such as "yuv420p10le"; "" is unknown.
	PixelFormat string `json:"pixelFormat,omitempty"`
	// BitDepth is that of one component; 0 is not known.
	BitDepth int    `json:"bitDepth,omitempty"`
	Colour   Colour `json:"colour,omitzero"`

	Channels   int `json:"channels,omitempty"`
	SampleRate int `json:"sampleRate,omitempty"` // in Hz

	// Language is a tag of BCP 47 or a code of ISO 639-2; "" and "und" are unknown.
	Language string `json:"language,omitempty"`
	// Default says that a player picks this track among those of its type.
	Default bool `json:"default,omitempty"`
	// Duration is the length of this track; 0 is not known.
	Duration time.Duration `json:"duration,omitempty"`
	// Start is when the track begins, on the clock of the recording; it may be negative.
	Start time.Duration `json:"start,omitempty"`
	// BitRate is in bits per second; 0 is not known.
	BitRate int64 `json:"bitRate,omitempty"`
}

// Colour says how numbers become light, in the names of ffmpeg: "bt709", "bt2020",
// "smpte2084", "arib-std-b67" … An empty field is not known.
type Colour struct {
	Primaries string `json:"primaries,omitempty"`
	Transfer  string `json:"transfer,omitempty"`
	Matrix    string `json:"matrix,omitempty"`
	// FullRange says that black is 0 rather than 16.
	FullRange bool `json:"fullRange,omitempty"`
}

// HDR reports whether the transfer is one of high dynamic range: PQ or HLG (ITU-R BT.2100).
func (c Colour) HDR() bool { return c.Transfer == "smpte2084" || c.Transfer == "arib-std-b67" }

// Kind is what a message with this recording is: video, voice (sound only) or a file.
func (i Info) Kind() vam.Kind {
	switch {
	case i.Container == "heif" || i.Container == "":
		return vam.File
	case i.Video() != nil:
		return vam.Video
	case i.Audio() != nil:
		return vam.Voice
	}
	return vam.File
}

// Video is the picture that a player shows: the default track, else the first; nil when
// there is none, or nothing to be seen in it.
func (i Info) Video() *Track {
	if i.NoPicture {
		return nil
	}
	return i.pick(Video)
}

// Audio is the sound that a player plays; nil when there is none.
func (i Info) Audio() *Track { return i.pick(Audio) }

// Texts are the tracks of captions, in order.
func (i Info) Texts() []Track {
	var out []Track
	for _, t := range i.Tracks {
		if t.Type == Text {
			out = append(out, t)
		}
	}
	return out
}

func (i Info) pick(want TrackType) *Track {
	var first *Track
	for n := range i.Tracks {
		t := &i.Tracks[n]
		if t.Type != want {
			continue
		}
		if t.Default {
			return t
		}
		if first == nil {
			first = t
		}
	}
	return first
}

// BitRate is the mean of the whole recording in bits per second; 0 is not known.
func (i Info) BitRate() int64 {
	if i.Duration <= 0 {
		return 0
	}
	return int64(float64(i.Size) * 8 / i.Duration.Seconds())
}

// LargestRendition is the most that one rendition may take on the disk: 16 Mbit/s, 64 MiB
// beside for what is short, and 8 GiB whatever the recording says of its length.
func (i Info) LargestRendition() vam.Bytes {
	const perSecond = 2 * vam.MiB
	seconds := i.Duration.Seconds()
	if i.Duration <= 0 { // not known
		seconds = 600
	}
	return 64*vam.MiB + vam.Bytes(min(seconds*float64(perSecond), float64(8*vam.GiB)))
}
