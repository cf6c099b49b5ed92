package netem

import (
	"sync"
	"time"
)

// lane is one direction of a TCPLink: what all its connections share.
type lane struct {
	mu      sync.Mutex
	shaper  *Shaper
	gate    chan struct{} // open for as long as nothing may pass; nil lets all pass
	carried int64         // octets that were handed to the receiving side
	granted int64         // octets that may be or were handed over
	cut     *cut          // nil where none is armed
	each    *each         // nil where none is armed
}

// cut is armed by CutAfter and fires once.
type cut struct {
	at      int64 // value of granted
	how     Ending
	claimed bool // a connection has been granted the last octets
	fired   chan struct{}
}

// each is armed by CutEach and fires once a connection.
type each struct {
	after int64
	how   Ending
}

// pass admits n octets and returns when they come out.
func (l *lane) pass(now time.Time, n int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shaper.Pass(now, n)
}

func (l *lane) shape() Shape {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shaper.shape
}

func (l *lane) setShape(s Shape) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shaper.SetShape(s)
}

func (l *lane) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shaper.Clear()
}

func (l *lane) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate == nil {
		l.gate = make(chan struct{})
	}
}

func (l *lane) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gate != nil {
		close(l.gate)
		l.gate = nil
	}
}

// flow waits until the lane is not stalled; false is that done came first.
func (l *lane) flow(done <-chan struct{}) bool {
	for {
		l.mu.Lock()
		gate := l.gate
		l.mu.Unlock()
		if gate == nil {
			return true
		}
		select {
		case <-gate:
		case <-done:
			return false
		}
	}
}

// verdict is what grant allows.
type verdict struct {
	n    int           // octets that may be handed over now
	cut  *cut          // after these the whole link is cut
	each *each         // after these this connection is cut
	wait chan struct{} // nothing before this: another connection's octets set off a cut
}

// grant allows up to want octets to a connection that has carried sofar.
func (l *lane) grant(want int, sofar int64) verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := verdict{n: want}
	if c := l.cut; c != nil {
		if c.claimed {
			return verdict{wait: c.fired}
		}
		if left := c.at - l.granted; left <= int64(want) {
			v.n, v.cut = int(left), c
		}
	}
	if e := l.each; e != nil {
		if left := max(e.after-sofar, 0); left <= int64(v.n) {
			v.n, v.cut, v.each = int(left), nil, e
		}
	}
	l.granted += int64(v.n)
	if v.cut != nil {
		v.cut.claimed = true
	}
	return v
}

func (l *lane) carry(n int) {
	l.mu.Lock()
	l.carried += int64(n)
	l.mu.Unlock()
}

// arm sets the link-wide cut, replacing what was armed.
func (l *lane) arm(after int64, how Ending) *cut {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.cut
	l.cut = &cut{at: l.granted + after, how: how, fired: make(chan struct{})}
	if old != nil {
		close(old.fired)
	}
	return l.cut
}

// disarm ends c after it has fired; whoever waited goes on.
func (l *lane) disarm(c *cut) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut == c {
		l.cut = nil
		close(c.fired)
	}
}

func (l *lane) armEach(e *each) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.each = e
}
