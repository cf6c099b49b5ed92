package ffmpeg

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// The measure of a wave form.
const (
	peakRate   = 8000 // samples a second are enough to see loudness
	peakWindow = 80   // samples: 10 ms
	peakMost   = 800  // values in the end
)

// peaks saves the wave form of the sound.
func (j *job) peaks() ([]File, error) {
	a := j.info.Audio()
	if a == nil {
		return nil, nil
	}
	m := &meter{most: int((media.MaxDuration+time.Hour)/time.Second) * peakRate / peakWindow}
	if total := j.info.Duration.Seconds() * peakRate / peakWindow; total > 0 {
		m.each = func(n int) { j.report(float64(n) / total) }
	}
	err := j.run(j.ctx, call{
		after:  []string{"-map", j.stream(a), "-vn", "-sn", "-dn", "-ac", "1", "-ar", "8000", "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"},
		stdout: m, bounds: longBounds(j.info),
	})
	m.flush()
	if len(m.loud) == 0 {
		if err == nil {
			err = media.Refuse(media.Broken, nil)
		}
		return nil, err
	}
	length := float64(len(m.loud)) * peakWindow / peakRate
	if d := j.info.Duration.Seconds(); d > 0 {
		length = d
	}
	content, err := json.Marshal(struct {
		Duration float64 `json:"duration"`
		Peaks    []int   `json:"peaks"`
	}{math.Round(length*1000) / 1000, shrink(m.loud, peakMost)})
	if err != nil {
		return nil, err
	}
	f, err := j.save(media.PeaksFile, "application/json", 0, 0, content)
	if err != nil {
		return nil, err
	}
	return []File{f}, nil
}

// meter keeps the loudest sample of each window.
type meter struct {
	most int
	each func(n int)
	odd  []byte // half a sample
	now  uint16
	in   int // samples of this window
	loud []uint16
}

// Write takes samples of 16 bit, little-endian.
func (m *meter) Write(b []byte) (int, error) {
	n := len(b)
	if len(m.odd) > 0 {
		b = append(m.odd, b...)
		m.odd = nil
	}
	for ; len(b) >= 2; b = b[2:] {
		v := int(int16(binary.LittleEndian.Uint16(b)))
		m.now = max(m.now, uint16(max(v, -v)))
		if m.in++; m.in == peakWindow {
			m.flush()
		}
	}
	if len(b) == 1 {
		m.odd = []byte{b[0]}
	}
	return n, nil
}

func (m *meter) flush() {
	if m.in == 0 || len(m.loud) >= m.most {
		return
	}
	m.loud = append(m.loud, m.now)
	m.now, m.in = 0, 0
	if m.each != nil && len(m.loud)%1000 == 0 {
		m.each(len(m.loud))
	}
}

// shrink makes at most so many values from 0 to 100 of it. The loudest is 100; what is quiet
// is lifted as the ear does.
func shrink(loud []uint16, most int) []int {
	top := uint16(1)
	for _, v := range loud {
		top = max(top, v)
	}
	n := min(len(loud), most)
	out := make([]int, n)
	for i := range out {
		var peak uint16
		for _, v := range loud[i*len(loud)/n : (i+1)*len(loud)/n] {
			peak = max(peak, v)
		}
		if top > 30 { // less is the noise of nothing
			out[i] = int(math.Round(100 * math.Pow(float64(peak)/float64(top), 0.6)))
		}
	}
	return out
}
