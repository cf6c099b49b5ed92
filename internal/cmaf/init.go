package cmaf

import (
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/videoactivmail/vam/internal/isobmff"
)

// A writer builds boxes.
type writer struct{ b []byte }

func (w *writer) u16(v uint16) { w.b = binary.BigEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v uint32) { w.b = binary.BigEndian.AppendUint32(w.b, v) }
func (w *writer) u64(v uint64) { w.b = binary.BigEndian.AppendUint64(w.b, v) }
func (w *writer) zeros(n int)  { w.b = append(w.b, make([]byte, n)...) }

// box writes a box with the content that fill writes.
func (w *writer) box(kind string, fill func()) {
	at := len(w.b)
	w.u32(0)
	w.b = append(w.b, kind...)
	fill()
	binary.BigEndian.PutUint32(w.b[at:], uint32(len(w.b)-at))
}

// full writes a box with a version and flags.
func (w *writer) full(kind string, version byte, flags uint32, fill func()) {
	w.box(kind, func() {
		w.u32(uint32(version)<<24 | flags)
		fill()
	})
}

// unity is the matrix that changes nothing.
var unity = [9]int32{0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000}

func (w *writer) matrix(m [9]int32) {
	for _, v := range m {
		w.u32(uint32(v))
	}
}

// initSegment writes ftyp and moov.
func (v *View) initSegment() []byte {
	const clock = 1000 // units of a second in the head of the movie
	length := uint64(v.length.Round(time.Millisecond) / time.Millisecond)
	w := &writer{}
	w.box("ftyp", func() { w.b = append(w.b, "iso6\x00\x00\x00\x00iso6iso5mp41"...) })
	w.box("moov", func() {
		w.full("mvhd", 1, 0, func() {
			w.zeros(16) // made and changed
			w.u32(clock)
			w.u64(0) // the length is that of the fragments
			w.u32(0x10000)
			w.u16(0x0100)
			w.zeros(10)
			w.matrix(unity)
			w.zeros(24)
			w.u32(uint32(len(v.lanes) + 1))
		})
		for k, l := range v.lanes {
			w.box("trak", func() { l.write(w, k) })
		}
		w.box("mvex", func() {
			w.full("mehd", 1, 0, func() { w.u64(length) })
			for k, l := range v.lanes {
				w.full("trex", 0, 0, func() {
					w.u32(uint32(k + 1))
					w.u32(1)
					w.u32(0)
					w.u32(0)
					if l.video {
						w.u32(flagsOther)
					} else {
						w.u32(flagsSync)
					}
				})
			}
		})
	})
	return w.b
}

// write writes the content of trak.
func (l *lane) write(w *writer, k int) {
	t := l.t
	w.full("tkhd", 1, 3, func() { // enabled, in the movie
		w.zeros(16)
		w.u32(uint32(k + 1))
		w.zeros(4 + 8 + 8 + 2)
		w.u16(uint16(k)) // they are no alternatives
		if l.video {
			w.u16(0)
		} else {
			w.u16(0x0100)
		}
		w.zeros(2)
		if l.video {
			width, height := t.Width, t.Height
			if e := t.Entry(); width == 0 || height == 0 {
				width, height = uint32(e.Width)<<16, uint32(e.Height)<<16
			}
			w.matrix(t.Matrix)
			w.u32(width)
			w.u32(height)
		} else {
			w.matrix(unity)
			w.zeros(8)
		}
	})
	if l.lead > 0 {
		w.box("edts", func() {
			w.full("elst", 1, 0, func() {
				w.u32(1)
				w.u64(0) // all that comes in fragments
				w.u64(uint64(l.lead))
				w.u32(1 << 16)
			})
		})
	}
	w.box("mdia", func() {
		w.full("mdhd", 1, 0, func() {
			w.zeros(16)
			w.u32(l.scale)
			w.u64(0)
			w.u16(packLanguage(t.Language))
			w.u16(0)
		})
		kind, name := "soun", "sound"
		if l.video {
			kind, name = "vide", "picture"
		}
		w.full("hdlr", 0, 0, func() {
			w.u32(0)
			w.b = append(w.b, kind...)
			w.zeros(12)
			w.b = append(w.b, name...)
			w.zeros(1)
		})
		w.box("minf", func() { l.writeMinf(w) })
	})
}

func (l *lane) writeMinf(w *writer) {
	if l.video {
		w.full("vmhd", 0, 1, func() { w.zeros(8) })
	} else {
		w.full("smhd", 0, 0, func() { w.zeros(4) })
	}
	w.box("dinf", func() {
		w.full("dref", 0, 0, func() {
			w.u32(1)
			w.full("url ", 0, 1, func() {}) // in this file
		})
	})
	w.box("stbl", func() {
		w.full("stsd", 0, 0, func() {
			w.u32(1)
			w.b = append(w.b, l.entry...)
		})
		for _, empty := range []string{"stts", "stsc", "stco"} {
			w.full(empty, 0, 0, func() { w.u32(0) })
		}
		w.full("stsz", 0, 0, func() { w.u64(0) })
	})
}

