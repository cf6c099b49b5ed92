package storetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// MemoryQueue is a queue.Store that forgets everything with its process: the model
// that the suite holds others against, and what tests of workers run on when days
// must pass in a moment. It is safe for concurrent use.
type MemoryQueue struct {
	mu    sync.Mutex
	last  int64
	jobs  map[int64]*memoryJob
	dests map[vam.Domain]queue.Destination
}

var _ queue.Store = (*MemoryQueue)(nil)

type memoryJob struct {
	queue.Job
	owner string
	until time.Time
	again bool
	newer time.Time // when the newest was made that it is wanted again as
}

// ready is when the job can be leased.
func (j *memoryJob) ready() time.Time {
	if j.owner != "" {
		return j.until
	}
	return j.NextAt
}

// NewMemoryQueue returns an empty queue.
func NewMemoryQueue() *MemoryQueue {
	return &MemoryQueue{jobs: map[int64]*memoryJob{}, dests: map[vam.Domain]queue.Destination{}}
}

// sorted are the jobs that keep holds for, in the order of time.
func (q *MemoryQueue) sorted(at func(*memoryJob) time.Time, keep func(*memoryJob) bool) []*memoryJob {
	list := slices.DeleteFunc(slices.Collect(maps.Values(q.jobs)), func(j *memoryJob) bool { return !keep(j) })
	slices.SortFunc(list, func(a, b *memoryJob) int { return cmp.Or(at(a).Compare(at(b)), cmp.Compare(a.ID, b.ID)) })
	return list
}

func nextAt(j *memoryJob) time.Time { return j.NextAt }

// Enqueue implements queue.Store.
func (q *MemoryQueue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.ContainsFunc(jobs, func(j queue.Job) bool { return len(j.Payload) > queue.MaxPayload }) {
		return vam.Errorf(vam.TooLarge, "the payload of a job is too large")
	}
	for _, j := range jobs {
		if old := q.find(j.Kind, j.Key); old != nil {
			old.join(j)
			continue
		}
		q.last++
		j.ID, j.Attempts, j.Reason = q.last, 0, ""
		q.jobs[j.ID] = &memoryJob{Job: j}
	}
	return nil
}

// join makes one job of two.
func (j *memoryJob) join(later queue.Job) {
	if j.Deadline.IsZero() || later.Deadline.IsZero() {
		j.Deadline = time.Time{}
	} else if later.Deadline.After(j.Deadline) {
		j.Deadline = later.Deadline
	}
	leased := j.owner != ""
	first := leased && !j.again
	if first || later.NextAt.Before(j.NextAt) {
		j.NextAt = later.NextAt
	}
	if first || later.Created.After(j.newer) {
		j.newer = later.Created
	}
	j.again = leased
}

func (q *MemoryQueue) find(kind queue.Kind, key string) *memoryJob {
	for _, j := range q.jobs {
		if j.Kind == kind && j.Key == key {
			return j
		}
	}
	return nil
}

// Lease implements queue.Store.
func (q *MemoryQueue) Lease(ctx context.Context, w queue.Want) ([]queue.Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []queue.Job
	taken := map[vam.Domain]int{}
	for _, j := range q.sorted((*memoryJob).ready, func(j *memoryJob) bool { return q.open(w, j) }) {
		if len(out) >= w.Limit {
			break
		}
		if taken[j.Domain] >= w.Room(j.Domain) {
			continue
		}
		taken[j.Domain]++
		q.lease(w, j)
		out = append(out, j.Job)
	}
	return out, nil
}

// open reports whether the job may be leased, but for the bounds of w.
func (q *MemoryQueue) open(w queue.Want, j *memoryJob) bool {
	return !j.ready().After(w.Now) && slices.Contains(w.Kinds, j.Kind) && !q.dests[j.Domain].NextAt.After(w.Now)
}

func (q *MemoryQueue) lease(w queue.Want, j *memoryJob) {
	j.again = j.again && j.owner == w.Owner
	j.owner, j.until = w.Owner, w.Until
}

// Renew implements queue.Store.
func (q *MemoryQueue) Renew(ctx context.Context, owner string, until time.Time, ids []int64) ([]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var kept []int64
	for _, id := range ids {
		if j := q.jobs[id]; j != nil && j.owner == owner {
			j.until = until
			kept = append(kept, id)
		}
	}
	return kept, nil
}

