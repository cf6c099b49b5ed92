package delivery_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// Every recipient has an outcome of its own, whatever became of the others.
func TestOutcomes(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.sent(t, submission.Draft{To: to(t, "taken@b.example", "held@b.example", "gone@b.example", "full@b.example", "silent@b.example", "pending@b.example")})
	d.net.deliver = func(a delivery.Attempt) ([]delivery.Update, error) {
		answers := map[string]delivery.Update{
			"taken": {State: vam.Accepted}, "held": {State: vam.Held}, "gone": {State: vam.Rejected, Code: "5.1.1", Text: "no such mailbox"},
			"full": {State: vam.Waiting, Code: "4.2.2", Text: "the mailbox is full"}, "pending": {State: vam.Waiting, Text: "not decided"},
		}
		out := []delivery.Update{{Address: hosttest.Address(t, "stranger@b.example"), State: vam.Rejected}}
		for _, r := range a.Offer.Recipients {
			if u, ok := answers[r.Address.Local]; ok {
				u.Address = r.Address
				out = append(out, u)
			}
		}
		return out, nil
	}
	if errs := d.Work(t.Context()); len(errs) != 1 || !vam.KindOf(errs[0]).Temporary() {
		t.Errorf("the job ends with %v", errs)
	}
	want := []string{"full@b.example waiting 4.2.2", "gone@b.example rejected 5.1.1", "held@b.example held", "pending@b.example waiting", "silent@b.example waiting 4.4.1", "taken@b.example accepted"}
	if diff := cmp.Diff(want, d.states(t, k)); diff != "" {
		t.Error(diff)
	}
	d.net.asked()
	// The next attempt is for those who wait, with the same octets.
	d.Clock.Advance(time.Hour)
	d.net.deliver = func(a delivery.Attempt) ([]delivery.Update, error) {
		out, _ := all(delivery.Update{State: vam.Accepted})(a)
		// What it says of others is not asked for.
		return append(out, delivery.Update{Address: hosttest.Address(t, "taken@b.example"), State: vam.Rejected, Code: "5.0.0"}), nil
	}
	if errs := d.Work(t.Context()); len(errs) != 0 {
		t.Errorf("the second attempt ends with %v", errs)
	}
	if got := d.net.asked(); !cmp.Equal(got, []string{"full@b.example silent@b.example pending@b.example"}) {
		t.Errorf("the second attempt is for %v", got)
	}
	if bodies := d.net.bodies["b.example"]; len(bodies) != 2 || bodies[0] != bodies[1] {
		t.Error("the second offer has other octets")
	}
	want = []string{"full@b.example accepted", "gone@b.example rejected 5.1.1", "held@b.example held", "pending@b.example accepted", "silent@b.example accepted", "taken@b.example accepted"}
	if diff := cmp.Diff(want, d.states(t, k)); diff != "" {
		t.Error(diff)
	}
	if got := d.bounces(t); len(got) != 1 {
		t.Errorf("%d reports", len(got))
	}
	if left := d.jobs(t, queue.Offer); len(left) != 0 {
		t.Errorf("jobs are left: %v", left)
	}
}

