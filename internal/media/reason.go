package media

import (
	"errors"

	"github.com/videoactivmail/vam"
)

// Reason is why something does not play or was not made; "" is no reason. The values are
// stable: they are stored and shown to programs.
type Reason string

// The reasons.
const (
	NotMedia    Reason = "not-media"   // no recording at all, or none that is looked into
	StillImage  Reason = "still-image" // a photo in a container of video
	Encrypted   Reason = "encrypted"
	Unsupported Reason = "unsupported" // a codec or container that is not decoded here
	Broken      Reason = "broken"
	TooLarge    Reason = "too-large" // pictures of more than MaxPixels, more tracks than MaxTracks …
	TooLong     Reason = "too-long"  // longer than MaxDuration
	Expensive   Reason = "expensive" // took more time, memory or disk than one recording may take
	NoSandbox   Reason = "no-sandbox"
	NoFFmpeg    Reason = "no-ffmpeg"
	Failed      Reason = "failed" // did not work, for a reason on our side, as often as it is tried
)

// Reasons lists every reason, for tables and their tests.
func Reasons() []Reason {
	return []Reason{NotMedia, StillImage, Encrypted, Unsupported, Broken, TooLarge, TooLong, Expensive, NoSandbox, NoFFmpeg, Failed}
}

// Sentence says the reason to a person, in English; it is "" for no reason.
func (r Reason) Sentence() string {
	switch r {
	case "":
		return ""
	case NotMedia:
		return "This file is not a video or a sound recording. It can be downloaded as it is."
	case StillImage:
		return "This file is a still picture, not a video. It can be downloaded as it is."
	case Encrypted:
		return "This recording is encrypted and cannot be played without its key. It can be downloaded as it is."
	case Unsupported:
		return "This recording uses a format that browsers do not play and that this server cannot convert. It can be downloaded and may play in another program."
	case Broken:
		return "This recording is damaged and cannot be played. It can be downloaded as it is."
	case TooLarge:
		return "The pictures of this recording are larger than this server converts (8192 × 4320). It can be downloaded as it is."
	case TooLong:
		return "This recording is longer than this server converts (12 hours). It can be downloaded as it is."
	case Expensive:
		return "Converting this recording took more time or memory than this server allows for one. It can be downloaded as it is."
	case NoSandbox:
		return "This server does not convert recordings, because it cannot do so safely. The recording can be downloaded as it is."
	case NoFFmpeg:
		return "This server does not convert recordings, because ffmpeg is not installed on it. The recording can be downloaded as it is."
	}
	return "Converting this recording failed on this server. It can be downloaded as it is."
}

// Kind classes the reason: what lies in the recording is permanent, what lies in the
// server may be mended.
func (r Reason) Kind() vam.ErrorKind {
	switch r {
	case TooLarge, TooLong, Expensive:
		return vam.TooLarge
	case NoSandbox, NoFFmpeg:
		return vam.Unavailable
	case Broken:
		return vam.Corrupt
	case NotMedia, StillImage, Encrypted, Unsupported:
		return vam.Invalid
	}
	return vam.Internal
}

// refusal carries a reason through a chain of errors.
type refusal struct {
	reason Reason
	cause  error
}

func (r *refusal) Error() string {
	if r.cause == nil {
		return string(r.reason)
	}
	return string(r.reason) + ": " + r.cause.Error()
}

func (r *refusal) Unwrap() error { return r.cause }

// Refuse is the error for a reason: its kind, its sentence, and a cause for the operator,
// which may be nil.
func Refuse(r Reason, cause error) *vam.Error {
	return vam.Wrap(r.Kind(), &refusal{reason: r, cause: cause}, "%s", r.Sentence())
}

// ReasonOf finds the reason that Refuse put into err's chain; "" when there is none.
func ReasonOf(err error) Reason {
	var r *refusal
	if errors.As(err, &r) {
		return r.reason
	}
	return ""
}
