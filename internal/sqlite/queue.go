package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// Queue is queue.Store.
type Queue struct{ db *DB }

var _ queue.Store = Queue{}

// Queue returns the store of jobs.
func (db *DB) Queue() Queue { return Queue{db} }

const jobColumns = `id, kind, key, domain, attempts, next_at, deadline, created, reason, payload`

func scanJob(row scanner, j *queue.Job) error {
	var next, deadline, created int64
	err := row.Scan(&j.ID, &j.Kind, &j.Key, &j.Domain, &j.Attempts, &next, &deadline, &created, &j.Reason, &j.Payload)
	j.NextAt, j.Deadline, j.Created = fromMicros(next), fromMicros(deadline), fromMicros(created)
	return err
}

// Enqueue implements queue.Store.
func (s Queue) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return enqueue(ctx, tx, jobs...) })
}

func enqueue(ctx context.Context, tx *sql.Tx, jobs ...queue.Job) error {
	for _, j := range jobs {
		if len(j.Payload) > queue.MaxPayload {
			return vam.Errorf(vam.TooLarge, "the payload of a job has %d octets; %d fit", len(j.Payload), queue.MaxPayload)
		}
		// The time of a job that is leased is spent: what counts is when it is wanted again.
		// Then again is when the newest that wants it was made.
		_, err := tx.ExecContext(ctx, `INSERT INTO job (kind, key, domain, attempts, next_at, deadline, created, reason, payload, owner, until, again)
			VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, '', ?7, '', 0, 0)
			ON CONFLICT (kind, key) DO UPDATE SET
				next_at = CASE WHEN owner <> '' AND again = 0 THEN excluded.next_at ELSE min(next_at, excluded.next_at) END,
				deadline = CASE WHEN 0 IN (deadline, excluded.deadline) THEN 0 ELSE max(deadline, excluded.deadline) END,
				again = CASE owner WHEN '' THEN 0 ELSE max(again, excluded.created, 1) END`,
			j.Kind, j.Key, j.Domain, micros(j.NextAt), micros(j.Deadline), micros(j.Created), nilIfEmpty(j.Payload))
		if err != nil {
			return err
		}
	}
	return nil
}

// head is the first job of a kind and domain.
type head struct {
	kind   queue.Kind
	domain vam.Domain
}

// due is a job that may be leased.
type due struct {
	id, ready int64
	domain    vam.Domain
}

// openHeads selects the heads that are due: ?1 is now, ?2 the busy domains.
const openHeads = ` ready <= ?1 AND domain NOT IN (SELECT value FROM json_each(?2))
	AND NOT EXISTS (SELECT 1 FROM destination d WHERE d.domain = job_head.domain AND d.next_at > ?1)`

// Lease implements queue.Store.
func (s Queue) Lease(ctx context.Context, w queue.Want) (out []queue.Job, err error) {
	busy := []vam.Domain{}
	for d := range w.Running {
		if w.Room(d) == 0 {
			busy = append(busy, d)
		}
	}
	full, err := jsonList(busy)
	if err != nil {
		return nil, err
	}
	kinds, err := jsonList(w.Kinds)
	if err != nil {
		return nil, err
	}
	// Most looks find nothing: they do not take the writer's place.
	any, err := s.db.exists(ctx, `SELECT 1 FROM job_head WHERE kind IN (SELECT value FROM json_each(?3)) AND`+openHeads, micros(w.Now), full, kinds)
	if err != nil || !any || w.Limit <= 0 {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		ids, err := pick(ctx, tx, w, full)
		if err != nil || len(ids) == 0 {
			return err
		}
		out, err = take(ctx, tx, w, ids)
		return err
	})
	return out, err
}

// pick chooses the jobs to lease. The oldest Limit jobs are among the first jobs of
// the Limit oldest heads.
func pick(ctx context.Context, tx *sql.Tx, w queue.Want, busy string) ([]int64, error) {
	var all []due
	for _, kind := range w.Kinds {
		heads, err := collect(ctx, tx, func(row scanner, h *head) error { return row.Scan(&h.kind, &h.domain) },
			`SELECT kind, domain FROM job_head WHERE kind = ?3 AND`+openHeads+` ORDER BY ready LIMIT ?4`, micros(w.Now), busy, kind, w.Limit)
		if err != nil {
			return nil, err
		}
		for _, h := range heads {
			jobs, err := collect(ctx, tx, func(row scanner, d *due) error { return row.Scan(&d.id, &d.ready, &d.domain) },
				`SELECT id, ready, domain FROM job WHERE kind = ?1 AND domain = ?2 AND ready <= ?3 ORDER BY ready LIMIT ?4`,
				h.kind, h.domain, micros(w.Now), w.Room(h.domain))
			if err != nil {
				return nil, err
			}
			all = append(all, jobs...)
		}
	}
	slices.SortFunc(all, func(a, b due) int { return cmp.Or(cmp.Compare(a.ready, b.ready), cmp.Compare(a.id, b.id)) })
	var ids []int64
	taken := map[vam.Domain]int{}
	for _, d := range all {
		if len(ids) == w.Limit {
			break
		}
		if taken[d.domain] < w.Room(d.domain) {
			taken[d.domain]++
			ids = append(ids, d.id)
		}
	}
	return ids, nil
}