// A failure of the whole attempt is everybody's: a permanent one ends them, and nothing
// that is not understood is permanent (AM-8.23).
func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		err   error
		state string
	}{
		"unavailable":       {vam.Errorf(vam.Unavailable, "no connection"), "waiting 4.4.1"},
		"busy":              {vam.Errorf(vam.Busy, "later"), "waiting 4.4.1"},
		"no room":           {vam.Errorf(vam.OverQuota, "full"), "waiting 4.4.1"},
		"unknown":           {errors.New("something"), "waiting 4.4.1"},
		"not VAM":           {vam.Errorf(vam.NotVAM, "no"), "rejected 5.1.2"},
		"denied":            {vam.Errorf(vam.Denied, "no").WithProblem("spam"), "rejected 5.7.1"},
		"too large":         {vam.Errorf(vam.TooLarge, "no"), "rejected 5.3.4"},
		"conflict":          {vam.Errorf(vam.Conflict, "no").WithProblem("offer-conflict"), "rejected 5.6.0"},
		"malformed":         {vam.Errorf(vam.Invalid, "no"), "rejected 5.5.2"},
		"gone":              {vam.Errorf(vam.Gone, "no").WithProblem("revoked"), "rejected 5.7.1"},
		"bad signature":     {vam.Errorf(vam.Unauthenticated, "no").WithProblem("signature-invalid"), "rejected 5.7.20"},
		"contradicts":       {vam.Errorf(vam.Corrupt, "no").WithProblem("checkpoint-inconsistent"), "rejected 5.6.0"},
		"no such recipient": {vam.Errorf(vam.NotFound, "no").WithProblem("no-such-recipient"), "rejected 5.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t, hosttest.Options{})
			d.net.deliver = fails(tt.err)
			k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example")})
			d.Work(t.Context())
			if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example " + tt.state, "carol@b.example " + tt.state}) {
				t.Errorf("they are %v", got)
			}
			reports, jobs := d.bounces(t), d.jobs(t, queue.Offer)
			if strings.HasPrefix(tt.state, "waiting") {
				if len(reports) != 0 || len(jobs) != 1 {
					t.Errorf("%d reports, jobs %v", len(reports), jobs)
				}
				return
			}
			if len(reports) != 1 || len(jobs) != 0 {
				t.Fatalf("%d reports, jobs %v", len(reports), jobs)
			}
			if r := readReport(t, reports[0]); len(r.rcpts) != 2 {
				t.Errorf("a report on %v", r.rcpts)
			}
		})
	}
}

// A peer that says when is asked then.
func TestRetryAfter(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.net.deliver = fails(vam.Errorf(vam.Busy, "later").WithRetry(3 * time.Hour))
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example")})
	d.Work(t.Context())
	rcpts, err := d.Delivery.Recipients(t.Context(), k)
	if err != nil || rcpts[0].Attempts != 1 || !rcpts[0].NextAt.Equal(d.Clock.Now().Add(3*time.Hour)) {
		t.Errorf("%+v, %v", rcpts, err)
	}
}

// When its time is over a recipient fails, once, with one report for all (AM-8.21, AM-8.25).
func TestDeliverBy(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.net.deliver = fails(vam.Wrap(vam.Unavailable, errors.New("dial 10.1.2.3: refused"), "b.example did not answer"))
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@b.example")})
	d.Work(t.Context())
	d.Clock.Advance(4*24*time.Hour - time.Hour)
	d.Work(t.Context())
	if got := d.bounces(t); len(got) != 0 {
		t.Fatal("a report before it is time")
	}
	d.Clock.Advance(2 * time.Hour)
	for range 2 {
		if errs := d.Work(t.Context()); len(errs) != 0 {
			t.Errorf("%v", errs)
		}
	}
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example failed 4.4.7", "carol@b.example failed 4.4.7"}) {
		t.Errorf("they are %v", got)
	}
	reports := d.bounces(t)
	if len(reports) != 1 {
		t.Fatalf("%d reports", len(reports))
	}
	r := readReport(t, reports[0])
	if !cmp.Equal(r.rcpts, []string{"bob@b.example failed 4.4.7", "carol@b.example failed 4.4.7"}) {
		t.Errorf("a report on %v", r.rcpts)
	}
	if r.message.Get("Reporting-Mta") != "dns; a.example" || r.message.Get("Original-Envelope-Id") != string(k.ID) {
		t.Errorf("it says %v", r.message)
	}
	if r.header.Get("Return-Path") != "<>" || !strings.Contains(r.header.Get("From"), "mailer-daemon@a.example") || r.header.Get("Auto-Submitted") == "" {
		t.Errorf("its header is %v", r.header)
	}
	if got := r.letter.Get("Subject"); got != "The harbour" {
		t.Errorf("it returns a letter on %q", got)
	}
	if !strings.Contains(r.words, "bob@b.example") || !strings.Contains(r.words, "did not answer") || strings.Contains(r.words, "10.1.2.3") {
		t.Errorf("it tells people\n%s", r.words)
	}
	if len(d.jobs(t, queue.Offer)) != 0 {
		t.Error("a job is left")
	}
}

