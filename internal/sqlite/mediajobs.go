package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
)

// priorities is every priority up to playback.MaxPriority, as a JSON list.
const priorities = `[0,1,2,3,4,5,6,7]`

// Lease implements playback.Store.
func (s Playback) Lease(ctx context.Context, w playback.Want) (j playback.Job, found bool, err error) {
	// Most looks find nothing: they do not take the writer's place.
	const due = `SELECT id FROM media_job WHERE class = ?1 AND priority = value AND ready <= ?2`
	any, err := s.db.exists(ctx, `SELECT 1 FROM json_each(?3) WHERE EXISTS (`+due+`)`, string(w.Class), micros(w.Now), priorities)
	if err != nil || !any {
		return j, false, err
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		var id sql.NullInt64
		err := tx.QueryRowContext(ctx, `SELECT (`+due+` ORDER BY ready LIMIT 1) AS next FROM json_each(?3) WHERE next IS NOT NULL LIMIT 1`,
			string(w.Class), micros(w.Now), priorities).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		row := tx.QueryRowContext(ctx, `UPDATE media_job SET state = 'running', progress = 0, cuts = cuts + 1, owner = ?2, until = ?3, started = ?4, changed = ?4
			WHERE id = ?1 RETURNING `+mediaJobColumns, id.Int64, w.Owner, micros(w.Until), micros(w.Now))
		return scanMediaJob(row, &j)
	})
	return j, found && err == nil, err
}

// held makes a change of a job that owner holds, with the id as ?1 and the owner as ?2.
// Conflict.
func held(ctx context.Context, tx *sql.Tx, owner string, id int64, set string, args ...any) error {
	err := changeOne(ctx, tx, "lease", `UPDATE media_job SET `+set+` WHERE id = ?1 AND owner = ?2 AND state = 'running'`, append([]any{id, owner}, args...)...)
	if err != nil && vam.KindOf(err) == vam.NotFound {
		return vam.Errorf(vam.Conflict, "the lease of job %d was lost", id)
	}
	return err
}

func (s Playback) held(ctx context.Context, owner string, id int64, set string, args ...any) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return held(ctx, tx, owner, id, set, args...) })
}

// Renew implements playback.Store.
func (s Playback) Renew(ctx context.Context, owner string, id int64, progress float64, until time.Time) error {
	return s.held(ctx, owner, id, `progress = ?3, until = ?4`, progress, micros(until))
}

// idle is what a job has that nobody holds.
const idle = `owner = '', until = 0, progress = 0, changed = ?3, `

// Finish implements playback.Store.
func (s Playback) Finish(ctx context.Context, owner string, id int64, o playback.Outcome) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := held(ctx, tx, owner, id, idle+`state = 'done', cuts = 0, code = '', reason = ''`, micros(o.At)); err != nil {
			return err
		}
		var b []byte
		var work string
		if err := tx.QueryRowContext(ctx, `SELECT media, work FROM media_job WHERE id = ?1`, id).Scan(&b, &work); err != nil {
			return err
		}
		var of blob.ID
		copy(of[:], b)
		if err := whole(ctx, tx, of); err != nil {
			return err
		}
		if o.Info != nil {
			if err := saveInfo(ctx, tx, of, *o.Info, o.At); err != nil {
				return err
			}
		}
		if err := replaceAssets(ctx, tx, of, work, o.Assets); err != nil {
			return err
		}
		return addWorks(ctx, tx, of, o.Works, o.At)
	})
}

