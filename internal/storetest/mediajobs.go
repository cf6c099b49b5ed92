package storetest

import (
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
)

func testLeaseJob(w *world) {
	w.wantIdle("at first", media.Quick)
	due := got(w.Playback.NextDue(w.Context(), media.Quick, w.now()))(w)
	if !due.IsZero() {
		w.Errorf("at first something is due at %s", due)
	}
	id := w.adopted(poster)
	w.wantIdle("of the other class", media.Long)
	j := w.leaseJob("one", media.Quick)
	if j.Media != id || j.Size != announced || j.Work != poster || j.State != playback.Running || j.Cuts != 1 || j.Attempts != 0 || !j.Started.Equal(w.now()) || j.Message.Origin != away {
		w.Errorf("leased: %+v", j)
	}
	w.equal("as it is stored", w.mediaJob(j.ID), j)
	w.equal("next due", got(w.Playback.NextDue(w.Context(), media.Quick, w.now()))(w), w.now().Add(lease))
	w.pass(lease - time.Microsecond)
	w.stays(func() { w.wantIdle("to the end of the lease", media.Quick) })
	w.pass(time.Microsecond)
	again := w.leaseJob("two", media.Quick)
	w.equal("then", []any{again.ID, again.Cuts}, []any{j.ID, 2})
	for what, err := range map[string]error{
		"finishing": w.Playback.Finish(w.Context(), "one", j.ID, playback.Outcome{At: w.now()}),
		"retrying":  w.Playback.Retry(w.Context(), "one", j.ID, w.now(), media.Failed, "x"),
		"failing":   w.Playback.Fail(w.Context(), "one", j.ID, w.now(), media.Failed, "x"),
		"returning": w.Playback.Return(w.Context(), "one", j.ID, w.now()),
		"renewing":  w.Playback.Renew(w.Context(), "one", j.ID, 0.5, w.now().Add(lease)),
	} {
		w.wantKind(what+" with a lost lease", err, vam.Conflict)
	}
	w.ok(w.Playback.Finish(w.Context(), "two", j.ID, playback.Outcome{At: w.now()}))
	w.wantKind("finishing again", w.Playback.Finish(w.Context(), "two", j.ID, playback.Outcome{At: w.now()}), vam.Conflict)
	w.stays(func() {
		w.pass(lease)
		w.wantIdle("when it is done", media.Quick)
		done := w.mediaJob(j.ID)
		if done.State != playback.Done || done.Cuts != 0 {
			w.Errorf("it ended as %+v", done)
		}
	})
}

// The poster of the last recording comes before everything else of the first.
func testWorkOrder(w *world) {
	first := w.adopted(poster, peaks, probe)
	w.pass(time.Second)
	second := w.adopted(poster, peaks)
	var order []string
	for range 5 {
		j := w.leaseJob("me", media.Quick)
		order = append(order, map[bool]string{true: "first ", false: "second "}[j.Media == first]+j.Work.String())
	}
	w.equal("the order", order, []string{"first poster", "second poster", "first peaks", "second peaks", "first probe"})
	w.wantIdle("then", media.Quick)
	_ = second
}

func testJobRace(w *world) {
	for range 10 {
		w.adopted(poster, peaks)
	}
	seen := make([]map[int64]bool, 6)
	w.together(len(seen), func(i int) (bool, error) {
		seen[i] = map[int64]bool{}
		for {
			j, ok, err := w.Playback.Lease(w.Context(), w.mediaWant("me", media.Quick))
			if err != nil || !ok {
				return true, err
			}
			seen[i][j.ID] = true
		}
	})
	all := map[int64]int{}
	for _, s := range seen {
		for id := range s {
			all[id]++
		}
	}
	for id, n := range all {
		if n > 1 {
			w.Errorf("job %d was leased %d times", id, n)
		}
	}
	w.equal("jobs leased", len(all), 20)
}

func testJobRenew(w *world) {
	w.adopted(rendition)
	j := w.leaseJob("me", media.Long)
	for i := range 3 {
		w.pass(lease - time.Second)
		part := float64(i+1) / 4
		w.twice(func() error { return w.Playback.Renew(w.Context(), "me", j.ID, part, w.now().Add(lease)) })
		w.stays(func() {
			w.wantIdle("a renewed lease", media.Long)
			w.equal("progress", w.mediaJob(j.ID).Progress, part)
		})
	}
	w.wantKind("somebody else's", w.Playback.Renew(w.Context(), "you", j.ID, 0, w.now()), vam.Conflict)
	w.pass(lease)
	w.equal("a new lease begins anew", w.leaseJob("you", media.Long).Progress, 0.0)
}

func testJobRetry(w *world) {
	w.adopted(poster)
	for n := 1; n <= 3; n++ {
		j := w.leaseJob("me", media.Quick)
		if j.Attempts != n-1 || j.Cuts != 1 {
			w.Errorf("lease %d: %+v", n, j)
		}
		next := w.now().Add(time.Hour)
		w.ok(w.Playback.Retry(w.Context(), "me", j.ID, next, media.Expensive, "too much "+strings.Repeat("é", playback.MaxReason)))
		w.stays(func() {
			j := w.mediaJob(j.ID)
			if j.State != playback.Waiting || j.Attempts != n || j.Cuts != 0 || !j.NextAt.Equal(next) || j.Code != media.Expensive || !strings.HasPrefix(j.Reason, "too much é") || len(j.Reason) > playback.MaxReason {
				w.Errorf("after retry %d: %+v", n, j)
			}
			w.equal("next due", got(w.Playback.NextDue(w.Context(), media.Quick, w.now()))(w), next)
		})
		w.pass(time.Hour - time.Microsecond)
		w.wantIdle("before its time", media.Quick)
		w.pass(time.Microsecond)
	}
	j := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Finish(w.Context(), "me", j.ID, playback.Outcome{At: w.now()}))
	done := w.mediaJob(j.ID)
	w.equal("a job that is done has no reason", []any{done.Code, done.Reason}, []any{media.Reason(""), ""})
}