// What has expired is not offered any more (AM-8.18).
func TestExpiredBeforeItWasTaken(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.net.deliver = fails(vam.Errorf(vam.Unavailable, "no"))
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example"), Expires: d.Clock.Now().Add(24 * time.Hour)})
	d.Work(t.Context())
	d.net.asked()
	d.Clock.Advance(25 * time.Hour)
	d.Work(t.Context())
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example failed 5.4.7"}) || len(d.net.asked()) != 0 {
		t.Errorf("they are %v", got)
	}
	if len(d.bounces(t)) != 1 {
		t.Error("nobody was told")
	}
}

// A crash between the answer and its record costs a repetition of the same octets.
func TestCrashBeforeTheAnswerIsKept(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example")})
	ctx, die := t.Context(), false
	d.net.deliver = func(a delivery.Attempt) ([]delivery.Update, error) {
		die = true
		return nil, vam.Errorf(vam.Unavailable, "the connection broke after the request")
	}
	d.Work(ctx)
	d.Reopen()
	d.Clock.Advance(time.Hour)
	d.net.deliver = all(delivery.Update{State: vam.Accepted})
	d.Work(ctx)
	if bodies := d.net.bodies["b.example"]; !die || len(bodies) != 2 || bodies[0] != bodies[1] {
		t.Error("the second offer has other octets")
	}
	if got := d.states(t, k); !cmp.Equal(got, []string{"bob@b.example accepted"}) {
		t.Errorf("they are %v", got)
	}
}

// offers parses what went to a domain.
func (d *desk) offers(t *testing.T, domain string) (out []*activmail.Offer) {
	t.Helper()
	for _, b := range d.net.bodies[domain] {
		o, err := activmail.ParseOffer([]byte(b), d.Messages.Limits())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, o)
	}
	return out
}

// Nobody learns of those in Bcc, not even by an offer (AM-6.3).
func TestBcc(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@c.example"), Bcc: to(t, "eve@b.example", "mike@b.example")})
	d.Work(t.Context())
	offers := d.offers(t, "b.example")
	if len(offers) != 3 || len(d.offers(t, "c.example")) != 1 {
		t.Fatalf("%d offers to b.example", len(offers))
	}
	for _, o := range append(offers, d.offers(t, "c.example")...) {
		if len(o.Envelope.To) != 1 {
			t.Errorf("an offer to %v", o.Envelope.To)
		}
		for _, name := range []string{"eve", "mike"} {
			if strings.Contains(string(o.Mail), name) {
				t.Errorf("the letter names %s", name)
			}
		}
	}
	if offers[0].Token == offers[1].Token || offers[1].Token == offers[2].Token {
		t.Error("two offers share a token")
	}
}

// A live message is offered before it has a line, and later with those that there are.
func TestOfferOfALiveMessage(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.draft(t, submission.Draft{To: to(t, "bob@b.example")})
	d.send(t, k)
	d.Work(t.Context())
	o := d.offers(t, "b.example")[0]
	if _, cp, err := o.OpenLog(d.Messages.Limits()); err != nil || cp.Size != 0 || o.State != vam.Live {
		t.Errorf("an offer of %s with %d lines: %v", o.State, cp.Size, err)
	}
	k = d.draft(t, submission.Draft{To: to(t, "bob@b.example")})
	d.part(t, k, []byte("film"))
	d.send(t, k)
	d.Work(t.Context())
	o = d.offers(t, "b.example")[1]
	if v, cp, err := o.OpenLog(d.Messages.Limits()); err != nil || cp.Size != 1 || v.Size() != 1 {
		t.Errorf("an offer with %d lines: %v", cp.Size, err)
	}
}

