package ffmpeg

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
)

// lightFile is the table that brings a high dynamic range down, beside what is made. It is
// computed here rather than left to filters of ffmpeg: a table is faster, and
// every build has the filter that reads it.
const (
	lightFile  = "light.cube"
	lightSteps = 33
	// pageWhite is the light of a white page in such a picture, and peakLight the brightest
	// that is told apart, in cd/m² (ITU-R BT.2408 section 2.1).
	pageWhite = 203
	peakLight = 1000
	// knee is up to where light is kept as it is; above it is compressed.
	knee = 0.35
)

// writeLight writes the table for that transfer, in the form of Adobe's cubes: red changes
// fastest.
func writeLight(w io.Writer, transfer string) error {
	b := bufio.NewWriter(w)
	fmt.Fprintf(b, "LUT_3D_SIZE %d\n", lightSteps)
	at := func(i int) float64 { return float64(i) / (lightSteps - 1) }
	for z := range lightSteps {
		for y := range lightSteps {
			for x := range lightSteps {
				c := ordinaryLight([3]float64{at(x), at(y), at(z)}, transfer)
				fmt.Fprintf(b, "%.5f %.5f %.5f\n", c[0], c[1], c[2])
			}
		}
	}
	return b.Flush()
}

// ordinaryLight turns a coded colour of BT.2100 into one of BT.709.
func ordinaryLight(c [3]float64, transfer string) [3]float64 {
	if transfer == "arib-std-b67" {
		c = hybrid(c)
	} else {
		for k := range c {
			c[k] = perceptual(c[k])
		}
	}
	// BT.2020 to BT.709 primaries (ITU-R BT.2087), white as 1.
	r, g, b := c[0]/pageWhite, c[1]/pageWhite, c[2]/pageWhite
	c = [3]float64{
		max(0, 1.6605*r-0.5876*g-0.0728*b),
		max(0, -0.1246*r+1.1329*g-0.0083*b),
		max(0, -0.0182*r-0.1006*g+1.1187*b),
	}
	// One factor for the three keeps the hue.
	if top := max(c[0], c[1], c[2]); top > 0 {
		factor := compress(top) / top
		for k := range c {
			c[k] = math.Pow(min(1, c[k]*factor), 1/2.2)
		}
	}
	return c
}

// perceptual is the light of a value of PQ, in cd/m² (ITU-R BT.2100 table 4).
func perceptual(v float64) float64 {
	const m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
	p := math.Pow(v, 1/m2)
	return 10000 * math.Pow(max(p-c1, 0)/(c2-c3*p), 1/m1)
}

// hybrid is the light of values of HLG on a display of peakLight, in cd/m² (ITU-R BT.2100
// table 5).
func hybrid(v [3]float64) [3]float64 {
	const a, b, c = 0.17883277, 0.28466892, 0.55991073
	for k, x := range v {
		if x <= 0.5 {
			v[k] = x * x / 3
		} else {
			v[k] = (math.Exp((x-c)/a) + b) / 12
		}
	}
	gain := peakLight * math.Pow(0.2627*v[0]+0.6780*v[1]+0.0593*v[2], 0.2)
	for k := range v {
		v[k] *= gain
	}
	return v
}

// compress keeps light up to the knee and bends the rest so that the peak becomes 1: a
// hyperbola that leaves the line without a corner.
func compress(x float64) float64 {
	const peak = float64(peakLight) / pageWhite
	if x <= knee {
		return x
	}
	x = min(x, peak)
	const a = -knee * knee * (peak - 1) / (knee*knee - 2*knee + peak)
	const b = (knee*knee - 2*knee*peak + peak) / (peak - 1)
	return (b*b + 2*b*knee + knee*knee) / (b - a) * (x + a) / (x + b)
}

// light puts the table where ffmpeg reads it, when the picture needs it.
func (j *job) light(v *media.Track) error {
	if v == nil || !v.Colour.HDR() {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(j.dir, lightFile), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err == nil {
		err = writeLight(f, v.Colour.Transfer)
		if e := f.Close(); err == nil {
			err = e
		}
	}
	if err != nil {
		return vam.Wrap(vam.Unavailable, err, "the disk of this server is full; work on the recording is tried again")
	}
	return nil
}
