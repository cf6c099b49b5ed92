package ffmpeg

import (
	"cmp"
	"image"
	"image/color"
	"slices"
)

// transparent is the index of the colour that shows what was there before.
const transparent = 0

// palette is up to 255 colours that stand for all colours of some pictures, and the
// transparent one.
type palette struct {
	colours color.Palette
	rgb     [][3]int
	cache   []uint8 // by five bits of each component; 0 is not known yet
}

// newPalette cuts the colours of the pictures into boxes of about equal weight, each at the
// median of its longest side (Heckbert's median cut).
func newPalette(shown []*image.RGBA) *palette {
	p := &palette{colours: color.Palette{color.RGBA{}}, rgb: [][3]int{{}}, cache: make([]uint8, 1<<15)}
	boxes := [][][3]uint8{sample(shown)}
	for len(boxes) < 255 {
		widest, at, axis := 0, -1, 0
		for i, b := range boxes {
			if side, a := longest(b); side*len(b) > widest && len(b) > 1 {
				widest, at, axis = side*len(b), i, a
			}
		}
		if at < 0 {
			break
		}
		b := boxes[at]
		slices.SortFunc(b, func(x, y [3]uint8) int { return cmp.Compare(x[axis], y[axis]) })
		boxes[at] = b[:len(b)/2]
		boxes = append(boxes, b[len(b)/2:])
	}
	for _, b := range boxes {
		var sum [3]int
		for _, c := range b {
			for k := range sum {
				sum[k] += int(c[k])
			}
		}
		n := max(1, len(b))
		mean := [3]int{sum[0] / n, sum[1] / n, sum[2] / n}
		p.rgb = append(p.rgb, mean)
		p.colours = append(p.colours, color.RGBA{uint8(mean[0]), uint8(mean[1]), uint8(mean[2]), 0xff})
	}
	return p
}

// sample takes some pixels of every picture, those of the first four times as often.
func sample(shown []*image.RGBA) [][3]uint8 {
	const each = 3000
	var out [][3]uint8
	for n, m := range shown {
		pixels := len(m.Pix) / 4
		step := max(1, pixels/each)
		if n == 0 {
			step = max(1, step/4)
		}
		for i := 0; i < pixels; i += step {
			out = append(out, [3]uint8{m.Pix[4*i], m.Pix[4*i+1], m.Pix[4*i+2]})
		}
	}
	return out
}

// longest is the longest side of the box that holds the colours.
func longest(b [][3]uint8) (side, axis int) {
	for k := range 3 {
		low, high := uint8(255), uint8(0)
		for _, c := range b {
			low, high = min(low, c[k]), max(high, c[k])
		}
		if s := int(high) - int(low); len(b) > 0 && s > side {
			side, axis = s, k
		}
	}
	return side, axis
}

// index is the nearest colour's.
func (p *palette) index(r, g, b uint8) uint8 {
	key := int(r)>>3<<10 | int(g)>>3<<5 | int(b)>>3
	if i := p.cache[key]; i > 0 {
		return i
	}
	best, at := 1<<30, 1
	for i := 1; i < len(p.rgb); i++ {
		if d := p.distance(i, r, g, b); d < best {
			best, at = d, i
		}
	}
	p.cache[key] = uint8(at)
	return uint8(at)
}

func (p *palette) distance(i int, r, g, b uint8) int {
	x, y, z := p.rgb[i][0]-int(r), p.rgb[i][1]-int(g), p.rgb[i][2]-int(b)
	return 3*x*x + 6*y*y + z*z
}

// near reports whether a pixel may go on showing that colour.
func (p *palette) near(i uint8, rgba []uint8) bool {
	const unseen = 10 * 9 * 9
	return p.distance(int(i), rgba[0], rgba[1], rgba[2]) <= unseen
}
