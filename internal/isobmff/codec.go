package isobmff

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/videoactivmail/vam/internal/media"
)

// Coding is what an entry says about how its samples are coded, in the words of
// media.Track.
type Coding struct {
	Codec, RFC6381, Profile string
	PixelFormat             string
	BitDepth                int
	Colour                  media.Colour
	Channels, SampleRate    int
}

// plain are formats that their four letters say all about.
var plain = map[string]string{
	"s263": "h263", "h263": "h263", "H263": "h263", "vvc1": "vvc", "vvi1": "vvc", "jpeg": "mjpeg", "mjpa": "mjpeg", "mjpb": "mjpegb",
	"apcn": "prores", "apch": "prores", "apcs": "prores", "apco": "prores", "ap4h": "prores", "ap4x": "prores",
	"png ": "png", "rle ": "qtrle", "SVQ3": "svq3", "SVQ1": "svq1", "cvid": "cinepak", "dvc ": "dvvideo", "dvcp": "dvvideo",
	"XVID": "mpeg4", "DIVX": "mpeg4", "AVdn": "dnxhd", "AVdh": "dnxhd", "mjp2": "jpeg2000",
	"ac-3": "ac3", "ec-3": "eac3", "ac-4": "ac4", "alac": "alac", "fLaC": "flac", "Opus": "opus", ".mp3": "mp3", "ms\x00\x55": "mp3",
	"samr": "amr_nb", "sawb": "amr_wb", "ulaw": "pcm_mulaw", "alaw": "pcm_alaw", "ima4": "adpcm_ima_qt", "mlpa": "truehd",
	"dtsc": "dts", "dtse": "dts", "dtsh": "dts", "dtsl": "dts", "QDM2": "qdm2", "QDMC": "qdmc", "agsm": "gsm",
	"tx3g": "mov_text", "text": "mov_text", "wvtt": "webvtt", "stpp": "ttml", "c608": "eia_608", "mp4s": "dvd_subtitle",
	"in24": "pcm_s24be", "in32": "pcm_s32be", "fl32": "pcm_f32be", "fl64": "pcm_f64be", "raw ": "pcm_u8", "NONE": "pcm_u8",
}

// Coding reads the description of the coding. What it does not know it leaves empty.
func (e *Entry) Coding() Coding {
	c := Coding{Channels: e.Channels, SampleRate: e.SampleRate, Colour: e.colour()}
	switch f := e.Format.String(); f {
	case "avc1", "avc2", "avc3", "avc4":
		e.avc(&c)
	case "hvc1", "hev1", "hvc2", "hev2", "dvh1", "dvhe":
		e.hevc(&c)
	case "av01":
		e.av1(&c)
	case "vp08", "vp09":
		e.vpx(&c)
	case "mp4v", "mp4a":
		e.mpeg4(&c)
	case "Opus":
		c.Codec, c.RFC6381, c.SampleRate = "opus", "opus", 48000
	case "fLaC":
		c.Codec, c.RFC6381 = "flac", "flac"
	case "ipcm", "fpcm", "sowt", "twos", "lpcm":
		c.Codec = e.pcm(f)
	case "raw ", "NONE":
		c.Codec = "pcm_u8"
		if e.Width > 0 {
			c.Codec = "rawvideo"
		}
	default:
		c.Codec = plain[string(e.Format[:])]
		switch c.Codec {
		case "ac3", "eac3", "alac":
			c.RFC6381 = f
		case "mp3":
			c.RFC6381 = "mp4a.6b"
		}
	}
	if a := e.content("alac", true); c.Codec == "alac" && len(a) >= 24 {
		c.Channels, c.SampleRate = int(a[9]), int(min(binary.BigEndian.Uint32(a[20:]), 1<<24))
	}
	return c
}

// colour reads colr: nclx of ISO, nclc of QuickTime.
func (e *Entry) colour() media.Colour {
	raw := e.content("colr", false)
	if len(raw) < 10 || string(raw[:3]) != "ncl" {
		return media.Colour{}
	}
	u16 := func(i int) int { return int(binary.BigEndian.Uint16(raw[i:])) }
	c := colourOf(u16(4), u16(6), u16(8))
	c.FullRange = raw[3] == 'x' && len(raw) > 10 && raw[10]&0x80 != 0
	return c
}