// replaceAssets leaves the octets of those that were there to retention.
func replaceAssets(ctx context.Context, tx *sql.Tx, of blob.ID, work string, assets []playback.Asset) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM media_asset WHERE media = ?1 AND work = ?2`, of[:], work); err != nil {
		return err
	}
	for _, a := range assets {
		if _, err := tx.ExecContext(ctx, `DELETE FROM media_asset WHERE media = ?1 AND name = ?2`, of[:], a.Name); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO media_asset (media, name, object, type, size, width, height, work) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
			of[:], a.Name, a.Object[:], a.Type, a.Size, a.Width, a.Height, work); err != nil {
			return fmt.Errorf("asset %s: %w", a.Name, err)
		}
	}
	return nil
}

// Retry implements playback.Store.
func (s Playback) Retry(ctx context.Context, owner string, id int64, next time.Time, code media.Reason, reason string) error {
	return s.held(ctx, owner, id, idle+`state = 'waiting', cuts = 0, attempts = attempts + 1, next_at = ?4, code = ?5, reason = ?6`,
		micros(s.db.now()), micros(next), string(code), clip(reason))
}

// Fail implements playback.Store.
func (s Playback) Fail(ctx context.Context, owner string, id int64, at time.Time, code media.Reason, reason string) error {
	return s.held(ctx, owner, id, idle+`state = 'failed', cuts = 0, attempts = attempts + 1, code = ?4, reason = ?5`, micros(at), string(code), clip(reason))
}

// Return implements playback.Store.
func (s Playback) Return(ctx context.Context, owner string, id int64, at time.Time) error {
	return s.held(ctx, owner, id, idle+`state = 'waiting', cuts = cuts - 1`, micros(at))
}

// Release implements playback.Store.
func (s Playback) Release(ctx context.Context, owner string, maxCuts int, at time.Time, code media.Reason, reason string) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		const dead = ` WHERE state = 'running' AND owner <> ?1`
		if _, err := tx.ExecContext(ctx, `UPDATE media_job SET `+idle+`state = 'failed', code = ?4, reason = ?5`+dead+` AND cuts >= ?2`,
			owner, maxCuts, micros(at), string(code), clip(reason)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE media_job SET owner = '', until = 0, progress = 0, changed = ?2, state = 'waiting'`+dead, owner, micros(at))
		return err
	})
}

// NextDue implements playback.Store.
func (s Playback) NextDue(ctx context.Context, class media.Class, now time.Time) (time.Time, error) {
	var next sql.NullInt64
	err := s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT min((SELECT min(ready) FROM media_job WHERE class = ?1 AND priority = value AND ready > ?2)) FROM json_each(?3)`,
			string(class), micros(now), priorities).Scan(&next)
	})
	return fromMicros(next.Int64), err
}

// fresh is what a job has that is asked for anew.
const fresh = `state = 'waiting', owner = '', until = 0, progress = 0, attempts = 0, cuts = 0, next_at = ?2, changed = ?2`

// Again implements playback.Store.
func (s Playback) Again(ctx context.Context, id int64, at time.Time) (j playback.Job, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		err := changeOne(ctx, tx, "job", `UPDATE media_job SET `+fresh+` WHERE id = ?1 AND state IN ('waiting', 'failed')`, id, micros(at))
		gone := err != nil && vam.KindOf(err) == vam.NotFound
		if err != nil && !gone {
			return err
		}
		if err := notFound(scanMediaJob(tx.QueryRowContext(ctx, `SELECT `+mediaJobColumns+` FROM media_job WHERE id = ?1`, id), &j), "job"); err != nil {
			return err
		}
		if gone {
			return vam.Errorf(vam.Conflict, "job %d is %s; only one that waits or has failed can be run again", id, j.State)
		}
		return nil
	})
	return j, err
}

// Revive implements playback.Store.
func (s Playback) Revive(ctx context.Context, codes []media.Reason, at time.Time) (int, error) {
	list, err := jsonList(codes)
	if err != nil {
		return 0, err
	}
	var n int64
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `UPDATE media_job SET `+fresh+` WHERE state = 'failed' AND code IN (SELECT value FROM json_each(?1))`, list, micros(at))
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}

// Depth implements playback.Store.
func (s Playback) Depth(ctx context.Context, class media.Class) (jobs int64, oldest time.Time, err error) {
	var created int64
	err = s.db.Read(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT count(*), coalesce(min(created), 0) FROM media_job WHERE class = ?1 AND ready IS NOT NULL`, string(class)).Scan(&jobs, &created)
	})
	return jobs, fromMicros(created), err
}
