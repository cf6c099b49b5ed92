package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
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
		_, err := tx.ExecContext(ctx, `INSERT INTO job (kind, key, domain, attempts, next_at, deadline, created, reason, payload, owner, until, again)
			VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, '', ?7, '', 0, 0)
			ON CONFLICT (kind, key) DO UPDATE SET
				next_at = min(next_at, excluded.next_at),
				again   = CASE WHEN owner = '' THEN 0 ELSE 1 END`,
			j.Kind, j.Key, j.Domain, micros(j.NextAt), micros(j.Deadline), micros(j.Created), nilIfEmpty(j.Payload))
		if err != nil {
			return err
		}
	}
	return nil
}

// Lease implements queue.Store.
func (s Queue) Lease(ctx context.Context, owner string, kinds []queue.Kind, now, until time.Time, limit int, busy []vam.Domain) (out []queue.Job, err error) {
	k, b, err := jsonLists(kinds, busy)
	if err != nil {
		return nil, err
	}
	// Most looks find nothing: they do not take the writer's place.
	var any bool
	const due = `kind IN (SELECT value FROM json_each(?1)) AND next_at <= ?2 AND until <= ?2
		AND domain NOT IN (SELECT value FROM json_each(?3))
		AND NOT EXISTS (SELECT 1 FROM destination d WHERE d.domain = job.domain AND d.next_at > ?2)`
	err = s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM job WHERE `+due+`)`, k, micros(now), b).Scan(&any)
	})
	if err != nil || !any {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		out, err = collect(ctx, tx, scanJob, `UPDATE job SET owner = ?4, until = ?5, again = 0
			WHERE id IN (SELECT id FROM job WHERE `+due+` ORDER BY next_at LIMIT ?6)
			RETURNING `+jobColumns, k, micros(now), b, owner, micros(until), limit)
		return err
	})
	return out, err
}

func jsonLists(kinds []queue.Kind, busy []vam.Domain) (string, string, error) {
	if busy == nil {
		busy = []vam.Domain{}
	}
	k, err := json.Marshal(kinds)
	if err != nil {
		return "", "", err
	}
	b, err := json.Marshal(busy)
	return string(k), string(b), err
}

// Renew implements queue.Store.
func (s Queue) Renew(ctx context.Context, owner string, until time.Time, ids []int64) (kept []int64, err error) {
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		kept, err = collect(ctx, tx, func(row scanner, id *int64) error { return row.Scan(id) },
			`UPDATE job SET until = ?2 WHERE owner = ?1 AND id IN (SELECT value FROM json_each(?3)) RETURNING id`, owner, micros(until), string(list))
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
		if again {
			_, err = tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, again = 0, attempts = 0 WHERE id = ?1`, id)
		} else {
			_, err = tx.ExecContext(ctx, `DELETE FROM job WHERE id = ?1`, id)
		}
		return err
	})
}

// leased reports whether the job was enqueued again meanwhile. Conflict when owner
// does not hold it.
func leased(ctx context.Context, tx *sql.Tx, owner string, id int64) (again bool, err error) {
	err = tx.QueryRowContext(ctx, `SELECT again FROM job WHERE id = ?1 AND owner = ?2`, id, owner).Scan(&again)
	if errors.Is(err, sql.ErrNoRows) {
		return false, vam.Errorf(vam.Conflict, "the lease of job %d was lost", id)
	}
	return again, err
}

// Retry implements queue.Store.
func (s Queue) Retry(ctx context.Context, owner string, id int64, next time.Time, reason string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		again, err := leased(ctx, tx, owner, id)
		if err != nil {
			return err
		}
		if again {
			next = time.UnixMicro(1) // somebody brought it forward during the attempt
		}
		_, err = tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, again = 0, attempts = attempts + 1, next_at = ?2, reason = ?3 WHERE id = ?1`,
			id, micros(next), clip(reason))
		return err
	})
}

// clip bounds a reason, which may be a stranger's words.
func clip(s string) string {
	const limit = 500
	if len(s) > limit {
		return s[:limit]
	}
	return s
}

// Release implements queue.Store.
func (s Queue) Release(ctx context.Context, owner string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE job SET owner = '', until = 0, again = 0 WHERE owner NOT IN ('', ?1)`, owner)
		return err
	})
}

// NextDue implements queue.Store.
func (s Queue) NextDue(ctx context.Context, kinds []queue.Kind) (time.Time, error) {
	k, _, err := jsonLists(kinds, nil)
	if err != nil {
		return time.Time{}, err
	}
	var due sql.NullInt64
	err = s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT min(max(job.next_at, ifnull(d.next_at, 0))) FROM job LEFT JOIN destination d ON d.domain = job.domain
			WHERE kind IN (SELECT value FROM json_each(?1)) AND owner = ''`, k).Scan(&due)
	})
	return fromMicros(due.Int64), err
}

// Jobs implements queue.Store.
func (s Queue) Jobs(ctx context.Context, domain vam.Domain, limit int) (out []queue.Job, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanJob, `SELECT `+jobColumns+` FROM job WHERE ?1 = '' OR domain = ?1 ORDER BY next_at, id LIMIT ?2`, domain, limit)
		return err
	})
	return out, err
}

// Depth implements queue.Store.
func (s Queue) Depth(ctx context.Context, kind queue.Kind) (jobs int64, oldest time.Time, err error) {
	var created int64
	err = s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT count(*), coalesce(min(created), 0) FROM job WHERE kind = ?1`, kind).Scan(&jobs, &created)
	})
	return jobs, fromMicros(created), err
}

// Destination implements queue.Store.
func (s Queue) Destination(ctx context.Context, d vam.Domain) (out queue.Destination, err error) {
	out.Domain = d
	var next int64
	err = s.db.Read(ctx, func(q Querier) error {
		err := q.QueryRowContext(ctx, `SELECT failures, next_at, reason FROM destination WHERE domain = ?1`, d).Scan(&out.Failures, &next, &out.Reason)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	out.NextAt = fromMicros(next)
	return out, err
}

// Fail implements queue.Store.
func (s Queue) Fail(ctx context.Context, d vam.Domain, next time.Time, reason string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO destination (domain, failures, next_at, reason) VALUES (?1, 1, ?2, ?3)
			ON CONFLICT (domain) DO UPDATE SET failures = failures + 1, next_at = excluded.next_at, reason = excluded.reason`, d, micros(next), clip(reason))
		return err
	})
}

// Reached implements queue.Store.
func (s Queue) Reached(ctx context.Context, d vam.Domain, now time.Time) error {
	dest, err := s.Destination(ctx, d)
	if err != nil || dest.Failures == 0 {
		return err // the ordinary case costs no commit
	}
	return s.wake(ctx, d, now)
}

// Wake implements queue.Store.
func (s Queue) Wake(ctx context.Context, d vam.Domain, now time.Time) error {
	return s.wake(ctx, d, now)
}

func (s Queue) wake(ctx context.Context, d vam.Domain, now time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM destination WHERE domain = ?1`, d); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE job SET next_at = ?2 WHERE domain = ?1 AND next_at > ?2 AND attempts > 0`, d, micros(now))
		return err
	})
}
