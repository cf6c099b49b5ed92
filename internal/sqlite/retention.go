package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/retention"
)

// Retention is retention.Store.
type Retention struct{ db *DB }

var _ retention.Store = Retention{}

// Retention returns the store of what goes away.
func (db *DB) Retention() Retention { return Retention{db} }

// found reports whether a look finds anything, so that an idle sweep commits nothing.
func (s Retention) found(ctx context.Context, query string, args ...any) (any bool, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT EXISTS (`+query+`)`, args...).Scan(&any)
	})
	return any, err
}

// Expire implements retention.Store.
func (s Retention) Expire(ctx context.Context, now time.Time, limit int) (out []message.Key, err error) {
	const due = `SELECT id FROM message WHERE expires > 0 AND expires <= ?1 AND state IN ('live', 'sealed')`
	if any, err := s.found(ctx, due, micros(now)); err != nil || !any {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		out, err = collect(ctx, tx, scanKey, `UPDATE message SET state = 'expired', changed = ?1 WHERE id IN (`+due+` LIMIT ?2) RETURNING origin, mid`, micros(now), limit)
		if err != nil {
			return err
		}
		for _, k := range out {
			if _, err := tx.ExecContext(ctx, `UPDATE entry SET state = 'expired', reason = 'the message has expired', changed = ?3
				WHERE origin = ?1 AND mid = ?2 AND state IN ('held', 'arriving', 'stored')`, k.Origin, k.ID, micros(now)); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// Detach implements retention.Store.
func (s Retention) Detach(ctx context.Context, limit int) (out []message.Key, err error) {
	const idle = `SELECT m.id FROM message m WHERE m.media IS NOT NULL AND m.state <> 'draft' AND (
			m.state IN ('revoked', 'expired')
			OR NOT EXISTS (SELECT 1 FROM entry e WHERE e.origin = m.origin AND e.mid = m.mid AND e.state IN ('draft', 'held', 'arriving', 'stored'))
				AND NOT EXISTS (SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state IN ('queued', 'offering', 'waiting', 'held', 'accepted')))`
	if any, err := s.found(ctx, idle); err != nil || !any {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		out, err = collect(ctx, tx, scanKey, `UPDATE message SET media = NULL, complete = 0, state = CASE state WHEN 'revoked' THEN state WHEN 'expired' THEN state ELSE 'purged' END, changed = ?1
			WHERE id IN (`+idle+` LIMIT ?2) RETURNING origin, mid`, micros(time.Now()), limit)
		return err
	})
	return out, err
}

// Condemn implements retention.Store.
func (s Retention) Condemn(ctx context.Context, before time.Time, limit int) (out []blob.ID, err error) {
	const unnamed = `SELECT id FROM media WHERE created < ?1 AND NOT EXISTS (SELECT 1 FROM message WHERE message.media = media.id)`
	if any, err := s.found(ctx, unnamed, micros(before)); err != nil || !any {
		return nil, err
	}
	scan := func(row scanner, id *blob.ID) error {
		var b []byte
		err := row.Scan(&b)
		copy(id[:], b)
		return err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		out, err = collect(ctx, tx, scan, `UPDATE media SET complete = 0 WHERE id IN (`+unnamed+` LIMIT ?2) RETURNING id`, micros(before), limit)
		return err
	})
	return out, err
}

// DropMedia implements retention.Store.
func (s Retention) DropMedia(ctx context.Context, id blob.ID) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM media WHERE id = ?1 AND complete = 0`, id[:])
		return err
	})
}

// HasMedia implements retention.Store.
func (s Retention) HasMedia(ctx context.Context, id blob.ID) (bool, error) {
	return s.found(ctx, `SELECT 1 FROM media WHERE id = ?1`, id[:])
}

// DropMessages implements retention.Store.
func (s Retention) DropMessages(ctx context.Context, before time.Time, limit int) (int, error) {
	const spent = `SELECT m.id FROM message m WHERE m.changed < ?1 AND m.media IS NULL AND m.state IN ('purged', 'revoked', 'expired')
		AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.origin = m.origin AND e.mid = m.mid)
		AND NOT EXISTS (SELECT 1 FROM offer_in o WHERE o.message = m.id)`
	if any, err := s.found(ctx, spent, micros(before)); err != nil || !any {
		return 0, err
	}
	var n int64
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM message WHERE id IN (`+spent+` LIMIT ?2)`, micros(before), limit)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}
