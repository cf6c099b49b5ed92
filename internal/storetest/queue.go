package storetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
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
	w.enqueue(w.job("a", away, 2*time.Hour))
	other := w.job("a", away, 3*time.Hour)
	other.Kind = queue.Poke
	w.enqueue(other)
	w.stays(func() {
		jobs := got(w.Queue.Jobs(w.Context(), "", 10))(w)
		if len(jobs) != 2 {
			w.Fatalf("there are %d jobs, want one of each kind: %+v", len(jobs), jobs)
		}
		first.ID, first.NextAt = jobs[0].ID, again.NextAt
		w.equal("the job that was brought forward", jobs[0], first)
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

// The bound holds for a domain within one lease, together with what runs, and over
// all kinds (AM-14.7).
func testPerDomain(w *world) {
	for i := range 6 {
		w.enqueue(w.job(fmt.Sprint("a", i), away, 0))
		p := w.job(fmt.Sprint("p", i), away, 0)
		p.Kind = queue.Poke
		w.enqueue(p, w.job(fmt.Sprint("b", i), "third.example", time.Second))
		w.pass(time.Millisecond)
	}
	w.pass(time.Minute)
	want := w.want("me", 100)
	want.Kinds, want.PerDomain = []queue.Kind{queue.Offer, queue.Poke}, 3
	want.Running = map[vam.Domain]int{away: 1, "third.example": 3, "idle.example": 9}
	w.wantLease("two places at one domain, none at the other", w.lease(want), "a0", "p0")
	want.Running = map[vam.Domain]int{away: 3}
	w.wantLease("three at the other", w.lease(want), "b0", "b1", "b2")
	want.Running = map[vam.Domain]int{away: 4, "third.example": 3}
	w.wantLease("none", w.lease(want))
	want.Running, want.Limit = nil, 4
	w.wantLease("the limit of all", w.lease(want), "a1", "p1", "a2", "b3")
	want.PerDomain, want.Limit = 0, 100
	if n := len(w.lease(want)); n != 9 {
		w.Errorf("without a bound %d jobs are leased, want the 9 that are left", n)
	}
}

func testLeaseEnds(w *world) {
	w.enqueue(w.job("a", away, 0))
	first := w.leaseOne("one")
	w.wantLease("a leased job", w.lease(w.want("two", 10)))
	w.pass(lease - time.Microsecond)
	w.stays(func() { w.wantLease("to the end of the lease", w.lease(w.want("two", 10))) })
	w.pass(time.Microsecond)
	second := w.leaseOne("two")
	w.equal("the same job", second, first)
	for what, err := range map[string]error{
		"finishing": w.Queue.Finish(w.Context(), "one", first.ID),
		"retrying":  w.Queue.Retry(w.Context(), "one", first.ID, w.now(), "x"),
	} {
		w.wantKind(what+" with a lost lease", err, vam.Conflict)
	}
	w.equal("renewing it", got(w.Queue.Renew(w.Context(), "one", w.now().Add(lease), []int64{first.ID}))(w), []int64(nil))
	w.ok(w.Queue.Finish(w.Context(), "two", first.ID))
	w.wantKind("finishing again", w.Queue.Finish(w.Context(), "two", first.ID), vam.Conflict)
	w.wantKind("retrying a finished job", w.Queue.Retry(w.Context(), "two", first.ID, w.now(), "x"), vam.Conflict)
}

func testLeaseRace(w *world) {
	const jobs, workers = 60, 6
	for i := range jobs {
		w.enqueue(w.job(fmt.Sprint(i), vam.Domain(fmt.Sprintf("d%d.example", i%7)), 0))
	}
	leased := make([][]queue.Job, workers)
	w.together(workers, func(i int) (bool, error) {
		for {
			got, err := w.Queue.Lease(w.Context(), w.want(fmt.Sprint("worker", i), 4))
			leased[i] = append(leased[i], got...)
			if err != nil || len(got) == 0 || len(leased[i]) > jobs {
				return true, err
			}
		}
	})
	all := slices.Concat(leased...)
	slices.SortFunc(all, func(a, b queue.Job) int { return strings.Compare(a.Key, b.Key) })
	if len(slices.CompactFunc(all, func(a, b queue.Job) bool { return a.ID == b.ID })) != jobs || len(all) != jobs {
		w.Errorf("%d leases for %d jobs", len(all), jobs)
	}
}

func testRenew(w *world) {
	w.enqueue(w.job("a", away, 0), w.job("b", away, 0), w.job("c", away, 0))
	jobs := w.lease(w.want("one", 2))
	other := w.lease(w.want("two", 1))
	w.pass(lease / 2)
	ids := []int64{jobs[0].ID, other[0].ID, jobs[1].ID, 999}
	kept := got(w.Queue.Renew(w.Context(), "one", w.now().Add(lease), ids))(w)
	slices.Sort(kept)
	w.equal("the leases that are still held", kept, []int64{jobs[0].ID, jobs[1].ID})
	w.pass(lease / 2)
	w.stays(func() {})
	w.wantLease("only the one that was not renewed", w.lease(w.want("three", 10)), other[0].Key)
	w.pass(lease / 2)
	w.wantLease("the others at their new end", w.lease(w.want("three", 10)), jobs[0].Key, jobs[1].Key)
	w.equal("renewing nothing", got(w.Queue.Renew(w.Context(), "one", w.now(), nil))(w), []int64(nil))
}

func testFinish(w *world) {
	w.enqueue(w.job("a", away, 0), w.job("b", away, 0))
	jobs := w.lease(w.want("me", 10))
	w.ok(w.Queue.Finish(w.Context(), "me", jobs[0].ID))
	w.wantKind("somebody else's", w.Queue.Finish(w.Context(), "you", jobs[1].ID), vam.Conflict)
	w.stays(func() {
		w.wantLease("what is left", got(w.Queue.Jobs(w.Context(), "", 10))(w), "b")
	})
	w.enqueue(w.job("a", away, 0)) // the key is free again
	w.wantLease("a new job", w.lease(w.want("me", 10)), "a")
}

func testRetry(w *world) {
	w.enqueue(w.job("a", away, 0))
	j := w.leaseOne("me")
	next := w.now().Add(5 * time.Minute)
	w.ok(w.Queue.Retry(w.Context(), "me", j.ID, next, "no answer "+strings.Repeat("é", queue.MaxReason)))
	w.wantKind("retrying twice", w.Queue.Retry(w.Context(), "me", j.ID, next, "x"), vam.Conflict)
	w.stays(func() {
		waiting := got(w.Queue.Jobs(w.Context(), "", 10))(w)[0]
		if waiting.Attempts != 1 || !waiting.NextAt.Equal(next) || !strings.HasPrefix(waiting.Reason, "no answer é") || len(waiting.Reason) > queue.MaxReason || !strings.HasSuffix(waiting.Reason, "é") {
			w.Errorf("the job waits as %+v", waiting)
		}
		w.wantLease("before its time", w.lease(w.want("me", 10)))
	})
	w.pass(5 * time.Minute)
	again := w.leaseOne("me")
	w.ok(w.Queue.Retry(w.Context(), "me", again.ID, w.now(), "no"))
	if last := w.leaseOne("me"); last.Attempts != 2 || last.Reason != "no" {
		w.Errorf("after two attempts the job is %+v", last)
	}
}

// News that came in while a job ran is not lost with its end.
func testEnqueueDuringLease(w *world) {
	w.enqueue(w.job("a", away, 0))
	j := w.leaseOne("me")
	w.pass(time.Second)
	w.enqueue(w.job("a", away, 0))
	w.enqueue(w.job("a", away, time.Hour))
	w.wantLease("during the lease", w.lease(w.want("you", 10)))
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.stays(func() {})
	again := w.leaseOne("me")
	if again.ID != j.ID || again.Attempts != 0 {
		w.Errorf("the job comes again as %+v", again)
	}
	w.ok(w.Queue.Finish(w.Context(), "me", again.ID))
	w.equal("after the second run", len(got(w.Queue.Jobs(w.Context(), "", 10))(w)), 0)

	// A later time is kept, also by an attempt that failed.
	w.enqueue(w.job("b", away, 0))
	j = w.leaseOne("me")
	w.enqueue(w.job("b", away, time.Hour))
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.wantLease("before the time that was asked for", w.lease(w.want("me", 10)))
	w.pass(time.Hour)
	j = w.leaseOne("me")
	w.enqueue(w.job("b", away, time.Minute))
	w.ok(w.Queue.Retry(w.Context(), "me", j.ID, w.now().Add(time.Hour), "x"))
	w.pass(time.Minute - time.Millisecond)
	w.wantLease("a retry that was brought forward", w.lease(w.want("me", 10)))
	w.pass(time.Millisecond)
	j = w.leaseOne("me")
	w.equal("attempts", j.Attempts, 1)
	w.enqueue(w.job("b", away, 0))
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	j = w.leaseOne("me")
	w.equal("a job that was done and is wanted again is as new", []any{j.Attempts, j.Reason}, []any{0, ""})

	// A lease that was lost leaves a job that runs anyway: once is enough.
	w.enqueue(w.job("b", away, 0))
	w.pass(lease)
	j = w.leaseOne("you")
	w.ok(w.Queue.Finish(w.Context(), "you", j.ID))
	w.equal("after a lost lease", len(got(w.Queue.Jobs(w.Context(), "", 10))(w)), 0)
}

// A clock that is set forward ends leases whose job still runs in the same process.
func testOwnLeaseAgain(w *world) {
	w.enqueue(w.job("a", away, 0))
	j := w.leaseOne("me")
	w.enqueue(w.job("a", away, 0))
	w.pass(24 * time.Hour)
	w.equal("the job", w.leaseOne("me").ID, j.ID)
	w.ok(w.Queue.Finish(w.Context(), "me", j.ID))
	w.equal("the run that was asked for", w.leaseOne("me").ID, j.ID)
}

func testRelease(w *world) {
	w.enqueue(w.job("a", away, 0), w.job("b", away, 0), w.job("c", away, 0))
	dead := w.lease(w.want("dead", 2))
	w.lease(w.want("me", 1))
	w.twice(func() error { return w.Queue.Release(w.Context(), "me") })
	w.stays(func() {})
	w.wantKind("the dead one's lease", w.Queue.Finish(w.Context(), "dead", dead[0].ID), vam.Conflict)
	jobs := w.lease(w.want("me", 10))
	w.wantLease("its jobs", jobs, "a", "b")
	w.equal("attempts", jobs[0].Attempts, 0)
	w.ok(w.Queue.Release(w.Context(), ""))
	w.equal("released from everybody", len(w.lease(w.want("new", 10))), 3)
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
	next := got(w.Queue.Fail(w.Context(), "third.example", w.now(), 30*time.Second, "down"))(w)
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
