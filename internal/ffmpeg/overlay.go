package ffmpeg

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/math/fixed"
)

// decorate draws the play sign in the middle and the length in the corner. Both have a dark
// ground of their own, so that they show on any picture.
func decorate(m *image.RGBA, length time.Duration) {
	b := m.Rect
	short := float64(min(b.Dx(), b.Dy()))
	playSign(m, float64(b.Dx())/2, float64(b.Dy())/2, short*0.16)
	if length > 0 {
		label(m, clock(length), max(11, short*0.085))
	}
}

// clock writes a length as players do: "0:05", "12:41", "1:02:03".
func clock(d time.Duration) string {
	s := int(math.Round(d.Seconds()))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// playSign draws a white triangle in a dark disc with a white rim.
func playSign(m *image.RGBA, cx, cy, radius float64) {
	white, dark := color.RGBA{255, 255, 255, 255}, color.RGBA{16, 20, 28, 255}
	side := radius * 0.95 // of the triangle, measured from its middle
	for y := int(cy - radius - 1); y <= int(cy+radius+1); y++ {
		for x := int(cx - radius - 1); x <= int(cx+radius+1); x++ {
			var disc, rim, sign float64
			for k := range 16 {
				px, py := float64(x)+float64(k%4)/4+0.125-cx, float64(y)+float64(k/4)/4+0.125-cy
				d := math.Hypot(px, py)
				if d <= radius {
					disc += 1. / 16
				}
				if d <= radius && d >= radius*0.93 {
					rim += 1. / 16
				}
				if tx := px + side*0.36; tx >= 0 && tx <= side && math.Abs(py) <= (side-tx)*0.58 {
					sign += 1. / 16
				}
			}
			blend(m, x, y, dark, disc*0.62)
			blend(m, x, y, white, max(sign, rim))
		}
	}
}

// label draws text on a dark ground in the lower right corner.
func label(m *image.RGBA, text string, size float64) {
	parsed, err := opentype.Parse(gobold.TTF)
	if err != nil {
		return // it is built in
	}
	face, err := opentype.NewFace(parsed, &opentype.FaceOptions{Size: size, DPI: 72, Hinting: font.HintingFull})
	if err != nil {
		return
	}
	defer face.Close()
	wide, pad := font.MeasureString(face, text).Ceil(), int(size*0.4)
	box := image.Rect(m.Rect.Max.X-wide-3*pad, m.Rect.Max.Y-int(size)-2*pad, m.Rect.Max.X-pad, m.Rect.Max.Y-pad)
	draw.Draw(m, box, image.NewUniform(color.RGBA{10, 12, 17, 190}), image.Point{}, draw.Over)
	d := font.Drawer{Dst: m, Src: image.White, Face: face, Dot: fixed.P(box.Min.X+pad, box.Max.Y-int(size*0.25))}
	d.DrawString(text)
}

// blend lays a colour over a pixel.
func blend(m *image.RGBA, x, y int, c color.RGBA, cover float64) {
	if cover <= 0 || !(image.Point{x, y}.In(m.Rect)) {
		return
	}
	i := m.PixOffset(x, y)
	for k, v := range [3]uint8{c.R, c.G, c.B} {
		m.Pix[i+k] = uint8(float64(m.Pix[i+k])*(1-cover) + float64(v)*cover + 0.5)
	}
}
