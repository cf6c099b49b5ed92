package amclient

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/internal/wire"
)

const (
	// controlLanes is the greatest number of connections for requests, of which a further
	// one is made when each has laneRequests: what a server takes at least (AM-11.6), and
	// soon reached by requests that wait for news.
	controlLanes = 4
	laneRequests = 100
)

// lanes are the connections to a peer over one network: some for requests, and some for
// media, so that a transfer neither delays a request nor is held back by the loss on
// one connection. They are made when they are wanted and closed when they are idle.
type lanes struct {
	dialer   *Dialer
	sessions tls.ClientSessionCache
	count    *wire.Counter
	idle     time.Duration
	ctx      context.Context // of the client: ends dials
	failed   func()          // told of dials that failed
	dials    sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	endpoints []Endpoint
	control   []*lane
	bulk      []*lane
}

// setEndpoints replaces the ways to the peer, and retires connections to an authority
// that is no longer one.
func (l *lanes) setEndpoints(endpoints []Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endpoints = endpoints
	for _, ln := range l.all() {
		if ln.link != nil && !slices.ContainsFunc(endpoints, func(e Endpoint) bool { return e.authority() == ln.link.authority }) {
			ln.link.retired = true
			l.dropBrokenLocked(ln)
		}
	}
}

func (l *lanes) all() []*lane { return slices.Concat(l.control, l.bulk) }

// lease is a connection in use by one request; release must be called once at least.
type lease struct {
	*link
	lanes *lanes
	lane  *lane
	once  sync.Once
}

// get returns a connection, making it where there is none. Others wait for the same
// dial; ctx ends the waiting only.
func (l *lanes) get(ctx context.Context, bulk bool) (*lease, error) {
	for range 3 {
		l.mu.Lock()
		ln := l.pickLocked(bulk)
		if ln.link != nil {
			defer l.mu.Unlock()
			return l.leaseLocked(ln), nil
		}
		if l.closed {
			l.mu.Unlock()
			return nil, errClientClosed()
		}
		d := l.dialLocked(ln, bulk)
		ln.waiting++
		l.mu.Unlock()
		var err error
		select {
		case <-d.done:
			err = d.err
		case <-ctx.Done():
			err = ctx.Err()
		}
		l.mu.Lock()
		ln.waiting--
		if err == nil && ln.link == d.link && !d.link.broken() {
			defer l.mu.Unlock()
			return l.leaseLocked(ln), nil
		}
		l.mu.Unlock()
		if err != nil {
			return nil, err
		}
	}
	return nil, vam.Errorf(vam.Unavailable, "connections to the peer end as soon as they are made")
}

// ready returns a connection that is there already, or nil.
func (l *lanes) ready(bulk bool) *lease {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ln := l.pickLocked(bulk); ln.link != nil {
		return l.leaseLocked(ln)
	}
	return nil
}

// pickLocked chooses the lane for a request: the first that has room, and for media the
// least used one, of equals one that is connected.
func (l *lanes) pickLocked(bulk bool) *lane {
	some := l.control
	if bulk {
		some = l.bulk
	}
	best := some[0]
	for _, ln := range some {
		l.dropBrokenLocked(ln)
		if !bulk && ln.requests() < laneRequests {
			return ln
		}
		if ln.load() < best.load() {
			best = ln
		}
	}
	return best
}

func (l *lanes) dropBrokenLocked(ln *lane) {
	if ln.link == nil || !(ln.link.retired || ln.link.broken()) {
		return
	}
	ln.disarm()
	if ln.link.users == 0 {
		ln.link.close()
	} // otherwise its last lease closes it
	ln.link = nil
}

func (l *lanes) leaseLocked(ln *lane) *lease {
	ln.link.users++
	ln.disarm()
	return &lease{link: ln.link, lanes: l, lane: ln}
}

// dialLocked joins the dial of a lane or starts it; it ends with the client at the
// latest.
func (l *lanes) dialLocked(ln *lane, bulk bool) *dialing {
	if ln.dialing != nil {
		return ln.dialing
	}
	d := &dialing{done: make(chan struct{})}
	ln.dialing = d
	endpoints := l.endpoints
	l.dials.Go(func() {
		defer close(d.done)
		link, err := l.dialer.dialAny(l.ctx, endpoints, bulk, l.sessions, l.count)
		l.mu.Lock()
		defer l.mu.Unlock()
		ln.dialing = nil
		if err == nil && l.closed {
			link.close()
			err = errClientClosed()
		}
		if err != nil {
			d.err = err
			if !l.closed && len(endpoints) > 0 {
				l.failed()
			}
			return
		}
		d.link, ln.link = link, link
		l.armLocked(ln)
	})
	return d
}

// armLocked closes a connection that stays unused.
func (l *lanes) armLocked(ln *lane) {
	current := ln.link
	ln.timer = time.AfterFunc(l.idle, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if ln.link == current && current.users == 0 {
			current.close()
			ln.link, ln.timer = nil, nil
		}
	})
}

// release gives the connection back. spoiled says that it must take no new request: it
// broke or fell silent.
func (s *lease) release(spoiled bool) {
	s.once.Do(func() {
		l := s.lanes
		l.mu.Lock()
		defer l.mu.Unlock()
		s.users--
		s.retired = s.retired || spoiled
		switch {
		case s.users > 0:
		case s.lane.link != s.link: // the lane has another connection by now
			s.close()
		case s.retired || s.broken():
			l.dropBrokenLocked(s.lane)
		default:
			l.armLocked(s.lane)
		}
	})
}

// closeAll ends every connection and waits for dials under way; the context of the
// lanes has ended before.
func (l *lanes) closeAll() {
	l.mu.Lock()
	l.closed = true // no dial begins any more
	l.mu.Unlock()
	l.dials.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.all() {
		ln.disarm()
		if ln.link != nil {
			ln.link.close()
			ln.link = nil
		}
	}
}

// dialAny tries endpoints in their order.
func (d *Dialer) dialAny(ctx context.Context, endpoints []Endpoint, bulk bool, sessions tls.ClientSessionCache, count *wire.Counter) (*link, error) {
	if len(endpoints) == 0 { // they were replaced meanwhile
		return nil, vam.Errorf(vam.Unavailable, "the peer has no endpoint for this transport any more")
	}
	var errs []error
	for _, e := range endpoints {
		l, err := d.dial(ctx, e, bulk, sessions, count)
		if err == nil {
			return l, nil
		}
		errs = append(errs, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func errClientClosed() error {
	return vam.Errorf(vam.Unavailable, "the connections to this peer were closed here")
}
