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
)

// Job is one piece of work towards one domain. Kind and Key together are unique: a
// second Enqueue of the same brings the first one forward instead of adding one.
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
	Payload  []byte // for the handler, at most 64 KiB; nil when Key says it all
}

// Destination is what is known about reaching a domain. Its back-off is shared by
// every job towards it, so that a domain that is down for days costs one row.
type Destination struct {
	Domain   vam.Domain
	Failures int
	NextAt   time.Time
	Reason   string
}

// Store keeps jobs. Every write is durable when it returns; a lease that is not
// renewed ends by itself at its time, so a killed worker loses nothing.
type Store interface {
	// Enqueue adds jobs, or for those that are there brings NextAt forward to the
	// earlier of the two. A job that is leased at that moment is run once more after
	// its lease ends.
	Enqueue(ctx context.Context, jobs ...Job) error
	// Lease gives owner up to limit due jobs of kinds until until, oldest NextAt first,
	// leaving out the domains in busy and those whose Destination.NextAt is later
	// than now.
	Lease(ctx context.Context, owner string, kinds []Kind, now, until time.Time, limit int, busy []vam.Domain) ([]Job, error)
	// Renew extends the leases that owner still holds and returns those job ids.
	Renew(ctx context.Context, owner string, until time.Time, ids []int64) ([]int64, error)
	// Finish removes a job that owner holds. When Enqueue touched it during the lease
	// it is released for another run instead. Conflict when the lease was lost.
	Finish(ctx context.Context, owner string, id int64) error
	// Retry releases a job with a later NextAt and one more attempt. Conflict when
	// the lease was lost.
	Retry(ctx context.Context, owner string, id int64, next time.Time, reason string) error
	// Release ends every lease that is not owner's: at start, when the data folder's
	// lock says that no other process can be alive.
	Release(ctx context.Context, owner string) error
	// NextDue is when the next unleased job of kinds is due, zero when there is none.
	NextDue(ctx context.Context, kinds []Kind) (time.Time, error)
	// Jobs lists up to limit jobs in order of NextAt, of one domain when it is set.
	Jobs(ctx context.Context, domain vam.Domain, limit int) ([]Job, error)

	// Depth counts the jobs of a kind and says when the oldest of them was made, zero for
	// none.
	Depth(ctx context.Context, kind Kind) (jobs int64, oldest time.Time, err error)

	// Destination returns a zero row for a domain without failures.
	Destination(ctx context.Context, d vam.Domain) (Destination, error)
	// Fail counts a failure to reach the domain and sets its next attempt.
	Fail(ctx context.Context, d vam.Domain, next time.Time, reason string) error
	// Reached forgets the failures of the domain and makes its waiting jobs due now.
	Reached(ctx context.Context, d vam.Domain, now time.Time) error
	// Wake makes every job of the domain due now, for `vam queue retry`.
	Wake(ctx context.Context, d vam.Domain, now time.Time) error
}

// Backoff is the schedule of attempts: the pause after the n-th failure (from 1).
func Backoff(n int) time.Duration {
	steps := [...]time.Duration{5 * time.Second, 15 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	return steps[min(max(n, 1), len(steps))-1]
}
