package ffmpeg

import (
	"bytes"
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
	posterFrames = 6
	posterReach  = 10 * time.Second // of key frames
	posterFull   = 3 * time.Second  // of every picture
	goodEnough   = 0.35             // of score
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

// bestFrame looks at early key frames, only when all are dull at what lies between, and for
// want of any at the whole recording. Broken means that no picture can be decoded.
func (j *job) bestFrame(side int) (*image.RGBA, error) {
	v := j.info.Video()
	if v == nil {
		return nil, media.Refuse(media.Broken, nil)
	}
	w, h := within(v.DisplayWidth, v.DisplayHeight, side)
	p := pick{length: posterReach, keys: true, most: posterFrames, width: w, height: h}
	if v.Codec == "av1" || v.Codec == "hevc" && v.Width > 4096 {
		p.length, p.most = time.Second, 2 // its decoder knows no key frames, or each costs much
	}
	found, first := j.frames(p, nil)
	best, s := bestOf(found)
	if best != nil && s >= goodEnough {
		return best, nil
	}
	j.report(0.5)
	p.keys, p.rate, p.length, p.most = false, "2", posterFull, 2*posterFrames
	found, err := j.frames(p, nil)
	if other, better := bestOf(found); other != nil && better > s {
		best = other
	}
	if best == nil && decodes(err) {
		// All of it, so that what is damaged in its beginning has a picture, and what has none is
		// known to have none.
		p.rate, p.length, p.most, p.keys = "", 0, 1, j.info.Duration > fullDecode
		found, err = j.frames(p, nil)
		best, _ = bestOf(found)
	}
	if best != nil {
		return best, nil
	}
	if first != nil && err == nil {
		err = first
	}
	if err == nil {
		err = media.Refuse(media.Broken, nil) // decoded without complaint, to nothing
	}
	return nil, err
}

// decodes reports whether a look that found nothing ended at pictures that are damaged, if
// at all.
func decodes(err error) bool { return err == nil || media.ReasonOf(err) == media.Broken }

// bestOf is the picture with the highest score; an earlier one wins unless a later one is
// clearly better.
func bestOf(found []*image.RGBA) (best *image.RGBA, score float64) {
	for _, f := range found {
		if s := interest(f); best == nil || s > score*1.25+0.02 {
			best, score = f, s
		}
	}
	return best, score
}

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
