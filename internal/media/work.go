package media

import (
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// WorkKind is a kind of thing that is made of a recording.
type WorkKind string

// The kinds of work. Probe finds out what the recording is and makes nothing.
const (
	Probe      WorkKind = "probe"
	Poster     WorkKind = "poster"     // one picture
	Rendition  WorkKind = "rendition"  // H.264 and AAC, or AAC alone, in MP4
	Storyboard WorkKind = "storyboard" // small pictures for seeking, and a table of them
	Preview    WorkKind = "preview"    // a short moving picture for mails
	Peaks      WorkKind = "peaks"      // the wave form of a sound
	Captions   WorkKind = "captions"   // the text tracks of the container
)

// WorkKinds lists every kind, for tables and their tests.
func WorkKinds() []WorkKind {
	return []WorkKind{Probe, Poster, Rendition, Storyboard, Preview, Peaks, Captions}
}

// Class says how long work takes, so that what is quick does not wait for what is long.
type Class string

// The classes. Quick work ends in seconds whatever the length of the recording or is
// linear in it with a small factor; Long work may take as long as the recording lasts.
const (
	Quick Class = "quick"
	Long  Class = "long"
)

// Class is that of every work of this kind.
func (k WorkKind) Class() Class {
	switch k {
	case Rendition, Storyboard:
		return Long
	}
	return Quick
}

// The names of what is made. They are names of files in the folder of a Make and names of
// assets in the store.
const (
	PosterFile          = "poster.jpg"
	StoryboardFile      = "storyboard.jpg" // one picture that holds all small ones
	StoryboardTableFile = "storyboard.vtt" // WebVTT; each cue is "storyboard.jpg#xywh=x,y,w,h"
	PreviewFile         = "preview.gif"
	PeaksFile           = "peaks.json" // {"duration":seconds,"peaks":[0..100,…]}
)

// RenditionFile is the name of a rendition whose short side has at most that many pixels;
// 0 is the first one, of the recording's own size where that is useful.
func RenditionFile(short int) string {
	if short == 0 {
		return "rendition.mp4"
	}
	return "rendition-" + strconv.Itoa(short) + ".mp4"
}

// CaptionsFile is the name of the n-th text track, counted from 0 as Info.Texts does.
func CaptionsFile(n int) string { return "captions-" + strconv.Itoa(n) + ".vtt" }

// Work is one thing to make of a recording. Equal works are equal values. Its text form
// (String, ParseWork) is stable: it is stored and identifies the work of a recording.
type Work struct {
	Kind  WorkKind
	Class Class
	// Short is the largest short side of a Rendition in pixels; 0 is no limit but that of
	// the maker.
	Short int
	// CopyVideo and CopyAudio say that a Rendition takes the coded track as it is.
	CopyVideo, CopyAudio bool
}

// NewWork is work of that kind without parameters.
func NewWork(k WorkKind) Work { return Work{Kind: k, Class: k.Class()} }

// String is the kind, then the parameters that are set, such as
// "rendition;short=480;copy=audio".
func (w Work) String() string {
	var b strings.Builder
	b.WriteString(string(w.Kind))
	if w.Short > 0 {
		b.WriteString(";short=" + strconv.Itoa(w.Short))
	}
	if w.CopyVideo {
		b.WriteString(";copy=video")
	}
	if w.CopyAudio {
		b.WriteString(";copy=audio")
	}
	return b.String()
}

// ParseWork reads the form of String. Errors: Invalid.
func ParseWork(s string) (Work, error) {
	bad := func() (Work, error) { return Work{}, vam.Errorf(vam.Invalid, "%.80q is not work on a recording", s) }
	kind, params, more := strings.Cut(s, ";")
	w := NewWork(WorkKind(kind))
	if !w.Kind.valid() {
		return bad()
	}
	for more {
		var p string
		p, params, more = strings.Cut(params, ";")
		switch name, value, _ := strings.Cut(p, "="); {
		case name == "short":
			n, err := strconv.Atoi(value)
			if err != nil {
				return bad()
			}
			w.Short = n
		case p == "copy=video":
			w.CopyVideo = true
		case p == "copy=audio":
			w.CopyAudio = true
		default:
			return bad()
		}
	}
	if w.String() != s || w.Kind != Rendition && w != NewWork(w.Kind) {
		return bad()
	}
	return w, nil
}

func (k WorkKind) valid() bool {
	for _, known := range WorkKinds() {
		if k == known {
			return true
		}
	}
	return false
}

// MarshalText writes the String form.
func (w Work) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// UnmarshalText reads the ParseWork form. Errors: Invalid.
func (w *Work) UnmarshalText(b []byte) error {
	v, err := ParseWork(string(b))
	if err != nil {
		return err
	}
	*w = v
	return nil
}

// Files are the names of what the work makes of that recording; none for Probe.
func (w Work) Files(info Info) []string {
	switch w.Kind {
	case Poster:
		return []string{PosterFile}
	case Rendition:
		return []string{RenditionFile(w.Short)}
	case Storyboard:
		return []string{StoryboardFile, StoryboardTableFile}
	case Preview:
		return []string{PreviewFile}
	case Peaks:
		return []string{PeaksFile}
	case Captions:
		var out []string
		for n := range info.Texts() {
			out = append(out, CaptionsFile(n))
		}
		return out
	}
	return nil
}
