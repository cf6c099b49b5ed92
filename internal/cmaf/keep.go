package cmaf

import (
	"math"
	"slices"
	"time"

	"github.com/videoactivmail/vam/internal/isobmff"
)

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
