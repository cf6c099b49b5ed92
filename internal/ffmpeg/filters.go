package ffmpeg

import (
	"fmt"
	"strings"

	"github.com/videoactivmail/vam/internal/media"
)

// toRGB scales the picture to a size and makes samples of it that a screen shows.
func toRGB(v *media.Track, width, height int) string {
	return strings.Join(append(tame(v, width, height, "area"), "format=rgba"), ",")
}

// toVideo scales the picture and makes samples of it that every decoder takes.
func toVideo(v *media.Track, width, height int) string {
	chain := tame(v, width, height, "bicubic")
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
func tame(v *media.Track, width, height int, by string) []string {
	in := v.Colour.Matrix
	switch {
	case v.Colour.HDR():
		return []string{
			fmt.Sprintf("scale=%d:%d:flags=%s:in_color_matrix=bt2020", width, height, by), "format=gbrp10le",
			"lut3d=file=" + lightFile + ":interp=tetrahedral", "scale=out_color_matrix=bt709:out_range=tv", "format=yuv420p",
		}
	case in != "":
		in = "auto"
	case max(v.Width, v.Height) >= 1280:
		// What is not said is guessed as televisions do, by the number of lines.
		in = "bt709"
	default:
		in = "bt601"
	}
	return []string{fmt.Sprintf("scale=%d:%d:flags=%s:in_color_matrix=%s:out_color_matrix=bt709:out_range=tv", width, height, by, in)}
}
