package ffmpeg

import (
	"bytes"
	"cmp"
	"image"
	"image/jpeg"
	"math"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// The bounds of a poster.
const (
	posterSide   = 1280 // pixels of the long side
	posterOctets = 1 << 20
	posterFrames = 8 // of one look
	// keyReach and fullReach are how far the looks at key frames and at every picture go, and
	// posterStep is how far apart what they see is. Both see less where pictures are so large
	// that it would be more than keyPixels and fullPixels.
	keyReach   = 10 * time.Second
	fullReach  = 3 * time.Second
	posterStep = 400 * time.Millisecond
	keyPixels  = posterFrames * 3840 * 2160
	fullPixels = 3 * 30 * 1920 * 1080
	goodEnough = 0.35 // of score
	// clearly is by how much a later picture must be better than an earlier one, and a little
	// more for those that are nearly black.
	clearly, little = 1.25, 0.02
)

// poster saves the best early picture.
func (j *job) poster() ([]File, error) {
	best, err := j.bestFrame(posterSide)
	if err != nil {
		return nil, err
	}
	b := best.Bounds()
	content, err := encodeJPEG(best, 85, posterOctets)
	if err != nil {
		return nil, err
	}
	f, err := j.save(media.PosterFile, "image/jpeg", b.Dx(), b.Dy(), content)
	if err != nil {
		return nil, err
	}
	j.report(1)
	return []File{f}, nil
}

// bestFrame looks at early key frames, only when they are dull and rare at what lies between,
// and for want of any at the whole recording. Broken means that no picture can be decoded.
func (j *job) bestFrame(side int) (*image.RGBA, error) {
	v := j.info.Video()
	if v == nil {
		return nil, media.Refuse(media.Broken, nil)
	}
	w, h := within(v.DisplayWidth, v.DisplayHeight, side)
	pixels := max(1, v.Width*v.Height)
	var s search
	if v.Codec != "av1" && v.Codec != "vp9" { // their decoders leave nothing out
		most := max(1, min(posterFrames, keyPixels/pixels))
		err := j.frames(pick{length: keyReach, keys: true, apart: posterStep, most: most, width: w, height: h}, s.take)
		if s.score >= goodEnough || s.best != nil && s.dense(j.info.Duration) {
			return s.best, nil
		}
		if !decodes(err) {
			return nil, err
		}
	}
	j.report(0.5)
	reach := time.Duration(float64(fullReach) * min(1, fullPixels/(float64(pixels)*fullReach.Seconds()*cmp.Or(v.FrameRate, 30))))
	err := j.frames(pick{length: reach, apart: posterStep, most: posterFrames, width: w, height: h}, func(m *image.RGBA) bool {
		return s.take(m) && (s.seen > 1 || s.score < goodEnough)
	})
	if s.best == nil && decodes(err) {
		// All of it, so that what is damaged in its beginning has a picture, and what has none is
		// known to have none.
		err = j.frames(pick{most: 1, keys: j.info.Duration > fullDecode, width: w, height: h}, s.take)
	}
	switch {
	case s.best != nil:
		return s.best, nil
	case err == nil:
		err = media.Refuse(media.Broken, nil) // decoded without complaint, to nothing
	}
	return nil, err
}

// search keeps the best of the pictures that it is given.
type search struct {
	best  *image.RGBA
	score float64
	seen  int
}

// take returns false when no later picture can win: an earlier one does unless a later one
// is clearly better.
func (s *search) take(m *image.RGBA) (more bool) {
	s.seen++
	if i := interest(m); s.best == nil || i > s.score*clearly+little {
		s.best, s.score = m, i
	}
	return s.score*clearly+little < 1
}

// dense reports whether the key frames that were seen of a recording of that length show its
// beginning well enough.
func (s *search) dense(length time.Duration) bool {
	reach := keyReach
	if length > 0 {
		reach = min(reach, length)
	}
	return s.seen > 1 && reach <= time.Duration(s.seen)*2*time.Second
}

// decodes reports whether a look that found nothing ended at pictures that are damaged, if
// at all.
func decodes(err error) bool { return err == nil || media.ReasonOf(err) == media.Broken }

// interest is 0 for a picture of one shade, and grows to 1 with light, contrast and detail.
// Black, white and blurred pictures have little of it.
func interest(m *image.RGBA) float64 {
	const steps = 96
	b := m.Bounds()
	var n, sum, square, edge float64
	var bins [16]float64
	luma := func(x, y int) float64 {
		i := m.PixOffset(x, y)
		return 0.2126*float64(m.Pix[i]) + 0.7152*float64(m.Pix[i+1]) + 0.0722*float64(m.Pix[i+2])
	}
	dx, dy := max(1, b.Dx()/steps), max(1, b.Dy()/steps)
	for y := 0; y < b.Dy()-1; y += dy {
		for x := 0; x < b.Dx()-1; x += dx {
			l := luma(x, y)
			n, sum, square = n+1, sum+l, square+l*l
			bins[int(l)/16]++
			edge += math.Abs(l-luma(x+1, y)) + math.Abs(l-luma(x, y+1))
		}
	}
	if n == 0 {
		return 0
	}
	mean := sum / n
	contrast := math.Sqrt(max(0, square/n-mean*mean)) / 64
	var entropy float64
	for _, c := range bins {
		if c > 0 {
			entropy -= c / n * math.Log2(c/n)
		}
	}
	light := 1 - math.Pow(math.Abs(mean-118)/138, 2)
	return max(0, light) * (0.4*min(1, contrast) + 0.4*entropy/4 + 0.2*min(1, edge/n/12))
}

// encodeJPEG writes the picture in that quality, or in less until it fits.
func encodeJPEG(m image.Image, quality, limit int) ([]byte, error) {
	for {
		var out bytes.Buffer
		if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality}); err != nil {
			return nil, err
		}
		if out.Len() <= limit || quality <= 20 {
			return out.Bytes(), nil
		}
		quality -= 15
	}
}
