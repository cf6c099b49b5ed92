package storetest

import (
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

func (w *world) destination(d vam.Domain) queue.Destination {
	w.Helper()
	return got(w.Queue.Destination(w.Context(), d))(w)
}

func (w *world) fail(d vam.Domain, atLeast time.Duration) time.Time {
	w.Helper()
	return got(w.Queue.Fail(w.Context(), d, queue.Failure{At: w.now(), AtLeast: atLeast, Reason: "no route"}))(w)
}

// An outage counts once, however many jobs ran into it (AM-8.24), and the pause
// follows the schedule of AM-8.22.
func testFail(w *world) {
	w.equal("without failures", w.destination(away), queue.Destination{Domain: away})
	for n := 1; n <= 9; n++ {
		next := w.fail(away, 0)
		if want := w.now().Add(queue.Backoff(n, 0)); !next.Equal(want) {
			w.Errorf("after outage %d the next attempt is at %v, want %v", n, next, want)
		}
		w.pass(time.Second)
		if again := w.fail(away, 0); !again.Equal(next) {
			w.Errorf("the second job of outage %d moved the next attempt to %v", n, again)
		}
		w.equal("the destination", w.destination(away), queue.Destination{Domain: away, Failures: n, NextAt: next, Reason: "no route"})
		w.clock.Store(next.UnixMicro())
	}
	w.stays(func() { w.equal("the failures", w.destination(away).Failures, 9) })
	w.equal("another domain", w.destination("third.example"), queue.Destination{Domain: "third.example"})
	got(w.Queue.Fail(w.Context(), "third.example", queue.Failure{At: w.now(), Spread: 1, Reason: strings.Repeat("x", 5000)}))(w)
	third := w.destination("third.example")
	if len(third.Reason) > queue.MaxReason {
		w.Errorf("a reason of %d octets was kept", len(third.Reason))
	}
	if want := w.now().Add(queue.Backoff(1, 1)); !third.NextAt.Equal(want) {
		w.Errorf("with a spread the next attempt is at %v, want %v", third.NextAt, want)
	}
}

func testFailAtLeast(w *world) {
	if next := w.fail(away, time.Hour); !next.Equal(w.now().Add(time.Hour)) {
		w.Errorf("the domain asked for an hour and gets until %v", next)
	}
	w.pass(time.Minute)
	if next := w.fail(away, 2*time.Hour); !next.Equal(w.now().Add(2 * time.Hour)) {
		w.Errorf("then for two and gets until %v", next)
	}
	w.fail(away, time.Second)
	w.equal("a shorter wish changes nothing", w.destination(away), queue.Destination{Domain: away, Failures: 1, NextAt: w.now().Add(2 * time.Hour), Reason: "no route"})
	if next := w.fail("third.example", time.Second); !next.Equal(w.now().Add(queue.Backoff(1, 0))) {
		w.Errorf("the schedule is shortened to %v", next)
	}
}

func testFailForgets(w *world) {
	w.fail("typo.example", 0)
	w.fail(away, 0)
	w.pass(6 * 24 * time.Hour)
	w.fail(away, 0)
	w.equal("within a week", w.destination(away).Failures, 2)
	w.pass(6 * 24 * time.Hour)
	w.fail("third.example", 0)
	w.equal("one that nobody tries", w.destination("typo.example"), queue.Destination{Domain: "typo.example"})
	w.equal("one that was tried", w.destination(away).Failures, 2)
}

// waiting makes a job that has failed once and one that was never tried and has its
// time in two hours.
func (w *world) waiting() {
	w.Helper()
	w.enqueue(w.job("tried", away, 0), w.job("other", "third.example", 0))
	for _, j := range w.lease(w.want("me", 10)) {
		w.ok(w.Queue.Retry(w.Context(), "me", j.ID, w.now().Add(time.Hour), "x"))
	}
	w.enqueue(w.job("planned", away, 2*time.Hour))
}

func testReached(w *world) {
	w.waiting()
	w.ok(w.Queue.Reached(w.Context(), away, w.now()))
	w.wantLease("a domain that never failed", w.lease(w.want("me", 10)))
	w.fail(away, 0)
	w.pass(time.Second)
	w.twice(func() error { return w.Queue.Reached(w.Context(), away, w.now()) })
	w.stays(func() {
		w.equal("the failures", w.destination(away), queue.Destination{Domain: away})
	})
	j := w.leaseOne("me")
	w.equal("what waited for the domain", j.Key, "tried")
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.pass(time.Hour - 2*time.Second)
	w.wantLease("another domain's job before its time", w.lease(w.want("me", 10)))
	w.pass(time.Second)
	j = w.leaseOne("me")
	w.equal("at its time", j.Key, "other")
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.wantLease("one that was planned keeps its time", got(w.Queue.Jobs(w.Context(), "", 10))(w), "planned")
	w.wantLease("which has not come", w.lease(w.want("me", 10)))
}

func testWake(w *world) {
	w.waiting()
	w.pass(time.Second)
	w.twice(func() error { return w.Queue.Wake(w.Context(), away, w.now()) })
	w.stays(func() {})
	w.wantLease("without failures too", w.lease(w.want("me", 10)), "tried")
	w.fail("third.example", 0)
	w.ok(w.Queue.Wake(w.Context(), "third.example", w.now()))
	w.equal("failures", w.destination("third.example").Failures, 0)
	w.wantLease("the other", w.lease(w.want("me", 10)), "other")
}

// A domain that waits gives out no job, however long that has been due.
func testFailBlocks(w *world) {
	w.enqueue(w.job("a", away, 0), w.job("b", "third.example", 0))
	next := w.fail(away, 0)
	w.wantLease("beside it", w.lease(w.want("me", 10)), "b")
	w.enqueue(w.job("c", away, 0))
	w.clock.Store(next.UnixMicro() - 1)
	w.stays(func() { w.wantLease("just before", w.lease(w.want("me", 10))) })
	w.pass(time.Microsecond)
	w.wantLease("at its time", w.lease(w.want("me", 10)), "a", "c")
}
