package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// forgetFailures is when the failures of a domain that nobody tries any more go away.
const forgetFailures = 7 * 24 * time.Hour

// Destination implements queue.Store.
func (s Queue) Destination(ctx context.Context, d vam.Domain) (out queue.Destination, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = destination(ctx, q, d)
		return err
	})
	return out, err
}

func destination(ctx context.Context, q Querier, d vam.Domain) (queue.Destination, error) {
	out := queue.Destination{Domain: d}
	var next int64
	err := q.QueryRowContext(ctx, `SELECT failures, next_at, reason FROM destination WHERE domain = ?1`, d).Scan(&out.Failures, &next, &out.Reason)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	out.NextAt = fromMicros(next)
	return out, err
}

// Fail implements queue.Store.
func (s Queue) Fail(ctx context.Context, d vam.Domain, f queue.Failure) (next time.Time, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		old, err := destination(ctx, tx, d)
		if err != nil {
			return err
		}
		next = f.At.Add(f.AtLeast)
		if old.NextAt.After(f.At) {
			if old.NextAt.After(next) {
				next = old.NextAt
			}
		} else {
			old.Failures++
			next = f.At.Add(max(f.AtLeast, queue.Backoff(old.Failures, f.Spread)))
		}
		next = fromMicros(micros(next))
		if _, err := tx.ExecContext(ctx, `DELETE FROM destination WHERE next_at < ?1`, micros(f.At.Add(-forgetFailures))); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO destination (domain, failures, next_at, reason) VALUES (?1, ?2, ?3, ?4)
			ON CONFLICT (domain) DO UPDATE SET failures = excluded.failures, next_at = excluded.next_at, reason = excluded.reason`,
			d, old.Failures, micros(next), clip(f.Reason))
		return err
	})
	return next, err
}

// clip bounds a reason, which may be a stranger's words.
func clip(s string) string {
	if len(s) <= queue.MaxReason {
		return s
	}
	cut := queue.MaxReason
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut]
}

// Reached implements queue.Store.
func (s Queue) Reached(ctx context.Context, d vam.Domain, now time.Time) error {
	dest, err := s.Destination(ctx, d)
	if err != nil || dest.Failures == 0 {
		return err // the ordinary case costs no commit
	}
	return s.Wake(ctx, d, now)
}

// Wake implements queue.Store.
func (s Queue) Wake(ctx context.Context, d vam.Domain, now time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM destination WHERE domain = ?1`, d); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE job SET next_at = ?2 WHERE domain = ?1 AND next_at > ?2 AND attempts > 0`, d, micros(now))
		return err
	})
}
