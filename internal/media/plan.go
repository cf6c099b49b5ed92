package media

import "time"

// From where on an improvement is worth its processor time.
const (
	largestShort  = 1080       // pixels of the short side that a page shows with gain
	smallShort    = 480        // the rung for slow lines
	heavy         = 12_000_000 // bits per second that many lines do not carry
	middling      = 2_500_000
	worthSeeking  = 8 * time.Second
	worthSwitches = 20 * time.Second
)

// Plan lists what is worth making of the recording, the most urgent first: the poster, the
// first thing that plays, the rest. It is empty when nothing plays.
func Plan(i Info, v Verdict) []Work {
	switch {
	case v.Play == PlayNone:
		return nil
	case i.Video() == nil:
		return planSound(i, v)
	}
	return planPicture(i, v)
}

func planSound(i Info, v Verdict) []Work {
	a := i.Audio()
	if a == nil || !a.Decodable() || i.Duration > MaxDuration {
		return nil
	}
	out := []Work{NewWork(Peaks)}
	if !v.Everywhere() {
		out = append(out, rendition(i, v, 0))
	}
	return out
}

func planPicture(i Info, v Verdict) []Work {
	t := i.Video()
	var captions []Work
	if len(i.Texts()) > 0 {
		captions = append(captions, NewWork(Captions))
	}
	if !t.Decodable() || int64(t.Width)*int64(t.Height) > MaxPixels {
		return captions
	}
	out := []Work{NewWork(Poster)}
	if i.Duration > MaxDuration {
		return append(out, captions...)
	}
	if !v.Everywhere() {
		out = append(out, rendition(i, v, 0))
	}
	out = append(out, captions...)
	out = append(out, NewWork(Preview))
	if i.Duration >= worthSeeking {
		out = append(out, NewWork(Storyboard))
	}
	return append(out, improvements(i, v)...)
}

// improvements are the renditions that nobody waits for: one that lets a page show very
// large or heavy pictures with ease, one for players that do not know WebM, and a small one for
// slow lines. A screen keeps its pixels, because text that was made smaller cannot be read.
func improvements(i Info, v Verdict) []Work {
	var out []Work
	short := i.Video().short()
	switch {
	case !v.Everywhere():
	case i.Container == "webm":
		out = append(out, rendition(i, v, 0))
	case short > largestShort && !i.Screen, i.BitRate() > heavy:
		out = append(out, rendition(i, v, 0))
	}
	if short > smallShort && !i.Screen && i.Duration >= worthSwitches && (i.BitRate() > middling || !v.Everywhere() && short >= 720) {
		out = append(out, rendition(i, v, smallShort))
	}
	return out
}

// rendition copies what browsers take already: then it is quick, and nothing is lost.
func rendition(i Info, v Verdict, short int) Work {
	w := NewWork(Rendition)
	w.Short = short
	if t := i.Video(); t != nil {
		w.CopyVideo = short == 0 && !v.Everywhere() && t.Codec == "h264" && t.ordinary()
	}
	if a := i.Audio(); a != nil {
		w.CopyAudio = a.Codec == "aac" && (a.Profile == "" || a.Profile == "LC") && a.Channels <= 2
	}
	return w
}

// short is the shorter side as shown, in pixels.
func (t Track) short() int {
	w, h := t.DisplayWidth, t.DisplayHeight
	if w == 0 || h == 0 {
		w, h = t.Width, t.Height
	}
	return min(w, h)
}
