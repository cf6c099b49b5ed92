package isobmff

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam/internal/media"
)

// Info says in the words of package media what the file is.
func (m *Movie) Info() media.Info {
	i := media.Info{
		Container: m.container(), Size: m.Size, Fragmented: m.Fragmented, IndexLast: m.IndexLast, Chapters: m.Chapters,
	}
	for _, b := range m.Brands {
		i.Brands = append(i.Brands, strings.TrimRight(b.String(), " ."))
	}
	for _, t := range m.Tracks {
		mt := m.track(t)
		i.Tracks = append(i.Tracks, mt)
		if mt.Type == media.Video || mt.Type == media.Audio {
			i.Duration = max(i.Duration, mt.Start+mt.Duration)
			i.Encrypted = i.Encrypted || t.Encrypted()
		}
	}
	defaults(i.Tracks)
	return i
}

// defaults leaves one default of each type: the first of those that are enabled, since
// many writers enable all of them.
func defaults(tracks []media.Track) {
	seen := make(map[media.TrackType]bool)
	for n := range tracks {
		t := &tracks[n]
		t.Default = t.Default && !seen[t.Type]
		seen[t.Type] = seen[t.Type] || t.Default
	}
}

func (m *Movie) container() string {
	if len(m.Brands) == 0 {
		return "mov" // older than brands
	}
	switch major := m.Brands[0].String(); {
	case m.Still, still(m.Brands[:1]):
		return "heif"
	case major == "qt  ":
		return "mov"
	case strings.HasPrefix(major, "3gp"), strings.HasPrefix(major, "3g2"), strings.HasPrefix(major, "3gr"):
		return "3gp"
	}
	return "mp4"
}

// Encrypted reports whether samples of the track cannot be read without a key.
func (t *Track) Encrypted() bool {
	return slices.ContainsFunc(t.Entries, func(e *Entry) bool { return e.Scheme != FourCC{} })
}

// Type is the track's type in the words of package media: chapters and pictures of
// covers are data.
func (t *Track) Type() media.TrackType {
	if t.Chapters {
		return media.Data
	}
	switch t.Handler.String() {
	case "vide":
		return media.Video
	case "soun":
		return media.Audio
	case "text", "sbtl", "subt", "clcp":
		return media.Text
	}
	return media.Data
}

// Entry is the description of the samples: the one that they use, else the first; nil
// when there is none.
func (t *Track) Entry() *Entry {
	switch {
	case t.Used >= 0:
		return t.Entries[t.Used]
	case len(t.Entries) > 0:
		return t.Entries[0]
	}
	return nil
}

func (m *Movie) track(t *Track) media.Track {
	out := media.Track{ID: t.ID, Type: t.Type(), Language: t.Language, Default: t.Enabled}
	out.Start, out.Duration = m.extent(t)
	if s := out.Duration.Seconds(); s > 0 {
		out.BitRate = int64(float64(t.Bytes()) * 8 / s)
	}
	e := t.Entry()
	if e == nil {
		return out
	}
	c := e.Coding()
	out.Codec, out.RFC6381, out.Profile = c.Codec, c.RFC6381, c.Profile
	switch out.Type {
	case media.Audio:
		out.Channels, out.SampleRate = c.Channels, c.SampleRate
	case media.Video:
		out.PixelFormat, out.BitDepth, out.Colour = c.PixelFormat, c.BitDepth, c.Colour
		out.Width, out.Height, out.Rotation = e.Width, e.Height, t.Rotation()
		out.DisplayWidth, out.DisplayHeight = shown(e, out.Rotation)
		if s := t.Seconds(t.Ticks()).Seconds(); s > 0 {
			out.FrameRate = float64(t.Len()) / s
		}
		out.VariableRate = t.uneven()
	}
	return out
}

// shown is the size on the screen: pixels made square, the picture upright.
func shown(e *Entry, rotation int) (w, h int) {
	w, h = e.Width, e.Height
	if e.AspectX > 0 && e.AspectX != e.AspectY {
		w = int(min(math.Round(float64(w)*float64(e.AspectX)/float64(e.AspectY)), 1<<20))
	}
	if rotation%180 != 0 {
		return h, w
	}
	return w, h
}

// extent is when the track begins and how long it is: by its samples and its edit list.
// The length that its head claims counts only where there are no samples.
func (m *Movie) extent(t *Track) (start, length time.Duration) {
	p := m.Presentation(t)
	ticks := t.Ticks()
	first := t.table.begin()
	if t.table.n == 0 && !m.Fragmented {
		ticks = t.claimed
	}
	// Pictures that are shown in another order than they are decoded in begin later, by as
	// much as the edit list takes away.
	lead := t.lead()
	begin := max(p.Start, addCapped(first, lead))
	end := min(p.End, addCapped(addCapped(first, ticks), lead))
	if !m.Fragmented && end > addCapped(first, ticks) && p.End == math.MaxInt64 {
		end = addCapped(first, addCapped(ticks, lead))
	}
	return p.Delay + t.Seconds(begin-p.Start), t.Seconds(max(end-begin, 0))
}

// lead is how long after the first moment of decoding the first picture is shown.
func (t *Track) lead() int64 {
	const enough = 64 // pictures that may be out of order
	c := t.Cursor()
	lead, found := int64(0), false
	var first int64
	var s Sample
	for i := range enough {
		if !c.Next(&s) {
			break
		}
		if i == 0 {
			first = s.Decode
		}
		if v := s.Shown() - first; !found || v < lead {
			lead, found = v, true
		}
	}
	return lead
}

// uneven reports whether the distances of samples differ by more than rounding does; the
// last one, which nobody sees, does not count.
func (t *Track) uneven() bool {
	c := t.table.delta.cursor()
	var shortest, longest uint32
	for i := range t.table.n - 1 {
		v := c.next()
		if i == 0 {
			shortest, longest = v, v
		}
		shortest, longest = min(shortest, v), max(longest, v)
	}
	return longest-shortest > 1 && float64(longest) > 1.05*float64(shortest)
}
