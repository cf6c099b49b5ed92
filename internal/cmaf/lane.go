package cmaf

import (
	"math"
	"slices"
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

// keep decides which samples are kept for the part of the media that is shown; false when
// too much would have to be decoded unseen.
func (l *lane) keep(p isobmff.Presentation, tolerance int64) bool {
	found, near := l.from(p.Start)
	if !found {
		// An edit list that shows nothing at all is a mistake.
		p = isobmff.Presentation{End: math.MaxInt64}
		_, near = l.from(math.MinInt64 / 4)
	}
	l.begin = p.Delay + l.t.Seconds(l.shown-p.Start)
	l.until(p.End, tolerance)
	return near
}

// from finds the first sample to keep, so that everything shown at start or later can be
// decoded. found is false when nothing is shown then, near when it is too far from a key
// frame.
func (l *lane) from(start int64) (found, near bool) {
	if !l.video {
		return l.soundFrom(start), true
	}
	c := l.t.Cursor()
	key, keyed := c, false // before the last key frame that is needed
	var s isobmff.Sample
	for hidden := int64(0); ; hidden++ {
		before := c
		if !c.Next(&s) {
			return false, true
		}
		seen := visible(s, start)
		if s.Sync && (s.Shown() <= start || seen || !keyed) {
			key, keyed, hidden = before, true, 0
		}
		if !seen {
			continue
		}
		l.first, l.n = key, l.t.Len()-key.Index()
		if hidden > maxPreroll {
			return true, false
		}
		l.order(start, before.Index()-key.Index())
		return true, true
	}
}

// visible reports whether most of a picture's time is at start or later: what is left of
// a picture that began earlier is not worth another moment.
func visible(s isobmff.Sample, start int64) bool {
	return s.Shown()+int64(s.Duration)/2 > start || s.Shown() >= start
}

// order finds the samples from first on that are shown before start, and the moment of the
// first that is not. lead is the first one in order of decoding.
func (l *lane) order(start, lead int64) {
	const window = 64 // pictures that may be out of order
	c := l.first
	var before, decode []int64 // in the track's units
	var early []int64
	last := int64(-1) // number of the last hidden sample
	l.shown = math.MaxInt64
	var s isobmff.Sample
	for i := range lead + window {
		if !c.Next(&s) {
			break
		}
		before, decode = append(before, s.Shown()), append(decode, s.Decode)
		if visible(s, start) {
			l.shown = min(l.shown, s.Shown())
		} else {
			last, early = i, append(early, s.Shown())
		}
	}
	next := last + 1
	if next >= int64(len(decode)) {
		next = int64(len(decode)) - 1
	}
	l.decode = decode[next]
	if last >= 0 {
		l.hide(before[:last+1], early)
	}
}

// hide lets the first n samples be decoded in the ticks before zero, and those among them
// that are not shown be shown there, in their order; moments are those of all n.
func (l *lane) hide(moments, early []int64) {
	slices.Sort(early)
	l.hidden = int64(len(moments))
	l.moved = make(map[int64]int64, len(early))
	for i, m := range moments {
		if rank, is := slices.BinarySearch(early, m); is {
			l.moved[int64(i)] = int64(rank - len(early))
		}
	}
	l.refine()
}

// refine makes ticks so short, some 10 µs, that a picture which is shown for one of them is
// not seen.
func (l *lane) refine() {
	for l.scale < 1<<16 {
		l.scale *= 2
		l.fine *= 2
	}
}

// soundFrom drops sound that ends before start.
func (l *lane) soundFrom(start int64) bool {
	c := l.t.Cursor()
	var s isobmff.Sample
	for {
		before := c
		if !c.Next(&s) {
			return false
		}
		if s.Shown()+int64(s.Duration) > start {
			l.first, l.n = before, l.t.Len()-before.Index()
			l.shown, l.decode = s.Shown(), s.Decode
			return true
		}
	}
}

// until drops the samples behind the last one that is shown before end. Pictures among
// those kept that are shown later pass in the first ticks after the end.
func (l *lane) until(end, tolerance int64) {
	if end == math.MaxInt64 {
		return
	}
	var late []int64 // numbers of samples
	var moments []int64
	keep := int64(1)
	c := l.first
	var s isobmff.Sample
	for i := range l.n {
		if !c.Next(&s) {
			break
		}
		if s.Shown()+min(tolerance, int64(s.Duration)/2) < end || s.Shown() < end && tolerance <= 1 {
			keep = i + 1
		} else if l.video && len(late) < maxLate {
			late, moments = append(late, i), append(moments, s.Shown())
		}
	}
	l.n = keep
	for len(late) > 0 && late[len(late)-1] >= keep {
		late, moments = late[:len(late)-1], moments[:len(moments)-1]
	}
	l.stop = (end - l.shown) * l.fine
	if len(late) == 0 {
		return
	}
	if l.moved == nil {
		l.moved = make(map[int64]int64, len(late))
	}
	l.refine()
	l.stop = (end - l.shown) * l.fine
	order := slices.Clone(moments)
	slices.Sort(order)
	for i, m := range moments {
		rank, _ := slices.BinarySearch(order, m)
		l.moved[late[i]] = l.stop + int64(rank)
	}
}

// align sets the common clock: its zero is the first thing shown, or as many ticks earlier
// as hidden pictures need.
func (v *View) align() error {
	start := v.lanes[0].begin
	var room time.Duration
	for _, l := range v.lanes {
		start = min(start, l.begin)
		room = max(room, l.time(l.hidden))
	}
	for _, l := range v.lanes {
		after := l.begin - start
		if after > maxLength {
			return tooMuch("%d days", maxLength/(24*time.Hour))
		}
		l.zero = max(l.ticks(after+room), l.hidden)
	}
	return nil
}