// colourOf names the code points of ITU-T H.273 as ffmpeg does.
func colourOf(primaries, transfer, matrix int) media.Colour {
	return media.Colour{Primaries: primaryNames[primaries], Transfer: transferNames[transfer], Matrix: matrixNames[matrix]}
}

var (
	primaryNames = map[int]string{
		1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
		11: "smpte431", 12: "smpte432", 22: "ebu3213",
	}
	transferNames = map[int]string{
		1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
		11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
		17: "smpte428", 18: "arib-std-b67",
	}
	matrixNames = map[int]string{
		0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc",
		10: "bt2020c", 11: "smpte2085", 14: "ictcp",
	}
)

// pixels names a planar format: chroma is chroma_format_idc of ITU-T H.264.
func pixels(chroma, depth int) string {
	base := [...]string{"gray", "yuv420p", "yuv422p", "yuv444p"}
	if chroma < 0 || chroma >= len(base) {
		return ""
	}
	if depth <= 8 {
		return base[chroma]
	}
	return fmt.Sprintf("%s%dle", base[chroma], depth)
}

// full gives the older name that ffmpeg has for full range of 8 bits.
func full(format string) string {
	switch format {
	case "yuv420p", "yuv422p", "yuv444p":
		return "yuvj" + format[3:]
	}
	return format
}

func (e *Entry) av1(c *Coding) {
	c.Codec, c.RFC6381 = "av1", "av01"
	raw := e.content("av1C", false)
	if len(raw) < 4 {
		return
	}
	profile, level := int(raw[1]>>5), int(raw[1]&31)
	tier := "M"
	if raw[2]&0x80 != 0 {
		tier = "H"
	}
	c.BitDepth = 8
	if raw[2]&0x40 != 0 {
		c.BitDepth = 10
		if profile == 2 && raw[2]&0x20 != 0 {
			c.BitDepth = 12
		}
	}
	c.RFC6381 = fmt.Sprintf("av01.%d.%02d%s.%02d", profile, level, tier, c.BitDepth)
	if profile < 3 {
		c.Profile = [...]string{"Main", "High", "Professional"}[profile]
	}
	chroma := 1
	switch {
	case raw[2]&0x10 != 0:
		chroma = 0
	case raw[2]&0x08 == 0:
		chroma = 3
	case raw[2]&0x04 == 0:
		chroma = 2
	}
	c.PixelFormat = pixels(chroma, c.BitDepth)
}

func (e *Entry) vpx(c *Coding) {
	c.Codec = "vp" + e.Format.String()[3:]
	c.RFC6381 = e.Format.String()
	raw := e.content("vpcC", true)
	if len(raw) < 6 {
		return
	}
	c.BitDepth = int(raw[2] >> 4)
	c.RFC6381 = fmt.Sprintf("%s.%02d.%02d.%02d", e.Format, raw[0], raw[1], c.BitDepth)
	c.Profile = fmt.Sprintf("Profile %d", raw[0])
	sampling := int(raw[2] >> 1 & 7)
	if chroma := [...]int{1, 1, 2, 3}; sampling < len(chroma) {
		c.PixelFormat = pixels(chroma[sampling], c.BitDepth)
	}
	if e.Part("colr") == nil {
		c.Colour = colourOf(int(raw[3]), int(raw[4]), int(raw[5]))
		c.Colour.FullRange = raw[2]&1 != 0
	}
}

// pcm names sound that is not coded.
func (e *Entry) pcm(format string) string {
	bits, little, float := e.bits, false, false
	switch format {
	case "sowt":
		little = true
	case "ipcm", "fpcm":
		float = format == "fpcm"
		if raw := e.content("pcmC", true); len(raw) >= 2 {
			little, bits = raw[0]&1 != 0, int(raw[1])
		}
	case "lpcm":
		float, little = e.pcmFlags&1 != 0, e.pcmFlags&2 == 0
	}
	kind, order := "s", "be"
	if float {
		kind = "f"
	}
	if little {
		order = "le"
	}
	if bits == 8 {
		return "pcm_s8"
	}
	if !slices.Contains([]int{16, 24, 32, 64}, bits) {
		return ""
	}
	return fmt.Sprintf("pcm_%s%d%s", kind, bits, order)
}
