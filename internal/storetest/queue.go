package storetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// Queue tests queue.Store.
func Queue(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Enqueue":         testEnqueue,
		"EnqueueAgain":    testEnqueueAgain,
		"EnqueueLater":    testEnqueueLater,
		"EnqueueTooLarge": testEnqueueTooLarge,
		"Order":           testJobOrder,
		"Kinds":           testJobKinds,
		"PerDomain":       testPerDomain,
		"LeaseEnds":       testLeaseEnds,
		"LeaseRace":       testLeaseRace,
		"Renew":           testRenew,
		"Finish":          testFinish,
		"Retry":           testRetry,
		"DuringLease":     testEnqueueDuringLease,
		"OwnLeaseAgain":   testOwnLeaseAgain,
		"Release":         testRelease,
		"NextDue":         testNextDue,
		"Jobs":            testJobs,
		"Depth":           testDepth,
		"Model":           testQueueModel,
		"Fail":            testFail,
		"FailAtLeast":     testFailAtLeast,
		"FailForgets":     testFailForgets,
		"Reached":         testReached,
		"Wake":            testWake,
		"FailBlocks":      testFailBlocks,
	})
}

const lease = time.Minute

// job is an offer to a domain that is due in some time.
func (w *world) job(key string, d vam.Domain, in time.Duration) queue.Job {
	return queue.Job{Kind: queue.Offer, Key: key, Domain: d, NextAt: w.now().Add(in), Created: w.now()}
}

func (w *world) enqueue(jobs ...queue.Job) {
	w.Helper()
	w.ok(w.Queue.Enqueue(w.Context(), jobs...))
}

// want is what owner asks for now.
func (w *world) want(owner string, limit int) queue.Want {
	return queue.Want{Owner: owner, Kinds: []queue.Kind{queue.Offer}, Now: w.now(), Until: w.now().Add(lease), Limit: limit}
}

func (w *world) lease(want queue.Want) []queue.Job {
	w.Helper()
	return got(w.Queue.Lease(w.Context(), want))(w)
}

// leaseOne leases the one job that must be due.
func (w *world) leaseOne(owner string) queue.Job {
	w.Helper()
	jobs := w.lease(w.want(owner, 10))
	if len(jobs) != 1 {
		w.Fatalf("%d jobs are due, want one: %+v", len(jobs), jobs)
	}
	return jobs[0]
}

func (w *world) wantLease(what string, jobs []queue.Job, want ...string) {
	w.Helper()
	var keys []string
	for _, j := range jobs {
		keys = append(keys, j.Key)
	}
	w.equal(what, keys, want)
}

func testEnqueue(w *world) {
	j := queue.Job{
		Kind: queue.Receipt, Key: "a key/with é", Domain: away, NextAt: w.now().Add(time.Second), Deadline: w.now().Add(time.Hour),
		Created: w.now(), Payload: []byte("\x00\xff payload"),
	}
	plain := w.job("plain", away, 2*time.Second)
	w.enqueue(j, plain)
	w.stays(func() {
		jobs := got(w.Queue.Jobs(w.Context(), "", 10))(w)
		if len(jobs) != 2 || jobs[0].ID == 0 || jobs[1].ID == jobs[0].ID {
			w.Fatalf("the jobs are %+v", jobs)
		}
		j.ID, plain.ID = jobs[0].ID, jobs[1].ID
		w.equal("the jobs", jobs, []queue.Job{j, plain})
	})
	w.pass(time.Hour)
	want := w.want("me", 10)
	want.Kinds = []queue.Kind{queue.Receipt, queue.Offer}
	w.equal("the leased jobs", w.lease(want), []queue.Job{j, plain})
}

func testEnqueueAgain(w *world) {
	first := w.job("a", away, time.Hour)
	first.Payload, first.Deadline = []byte("first"), w.now().Add(5*time.Hour)
	w.enqueue(first)
	w.pass(time.Minute)
	again := w.job("a", "third.example", 10*time.Minute)
	again.Payload, again.Deadline = []byte("second"), w.now().Add(9*time.Hour)
	w.enqueue(again, again)
	later := w.job("a", away, 2*time.Hour)
	later.Deadline = w.now().Add(time.Hour)
	w.enqueue(later)
	other := w.job("a", away, 3*time.Hour)
	other.Kind = queue.Poke
	w.enqueue(other)
	w.stays(func() {
		jobs := got(w.Queue.Jobs(w.Context(), "", 10))(w)
		if len(jobs) != 2 {
			w.Fatalf("there are %d jobs, want one of each kind: %+v", len(jobs), jobs)
		}
		first.ID, first.NextAt, first.Deadline = jobs[0].ID, again.NextAt, again.Deadline
		w.equal("the job that was brought forward", jobs[0], first)
	})
}

