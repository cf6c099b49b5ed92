package cmaf_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/cmaf"
	"github.com/videoactivmail/vam/internal/isobmff"
	box "github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
)

// cutFilm has a key frame every second; its edit lists are those of a recording that was cut
// at both ends, without being encoded again.
func cutFilm(deep int, from, length time.Duration) box.File {
	f := film(8)
	f.Tracks[0].Samples = frames(240, 30, deep, 3000)
	f.Tracks[0].Edits = []box.Edit{{Duration: uint64(length / time.Millisecond), Start: int64(from*90000/time.Second) + int64(deep)*3000}}
	f.Tracks[1].Edits = []box.Edit{{Duration: uint64(length / time.Millisecond), Start: int64(from * 48000 / time.Second)}}
	return f
}

// Pictures before the cut pass unseen, and what is shown is together with its sound.
func TestCutsBetweenKeyFrames(t *testing.T) {
	const tick = 20 * time.Microsecond
	for name, deep := range map[string]int{"in order": 0, "out of order": 2} {
		t.Run(name, func(t *testing.T) {
			const from, length = 2500 * time.Millisecond, 3 * time.Second
			f := cutFilm(deep, from, length)
			raw := f.Bytes()
			original := read(t, raw)
			v := view(t, raw, cmaf.Options{})
			if d := v.Duration() - length; d < 0 || d > 30*time.Millisecond {
				t.Errorf("is %s long, want %s", v.Duration(), length)
			}
			got := read(t, whole(t, v, raw))
			when := shown(got, got.Tracks[0])
			all := samples(original.Tracks[0])
			const key = 60 // the key frame at two seconds
			// The view's clock is that of the original, but for the first frame of sound,
			// which the cut goes through.
			sounds, base := shown(got, got.Tracks[1]), time.Duration(0)
			base = sounds[0] - time.Duration(117*1024)*time.Second/48000 + from
			var seen []time.Duration
			for i, at := range when {
				media := time.Duration(all[key+i].Shown()-int64(deep)*3000) * time.Second / 90000
				switch {
				case media < from:
					if early := from + base - from - at; early < -tick || early > 5*time.Millisecond {
						t.Errorf("picture %d, from before the cut, is shown %s before it", i, early)
					}
				case media >= from+length:
					if late := at - length - base; late < -tick || late > 5*time.Millisecond {
						t.Errorf("picture %d, from behind the end, is shown %s behind it", i, late)
					}
				default:
					seen = append(seen, at)
					if off := at - base - (media - from); off.Abs() > time.Millisecond {
						t.Errorf("picture %d is shown %s off", i, off)
					}
				}
			}
			if len(seen) != 90 {
				t.Errorf("%d pictures are shown, want 90", len(seen))
			}
			if !slices.IsSorted(decoded(t, f, v)) {
				t.Error("the order of decoding is broken")
			}
		})
	}
}

func decoded(t *testing.T, f box.File, v *cmaf.View) []int64 {
	var out []int64
	for _, s := range samples(read(t, whole(t, v, f.Bytes())).Tracks[0]) {
		out = append(out, s.Decode)
	}
	return out
}

// Sound keeps its place beside the picture through every kind of edit, to less than what
// anybody notices.
func TestSkew(t *testing.T) {
	tests := map[string]struct{ picture, sound []box.Edit }{
		"none":                       {nil, nil},
		"priming of an encoder":      {nil, []box.Edit{{Duration: 8000, Start: 1024}}},
		"priming of half a frame":    {nil, []box.Edit{{Duration: 8000, Start: 1698}}},
		"sound later":                {nil, []box.Edit{{Duration: 333, Start: -1}, {Start: 0}}},
		"picture later":              {[]box.Edit{{Duration: 333, Start: -1}, {Start: 0}}, nil},
		"both later":                 {[]box.Edit{{Duration: 700, Start: -1}, {Start: 0}}, []box.Edit{{Duration: 333, Start: -1}, {Start: 2112}}},
		"picture cut at a key frame": {[]box.Edit{{Duration: 4000, Start: 180000}}, []box.Edit{{Duration: 4000, Start: 96000}}},
		"picture cut elsewhere":      {[]box.Edit{{Duration: 4000, Start: 200000}}, []box.Edit{{Duration: 4000, Start: 106666}}},
		"an edit behind the end":     {[]box.Edit{{Duration: 4000, Start: 90000 * 100}}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := film(8)
			f.Tracks[0].Edits, f.Tracks[1].Edits = tt.picture, tt.sound
			raw := f.Bytes()
			original := read(t, raw)
			out := whole(t, view(t, raw, cmaf.Options{}), raw)
			got := read(t, out)
			// The place of the last sample of each track, in both, by its octets.
			var want, have [2]time.Duration
			for k := range want {
				a, p := samples(original.Tracks[k]), original.Presentation(original.Tracks[k])
				if p.Start > 90000*50 {
					p.Start = 0
				}
				b, when := samples(got.Tracks[k]), shown(got, got.Tracks[k])
				// The last sample that the view has stands at the same place in the original.
				kept := len(b)
				first := 0
				for !same(raw, a[first:], out, b) {
					first++
				}
				want[k] = p.Delay + original.Tracks[k].Seconds(a[first+kept-1].Shown()-p.Start)
				have[k] = when[kept-1]
			}
			if skew := (have[0] - have[1]) - (want[0] - want[1]); skew.Abs() > time.Millisecond {
				t.Errorf("sound is %s off", skew)
			}
			if min(shown(got, got.Tracks[0])[0], shown(got, got.Tracks[1])[0]) > 10*time.Millisecond {
				t.Error("nothing is shown at the beginning")
			}
		})
	}
}

// same reports whether the octets of a's samples in x begin with those of b's in y.
func same(x []byte, a []isobmff.Sample, y []byte, b []isobmff.Sample) bool {
	for i := range b {
		if !bytes.Equal(x[a[i].Offset:a[i].Offset+int64(a[i].Size)], y[b[i].Offset:b[i].Offset+int64(b[i].Size)]) {
			return false
		}
	}
	return true
}
