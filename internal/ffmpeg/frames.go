package ffmpeg

import (
	"fmt"
	"image"
	"strconv"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// pick says which pictures are wanted.
type pick struct {
	start, length time.Duration // 0 is from the beginning, to the end
	keys          bool          // key frames alone, which is quick
	rate          string        // pictures a second, as a ratio; "" is every picture
	most          int
	width, height int
	crop          bool // that part of the middle, in its own size
}

// frames decodes pictures and returns them in order, upright, in the size that was asked
// for; fewer or none where there are no more. At most p.most are in memory.
func (j *job) frames(p pick, each func(n int)) ([]*image.RGBA, error) {
	v := j.info.Video()
	if v == nil || p.width <= 0 || p.height <= 0 {
		return nil, media.Refuse(media.Broken, nil)
	}
	if err := j.light(v); err != nil {
		return nil, err
	}
	c := call{bounds: quickBounds(), after: []string{"-map", j.stream(v), "-an", "-sn", "-dn"}}
	if p.start > 0 {
		c.before = append(c.before, "-ss", text(p.start))
	}
	if p.length > 0 {
		c.before = append(c.before, "-t", text(p.length))
	} else {
		c.bounds = longBounds(j.info)
	}
	if p.keys {
		c.before = append(c.before, "-skip_frame", "nokey")
	}
	filter := toRGB(v, p.width, p.height)
	if p.crop {
		filter = fmt.Sprintf("crop=%d:%d,", p.width, p.height) + filter
	}
	mode := "passthrough"
	if p.rate != "" {
		filter, mode = "fps="+p.rate+":start_time=0:round=near,"+filter, "vfr"
	}
	c.after = append(c.after, "-vf", filter, "-fps_mode", mode, "-frames:v", strconv.Itoa(p.most), "-f", "rawvideo", "pipe:1")
	out := &pictures{width: p.width, height: p.height, most: p.most, each: each}
	c.stdout = out
	err := j.run(c)
	if err != nil && len(out.done) == 0 {
		return nil, err
	}
	return out.done, nil
}

// pictures cuts a stream of samples into pictures.
type pictures struct {
	width, height, most int
	each                func(n int)
	now                 *image.RGBA
	filled              int
	done                []*image.RGBA
}

// Write takes samples; what is more than was asked for is dropped.
func (p *pictures) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 && len(p.done) < p.most {
		if p.now == nil {
			p.now, p.filled = image.NewRGBA(image.Rect(0, 0, p.width, p.height)), 0
		}
		took := copy(p.now.Pix[p.filled:], b)
		p.filled, b = p.filled+took, b[took:]
		if p.filled < len(p.now.Pix) {
			break
		}
		for i := 3; i < len(p.now.Pix); i += 4 {
			p.now.Pix[i] = 0xff
		}
		p.done, p.now = append(p.done, p.now), nil
		if p.each != nil {
			p.each(len(p.done))
		}
	}
	return n, nil
}
