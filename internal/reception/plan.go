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
// playable soon; later ones have the plan's chunk.
const firstChunk = 1 << 20

// plan hands out the missing parts of a log in order, in runs that one range
// request fetches, while the log still grows. It holds one page of lines and what
// is under way, never the whole log. Its run goroutine owns everything but the
// fields under mu.
type plan struct {
	chunk  int64
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
	begun  bool
}

func newPlan(chunk int64, limits activmail.Limits, page func(context.Context, int64) ([]message.Line, error), w *message.Writer) *plan {
	return &plan{
		chunk: chunk, limits: limits, page: page, w: w,
		pieces: make(chan []part), results: make(chan []part), grown: make(chan struct{}, 1),
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
		if n := len(again); next == nil && n > 0 {
			next, again = again[n-1], again[:n-1]
		}
		if next == nil {
			var err error
			if next, err = p.cut(ctx, lines); err != nil {
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

// cut takes the next run of missing parts off the log; nil when there is none yet.
func (p *plan) cut(ctx context.Context, lines int64) ([]part, error) {
	limit := p.chunk
	if !p.begun {
		limit = firstChunk
	}
	var piece []part
	var size, end int64
	for p.read < lines {
		x, missing, err := p.look(ctx)
		if err != nil {
			return nil, err
		}
		if missing && len(piece) > 0 && (!x.media || !piece[0].media || x.off != end || size+x.length > limit) {
			break // it begins the next piece
		}
		p.read++
		p.loaded = p.loaded[1:]
		if missing {
			piece = append(piece, x)
			size, end = size+x.length, x.off+x.length
		}
	}
	p.begun = p.begun || len(piece) > 0
	return piece, nil
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
	l := p.loaded[0]
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
