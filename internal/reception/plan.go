package reception

import (
	"context"
	"io"
	"sync"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
)

// part is one blob that is to be fetched.
type part struct {
	sum    activmail.Sum
	off    int64 // in the media
	length int64
	media  bool // of the main track; otherwise a blob beside it
}

// firstChunk is the length of the very first media request, so that something is
// playable soon, and the shortest of later ones.
const firstChunk = 1 << 20

// plan hands out the missing parts of a log in order, but for what is wanted early, in
// runs that one range request fetches, while the log still grows. It holds one page of lines and what
// is under way, never the whole log. Its run goroutine owns everything but the
// fields under mu.
type plan struct {
	chunk  int64 // the longest piece
	lanes  int   // that share the rest
	limits activmail.Limits
	page   func(ctx context.Context, from int64) ([]message.Line, error)
	w      *message.Writer

	pieces  chan []part // to the lanes; closed when everything is here
	results chan []part // from the lanes: what they did not get, nil for a whole piece
	grown   chan struct{}

	mu     sync.Mutex
	lines  int64 // how many there are
	sealed bool  // and there will be no more media

	read   int64          // how many were looked at
	loaded []message.Line // a page of them, from read on
	begun  bool           // with the media
	opened bool           // the first piece of the media has come, or was given back
	end    int64          // of the media of a sealed log; 0: not known

	looked bool          // ahead
	early  map[part]bool // handed out ahead of their turn
	tail   []part        // the end of the media, until it is handed out
}

// aheadLines is how many of the last lines are looked at before their turn.
const aheadLines = 16

// tailBytes is how much of the end of the media is fetched early: where files have their
// index, without which nothing of them can be played.
const tailBytes = 4 << 20

func newPlan(chunk int64, lanes int, limits activmail.Limits, page func(context.Context, int64) ([]message.Line, error), w *message.Writer) *plan {
	return &plan{
		chunk: chunk, lanes: lanes, limits: limits, page: page, w: w,
		pieces: make(chan []part), results: make(chan []part), grown: make(chan struct{}, 1), early: map[part]bool{},
	}
}

// grow says that the log has lines lines now, and whether these are all.
func (p *plan) grow(lines int64, sealed bool) {
	p.mu.Lock()
	p.lines, p.sealed = max(p.lines, lines), p.sealed || sealed
	p.mu.Unlock()
	select {
	case p.grown <- struct{}{}:
	default:
	}
}

// run hands out pieces until the sealed log is complete, then closes pieces.
func (p *plan) run(ctx context.Context) error {
	var again [][]part // given back by lanes
	var next []part
	under := 0 // pieces under way
	for {
		p.mu.Lock()
		lines, sealed := p.lines, p.sealed
		p.mu.Unlock()
		if sealed && !p.looked {
			posters, err := p.lookAhead(ctx, lines)
			if err != nil {
				return err
			}
			again = append(again, posters...)
		}
		if n := len(again); next == nil && n > 0 {
			next, again = again[n-1], again[:n-1]
		}
		if next == nil {
			var err error
			if next, err = p.choose(ctx, lines, under); err != nil {
				return err
			}
		}
		if next == nil && under == 0 && sealed {
			close(p.pieces)
			return nil
		}
		var out chan []part
		if next != nil {
			out = p.pieces
		}
		select {
		case out <- next:
			next = nil
			under++
		case rest := <-p.results:
			under--
			if len(rest) > 0 {
				again = append(again, rest)
			}
		case <-p.grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// choose takes what is to be fetched next off the log, while under pieces are under way; nil
// when there is none yet.
func (p *plan) choose(ctx context.Context, lines int64, under int) ([]part, error) {
	if p.begun && !p.opened {
		if under > 0 {
			return nil, nil // what is played first has the path for itself
		}
		p.opened = true
	}
	if !p.opened || p.tail == nil {
		if piece, err := p.cut(ctx, lines); piece != nil || err != nil {
			return piece, err
		}
	}
	tail := p.tail
	p.tail = nil
	return tail, nil
}

// cut takes the next run of missing parts off the log; nil when there is none yet.
func (p *plan) cut(ctx context.Context, lines int64) ([]part, error) {
	var piece []part
	var size, end, limit int64
	for p.read < lines {
		x, missing, err := p.look(ctx)
		if err != nil {
			return nil, err
		}
		missing = missing && !p.early[x]
		if missing && len(piece) > 0 && (!x.media || !piece[0].media || x.off != end || size+x.length > limit) {
			break // it begins the next piece
		}
		p.read++
		p.loaded = p.loaded[1:]
		if missing {
			if len(piece) == 0 {
				limit = p.limit(x.off)
			}
			piece = append(piece, x)
			size, end = size+x.length, x.off+x.length
		}
	}
	p.begun = p.begun || len(piece) > 0 && piece[0].media
	return piece, nil
}

// limit is how long a piece of the media from off on may be. Towards the end pieces become
// shorter, so that no lane is left with much when the others have nothing to do any more.
func (p *plan) limit(off int64) int64 {
	switch {
	case !p.begun:
		return firstChunk
	case p.end == 0:
		return p.chunk
	}
	return min(p.chunk, max(firstChunk, (p.end-off)/int64(2*p.lanes)))
}

// lookAhead finds what is wanted before its turn in a sealed log: the blobs beside the
// media that its last lines name, such as a poster, which are returned, and the end of
// long media (AM-7.26).
func (p *plan) lookAhead(ctx context.Context, lines int64) (sides [][]part, err error) {
	p.looked = true
	from := max(p.read, lines-aheadLines)
	last, err := p.page(ctx, from)
	if err != nil {
		return nil, err
	}
	var tail []part
	for _, l := range last[:min(int64(len(last)), lines-from)] {
		x, missing, err := p.missing(ctx, l)
		if err != nil {
			return nil, err
		}
		if x.media {
			p.end = x.off + x.length
		}
		switch {
		case missing && !x.media:
			sides = append(sides, []part{x})
			p.early[x] = true
		case missing:
			tail = append(tail, x)
		}
	}
	first, size := len(tail), int64(0)
	for first > 0 && size+tail[first-1].length <= tailBytes && tail[first-1].off >= p.chunk {
		first--
		size += tail[first].length
	}
	if tail = tail[first:]; len(tail) > 0 {
		p.tail = tail
	}
	for _, x := range tail {
		p.early[x] = true
	}
	return sides, nil
}

// look examines the line at p.read and reports whether its blob is missing.
func (p *plan) look(ctx context.Context) (part, bool, error) {
	if len(p.loaded) == 0 {
		lines, err := p.page(ctx, p.read)
		if err != nil {
			return part{}, false, err
		}
		if len(lines) == 0 {
			return part{}, false, io.ErrUnexpectedEOF
		}
		p.loaded = lines
	}
	return p.missing(ctx, p.loaded[0])
}

// missing reports whether the blob that a line names is not here.
func (p *plan) missing(ctx context.Context, l message.Line) (part, bool, error) {
	r, err := activmail.ParseRecord(l.Raw, p.limits)
	if err != nil || !r.HasBlob() {
		return part{}, false, err
	}
	x := part{sum: r.Blob, off: l.Offset, length: l.Length, media: r.IsMedia()}
	if !x.media {
		there, err := p.w.HasSide(ctx, r.Blob)
		return x, !there, err
	}
	if p.w.Has(message.Range{Start: x.off, End: x.off + x.length}) {
		return x, false, nil
	}
	there, err := p.w.Rescan(ctx, l)
	return x, !there, err
}
