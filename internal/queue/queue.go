// Package queue owns the durable schedule: what is to be done towards which
// domain, when next, and by which worker now.
package queue

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
)

// Kind is what a job does. Handlers are given to a Runner by kind.
type Kind string

// The kinds of job.
const (
	Offer   Kind = "offer"   // bring an offer to the domain of its recipients
	Poke    Kind = "poke"    // tell a peer that a log has news it must see (revoke, expiry)
	Receipt Kind = "receipt" // tell an origin what became of a recipient
	Pull    Kind = "pull"    // fetch a message from its origin
	Digest  Kind = "digest"  // compare the whole media with its seal
	Hold    Kind = "hold"    // notice a hold that its domain says nothing of
)

// Job is one piece of work towards one domain. Kind and Key together are unique: a
// second Enqueue of the same joins the first one instead of adding one.
type Job struct {
	ID       int64
	Kind     Kind
	Key      string
	Domain   vam.Domain
	Attempts int       // leases that ended in a retry
	NextAt   time.Time // not before this
	Deadline time.Time // zero: none; the handler decides what passing it means
	Created  time.Time
	Reason   string // of the last retry, for people
	Payload  []byte // for the handler, at most MaxPayload; nil when Key says it all
}

// Destination is what is known about reaching a domain. Its back-off is shared by
// every job towards it, so that a domain that is down for days costs one row.
type Destination struct {
	Domain   vam.Domain
	Failures int // outages in a row, not failed jobs
	NextAt   time.Time
	Reason   string
}

// Failure is an attempt that did not reach its domain.
type Failure struct {
	At      time.Time
	AtLeast time.Duration // of the pause, as the domain asked for
	Spread  float64       // see Backoff
	Reason  string
}

// Want is what a worker asks Lease for (AM-14.7).
type Want struct {
	Owner      string // names the process
	Kinds      []Kind
	Now, Until time.Time // the leases end at Until unless they are renewed
	Limit      int       // jobs in all

	// PerDomain bounds the jobs of one domain, those that Running counts included; 0
	// is no bound.
	PerDomain int
	Running   map[vam.Domain]int
}

// Room is how many jobs of d may be leased at most.
func (w Want) Room(d vam.Domain) int {
	if w.PerDomain <= 0 {
		return max(0, w.Limit)
	}
	return max(0, min(w.Limit, w.PerDomain-w.Running[d]))
}

// Store keeps jobs. Every write is durable when it returns; a lease that is not
// renewed ends by itself at its time, so a killed worker loses nothing. It costs as
// much with a million waiting jobs as with ten.
type Store interface {
	// Enqueue adds jobs, or for those that are there brings NextAt forward to the
	// earlier of the two, puts Deadline off to the later (none is the latest), so that news
	// has its whole time (AM-6.32), and leaves the rest. A job that is leased at that moment is run
	// once more after its lease ends, not before the new NextAt. TooLarge for a payload
	// of more than MaxPayload; then none is added.
	Enqueue(ctx context.Context, jobs ...Job) error
	// Lease gives out due jobs, in the order in which they became due, leaving out those
	// that are leased and the domains whose Destination.NextAt is later than Now.
	Lease(ctx context.Context, w Want) ([]Job, error)
	// Renew extends the leases that owner still holds and returns those job ids.
	Renew(ctx context.Context, owner string, until time.Time, ids []int64) ([]int64, error)
	// Finish removes a job that owner holds. When Enqueue touched it during the lease
	// it is released for another run instead, as if it were new and made when the newest
	// of those was. Conflict when the lease was lost.
	Finish(ctx context.Context, owner string, id int64) error
	// Retry releases a job with a later NextAt and one more attempt. When Enqueue
	// touched it during the lease, the earlier of the two times counts. Conflict when
	// the lease was lost.
	Retry(ctx context.Context, owner string, id int64, next time.Time, reason string) error
	// Release ends every lease that is not owner's: at start, when the data folder's
	// lock says that no other process can be alive.
	Release(ctx context.Context, owner string) error
	// NextDue is the next time after now at which the clock alone can bring Lease a job
	// of kinds: the first job of a kind and domain becomes due, a lease ends, or a domain
	// may be tried again. What stands behind a job of its kind and domain that is due
	// already waits for that one. Zero when nothing waits for its time. It may be too
	// early, never too late.
	NextDue(ctx context.Context, kinds []Kind, now time.Time) (time.Time, error)
	// Jobs lists up to limit jobs in order of NextAt, of one domain when it is set.
	Jobs(ctx context.Context, domain vam.Domain, limit int) ([]Job, error)

	// Depth counts the jobs of a kind and says when the oldest of them was made, zero for
	// none.
	Depth(ctx context.Context, kind Kind) (jobs int64, oldest time.Time, err error)

	// Destination returns a zero row for a domain without failures.
	Destination(ctx context.Context, d vam.Domain) (Destination, error)
	// Fail notes that the domain was not reached and returns when it may be tried again. A
	// failure while the domain waits already belongs to the same outage and is not counted
	// (AM-8.24). The pause is Backoff of the failures with f.Spread, or f.AtLeast when that
	// is longer. Failures that are older than a week may be forgotten.
	Fail(ctx context.Context, d vam.Domain, f Failure) (time.Time, error)
	// Reached forgets the failures of the domain and, if there were any, makes its jobs
	// that wait for another attempt due now.
	Reached(ctx context.Context, d vam.Domain, now time.Time) error
	// Wake does the same whether there were failures or not, for `vam queue retry`. A job
	// that was enqueued for a later time and not tried yet keeps its time.
	Wake(ctx context.Context, d vam.Domain, now time.Time) error
}

// MaxPayload is the longest Job.Payload, in octets.
const MaxPayload = 64 << 10

// MaxReason is the longest reason that is kept, in octets; longer ones are cut.
const MaxReason = 500

// Backoff is the schedule of attempts (AM-8.22): the pause after the n-th failure, from
// 1. Spread, from -1 to 1, makes it up to a fifth shorter or longer, so that those who
// lost a peer at the same moment do not all come back at the same moment; 0 is the
// schedule itself. It is in whole milliseconds.
func Backoff(n int, spread float64) time.Duration {
	steps := [...]time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	pause := steps[min(max(n, 1), len(steps))-1]
	return pause + time.Duration(min(max(spread, -1), 1)*float64(pause/5)).Truncate(time.Millisecond)
}
