package ffmpeg

import (
	"context"
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
	apart         time.Duration // what lies closer to the one before is left out
	rate          string        // pictures a second, as a ratio; "" is every picture
	most          int
	width, height int
	crop          bool // that part of the middle, in its own size
}

// frames decodes pictures and hands them to take, in order, upright, in the size that was
// asked for; fewer where there are no more. The program ends as soon as take says that it
// wants no more. An error means that there was none.
func (j *job) frames(p pick, take func(*image.RGBA) (more bool)) error {
	v := j.info.Video()
	if v == nil || p.width <= 0 || p.height <= 0 {
		return media.Refuse(media.Broken, nil)
	}
	if err := j.light(v); err != nil {
		return err
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
	switch {
	case p.rate != "":
		filter, mode = "fps="+p.rate+":start_time=0:round=near,"+filter, "vfr"
	case p.apart > 0:
		filter = "select='isnan(prev_selected_t)+gte(t-prev_selected_t," + text(p.apart) + ")'," + filter
	}
	c.after = append(c.after, "-vf", filter, "-fps_mode", mode, "-frames:v", strconv.Itoa(p.most), "-f", "rawvideo", "pipe:1")
	ctx, stop := context.WithCancel(j.ctx)
	defer stop()
	out := &pictures{width: p.width, height: p.height, most: p.most, take: take, stop: stop}
	c.stdout = out
	if err := j.run(ctx, c); err != nil && out.count == 0 {
		return err
	}
	return nil
}

// pictures cuts a stream of samples into pictures.
type pictures struct {
	width, height, most int
	take                func(*image.RGBA) (more bool)
	stop                func()
	now                 *image.RGBA
	filled, count       int
}

// Write takes samples; what is more than is wanted is dropped.
func (p *pictures) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 && p.count < p.most {
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
		m := p.now
		p.now = nil
		p.count++
		if !p.take(m) {
			p.most = p.count
			p.stop()
		}
	}
	return n, nil
}

// all is a take that keeps every picture in out.
func all(out *[]*image.RGBA) func(*image.RGBA) bool {
	return func(m *image.RGBA) bool {
		*out = append(*out, m)
		return true
	}
}
