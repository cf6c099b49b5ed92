package ffmpeg

import (
	"fmt"
	"strings"

	"github.com/videoactivmail/vam/internal/media"
)

// toRGB scales the picture to a size and makes samples of it that a screen shows.
func (t *Tool) toRGB(v *media.Track, width, height int) string {
	return strings.Join(append(t.tame(v, width, height, "area"), "format=rgba"), ",")
}

// toVideo scales the picture and makes samples of it that every decoder takes.
func (t *Tool) toVideo(v *media.Track, width, height int) string {
	chain := t.tame(v, width, height, "bicubic")
	if v.Codec == "mpeg2video" || v.Codec == "dvvideo" {
		chain = append([]string{"yadif=deint=interlaced"}, chain...)
	}
	if v.FrameRate > 61 {
		chain = append([]string{"fps=60"}, chain...)
	}
	return strings.Join(append(chain, "setsar=1", "format=yuv420p"), ",")
}

// tame brings size, range and light down to what an ordinary screen shows: BT.709, 8 bit.
// ffmpeg has turned the picture upright before.
func (t *Tool) tame(v *media.Track, width, height int, by string) []string {
	size := fmt.Sprintf("%d:%d:flags=%s", width, height, by)
	if !v.Colour.HDR() {
		// What is not said is guessed as televisions do: by the number of lines.
		in := "auto"
		if v.Colour.Matrix == "" {
			in = "bt601"
			if max(v.Width, v.Height) >= 1280 {
				in = "bt709"
			}
		}
		return []string{fmt.Sprintf("scale=%s:in_color_matrix=%s:out_color_matrix=bt709:out_range=tv", size, in)}
	}
	if t.zscale {
		// Scaled first, which is cheaper by far and not seen; then to linear light, and back.
		return []string{
			"scale=" + size, "format=yuv420p10le",
			fmt.Sprintf("zscale=tin=%s:min=bt2020nc:pin=bt2020:t=linear:npl=203", v.Colour.Transfer),
			"format=gbrpf32le", "zscale=p=bt709", "tonemap=tonemap=mobius:desat=0:param=0.6", "zscale=t=bt709:m=bt709:r=tv", "format=yuv420p",
		}
	}
	return append([]string{fmt.Sprintf("scale=%s:in_color_matrix=bt2020:out_color_matrix=bt709", size)}, withoutZscale(v.Colour)...)
}

// withoutZscale is for builds without zimg. HLG was made so that an old screen shows it well
// once the primaries are widened; PQ needs its curve (ITU-R BT.2100 table 4) undone.
func withoutZscale(c media.Colour) []string {
	wider := "colorchannelmixer=rr=1.66:rg=-.59:rb=-.07:gr=-.12:gg=1.13:gb=-.01:br=-.02:bg=-.1:bb=1.12"
	if c.Transfer == "arib-std-b67" {
		return []string{"format=gbrp", wider}
	}
	// Light of 203 cd/m² is the white of a page (ITU-R BT.2408); more is compressed.
	const light = "10000/203*pow(max(pow(val/maxval\\,1/78.84)-0.8359\\,0)/(18.8516-18.6875*pow(val/maxval\\,1/78.84))\\,1/0.1593)"
	curve := "'maxval*pow((" + light + ")*1.3/(1+0.3*(" + light + ")+0.3)\\,1/2.2)'"
	return []string{"format=gbrp16le", "lutrgb=r=" + curve + ":g=" + curve + ":b=" + curve, "format=gbrp", wider}
}
