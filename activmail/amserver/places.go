package amserver

import (
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// places counts what is going on, in all and for one pull token. Its zero value is
// ready, and it is safe for concurrent use.
type places struct {
	mu    sync.Mutex
	total int
	of    map[activmail.Token]int
}

// enter takes one of total places, of which a token may have perToken; leave gives it
// back. Errors: Busy (rate).
func (p *places) enter(t activmail.Token, total, perToken int) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= total || p.of[t] >= perToken {
		return nil, vam.Errorf(vam.Busy, "too many requests of this kind at a time: at most %d for one message and domain", perToken).
			WithProblem("rate").WithRetry(time.Second)
	}
	if p.of == nil {
		p.of = make(map[activmail.Token]int)
	}
	p.total++
	p.of[t]++
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.total--
		if p.of[t]--; p.of[t] == 0 {
			delete(p.of, t)
		}
	}, nil
}

// waiting runs f in a place to wait with a token (AM-7.11); without wait it needs none.
func (h *handler) waiting(t activmail.Token, wait time.Duration, f func() error) error {
	if wait == 0 {
		return f()
	}
	leave, err := h.waits.enter(t, h.Waits, h.WaitsPerToken)
	if err != nil {
		return err
	}
	defer leave()
	return f()
}

// sending takes a place to send media or a blob with a token that the backend has
// accepted: a body under way holds a megabyte.
func (h *handler) sending(t activmail.Token) (leave func(), err error) {
	return h.bodies.enter(t, h.Bodies, h.BodiesPerToken)
}
