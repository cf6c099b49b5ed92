package discovery

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
)

// AttemptDelay is how long one connection attempt is given before the next address
// is tried beside it (RFC 8305 section 8, Connection Attempt Delay).
const AttemptDelay = 250 * time.Millisecond

// DialOrder returns addrs in the order of attempts (RFC 8305 section 4): the families
// take turns, IPv6 first, and within a family the order of the argument is kept.
func DialOrder(addrs []netip.Addr) []netip.Addr {
	var six, four []netip.Addr
	for _, a := range addrs {
		if a.Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	out := make([]netip.Addr, 0, len(addrs))
	for i := range max(len(six), len(four)) {
		if i < len(six) {
			out = append(out, six[i])
		}
		if i < len(four) {
			out = append(out, four[i])
		}
	}
	return out
}

// Race dials addrs in DialOrder, starts the next one when the one before has failed
// or AttemptDelay has passed, and returns the first connection that stands ("happy
// eyeballs", RFC 8305 section 5). It returns after every dial has ended: the losers'
// context is cancelled and what they still bring is given to discard. dial must obey
// its context. Errors: Unavailable with the causes of all attempts, or the context's.
func Race[T any](ctx context.Context, addrs []netip.Addr, dial func(context.Context, netip.Addr) (T, error), discard func(T)) (T, error) {
	type outcome struct {
		conn T
		err  error
	}
	var (
		none T
		errs []error
		done = make(chan outcome)
		todo = DialOrder(addrs)
		next = time.NewTimer(0)
		live int
	)
	defer next.Stop()
	racing, stop := context.WithCancel(ctx)
	defer stop()
	drain := func() {
		stop()
		for ; live > 0; live-- {
			if o := <-done; o.err == nil {
				discard(o.conn)
			}
		}
	}
	for len(todo) > 0 || live > 0 {
		select {
		case <-ctx.Done():
			drain()
			return none, ctx.Err()
		case <-next.C:
			if len(todo) == 0 {
				continue
			}
			addr := todo[0]
			todo = todo[1:]
			live++
			go func() {
				conn, err := dial(racing, addr)
				done <- outcome{conn, err}
			}()
			next.Reset(AttemptDelay)
		case o := <-done:
			live--
			if o.err == nil {
				drain()
				return o.conn, nil
			}
			errs = append(errs, o.err)
			next.Reset(0)
		}
	}
	if len(errs) == 0 {
		return none, vam.Errorf(vam.Unavailable, "there is no address to dial")
	}
	return none, vam.Wrap(vam.Unavailable, errors.Join(errs...), "none of %d addresses could be reached", len(errs))
}
