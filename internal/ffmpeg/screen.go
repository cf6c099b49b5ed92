package ffmpeg

import (
	"image"
	"time"
)

// A sample of the middle is enough to tell a screen from what a lens saw.
const (
	screenWidth  = 1280
	screenHeight = 720
	screenFrames = 3
	// smallScreen is up to where nothing depends on it.
	smallScreen = 480
)

// screen reports whether the recording is of a screen or of slides: large parts of one
// shade, beside hard edges, and little between. It looks at a few key frames; what cannot be
// decoded is no screen.
func (j *job) screen() bool {
	v := j.info.Video()
	if j.info.Screen || v == nil || min(v.Width, v.Height) <= smallScreen {
		return j.info.Screen
	}
	w, h := v.Width, v.Height
	if v.Rotation%180 != 0 {
		w, h = h, w
	}
	var found []*image.RGBA
	err := j.frames(pick{length: time.Minute, keys: true, most: screenFrames, width: even(min(w, screenWidth)), height: even(min(h, screenHeight)), crop: true}, all(&found))
	if err != nil {
		return false
	}
	votes := 0
	for _, m := range found {
		if flat, edges := texture(m); flat > 0.6 && edges > 0.012 {
			votes++
		}
	}
	return 2*votes > len(found)
}

// texture counts, in parts of all neighbours in a line, those of one shade and those at a
// hard edge.
func texture(m *image.RGBA) (flat, edges float64) {
	var same, hard, all float64
	for y := 0; y < m.Rect.Dy(); y += 2 {
		line := m.Pix[y*m.Stride : y*m.Stride+4*m.Rect.Dx()]
		for i := 0; i+8 <= len(line); i += 4 {
			d := 2*(int(line[i+1])-int(line[i+5])) + int(line[i]) - int(line[i+4]) + int(line[i+2]) - int(line[i+6])
			all++
			switch {
			case line[i] == line[i+4] && line[i+1] == line[i+5] && line[i+2] == line[i+6]:
				same++
			case d > 4*56 || d < -4*56:
				hard++
			}
		}
	}
	if all == 0 {
		return 0, 0
	}
	return same / all, hard / all
}
