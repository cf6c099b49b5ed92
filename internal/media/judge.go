package media

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
	for _, b := range v.Browsers {
		if b == browser {
			return true
		}
	}
	return false
}

// Judge says how the recording reaches browsers.
func Judge(i Info) Verdict {
	return Verdict{Play: PlayNone, Reason: NotMedia}
}

// Plan lists what is worth making of the recording, the most urgent first: the poster, the
// first thing that plays, the rest. It is empty when nothing can be made.
func Plan(i Info, v Verdict) []Work {
	return nil
}
