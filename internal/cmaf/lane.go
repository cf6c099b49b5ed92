package cmaf

import (
	"math"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/isobmff"
	"github.com/videoactivmail/vam/internal/media"
)

// A lane is one track as it is shown: which samples, and how their times become those of
// the view.
type lane struct {
	t      *isobmff.Track
	video  bool
	coding isobmff.Coding
	entry  []byte // sample entry for the init segment

	scale uint32         // units of a second in the view
	fine  int64          // how many of them are one of the track's
	first isobmff.Cursor // before the first sample that is kept
	n     int64          // samples that are kept
	begin time.Duration  // when the first picture or sound is shown, by the edit list

	shown  int64 // of that sample, in the track's units
	decode int64 // of the sample whose time of decoding becomes the same
	zero   int64 // what both become in the view's units
	// hidden is how many samples, from the first on, are decoded in the ticks before zero,
	// because among them are such that are only there to decode others.
	hidden int64
	// moved are the moments, relative to zero, of samples that are decoded but not shown.
	moved map[int64]int64
	stop  int64 // the end of what is shown, relative to zero
	// lead is added to every moment of the media so that no picture is shown before it is
	// decoded; an edit list in the init segment takes it away again.
	lead int64
	end  time.Duration // of the last sample
}

// sample is one sample in the times of the view.
type sample struct {
	offset        int64
	size          uint32
	decode, shown int64
	duration      uint32
	sync          bool
}

// A laneCursor steps through the samples of a lane.
type laneCursor struct {
	c isobmff.Cursor
	i int64
}

func (l *lane) cursor() laneCursor { return laneCursor{c: l.first} }

// next sets out to the next sample; false is behind the last.
func (l *lane) next(c *laneCursor, out *sample) bool {
	var s isobmff.Sample
	if c.i >= l.n || !c.c.Next(&s) {
		return false
	}
	out.offset, out.size, out.sync = s.Offset, s.Size, s.Sync
	out.decode = l.zero + (s.Decode-l.decode)*l.fine
	out.shown = l.zero + (s.Decode+int64(s.Compose)-l.shown)*l.fine
	out.duration = uint32(min(int64(s.Duration)*l.fine, math.MaxUint32))
	if c.i < l.hidden {
		out.decode, out.duration = l.zero-l.hidden+c.i, 1
	}
	if len(l.moved) > 0 {
		if m, ok := l.moved[c.i]; ok {
			out.shown = l.zero + m
		}
	}
	c.i++
	return true
}

func (l *lane) time(ticks int64) time.Duration { return isobmff.Scale(ticks, l.scale) }

func (l *lane) ticks(d time.Duration) int64 {
	return isobmff.MulDiv(int64(d), int64(l.scale), int64(time.Second))
}

// choose picks the tracks and decides which of their samples are kept.
func (v *View) choose(m *isobmff.Movie, o Options) error {
	var why error
	for _, want := range []struct {
		kind media.TrackType
		id   int
	}{{media.Video, o.Video}, {media.Audio, o.Audio}} {
		if want.id == None {
			continue
		}
		l, err := pick(m, want.kind, want.id)
		if err != nil {
			why = err
			if want.id != 0 {
				return err
			}
		}
		if l != nil {
			v.lanes = append(v.lanes, l)
		}
	}
	if len(v.lanes) == 0 {
		if why != nil {
			return why
		}
		return refuse("there is neither picture nor sound in it")
	}
	return nil
}

func refuse(format string, args ...any) error {
	e := vam.Errorf(vam.Invalid, "the recording cannot be shown as it is: "+format, args...)
	e.Cause = media.Refuse(media.Unsupported, nil)
	return e
}

func tooMuch(format string, args ...any) error {
	e := vam.Errorf(vam.TooLarge, "the recording has more than "+format+", the limit of this server", args...)
	e.Cause = media.Refuse(media.TooLarge, nil)
	return e
}

// pick finds the track: by its number, else the first enabled one that can be shown, else
// the first that can. Nil without an error is none there.
func pick(m *isobmff.Movie, kind media.TrackType, id int) (*lane, error) {
	var why error
	var spare *lane
	for _, t := range m.Tracks {
		if t.Type() != kind || id != 0 && t.ID != id {
			continue
		}
		l, err := newLane(m, t)
		switch {
		case err != nil && why == nil:
			why = err
		case err != nil:
		case t.Enabled || id != 0:
			return l, nil
		case spare == nil:
			spare = l
		}
	}
	if spare != nil {
		return spare, nil
	}
	if why == nil && id != 0 {
		why = refuse("there is no track %d of that type", id)
	}
	return nil, why
}

func newLane(m *isobmff.Movie, t *isobmff.Track) (*lane, error) {
	switch {
	case t.Encrypted():
		e := refuse("track %d is encrypted", t.ID)
		e.(*vam.Error).Cause = media.Refuse(media.Encrypted, nil)
		return nil, e
	case t.Len() == 0:
		return nil, refuse("track %d is empty", t.ID)
	case t.Len() > maxSamples:
		return nil, tooMuch("%d samples in track %d", maxSamples, t.ID)
	case t.Seconds(t.Ticks()) > maxLength:
		return nil, tooMuch("%d days in track %d", maxLength/(24*time.Hour), t.ID)
	case t.Used < 0:
		return nil, refuse("the coding changes within track %d", t.ID)
	}
	l := &lane{t: t, video: t.Type() == media.Video, scale: t.Timescale, fine: 1, stop: math.MaxInt64}
	l.coding = t.Entry().Coding()
	var err error
	if l.entry, err = sampleEntry(t, l.coding); err != nil {
		return nil, err
	}
	p := m.Presentation(t)
	if !p.Simple {
		return nil, refuse("track %d is put together of several cuts", t.ID)
	}
	// The length of an edit is rounded to units of the movie.
	if !l.keep(p, int64(t.Timescale)/max(int64(m.Timescale), 1)) {
		return nil, refuse("the cut of track %d is too far from a key frame", t.ID)
	}
	return l, nil
}