// News that joins a job that is old has all the time that it would have alone.
func testEnqueueLater(w *world) {
	poke := func() queue.Job {
		j := w.job("a", away, 0)
		j.Deadline = w.now().Add(14 * 24 * time.Hour)
		return j
	}
	first := poke()
	w.enqueue(first)
	w.ok(w.Queue.Retry(w.Context(), "me", w.leaseOne("me").ID, w.now().Add(13*24*time.Hour), "down"))
	w.pass(13 * 24 * time.Hour)
	news := poke()
	w.enqueue(news)
	w.enqueue(first)
	w.stays(func() {})
	j := w.leaseOne("me")
	w.equal("the joined one", []any{j.Deadline, j.Created, j.Attempts}, []any{news.Deadline, first.Created, 1})

	// While it runs: what is left after it is the news alone.
	w.pass(time.Second)
	early, late := poke(), poke()
	early.Created = w.now().Add(-time.Millisecond)
	w.enqueue(late, early)
	w.equal("how old the job that runs is", got(w.Queue.Jobs(w.Context(), "", 10))(w)[0].Created, first.Created)
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.stays(func() {})
	j = w.leaseOne("me")
	w.equal("the news", []any{j.Deadline, j.Created, j.Attempts}, []any{late.Deadline, late.Created, 0})

	// An attempt that failed is one of the older job too.
	w.pass(time.Second)
	w.enqueue(poke())
	w.ok(w.Queue.Retry(w.Context(), "me", j.ID, w.now(), "down"))
	w.equal("how old it is after an attempt", w.leaseOne("me").Created, late.Created)

	endless := poke()
	endless.Deadline = time.Time{}
	w.enqueue(endless)
	w.enqueue(poke())
	w.stays(func() {
		w.equal("with one that has no end", got(w.Queue.Jobs(w.Context(), "", 10))(w)[0].Deadline, time.Time{})
	})
}

func testEnqueueTooLarge(w *world) {
	largest := w.job("largest", away, 0)
	largest.Payload = bytes.Repeat([]byte{0, 0xff}, queue.MaxPayload/2)
	w.enqueue(largest)
	j := w.leaseOne("me")
	if !bytes.Equal(j.Payload, largest.Payload) {
		w.Errorf("the largest payload comes back with %d octets", len(j.Payload))
	}
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	big := w.job("big", away, 0)
	big.Payload = make([]byte, queue.MaxPayload+1)
	w.wantKind("a payload that is too long", w.Queue.Enqueue(w.Context(), w.job("small", away, 0), big), vam.TooLarge)
	w.equal("jobs", len(got(w.Queue.Jobs(w.Context(), "", 10))(w)), 0)
	w.ok(w.Queue.Enqueue(w.Context()))
}

func testJobOrder(w *world) {
	// Several domains, times out of order, and more jobs than the limit.
	var want []string
	at := []int{7, 3, 9, 1, 5, 8, 2, 6, 4, 0}
	for i, n := range at {
		w.enqueue(w.job(fmt.Sprint(n), vam.Domain(fmt.Sprintf("d%d.example", i%3)), time.Duration(n)*time.Second))
	}
	for i := range at {
		want = append(want, fmt.Sprint(i))
	}
	w.wantLease("before the first is due", w.lease(queue.Want{Owner: "me", Kinds: []queue.Kind{queue.Offer}, Now: w.now().Add(-time.Microsecond), Until: w.now(), Limit: 9}))
	w.pass(8 * time.Second)
	w.stays(func() {}) // the order is not that of memory
	w.wantLease("the oldest four", w.lease(w.want("me", 4)), want[:4]...)
	w.wantLease("no limit left", w.lease(w.want("me", 0)))
	w.wantLease("the rest that is due", w.lease(w.want("me", 100)), want[4:9]...)
	w.pass(time.Second)
	w.wantLease("the last", w.lease(w.want("me", 100)), want[9])
}

