package amserver

import "sync"

// requests counts those that are being answered, so that a server that was closed
// leaves none behind.
type requests struct {
	mu       sync.Mutex
	open     int
	stopping bool
	none     chan struct{} // closed when stopping and none is open
}

func newRequests() *requests { return &requests{none: make(chan struct{})} }

// begin counts a request, to be ended by end; false says that the server stops.
func (q *requests) begin() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopping {
		return false
	}
	q.open++
	return true
}

func (q *requests) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.open--; q.stopping && q.open == 0 {
		close(q.none)
	}
}

// stop lets no further request begin.
func (q *requests) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopping {
		return
	}
	q.stopping = true
	if q.open == 0 {
		close(q.none)
	}
}

// wait returns when those that had begun before stop have ended.
func (q *requests) wait() { <-q.none }
