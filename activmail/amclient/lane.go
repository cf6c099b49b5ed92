package amclient

import "time"

// lane is a place for one connection, guarded by the mutex of its lanes.
type lane struct {
	link    *link // nil: none
	timer   *time.Timer
	dialing *dialing
	waiting int // requests that wait for the dial
}

func newLanes(n int) []*lane {
	all := make([]*lane, n)
	for i := range all {
		all[i] = &lane{}
	}
	return all
}

// dialing is a connection that is being made, for everybody who waits for it.
type dialing struct {
	done chan struct{}
	link *link
	err  error
}

// requests is how many use a lane or wait for it.
func (ln *lane) requests() int {
	if ln.link == nil {
		return ln.waiting
	}
	return ln.waiting + ln.link.users
}

// load orders lanes by their use, and of equals a connected one first.
func (ln *lane) load() int {
	if ln.link == nil {
		return 2*ln.requests() + 1
	}
	return 2 * ln.requests()
}

func (ln *lane) disarm() {
	if ln.timer != nil {
		ln.timer.Stop()
		ln.timer = nil
	}
}