func testJobKinds(w *world) {
	for _, kind := range []queue.Kind{queue.Pull, queue.Poke, queue.Offer} {
		j := w.job("x", away, 0)
		j.Kind = kind
		w.enqueue(j)
		w.pass(time.Millisecond)
	}
	want := w.want("me", 10)
	want.Kinds = []queue.Kind{queue.Offer, queue.Poke}
	var kinds []queue.Kind
	for _, j := range w.lease(want) {
		kinds = append(kinds, j.Kind)
	}
	w.equal("the kinds, oldest first", kinds, []queue.Kind{queue.Poke, queue.Offer})
	want.Kinds = nil
	w.wantLease("no kind", w.lease(want))
	want.Kinds = []queue.Kind{queue.Pull}
	w.wantLease("the other kind", w.lease(want), "x")
}

func testNextDue(w *world) {
	kinds := []queue.Kind{queue.Offer, queue.Poke}
	due := func() time.Time { return got(w.Queue.NextDue(w.Context(), kinds, w.now()))(w) }
	soon := func(what string, want time.Duration) {
		w.Helper()
		if at := due(); !at.Equal(w.now().Add(want)) {
			w.Errorf("%s: next at %v, want in %v", what, at, want)
		}
	}
	if at := due(); !at.IsZero() {
		w.Errorf("an empty queue is due at %v", at)
	}
	pull := w.job("p", away, time.Second)
	pull.Kind = queue.Pull
	w.enqueue(pull)
	if at := due(); !at.IsZero() {
		w.Errorf("a kind that nobody asks for is due at %v", at)
	}
	w.enqueue(w.job("a", away, time.Hour), w.job("b", away, time.Minute), w.job("c", "third.example", 2*time.Minute))
	w.stays(func() { soon("the first", time.Minute) })
	w.pass(time.Minute)
	soon("what is due already does not count", time.Minute)
	w.leaseOne("me")
	soon("nor what is leased, before its lease ends", lease)
	w.pass(2 * lease)
	next := got(w.Queue.Fail(w.Context(), "third.example", queue.Failure{At: w.now(), AtLeast: 30 * time.Second, Reason: "down"}))(w)
	soon("a domain that opens again", next.Sub(w.now()))
	w.equal("no kinds", got(w.Queue.NextDue(w.Context(), nil, w.now()))(w), time.Time{})
}

func testJobs(w *world) {
	for i := range 9 {
		w.enqueue(w.job(fmt.Sprint(i), vam.Domain(fmt.Sprintf("d%d.example", i%2)), time.Duration(9-i)*time.Second))
	}
	list := func(d vam.Domain, limit int) []queue.Job { return got(w.Queue.Jobs(w.Context(), d, limit))(w) }
	w.wantLease("all", list("", 100), "8", "7", "6", "5", "4", "3", "2", "1", "0")
	w.wantLease("some", list("", 3), "8", "7", "6")
	w.wantLease("of a domain", list("d1.example", 100), "7", "5", "3", "1")
	w.wantLease("some of a domain", list("d1.example", 2), "7", "5")
	w.wantLease("of another", list("d2.example", 100))
	w.pass(5 * time.Second)
	w.lease(w.want("me", 100))
	w.wantLease("leased ones too", list("", 2), "8", "7")
}

func testDepth(w *world) {
	depth := func(kind queue.Kind, want int64, since time.Time) {
		w.Helper()
		n, oldest, err := w.Queue.Depth(w.Context(), kind)
		w.ok(err)
		if n != want || !oldest.Equal(since) {
			w.Errorf("%d %s jobs since %v, want %d since %v", n, kind, oldest, want, since)
		}
	}
	depth(queue.Offer, 0, time.Time{})
	first := w.now()
	w.enqueue(w.job("a", away, 0))
	w.pass(time.Second)
	w.enqueue(w.job("b", "third.example", time.Hour), w.job("a", away, 0), w.job("c", away, time.Hour))
	w.stays(func() { depth(queue.Offer, 3, first) })
	depth(queue.Poke, 0, time.Time{})
	j := w.leaseOne("me")
	depth(queue.Offer, 3, first)
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	depth(queue.Offer, 2, first.Add(time.Second))
}
