package storetest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

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