// held is the job that owner leases.
func (q *MemoryQueue) held(owner string, id int64) (*memoryJob, error) {
	if j := q.jobs[id]; j != nil && j.owner == owner {
		return j, nil
	}
	return nil, vam.Errorf(vam.Conflict, "the lease of job %d was lost", id)
}

// Finish implements queue.Store.
func (q *MemoryQueue) Finish(ctx context.Context, owner string, id int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.held(owner, id)
	if err != nil {
		return err
	}
	if !j.again {
		delete(q.jobs, id)
		return nil
	}
	j.owner, j.again, j.Created, j.Attempts, j.Reason = "", false, j.newer, 0, ""
	return nil
}

// Retry implements queue.Store.
func (q *MemoryQueue) Retry(ctx context.Context, owner string, id int64, next time.Time, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	j, err := q.held(owner, id)
	if err != nil {
		return err
	}
	if !j.again || next.Before(j.NextAt) {
		j.NextAt = next
	}
	j.owner, j.again, j.Reason = "", false, cut(reason)
	j.Attempts++
	return nil
}

func cut(s string) string {
	for len(s) > queue.MaxReason {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	return s
}

// Release implements queue.Store.
func (q *MemoryQueue) Release(ctx context.Context, owner string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if j.owner != owner {
			j.owner, j.again = "", false
		}
	}
	return nil
}

// NextDue implements queue.Store.
func (q *MemoryQueue) NextDue(ctx context.Context, kinds []queue.Kind, now time.Time) (next time.Time, _ error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	type line struct {
		kind   queue.Kind
		domain vam.Domain
	}
	seen := map[line]bool{}
	for _, j := range q.sorted((*memoryJob).ready, func(j *memoryJob) bool { return slices.Contains(kinds, j.Kind) }) {
		if l := (line{j.Kind, j.Domain}); !seen[l] {
			seen[l] = true
			consider(j.ready())
			consider(q.dests[j.Domain].NextAt)
		}
	}
	return next, nil
}

// Jobs implements queue.Store.
func (q *MemoryQueue) Jobs(ctx context.Context, domain vam.Domain, limit int) ([]queue.Job, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []queue.Job
	for _, j := range q.sorted(nextAt, func(j *memoryJob) bool { return domain == "" || j.Domain == domain }) {
		if len(out) < limit {
			out = append(out, j.Job)
		}
	}
	return out, nil
}

// Depth implements queue.Store.
func (q *MemoryQueue) Depth(ctx context.Context, kind queue.Kind) (jobs int64, oldest time.Time, _ error) {
	if err := ctx.Err(); err != nil {
		return 0, time.Time{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, j := range q.jobs {
		if j.Kind == kind {
			jobs++
			if oldest.IsZero() || j.Created.Before(oldest) {
				oldest = j.Created
			}
		}
	}
	return jobs, oldest, nil
}

// Destination implements queue.Store.
func (q *MemoryQueue) Destination(ctx context.Context, d vam.Domain) (queue.Destination, error) {
	if err := ctx.Err(); err != nil {
		return queue.Destination{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	dest := q.dests[d]
	dest.Domain = d
	return dest, nil
}

// Fail implements queue.Store.
func (q *MemoryQueue) Fail(ctx context.Context, d vam.Domain, f queue.Failure) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	dest := q.dests[d]
	next := f.At.Add(f.AtLeast)
	if dest.NextAt.After(f.At) {
		if dest.NextAt.After(next) {
			next = dest.NextAt
		}
	} else {
		dest.Failures++
		next = f.At.Add(max(f.AtLeast, queue.Backoff(dest.Failures, f.Spread)))
	}
	maps.DeleteFunc(q.dests, func(_ vam.Domain, x queue.Destination) bool { return x.NextAt.Before(f.At.Add(-7 * 24 * time.Hour)) })
	dest.Domain, dest.NextAt, dest.Reason = d, next, cut(f.Reason)
	q.dests[d] = dest
	return next, nil
}

// Reached implements queue.Store.
func (q *MemoryQueue) Reached(ctx context.Context, d vam.Domain, now time.Time) error {
	q.mu.Lock()
	failed := q.dests[d].Failures > 0
	q.mu.Unlock()
	if !failed {
		return nil
	}
	return q.Wake(ctx, d, now)
}

// Wake implements queue.Store.
func (q *MemoryQueue) Wake(ctx context.Context, d vam.Domain, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.dests, d)
	for _, j := range q.jobs {
		if j.Domain == d && j.Attempts > 0 && j.NextAt.After(now) {
			j.NextAt = now
		}
	}
	return nil
}
