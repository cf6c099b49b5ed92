package media

import (
	"fmt"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
)

// Play says how a recording reaches a browser.
type Play string

// The ways to play.
const (
	PlayOriginal  Play = "original"  // as it is
	PlayView      Play = "view"      // its own coded tracks in other boxes, computed while it is served
	PlayRendition Play = "rendition" // must be made first
	PlayNone      Play = "none"      // not at all; the Reason says why
)

// The browsers by their engines: "chromium" stands for Chrome, Edge and their kin, "safari"
// for every browser of an iPhone.
const (
	Chromium = "chromium"
	Firefox  = "firefox"
	Safari   = "safari"
)

// Verdict is what Judge says.
type Verdict struct {
	Play Play `json:"play"`
	// Browsers play the original or the view; empty for a rendition or none. The others
	// need the rendition.
	Browsers []string `json:"browsers,omitempty"`
	// Reason is why nothing plays; "" unless Play is PlayNone.
	Reason Reason `json:"reason,omitempty"`
	// Detail says in a few English words what decided, for the operator and vam probe, such
	// as "the sound is ac3".
	Detail string `json:"detail,omitempty"`
}

// Everywhere reports whether every browser plays the original or its view.
func (v Verdict) Everywhere() bool { return len(v.Browsers) == 3 }

// In reports whether that browser plays the original or its view.
func (v Verdict) In(browser string) bool {
	return slices.Contains(v.Browsers, browser)
}

// Judge says how the recording reaches browsers, from what its container says; whether
// its octets are sound shows only when they are played or decoded.
func Judge(i Info) Verdict {
	v, a := i.Video(), i.Audio()
	switch {
	case i.Encrypted:
		return Verdict{Play: PlayNone, Reason: Encrypted}
	case i.Container == "heif":
		return Verdict{Play: PlayNone, Reason: StillImage}
	case i.Kind() == vam.File:
		return Verdict{Play: PlayNone, Reason: NotMedia, Detail: "there is neither picture nor sound in it"}
	case len(i.Tracks) > MaxTracks:
		return Verdict{Play: PlayNone, Reason: TooLarge, Detail: fmt.Sprintf("it has %d tracks, and %d are read", len(i.Tracks), MaxTracks)}
	case v != nil && v.Codec == "" || v == nil && a.Codec == "":
		return Verdict{Play: PlayNone, Reason: Unsupported, Detail: "its format is not known here"}
	}
	if i.NoPicture { // browsers give up on the whole of it, also where they are asked for sound
		out := converted(i, v, a)
		out.Detail = "no picture of it can be decoded"
		return out
	}
	if out := asItIs(i, v, a); len(out.Browsers) > 0 {
		return out
	}
	return converted(i, v, a)
}

// asItIs is the verdict of the browsers; nobody plays it when there is none in it.
func asItIs(i Info, v, a *Track) Verdict {
	box := family(i.Container)
	out := Verdict{Play: PlayOriginal, Browsers: everyBrowser()}
	if v != nil {
		out.Browsers = v.browsers(box)
		if !out.Everywhere() {
			out.Detail = fmt.Sprintf("the picture is %s in %s", v.describe(), i.Container)
		}
	}
	lost := a != nil && v != nil && !a.Decodable() && len(a.browsers(box)) == 0
	if a != nil && !lost {
		before := len(out.Browsers)
		out.Browsers = both(out.Browsers, a.browsers(box))
		if len(out.Browsers) < before {
			out.Detail = fmt.Sprintf("the sound is %s in %s", a.describe(), i.Container)
		}
	}
	if box == isoBMFF && (i.Container != "mp4" || i.IndexLast || i.Fragmented || lost) {
		out.Play = PlayView
	} else if lost {
		out.Browsers = nil // nothing leaves the sound out but a view
	}
	if lost {
		out.Detail = "the sound is of a format that is not known here, and is left out"
	}
	return out
}

// converted is the verdict on what no browser plays as it is.
func converted(i Info, v, a *Track) Verdict {
	out := Verdict{Play: PlayRendition, Detail: asItIs(i, v, a).Detail}
	main := v
	if main == nil {
		main = a
	}
	switch {
	case !main.Decodable():
		out.Play, out.Reason = PlayNone, Unsupported
		out.Detail = fmt.Sprintf("%s is neither played by browsers nor decoded here", main.describe())
	case v != nil && int64(v.Width)*int64(v.Height) > MaxPixels:
		out.Play, out.Reason = PlayNone, TooLarge
		out.Detail = fmt.Sprintf("its pictures have %d × %d pixels", v.Width, v.Height)
	case i.Duration > MaxDuration:
		out.Play, out.Reason = PlayNone, TooLong
		out.Detail = fmt.Sprintf("it lasts %s", i.Duration.Round(time.Minute))
	}
	return out
}

func (t Track) describe() string {
	out := t.Codec
	if out == "" {
		out = "of an unknown format"
	}
	if t.BitDepth > 8 && t.Type == Video {
		out += fmt.Sprintf(" with %d bit", t.BitDepth)
	}
	if t.Colour.HDR() {
		out += " in high dynamic range"
	}
	return out
}

func both(a, b []string) []string {
	var out []string
	for _, x := range a {
		if slices.Contains(b, x) {
			out = append(out, x)
		}
	}
	return out
}
