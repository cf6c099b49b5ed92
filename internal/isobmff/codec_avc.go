package isobmff

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/videoactivmail/vam/internal/media"
)

// avc reads avcC (ISO/IEC 14496-15 section 5.3.3) and its first sequence parameter set.
func (e *Entry) avc(c *Coding) {
	c.Codec, c.PixelFormat, c.BitDepth = "h264", "yuv420p", 8
	raw := e.content("avcC", false)
	if len(raw) < 7 {
		return
	}
	format := e.Format.String()
	if format != "avc3" {
		format = "avc1"
	}
	c.RFC6381 = fmt.Sprintf("%s.%02x%02x%02x", format, raw[1], raw[2], raw[3])
	c.Profile = avcProfile(raw[1], raw[2])
	if raw[5]&31 == 0 || len(raw) < 8 {
		return
	}
	n := int(binary.BigEndian.Uint16(raw[6:]))
	if n < 4 || n > len(raw)-8 {
		return
	}
	readSPS(raw[8:8+n], c)
}

func avcProfile(profile, constraints byte) string {
	switch profile {
	case 66:
		if constraints&0x40 != 0 {
			return "Constrained Baseline"
		}
		return "Baseline"
	case 77:
		return "Main"
	case 88:
		return "Extended"
	case 100:
		return "High"
	case 110:
		if constraints&0x10 != 0 {
			return "High 10 Intra"
		}
		return "High 10"
	case 122:
		return "High 4:2:2"
	case 244:
		return "High 4:4:4 Predictive"
	}
	return ""
}

// readSPS reads depth, chroma and colour of a sequence parameter set (ITU-T H.264
// section 7.3.2.1).
func readSPS(nal []byte, c *Coding) {
	b := &bitReader{raw: unescape(nal[1:])}
	profile := b.bits(8)
	b.bits(16) // constraints and level
	b.golomb() // its number
	chroma, depth := 1, 8
	switch profile {
	case 100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135:
		chroma, depth = highSPS(b)
	}
	b.golomb() // log2_max_frame_num
	switch b.golomb() {
	case 0:
		b.golomb()
	case 1:
		b.bit()
		b.signed()
		b.signed()
		for n := b.golomb(); n > 0 && !b.short; n-- {
			b.signed()
		}
	}
	b.golomb() // references
	b.bit()
	b.golomb() // width
	b.golomb() // height
	if !b.flag() {
		b.bit()
	}
	b.bit()
	if b.flag() { // cropping
		for range 4 {
			b.golomb()
		}
	}
	if b.short || chroma > 3 || depth > 14 {
		return
	}
	c.BitDepth, c.PixelFormat = depth, pixels(chroma, depth)
	if !b.flag() {
		return
	}
	colour, ok := readVUI(b)
	if !ok || b.short {
		return
	}
	if c.Colour == (media.Colour{}) {
		c.Colour = colour
	}
	if c.Colour.FullRange = c.Colour.FullRange || colour.FullRange; c.Colour.FullRange {
		c.PixelFormat = full(c.PixelFormat)
	}
}

// highSPS reads what the High profiles add.
func highSPS(b *bitReader) (chroma, depth int) {
	chroma = int(b.golomb())
	if chroma == 3 {
		b.bit()
	}
	depth = 8 + int(min(b.golomb(), 100))
	b.golomb()
	b.bit()
	if b.flag() {
		lists := 8
		if chroma == 3 {
			lists = 12
		}
		for i := range lists {
			if b.flag() {
				skipScaling(b, 16+48*min(i/6, 1))
			}
		}
	}
	return chroma, depth
}

func skipScaling(b *bitReader, n int) {
	last, next := int32(8), int32(8)
	for range n {
		if next != 0 {
			next = (last + b.signed() + 256) % 256
		}
		if next != 0 {
			last = next
		}
		if b.short {
			return
		}
	}
}

// readVUI reads the description of the signal (ITU-T H.264 annex E).
func readVUI(b *bitReader) (media.Colour, bool) {
	if b.flag() && b.bits(8) == 255 { // shape of a pixel
		b.bits(32)
	}
	if b.flag() {
		b.bit() // overscan
	}
	if !b.flag() {
		return media.Colour{}, false
	}
	b.bits(3)
	full := b.flag()
	var c media.Colour
	if b.flag() {
		c = colourOf(int(b.bits(8)), int(b.bits(8)), int(b.bits(8)))
	}
	c.FullRange = full
	return c, true
}

// hevc reads hvcC (ISO/IEC 14496-15 section 8.3.3).
func (e *Entry) hevc(c *Coding) {
	c.Codec = "hevc"
	raw := e.content("hvcC", false)
	if len(raw) < 23 {
		return
	}
	profile := raw[1] & 31
	switch profile {
	case 1:
		c.Profile = "Main"
	case 2:
		c.Profile = "Main 10"
	case 3:
		c.Profile = "Main Still Picture"
	case 4:
		c.Profile = "Rext"
	}
	c.BitDepth = 8 + int(raw[17]&7)
	c.PixelFormat = pixels(int(raw[16]&3), c.BitDepth)
	format := "hvc1"
	if e.Format == CC("hev1") || e.Format == CC("dvhe") {
		format = "hev1"
	}
	tier := "L"
	if raw[1]&0x20 != 0 {
		tier = "H"
	}
	space := ""
	if s := raw[1] >> 6; s > 0 {
		space = string('A' + rune(s) - 1)
	}
	// The flags of compatibility stand in reverse order of bits.
	compatible := bits.Reverse32(binary.BigEndian.Uint32(raw[2:]))
	var s strings.Builder
	fmt.Fprintf(&s, "%s.%s%d.%X.%s%d", format, space, profile, compatible, tier, raw[12])
	constraints := raw[6:12]
	for len(constraints) > 0 && constraints[len(constraints)-1] == 0 {
		constraints = constraints[:len(constraints)-1]
	}
	for _, v := range constraints {
		fmt.Fprintf(&s, ".%X", v)
	}
	c.RFC6381 = s.String()
}