// A long log is offered as far as leaves in the first flight of a connection, and as the
// limit allows.
func TestOfferOfALongLog(t *testing.T) {
	for limit, lines := range map[vam.Bytes][2]int64{2 * vam.KiB: {5, 30}, 64 * vam.KiB: {70, 110}} {
		limits := activmail.DefaultLimits()
		limits.OfferLog = limit
		d := newDesk(t, hosttest.Options{Limits: limits})
		k := d.draft(t, submission.Draft{To: to(t, "bob@b.example")})
		for i := range 120 {
			d.part(t, k, hosttest.Pattern(100, byte(i)))
		}
		if _, err := d.Submission.Seal(t.Context(), d.alice, k, activmail.Sum{}); err != nil {
			t.Fatal(err)
		}
		d.send(t, k)
		d.Work(t.Context())
		o := d.offers(t, "b.example")[0]
		_, cp, err := o.OpenLog(limits)
		if err != nil || cp.Size < lines[0] || cp.Size > lines[1] || o.State != vam.Sealed || o.Size != 12000 {
			t.Errorf("with a limit of %s an offer of %s with %d lines of %s: %v", limit, o.State, cp.Size, o.Size, err)
		}
	}
}

// Whatever order events come in, a state never goes back, and what is over stays so but
// for a message that is taken back.
func TestAdvances(t *testing.T) {
	states := []vam.RecipientState{
		vam.Queued, vam.Offering, vam.Waiting, vam.Held, vam.Accepted, vam.Stored, vam.Displayed, vam.Played,
		vam.Declined, vam.Lapsed, vam.Rejected, vam.Failed, vam.Withdrawn,
	}
	rapid.Check(t, func(t *rapid.T) {
		from, next := rapid.SampledFrom(states).Draw(t, "from"), rapid.SampledFrom(states).Draw(t, "to")
		got := delivery.Advances(from, next)
		switch {
		case got && delivery.Rank(next) < delivery.Rank(from):
			t.Fatalf("%s goes back to %s", from, next)
		case got && from.Final() && next != vam.Withdrawn:
			t.Fatalf("%s is final and goes to %s", from, next)
		case got && from == next && delivery.Rank(from) > 0:
			t.Fatalf("%s again is news", from)
		case !got && !from.Final() && delivery.Rank(next) > delivery.Rank(from):
			t.Fatalf("%s does not go on to %s", from, next)
		}
	})
}

func TestPoke(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.sent(t, submission.Draft{To: to(t, "bob@b.example", "carol@c.example")})
	d.Work(t.Context())
	if _, err := d.Submission.Revoke(t.Context(), d.alice, k); err != nil {
		t.Fatal(err)
	}
	d.net.poke = vam.Errorf(vam.Unavailable, "no")
	if errs := d.Work(t.Context()); len(errs) != 2 {
		t.Errorf("%v", errs)
	}
	d.Clock.Advance(time.Minute)
	// Nothing but 204 and 404 ends it (AM-6.32).
	for _, kind := range []vam.ErrorKind{vam.Unauthenticated, vam.Denied, vam.Invalid, vam.NotVAM, vam.Gone, vam.Corrupt} {
		d.net.poke = vam.Errorf(kind, "no")
		if errs := d.Work(t.Context()); len(errs) != 2 || !vam.KindOf(errs[0]).Temporary() {
			t.Errorf("%s: %v", kind, errs)
		}
		d.Clock.Advance(2 * time.Hour)
	}
	d.net.poke = vam.Errorf(vam.NotFound, "no") // it holds nothing of it
	if errs := d.Work(t.Context()); len(errs) != 0 {
		t.Errorf("%v", errs)
	}
	if n := strings.Count(strings.Join(d.net.pokes, "\n"), "b.example revoked"); n != 8 {
		t.Errorf("b.example was told %d times", n)
	}
	if left := d.jobs(t, queue.Poke); len(left) != 0 {
		t.Errorf("jobs are left: %v", left)
	}
	// What was never taken is not offered any more.
	d.net.deliver = fails(vam.Errorf(vam.Unavailable, "no"))
	k = d.sent(t, submission.Draft{To: to(t, "bob@b.example")})
	d.Work(t.Context())
	if _, err := d.Submission.Revoke(t.Context(), d.alice, k); err != nil {
		t.Fatal(err)
	}
	d.net.asked()
	d.Clock.Advance(time.Hour)
	d.Work(t.Context())
	if got := d.net.asked(); len(got) != 0 {
		t.Errorf("it was offered to %v", got)
	}
	if err := d.Delivery.Poke(t.Context(), queue.Job{Kind: queue.Poke, Key: "x", Domain: "b.example"}); err == nil {
		t.Error("a job without a message is done")
	}
	gone := message.Key{Origin: "a.example", ID: vam.NewMessageID(d.Clock.Now())}
	if err := d.Delivery.Poke(t.Context(), queue.Job{Kind: queue.Poke, Key: gone.String() + " b.example", Domain: "b.example"}); !errors.Is(err, queue.ErrNotReached) {
		t.Error(err)
	}
}

