package nativein

import (
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// What one domain may have under way, over all messages (AM-10.21, AM-10.28), so that it
// cannot take the places of others (AM-14.7). What one token may have is package
// amserver's.
const (
	maxWaits  = 200
	maxBodies = 64
)

// Places counts what each domain has under way. The zero value is ready; it is safe for
// concurrent use and must not be copied.
type Places struct {
	mu     sync.Mutex
	waits  map[vam.Domain]int
	bodies map[vam.Domain]int
}

// wait takes a place to wait for news. Busy (rate).
func (p *Places) wait(d vam.Domain) (leave func(), err error) {
	return p.enter(&p.waits, d, maxWaits, "requests that wait for news")
}

// body takes a place for an answer with media. Busy (rate).
func (p *Places) body(d vam.Domain) (leave func(), err error) {
	return p.enter(&p.bodies, d, maxBodies, "requests for media")
}

func (p *Places) enter(of *map[vam.Domain]int, d vam.Domain, limit int, what string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *of == nil {
		*of = map[vam.Domain]int{}
	}
	if (*of)[d] >= limit {
		return nil, vam.Errorf(vam.Busy, "%s has %d %s under way, and more at a time are not taken (this server's limit)", d, limit, what).
			WithProblem("rate").WithRetry(time.Second)
	}
	(*of)[d]++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if (*of)[d]--; (*of)[d] == 0 {
			delete(*of, d)
		}
	}), nil
}

// leaver is a closer that gives a place back.
type leaver func()

func (l leaver) Close() error {
	l()
	return nil
}
