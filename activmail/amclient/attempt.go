package amclient

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/videoactivmail/vam"
)

// attempts is how often a request is sent at most, on connections that had not carried
// one before: on a fresh one, over the other network, and once more.
const attempts = 3

// do sends a call and returns the answer as soon as its header is there. Every request
// of VAM/1 may be sent again (AM-1.16), so a connection that breaks is no failure yet,
// and one that its peer has ended since it was last used is none at all (AM-11.17) (AM-11.14).
func (c *Client) do(ctx context.Context, call *call) (*answer, error) {
	var errs []error
	stale := controlLanes + c.options.Lanes // connections that may turn out to have ended
	for tries := 0; tries < attempts; {
		c.mu.Lock()
		have := c.have
		c.mu.Unlock()
		p := c.choice.plan(c.options.Now(), have, call.bulk)
		if p.first == "" {
			return nil, vam.Errorf(vam.Unavailable, "the peer has no endpoint for the transport %q", c.options.Mode)
		}
		lease, err := c.connect(ctx, p, call.bulk)
		if err != nil {
			c.choice.abandon(p.probe)
			errs = append(errs, err)
			break
		}
		probe := p.probe && lease.network == p.first
		if p.probe && !probe {
			c.choice.abandon(true)
		}
		a, err := c.send(ctx, lease, call, probe)
		if err == nil {
			return a, nil
		}
		errs = append(errs, err)
		var broken *brokenError
		if ctx.Err() != nil || c.ctx.Err() != nil || !errors.As(err, &broken) {
			c.choice.abandon(probe)
			break
		}
		if broken.stale && stale > 0 {
			stale--
			c.choice.abandon(probe)
			continue
		}
		tries++
		c.choice.failed(c.options.Now(), lease.network, call.bulk, probe)
	}
	if err := context.Cause(ctx); err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the request was given up here")
	}
	return nil, unavailable(errors.Join(errs...))
}

// unavailable classifies what a network or a handshake did, and leaves what is
// classified. Of several errors one that may pass counts: an address that must not be
// dialled is no reason to give up while another one is only silent.
func unavailable(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return worthwhile(err, several.Unwrap())
	}
	var e *vam.Error
	if errors.As(err, &e) && e.Kind != vam.Internal {
		return err
	}
	return vam.Wrap(vam.Unavailable, err, "the peer could not be reached")
}

// worthwhile says of all what the first of errs says that may pass, or else the first.
func worthwhile(all error, errs []error) error {
	var chosen *vam.Error
	for _, err := range errs {
		var e *vam.Error
		errors.As(unavailable(err), &e)
		if chosen == nil || (e.Kind.Temporary() && !chosen.Kind.Temporary()) {
			chosen = e
		}
	}
	if len(errs) == 1 {
		return chosen
	}
	e := *chosen
	e.Cause = all
	return &e
}

// connect returns a connection of the planned networks: one that is there, or the first
// that can be made.
func (c *Client) connect(ctx context.Context, p plan, bulk bool) (*lease, error) {
	if l := c.lanes[p.first].ready(bulk); l != nil {
		return l, nil
	}
	order := []Network{p.first}
	if p.second != "" {
		order = append(order, p.second)
	}
	return race(ctx, len(order), p.hedge, func(ctx context.Context, i int) (*lease, error) {
		return c.lanes[order[i]].get(ctx, bulk)
	}, func(late *lease) { late.release(false) })
}

// brokenError is a connection that did not carry a request: it is worth another try.
type brokenError struct {
	err error
	// stale says that the connection had carried requests before and ended, which a peer
	// may do at any time.
	stale bool
}

func (e *brokenError) Error() string { return e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// send makes one attempt on a connection.
func (c *Client) send(ctx context.Context, lease *lease, call *call, probe bool) (*answer, error) {
	caller := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	stopClose := context.AfterFunc(c.ctx, func() { cancel(errClientClosed()) })
	end := func(spoiled bool, cause error) {
		stopClose()
		cancel(cause)
		lease.release(spoiled)
	}
	req, err := call.request(ctx, lease.authority, c.options)
	if err != nil {
		end(false, err)
		return nil, err
	}
	start := time.Now()
	header := &watch{limit: c.options.Stall + call.patience(), cancel: cancel}
	if call.bulk { // its header comes behind the frames of other transfers
		header.received = lease.received
	}
	header.start()
	resp, err := lease.RoundTrip(req)
	header.stop()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		// A connection that took no request, for whatever reason of its own, gets no other.
		end(caller.Err() == nil, err)
		return nil, &brokenError{
			err:   vam.Wrap(vam.Unavailable, err, "the connection to the peer broke over %s", lease.network),
			stale: lease.proved.Load() && !errors.As(err, new(*stalledError)),
		}
	}
	lease.proved.Store(true)
	if call.wait == 0 {
		c.choice.answered(lease.network, time.Since(start))
	}
	body := &body{
		ReadCloser: resp.Body, client: c, ctx: ctx, cancel: cancel, end: end,
		network: lease.network, bulk: call.bulk, probe: probe,
		watch: &watch{limit: c.options.Stall, received: lease.received, cancel: cancel},
	}
	resp.Body = body
	return &answer{Response: resp, body: body}, nil
}

// answer is an answer of which the body is still to be read; Body must be closed.
type answer struct {
	*http.Response
	body *body
}