// A job that ends without a word of its domain does not say that the domain answers, else
// an outage would be forgotten in the middle of it (AM-8.24).
func TestEndsWithoutAnAnswer(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	d.net.deliver = fails(vam.Errorf(vam.Unavailable, "no"))
	d.net.poke = vam.Errorf(vam.Unavailable, "no")
	ends := func(what string, kind queue.Kind, want error) {
		t.Helper()
		jobs := d.jobs(t, kind)
		if len(jobs) != 1 {
			t.Fatalf("%s: the jobs are %+v", what, jobs)
		}
		for range 2 {
			if err := d.Handlers()[kind](t.Context(), jobs[0]); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", what, err, want)
			}
		}
		d.Work(t.Context()) // and it is gone
	}
	offer := func(x submission.Draft) message.Key {
		t.Helper()
		x.To = to(t, "bob@b.example")
		k := d.sent(t, x)
		d.Work(t.Context())
		return k
	}

	offer(submission.Draft{})
	d.Clock.Advance(5 * 24 * time.Hour)
	ends("past its deadline", queue.Offer, queue.ErrNotReached)

	offer(submission.Draft{Expires: d.Clock.Now().Add(24 * time.Hour)})
	d.Clock.Advance(25 * time.Hour)
	ends("expired", queue.Offer, queue.ErrNotReached)

	k := offer(submission.Draft{})
	if _, err := d.Submission.Revoke(t.Context(), d.alice, k); err != nil {
		t.Fatal(err)
	}
	d.Clock.Advance(time.Hour)
	ends("taken back", queue.Offer, queue.ErrNotReached)
	d.Clock.Advance(15 * 24 * time.Hour)
	ends("a poke past its deadline", queue.Poke, queue.ErrNotReached)

	d.net.deliver = all(delivery.Update{State: vam.Held})
	d.sent(t, submission.Draft{To: to(t, "bob@b.example")})
	d.Work(t.Context(), queue.Offer)
	ends("a hold", queue.Hold, queue.ErrNotReached)

	k = d.sent(t, submission.Draft{To: to(t, "carol@c.example")})
	d.net.deliver = all(delivery.Update{State: vam.Accepted})
	jobs := d.jobs(t, queue.Offer)
	if err := d.Delivery.Offer(t.Context(), jobs[0]); err != nil {
		t.Errorf("an offer that was answered: %v", err)
	}
	if err := d.Delivery.Offer(t.Context(), jobs[0]); !errors.Is(err, queue.ErrNotReached) {
		t.Errorf("one that nobody waits for, of %v: %v", d.states(t, k), err)
	}
}
