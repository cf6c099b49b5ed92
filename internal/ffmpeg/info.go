package ffmpeg

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// probed is the JSON of ffprobe, as far as it is used.
type probed struct {
	Streams  []stream   `json:"streams"`
	Chapters []struct{} `json:"chapters"`
	Format   struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

type stream struct {
	Index       int               `json:"index"`
	Codec       string            `json:"codec_name"`
	Type        string            `json:"codec_type"`
	Tag         string            `json:"codec_tag_string"`
	Profile     string            `json:"profile"`
	Width       int               `json:"width"`
	Height      int               `json:"height"`
	Aspect      string            `json:"sample_aspect_ratio"`
	PixelFormat string            `json:"pix_fmt"`
	Range       string            `json:"color_range"`
	Space       string            `json:"color_space"`
	Transfer    string            `json:"color_transfer"`
	Primaries   string            `json:"color_primaries"`
	RawBits     string            `json:"bits_per_raw_sample"`
	Rate        string            `json:"r_frame_rate"`
	Mean        string            `json:"avg_frame_rate"`
	Channels    int               `json:"channels"`
	Sampling    string            `json:"sample_rate"`
	Start       string            `json:"start_time"`
	Duration    string            `json:"duration"`
	BitRate     string            `json:"bit_rate"`
	Disposition map[string]int    `json:"disposition"`
	Tags        map[string]string `json:"tags"`
	SideData    []struct {
		Type     string  `json:"side_data_type"`
		Rotation float64 `json:"rotation"`
	} `json:"side_data_list"`
}

// info is what the JSON says, in the words of this program. IDs are indexes of ffmpeg.
func (p probed) info(container string, size int64) media.Info {
	out := media.Info{Container: container, Size: size, Duration: parseSeconds(p.Format.Duration), Chapters: len(p.Chapters)}
	if b := p.Format.Tags["major_brand"]; b != "" {
		out.Brands = []string{b}
	}
	for _, s := range p.Streams {
		out.Tracks = append(out.Tracks, s.track())
		if s.Tag == "encv" || s.Tag == "enca" || s.Tags["enc_key_id"] != "" {
			out.Encrypted = true
		}
	}
	return out
}

// fastest is the most frames per second that a camera is believed.
const fastest = 480

func (s stream) track() media.Track {
	t := media.Track{
		ID: s.Index, Codec: s.Codec, Profile: s.Profile, Language: s.Tags["language"], Default: s.Disposition["default"] == 1,
		Start: parseSeconds(s.Start), Duration: parseSeconds(s.Duration), BitRate: parseInt(s.BitRate),
	}
	switch s.Type {
	case "video":
		s.picture(&t)
	case "audio":
		t.Type, t.Channels, t.SampleRate = media.Audio, s.Channels, int(parseInt(s.Sampling))
	case "subtitle":
		t.Type = media.Text
		if !t.Decodable() { // pictures of text
			t.Type = media.Data
		}
	default:
		t.Type = media.Data
	}
	return t
}

func (s stream) picture(t *media.Track) {
	t.Type = media.Video
	if s.Disposition["attached_pic"] == 1 || s.Disposition["timed_thumbnails"] == 1 {
		t.Type = media.Data
		return
	}
	t.Width, t.Height, t.PixelFormat, t.BitDepth = s.Width, s.Height, s.PixelFormat, s.depth()
	t.Colour = media.Colour{Primaries: known(s.Primaries), Transfer: known(s.Transfer), Matrix: known(s.Space), FullRange: s.Range == "pc" || strings.HasPrefix(s.PixelFormat, "yuvj")}
	t.FrameRate = ratio(s.Mean, "/")
	r := ratio(s.Rate, "/")
	if t.FrameRate > fastest && r > 0 && r <= fastest {
		t.FrameRate = r // of Matroska without a rate, the mean is that of its clock
	}
	if r > 0 && t.FrameRate > 0 {
		t.VariableRate = math.Abs(r-t.FrameRate) > 0.02*t.FrameRate
	}
	for _, d := range s.SideData {
		if d.Type == "Display Matrix" {
			// ffprobe counts against the clock.
			t.Rotation = ((int(math.Round(-d.Rotation/90))*90)%360 + 360) % 360
		}
	}
	t.DisplayWidth, t.DisplayHeight = s.Width, s.Height
	if a := ratio(s.Aspect, ":"); a > 0.05 && a < 20 {
		t.DisplayWidth = int(math.Round(float64(s.Width) * a))
	}
	if t.Rotation%180 != 0 {
		t.DisplayWidth, t.DisplayHeight = t.DisplayHeight, t.DisplayWidth
	}
}

// depth is that of one component; ffprobe knows it for some codecs only.
func (s stream) depth() int {
	if n := parseInt(s.RawBits); n > 0 && n <= 16 {
		return int(n)
	}
	for _, n := range []int{9, 10, 12, 14, 16} {
		if strings.Contains(s.PixelFormat, "p"+strconv.Itoa(n)+"le") || strings.Contains(s.PixelFormat, "p"+strconv.Itoa(n)+"be") {
			return n
		}
	}
	if s.PixelFormat != "" {
		return 8
	}
	return 0
}

func known(s string) string {
	if s == "unknown" || s == "reserved" {
		return ""
	}
	return s
}

// ratio reads "30000/1001"; 0 is not known.
func ratio(s, by string) float64 {
	over, under, _ := strings.Cut(s, by)
	a, err1 := strconv.ParseFloat(over, 64)
	b, err2 := strconv.ParseFloat(under, 64)
	if err1 != nil || err2 != nil || a <= 0 || b <= 0 {
		return 0
	}
	return a / b
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func parseSeconds(s string) time.Duration {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return seconds(f)
}

// seconds is 0 for what no clock shows.
func seconds(f float64) time.Duration {
	const century = 100 * 365 * 24 * 3600
	if math.IsNaN(f) || f > century || f < -century {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}
