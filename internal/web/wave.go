package web

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
)

const (
	maxPeaksFile = 64 << 10 // octets
	waveBars     = 120
	waveStep     = 4 // units from one bar to the next
)

// drawWave makes an SVG path of bars, 100 units high, from a file of peaks as
// media.PeaksFile describes it. "" for one that cannot be read.
func drawWave(r io.Reader) (path string, width int) {
	var file struct {
		Peaks []float64 `json:"peaks"`
	}
	data, err := io.ReadAll(io.LimitReader(r, maxPeaksFile))
	if err != nil || json.Unmarshal(data, &file) != nil || len(file.Peaks) == 0 {
		return "", 0
	}
	var b strings.Builder
	bars := min(waveBars, len(file.Peaks))
	for i := range bars {
		peak := 0.0
		for _, p := range file.Peaks[i*len(file.Peaks)/bars : (i+1)*len(file.Peaks)/bars] {
			peak = max(peak, min(p, 100))
		}
		half := int(math.Round(max(2, peak*0.46)))
		fmt.Fprintf(&b, "M%d %dv%d", i*waveStep+waveStep/2, 50-half, 2*half)
	}
	return b.String(), bars * waveStep
}