// take leases the jobs and returns them in the order of ids.
func take(ctx context.Context, tx *sql.Tx, w queue.Want, ids []int64) ([]queue.Job, error) {
	list, err := jsonList(ids)
	if err != nil {
		return nil, err
	}
	// A lease that the same process gets once more (its clock was set forward) still
	// owes the run that was asked for meanwhile.
	jobs, err := collect(ctx, tx, scanJob, `UPDATE job SET again = CASE owner WHEN ?1 THEN again ELSE 0 END, owner = ?1, until = ?2
		WHERE id IN (SELECT value FROM json_each(?3)) RETURNING `+jobColumns, w.Owner, micros(w.Until), list)
	slices.SortFunc(jobs, func(a, b queue.Job) int { return cmp.Compare(slices.Index(ids, a.ID), slices.Index(ids, b.ID)) })
	return jobs, err
}

// Renew implements queue.Store.
func (s Queue) Renew(ctx context.Context, owner string, until time.Time, ids []int64) (kept []int64, err error) {
	list, err := jsonList(ids)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		kept, err = collect(ctx, tx, func(row scanner, id *int64) error { return row.Scan(id) },
			`UPDATE job SET until = ?2 WHERE owner = ?1 AND id IN (SELECT value FROM json_each(?3)) RETURNING id`, owner, micros(until), list)
		return err
	})
	return kept, err
}

// Finish implements queue.Store.
func (s Queue) Finish(ctx context.Context, owner string, id int64) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		again, err := leased(ctx, tx, owner, id)
		if err != nil {
			return err
		}
		if again != 0 {
			_, err = tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, created = ?2, again = 0, attempts = 0, reason = '' WHERE id = ?1`, id, again)
		} else {
			_, err = tx.ExecContext(ctx, `DELETE FROM job WHERE id = ?1`, id)
		}
		return err
	})
}

// leased returns when the job was made that it was enqueued again as meanwhile, 0 when it
// was not. Conflict when owner does not hold it.
func leased(ctx context.Context, tx *sql.Tx, owner string, id int64) (again int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT again FROM job WHERE id = ?1 AND owner = ?2`, id, owner).Scan(&again)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, vam.Errorf(vam.Conflict, "the lease of job %d was lost", id)
	}
	return again, err
}

// Retry implements queue.Store.
func (s Queue) Retry(ctx context.Context, owner string, id int64, next time.Time, reason string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := leased(ctx, tx, owner, id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, again = 0, attempts = attempts + 1, reason = ?3,
			next_at = CASE again WHEN 0 THEN ?2 ELSE min(next_at, ?2) END WHERE id = ?1`, id, micros(next), clip(reason))
		return err
	})
}

// Release implements queue.Store.
func (s Queue) Release(ctx context.Context, owner string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, again = 0 WHERE owner NOT IN ('', ?1)`, owner)
		return err
	})
}

// NextDue implements queue.Store. A domain that waits may make it early: it is not
// looked up which jobs wait for it.
func (s Queue) NextDue(ctx context.Context, kinds []queue.Kind, now time.Time) (time.Time, error) {
	list, err := jsonList(kinds)
	if err != nil {
		return time.Time{}, err
	}
	var next sql.NullInt64
	err = s.db.One(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT min(at) FROM (
				SELECT (SELECT min(ready) FROM job_head WHERE kind = value AND ready > ?2) AS at FROM json_each(?1)
				UNION ALL SELECT min(next_at) FROM destination WHERE next_at > ?2
					AND EXISTS (SELECT 1 FROM job_head WHERE kind IN (SELECT value FROM json_each(?1))))`, list, micros(now)).Scan(&next)
	})
	return fromMicros(next.Int64), err
}

// Jobs implements queue.Store.
func (s Queue) Jobs(ctx context.Context, domain vam.Domain, limit int) (out []queue.Job, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		if domain == "" {
			out, err = collect(ctx, q, scanJob, `SELECT `+jobColumns+` FROM job ORDER BY next_at, id LIMIT ?1`, limit)
		} else {
			out, err = collect(ctx, q, scanJob, `SELECT `+jobColumns+` FROM job WHERE domain = ?1 ORDER BY next_at, id LIMIT ?2`, domain, limit)
		}
		return err
	})
	return out, err
}

// Depth implements queue.Store.
func (s Queue) Depth(ctx context.Context, kind queue.Kind) (jobs int64, oldest time.Time, err error) {
	var created int64
	err = s.db.One(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT (SELECT coalesce(sum(jobs), 0) FROM job_head WHERE kind = ?1),
			(SELECT coalesce(min(created), 0) FROM job WHERE kind = ?1)`, kind).Scan(&jobs, &created)
	})
	return jobs, fromMicros(created), err
}

func jsonList[T any](list []T) (string, error) {
	if list == nil {
		list = []T{}
	}
	b, err := json.Marshal(list)
	return string(b), err
}