func packLanguage(code string) uint16 {
	if len(code) != 3 {
		code = "und"
	}
	var v uint16
	for i := range 3 {
		v = v<<5 | uint16(code[i]-0x60)&31
	}
	return v
}

// needed are the boxes without which a coding cannot be decoded, by the name of the codec.
var needed = map[string]string{
	"h264": "avcC", "hevc": "hvcC", "av1": "av1C", "vp8": "vpcC", "vp9": "vpcC",
	"aac": "esds", "mp3": "", "opus": "dOps", "flac": "dfLa", "alac": "alac", "ac3": "dac3", "eac3": "dec3",
}

// kept are further boxes that go along: shape and colour of pixels, light of the master.
var kept = []string{"pasp", "clap", "mdcv", "clli", "SmDm", "CoLL", "dvcC", "dvvC", "btrt"}

// sampleEntry writes the description of the samples in the way of ISO: QuickTime's own
// forms of it are not understood by every browser.
func sampleEntry(t *isobmff.Track, c isobmff.Coding) ([]byte, error) {
	e := t.Entry()
	need, ok := needed[c.Codec]
	if !ok {
		return nil, refuse("its coding %s (%s) is not one that is put into fragments", e.Type, c.Codec)
	}
	// Some old files name the object type of AC-3, MP3 and Opus in esds.
	esds := e.Part("esds")
	if need != "" && e.Part(need) == nil && (esds == nil || e.Type != isobmff.CC("mp4a")) {
		return nil, refuse("the description %s of its coding lacks %s", e.Type, need)
	}
	kind := e.Format.String()
	var parts [][]byte
	add := func(part string) {
		if raw := e.Part(part); raw != nil {
			parts = append(parts, raw)
		}
	}
	switch {
	case kind == "mp4a":
		add("esds")
	case c.Codec == "mp3":
		kind = "mp4a"
		parts = append(parts, mp3Description())
	default:
		add(need)
	}
	w := &writer{}
	if t.Type() == "video" {
		for _, k := range kept {
			add(k)
		}
		if colr := colour(e.Part("colr")); colr != nil {
			parts = append(parts, colr)
		}
		w.picture(kind, e, parts)
	} else {
		w.sound(kind, c, parts)
	}
	return w.b, nil
}

func (w *writer) picture(kind string, e *isobmff.Entry, parts [][]byte) {
	w.box(kind, func() {
		w.zeros(6)
		w.u16(1)
		w.zeros(16)
		w.u16(uint16(e.Width))
		w.u16(uint16(e.Height))
		w.u32(72 << 16)
		w.u32(72 << 16)
		w.u32(0)
		w.u16(1) // pictures in a sample
		w.zeros(32)
		w.u16(24)
		w.u16(math.MaxUint16)
		w.b = append(w.b, slices.Concat(parts...)...)
	})
}

func (w *writer) sound(kind string, c isobmff.Coding, parts [][]byte) {
	w.box(kind, func() {
		w.zeros(6)
		w.u16(1)
		w.zeros(8)
		w.u16(uint16(c.Channels))
		w.u16(16)
		w.u32(0)
		rate := uint32(c.SampleRate)
		if rate > math.MaxUint16 {
			rate = 0 // it does not fit; the codec's own description has it
		}
		w.u32(rate << 16)
		w.b = append(w.b, slices.Concat(parts...)...)
	})
}

// colour makes nclx of QuickTime's nclc and leaves out profiles.
func colour(raw []byte) []byte {
	if len(raw) < 18 {
		return nil
	}
	switch string(raw[8:12]) {
	case "nclx":
		return raw
	case "nclc":
		w := &writer{}
		w.box("colr", func() {
			w.b = append(w.b, "nclx"...)
			w.b = append(w.b, raw[12:18]...)
			w.b = append(w.b, 0)
		})
		return w.b
	}
	return nil
}

// mp3Description is an esds for MP3, for files that say it by their four letters alone.
func mp3Description() []byte {
	w := &writer{}
	w.full("esds", 0, 0, func() {
		w.b = append(w.b, 3, 3+2+13+3, 0, 0, 0) // ES_Descriptor without options
		w.b = append(w.b, 4, 13, 0x6b, 0x15)    // DecoderConfigDescriptor: MP3, sound
		w.zeros(3 + 4 + 4)
		w.b = append(w.b, 6, 1, 2) // SLConfigDescriptor
	})
	return w.b
}
