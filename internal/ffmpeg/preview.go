package ffmpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/gif"
	"slices"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// The shape of a preview.
const (
	previewSide   = 400 // pixels of the long side
	previewRate   = 5   // pictures a second
	previewLength = 3 * time.Second
	previewOctets = 700_000
	posterDelay   = 120 // hundredths of a second; some mail programs never show another
)

// preview saves a moving picture that begins with its best one, because many programs show
// the first alone; all have the play sign and the length.
func (j *job) preview() ([]File, error) {
	v := j.info.Video()
	if v == nil {
		return nil, media.Refuse(media.Broken, nil)
	}
	w, h := within(v.DisplayWidth, v.DisplayHeight, previewSide)
	var moving []*image.RGBA
	var s search
	err := j.frames(pick{length: previewLength, rate: fmt.Sprint(previewRate), most: int(previewLength.Seconds()) * previewRate, width: w, height: h}, func(m *image.RGBA) bool {
		moving = append(moving, m)
		s.take(m)
		return true
	})
	if err != nil {
		return nil, err
	}
	j.report(0.4)
	if s.score < goodEnough {
		later, err := j.bestFrame(previewSide)
		if err != nil {
			return nil, err
		}
		s.take(later)
	}
	j.report(0.8)
	poster := *s.best
	poster.Pix = slices.Clone(poster.Pix) // each is drawn on
	shown := append([]*image.RGBA{&poster}, moving...)
	for _, m := range shown {
		decorate(m, j.info.Duration)
	}
	content, err := animate(shown)
	if err != nil {
		return nil, err
	}
	f, err := j.save(media.PreviewFile, "image/gif", w, h, content)
	if err != nil {
		return nil, err
	}
	return []File{f}, nil
}

// animate writes the pictures as a GIF, and leaves out every second one until it is small
// enough; in the end the poster stands alone.
func animate(shown []*image.RGBA) ([]byte, error) {
	for step := 1; ; step *= 2 {
		kept := []*image.RGBA{shown[0]}
		for i := 1; i < len(shown); i += step {
			kept = append(kept, shown[i])
		}
		if step > len(shown) {
			kept = kept[:1]
		}
		var out bytes.Buffer
		if err := gif.EncodeAll(&out, moving(kept, step*100/previewRate)); err != nil {
			return nil, err
		}
		if out.Len() <= previewOctets || len(kept) == 1 {
			return out.Bytes(), nil
		}
	}
}

// moving turns pictures into one GIF with a common palette, where each picture holds only
// what changed enough to be seen.
func moving(shown []*image.RGBA, delay int) *gif.GIF {
	p := newPalette(shown)
	b := shown[0].Rect
	out := &gif.GIF{Config: image.Config{ColorModel: p.colours, Width: b.Dx(), Height: b.Dy()}}
	now := make([]uint8, b.Dx()*b.Dy()) // what stands on the screen, as indexes
	for n, m := range shown {
		frame := image.NewPaletted(b, p.colours)
		for i := range frame.Pix {
			at := p.index(m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2])
			if n > 0 && p.near(now[i], m.Pix[4*i:]) {
				frame.Pix[i] = transparent
				continue
			}
			frame.Pix[i], now[i] = at, at
		}
		hold := delay
		if n == 0 {
			hold = posterDelay
		}
		out.Image, out.Delay, out.Disposal = append(out.Image, frame), append(out.Delay, hold), append(out.Disposal, gif.DisposalNone)
	}
	return out
}
