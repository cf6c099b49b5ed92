package reception_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/queue"
)

// job is the one pull that is due.
func (in *inbox) job(t *testing.T) queue.Job {
	t.Helper()
	jobs, err := in.DB.Queue().Jobs(t.Context(), "a.example", 10)
	if err != nil || len(jobs) != 1 || jobs[0].Kind != queue.Pull {
		t.Fatalf("jobs %v, %v", jobs, err)
	}
	return jobs[0]
}

// live is a recording that goes on, offered and being pulled.
func live(t *testing.T) (*inbox, *hosttest.Recording) {
	t.Helper()
	in := newInbox(t, hosttest.Options{})
	r := in.recording(t, hosttest.Pattern(3*partSize, 1))
	in.taken(t, in.offer(t, r, "bob@b.example"))
	return in, r
}

// A recording is followed as it grows: a part can be read at the recipient at the
// moment in which it is appended at the origin.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		done := make(chan error)
		go func() { done <- in.Reception.Pull(t.Context(), in.job(t)) }()
		synctest.Wait()
		media, err := in.Messages.OpenMedia(t.Context(), r.Key)
		if err != nil {
			t.Fatal(err)
		}
		defer media.Close()
		if end := media.Available(0); end != 3*partSize {
			t.Fatalf("%d octets are here", end)
		}
		for i := range 50 {
			time.Sleep(100 * time.Millisecond)
			before := time.Now()
			r.Add(activmail.Record{Kind: activmail.RecordPart}, hosttest.Pattern(partSize, byte(10+i)))
			if err := media.WaitFor(t.Context(), int64((4+i)*partSize-1)); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(before); waited != 0 {
				t.Fatalf("part %d came %v late", i, waited)
			}
		}
		if n := in.away.Asked("media"); n > 4 {
			t.Errorf("%d requests for media beside the entries", n)
		}
		time.Sleep(3 * time.Minute) // a pause of the author is no end
		r.Add(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("poster"))
		r.Seal()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := media.WaitFor(t.Context(), 53*partSize); !errors.Is(err, io.EOF) {
			t.Errorf("the end: %v", err)
		}
		if st := in.state(t, in.bob, r); st != mailbox.Stored {
			t.Errorf("bob has it %s", st)
		}
		in.wantMedia(t, r)
	})
}

// Several lines that come at once, and lines that came before anybody asked, are
// fetched from the log.
func TestLiveCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		done := make(chan error)
		go func() { done <- in.Reception.Pull(t.Context(), in.job(t)) }()
		for i := range 20 {
			synctest.Wait()
			for j := range 7 {
				r.Add(activmail.Record{Kind: activmail.RecordPart}, hosttest.Pattern(partSize, byte(7*i+j)))
			}
		}
		r.Seal()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		in.wantMedia(t, r)
	})
}

func TestLiveRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		done := make(chan error)
		go func() { done <- in.Reception.Pull(t.Context(), in.job(t)) }()
		synctest.Wait()
		r.Revoke()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if st := in.state(t, in.bob, r); st != mailbox.Withdrawn {
			t.Errorf("bob has it %s", st)
		}
	})
}

// A recording that stands still gives its place to others, and is looked at again.
func TestLiveStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		start := time.Now()
		err := in.Reception.Pull(t.Context(), in.job(t))
		wantKind(t, err, vam.Busy, "")
		var e *vam.Error
		if errors.As(err, &e); e.RetryAfter != time.Minute {
			t.Errorf("it is looked at again after %v", e.RetryAfter)
		}
		if took := time.Since(start); took > 11*time.Minute {
			t.Errorf("it kept its place for %v", took)
		}
		if n := in.away.Asked("entry"); n > 100 {
			t.Errorf("%d requests in ten minutes", n)
		}
		r.Seal()
		in.settled(t)
		in.wantMedia(t, r)
	})
}

// An origin that does not wait is not asked without a pause.
func TestLiveImpatientOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		in.away.Impatient = true
		done := make(chan error)
		go func() { done <- in.Reception.Pull(t.Context(), in.job(t)) }()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := in.away.Asked("entry"); n > 40 {
			t.Errorf("%d requests in a minute", n)
		}
		r.Add(activmail.Record{Kind: activmail.RecordPart}, hosttest.Pattern(partSize, 9))
		r.Seal()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		in.wantMedia(t, r)
	})
}

// An origin whose entries and log do not agree is left for a while.
func TestLiveContradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		in.away.Fail = func(op string) error {
			if op == "entry" {
				return vam.Errorf(vam.Conflict, "there are more lines").WithProblem("log-position")
			}
			return nil
		}
		err := in.Reception.Pull(t.Context(), in.job(t))
		wantKind(t, err, vam.Unavailable, "")
		if n := in.away.Asked("log"); n > 10 {
			t.Errorf("the log was asked for %d times", n)
		}
		if st := in.state(t, in.bob, r); st != mailbox.Arriving {
			t.Errorf("bob has it %s", st)
		}
	})
}

// A stop ends a pull at once, whatever it waits for, and leaves no goroutine behind
// (the bubble would not end).
func TestLiveStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- in.Reception.Pull(ctx, in.job(t)) }()
		synctest.Wait()
		start := time.Now()
		stop()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("stopped with %v", err)
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		if st := in.state(t, in.bob, r); st != mailbox.Arriving {
			t.Errorf("bob has it %s", st)
		}
	})
}

// Whoever reads a message that turns out not to come is told.
func TestReadersOfAFailedMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in, r := live(t)
		done := make(chan error)
		go func() { done <- in.Reception.Pull(t.Context(), in.job(t)) }()
		synctest.Wait()
		media, err := in.Messages.OpenMedia(t.Context(), r.Key)
		if err != nil {
			t.Fatal(err)
		}
		defer media.Close()
		waits := make(chan error)
		go func() { waits <- media.WaitFor(t.Context(), 3*partSize) }()
		synctest.Wait()
		r.AddLine([]byte(`{"k":"part"}`)) // no line
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := <-waits; vam.KindOf(err) != vam.NotFound {
			t.Errorf("who waits gets %v", err)
		}
		if st := in.state(t, in.bob, r); st != mailbox.Failed {
			t.Errorf("bob has it %s", st)
		}
	})
}