func testJobFail(w *world) {
	id := w.adopted(poster)
	j := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Fail(w.Context(), "me", j.ID, w.now(), media.Encrypted, "no key"))
	w.wantKind("failing twice", w.Playback.Fail(w.Context(), "me", j.ID, w.now(), media.Encrypted, "x"), vam.Conflict)
	at := w.now()
	w.pass(1000 * time.Hour)
	w.stays(func() {
		w.wantIdle("a failed job", media.Quick)
		f := w.mediaJob(j.ID)
		if f.State != playback.Failed || f.Code != media.Encrypted || f.Reason != "no key" || f.Attempts != 1 || !f.Changed.Equal(at) {
			w.Errorf("failed as %+v", f)
		}
	})
	w.ok(w.Playback.Adopt(w.Context(), id, nil, []media.Work{poster}, w.now()))
	w.wantIdle("after another Adopt", media.Quick)
}

func testJobReturn(w *world) {
	w.adopted(rendition)
	for range 3 {
		j := w.leaseJob("me", media.Long)
		w.equal("cuts", j.Cuts, 1)
		w.ok(w.Playback.Renew(w.Context(), "me", j.ID, 0.5, w.now().Add(lease)))
		w.ok(w.Playback.Return(w.Context(), "me", j.ID, w.now()))
		w.wantKind("returning twice", w.Playback.Return(w.Context(), "me", j.ID, w.now()), vam.Conflict)
		w.stays(func() {
			j := w.mediaJob(j.ID)
			w.equal("returned", []any{j.State, j.Cuts, j.Attempts, j.Progress}, []any{playback.Waiting, 0, 0, 0.0})
		})
	}
}

// What a process held that is gone goes on, unless it was cut again and again.
func testJobRelease(w *world) {
	w.adopted(poster, rendition)
	release := func() error {
		return w.Playback.Release(w.Context(), "me", 2, w.now(), media.Failed, "it ends the server")
	}
	w.leaseJob("me", media.Long)
	dead := w.leaseJob("dead", media.Quick)
	w.twice(release)
	w.stays(func() {
		w.wantIdle("a lease of one's own", media.Long)
		j := w.mediaJob(dead.ID)
		w.equal("the dead one's job", []any{j.State, j.Cuts}, []any{playback.Waiting, 1})
	})
	w.wantKind("the dead one's lease", w.Playback.Finish(w.Context(), "dead", dead.ID, playback.Outcome{At: w.now()}), vam.Conflict)
	again := w.leaseJob("dead", media.Quick)
	w.equal("the second time", []any{again.ID, again.Cuts}, []any{dead.ID, 2})
	w.ok(release())
	w.stays(func() {
		w.wantIdle("after the second cut", media.Quick)
		j := w.mediaJob(dead.ID)
		w.equal("it ended", []any{j.State, j.Code, j.Reason}, []any{playback.Failed, media.Failed, "it ends the server"})
	})
}

func testJobAgain(w *world) {
	w.adopted(poster, peaks, rendition)
	j, k := w.leaseJob("me", media.Quick), w.leaseJob("me", media.Quick)
	_, err := w.Playback.Again(w.Context(), j.ID, w.now())
	w.wantKind("a running job", err, vam.Conflict)
	w.ok(w.Playback.Fail(w.Context(), "me", j.ID, w.now(), media.NoFFmpeg, "none"))
	w.ok(w.Playback.Retry(w.Context(), "me", k.ID, w.now().Add(time.Hour), media.Failed, "x"))
	w.pass(time.Minute)
	for _, id := range []int64{j.ID, k.ID} {
		again := got(w.Playback.Again(w.Context(), id, w.now()))(w)
		w.equal("asked for again", []any{again.ID, again.State, again.Attempts, again.NextAt}, []any{id, playback.Waiting, 0, w.now()})
	}
	w.stays(func() {})
	w.equal("the first", w.leaseJob("me", media.Quick).ID, j.ID)
	w.equal("the second", w.leaseJob("me", media.Quick).ID, k.ID)
	w.ok(w.Playback.Finish(w.Context(), "me", k.ID, playback.Outcome{At: w.now()}))
	_, err = w.Playback.Again(w.Context(), k.ID, w.now())
	w.wantKind("one that is done", err, vam.Conflict)
	_, err = w.Playback.Again(w.Context(), 999, w.now())
	w.wantKind("none", err, vam.NotFound)

	l := w.leaseJob("me", media.Long)
	w.ok(w.Playback.Fail(w.Context(), "me", j.ID, w.now(), media.NoFFmpeg, "none"))
	w.ok(w.Playback.Fail(w.Context(), "me", l.ID, w.now(), media.Broken, "no"))
	missing := []media.Reason{media.NoFFmpeg, media.NoSandbox}
	w.equal("revived", got(w.Playback.Revive(w.Context(), missing, w.now()))(w), 1)
	w.equal("revived again", got(w.Playback.Revive(w.Context(), missing, w.now()))(w), 0)
	w.stays(func() { w.wantIdle("the other", media.Long) })
	w.equal("the revived one", w.leaseJob("me", media.Quick).ID, j.ID)
}
