package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/retention"
)

// Retention is retention.Store. Nothing here reads more than what is to go: the
// schema keeps lists of what may have become idle, and partial indexes by time.
type Retention struct{ db *DB }

var _ retention.Store = Retention{}

// Retention returns the store of what goes away.
func (db *DB) Retention() Retention { return Retention{db} }

// Expire implements retention.Store.
func (s Retention) Expire(ctx context.Context, now time.Time, limit int) (out []message.Key, err error) {
	const due = `SELECT id FROM message WHERE expires > 0 AND expires <= ?1 AND sent_at > 0 AND state IN ('live', 'sealed')`
	if any, err := s.db.exists(ctx, due, micros(now)); err != nil || !any {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		out, err = collect(ctx, tx, scanKey, `UPDATE message SET state = 'expired', changed = ?1 WHERE id IN (`+due+` ORDER BY expires LIMIT ?2) RETURNING origin, mid`, micros(now), limit)
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
	for len(out) < limit {
		any, err := s.db.exists(ctx, `SELECT 1 FROM idle`)
		if err != nil || !any {
			return out, err
		}
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			ids, err := rowIDs(ctx, tx, `SELECT message FROM idle LIMIT ?1`, limit-len(out))
			if err != nil {
				return err
			}
			keys, err := detach(ctx, tx, ids, s.db.now())
			out = append(out, keys...)
			return err
		})
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// detach takes the media of those messages that need it no more, and the letter of
// those that nobody sees any more, and strikes all of them off the list.
func detach(ctx context.Context, tx *sql.Tx, ids string, now time.Time) ([]message.Key, error) {
	const unheld = `NOT EXISTS (SELECT 1 FROM entry e WHERE e.origin = message.origin AND e.mid = message.mid AND e.state IN ('draft', 'held', 'arriving', 'stored'))
		AND NOT EXISTS (SELECT 1 FROM recipient r WHERE r.message = message.id AND r.state IN ('queued', 'offering', 'waiting', 'held', 'accepted'))`
	if _, err := tx.ExecContext(ctx, `DELETE FROM idle WHERE message IN (SELECT value FROM json_each(?1))`, ids); err != nil {
		return nil, err
	}
	keys, err := collect(ctx, tx, scanKey, `UPDATE message SET media = NULL, complete = 0, changed = ?2,
			state = CASE WHEN state IN ('revoked', 'expired') THEN state ELSE 'purged' END
		WHERE id IN (SELECT value FROM json_each(?1)) AND (state IN ('revoked', 'expired') AND media IS NOT NULL
			OR state IN ('live', 'sealed') AND `+unheld+`) RETURNING origin, mid`, ids, micros(now))
	if err != nil {
		return nil, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE message SET mail = NULL WHERE id IN (SELECT value FROM json_each(?1)) AND mail IS NOT NULL AND state = 'purged'
		AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.origin = message.origin AND e.mid = message.mid)`, ids)
	return keys, err
}

// rowIDs reads row ids as a JSON list.
func rowIDs(ctx context.Context, q Querier, query string, args ...any) (string, error) {
	ids, err := collect(ctx, q, func(row scanner, id *int64) error { return row.Scan(id) }, query, args...)
	if err != nil {
		return "", err
	}
	return jsonList(ids)
}

// Condemn implements retention.Store. What it returned before stays on the list
// until DropMedia.
func (s Retention) Condemn(ctx context.Context, before time.Time, limit int) (out []blob.ID, err error) {
	if any, err := s.db.exists(ctx, `SELECT 1 FROM loose UNION ALL SELECT 1 FROM loose_asset`); err != nil || !any {
		return nil, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM loose WHERE EXISTS (SELECT 1 FROM message WHERE message.media = loose.media)`); err != nil {
			return err
		}
		out, err = collect(ctx, tx, scanID, `UPDATE media SET complete = 0
			WHERE id IN (SELECT loose.media FROM loose CROSS JOIN media m ON m.id = loose.media WHERE m.created < ?1 LIMIT ?2) RETURNING id`, micros(before), limit)
		if err != nil {
			return err
		}
		for _, id := range out {
			if _, err := tx.ExecContext(ctx, `DELETE FROM media_asset WHERE media = ?1`, id[:]); err != nil {
				return err
			}
		}
		assets, err := collect(ctx, tx, scanID, `SELECT object FROM loose_asset LIMIT ?1`, limit)
		out = append(out, assets...)
		return err
	})
	return out, err
}

// DropMedia implements retention.Store.
func (s Retention) DropMedia(ctx context.Context, id blob.ID) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM loose_asset WHERE object = ?1`, id[:]); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM media WHERE id = ?1 AND complete = 0 AND id IN (SELECT media FROM loose)`, id[:])
		return err
	})
}

// HasMedia implements retention.Store.
func (s Retention) HasMedia(ctx context.Context, id blob.ID) (bool, error) {
	return s.db.exists(ctx, `SELECT 1 FROM media WHERE id = ?1 UNION ALL SELECT 1 FROM media_asset WHERE object = ?1
		UNION ALL SELECT 1 FROM loose_asset WHERE object = ?1`, id[:])
}

// DropMessages implements retention.Store. A row that is still needed is looked at
// again after as long as it took to come up.
func (s Retention) DropMessages(ctx context.Context, before time.Time, limit int) (dropped int, err error) {
	const spent = `SELECT id FROM message WHERE changed < ?1 AND media IS NULL AND state IN ('purged', 'revoked', 'expired')`
	for dropped < limit {
		any, err := s.db.exists(ctx, spent, micros(before))
		if err != nil || !any {
			return dropped, err
		}
		err = s.db.Write(ctx, func(tx *sql.Tx) error {
			ids, err := rowIDs(ctx, tx, spent+` ORDER BY changed LIMIT ?2`, micros(before), limit-dropped)
			if err != nil {
				return err
			}
			res, err := tx.ExecContext(ctx, `DELETE FROM message WHERE id IN (SELECT value FROM json_each(?1))
				AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.origin = message.origin AND e.mid = message.mid)
				AND NOT EXISTS (SELECT 1 FROM offer_in o WHERE o.message = message.id)`, ids)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			dropped += int(n)
			_, err = tx.ExecContext(ctx, `UPDATE message SET changed = ?2 WHERE id IN (SELECT value FROM json_each(?1))`, ids, micros(s.db.now()))
			return err
		})
		if err != nil {
			return dropped, err
		}
	}
	return dropped, nil
}
