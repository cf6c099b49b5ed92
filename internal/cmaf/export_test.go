package cmaf

import "time"

// Duration is the length of the view.
func (v *View) Duration() time.Duration { return v.length }

// Tracks are the numbers of the tracks that are shown: 0 where there is none.
func (v *View) Tracks() (video, audio int) {
	for _, l := range v.lanes {
		if l.video {
			video = l.t.ID
		} else {
			audio = l.t.ID
		}
	}
	return video, audio
}
