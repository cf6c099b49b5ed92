package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

// Playback is playback.Store.
type Playback struct{ db *DB }

var _ playback.Store = Playback{}

// Playback returns the store of what is made of media.
func (db *DB) Playback() Playback { return Playback{db} }

func scanID(row scanner, id *blob.ID) error {
	var b []byte
	err := row.Scan(&b)
	copy(id[:], b)
	return err
}

// Fresh implements playback.Store.
func (s Playback) Fresh(ctx context.Context, limit int) (out []playback.Recording, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		out, err = collect(ctx, q, func(row scanner, r *playback.Recording) error {
			var id []byte
			err := row.Scan(&id, &r.Size)
			copy(r.Media[:], id)
			return err
		}, `SELECT media, coalesce((SELECT media_bytes FROM message m WHERE m.media = media_fresh.media LIMIT 1), 0) FROM media_fresh LIMIT ?1`, limit)
		return err
	})
	return out, err
}

// Adopt implements playback.Store.
func (s Playback) Adopt(ctx context.Context, id blob.ID, info *media.Info, works []media.Work, at time.Time) error {
	there := false
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM media_fresh WHERE media = ?1`, id[:]); err != nil {
			return err
		}
		if err := whole(ctx, tx, id); err != nil {
			if vam.KindOf(err) == vam.NotFound {
				return nil // it stays struck off
			}
			return err
		}
		there = true
		if info != nil {
			if err := saveInfo(ctx, tx, id, *info, at); err != nil {
				return err
			}
		}
		return addWorks(ctx, tx, id, works, at)
	})
	if err == nil && !there {
		err = notFound(sql.ErrNoRows, "media")
	}
	return err
}

// whole is NotFound unless the media is complete: what is condemned is not.
func whole(ctx context.Context, tx *sql.Tx, id blob.ID) error {
	var yes bool
	return notFound(tx.QueryRowContext(ctx, `SELECT 1 FROM media WHERE id = ?1 AND complete = 1`, id[:]).Scan(&yes), "media")
}

func saveInfo(ctx context.Context, tx *sql.Tx, id blob.ID, info media.Info, at time.Time) error {
	text, err := json.Marshal(info)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO media_info (media, info, at) VALUES (?1, ?2, ?3)
		ON CONFLICT (media) DO UPDATE SET info = excluded.info, at = excluded.at`, id[:], string(text), micros(at))
	return err
}

// addWorks adds the jobs that are not there.
func addWorks(ctx context.Context, tx *sql.Tx, id blob.ID, works []media.Work, at time.Time) error {
	for i, w := range works {
		if _, err := tx.ExecContext(ctx, `INSERT INTO media_job (media, work, class, priority, next_at, created, changed)
			VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?5) ON CONFLICT DO NOTHING`,
			id[:], w.String(), string(w.Class), min(i, playback.MaxPriority), micros(at)); err != nil {
			return err
		}
	}
	return nil
}

// Info implements playback.Store.
func (s Playback) Info(ctx context.Context, id blob.ID) (info media.Info, err error) {
	err = s.db.Read(ctx, func(q Querier) error { return readInfo(ctx, q, id, &info) })
	return info, err
}

func readInfo(ctx context.Context, q Querier, id blob.ID, info *media.Info) error {
	var text []byte
	if err := q.QueryRowContext(ctx, `SELECT info FROM media_info WHERE media = ?1`, id[:]).Scan(&text); err != nil {
		return notFound(err, "media")
	}
	if err := json.Unmarshal(text, info); err != nil {
		return vam.Wrap(vam.Corrupt, err, "what is stored of a recording cannot be read")
	}
	return nil
}

// Look implements playback.Store.
func (s Playback) Look(ctx context.Context, id blob.ID) (l playback.Look, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		err := readInfo(ctx, q, id, &l.Info)
		if l.Known = err == nil; err != nil && vam.KindOf(err) != vam.NotFound {
			return err
		}
		if l.Assets, err = collect(ctx, q, scanAsset, `SELECT `+assetColumns+` FROM media_asset WHERE media = ?1 ORDER BY name`, id[:]); err != nil {
			return err
		}
		l.Jobs, err = collect(ctx, q, scanMediaJob, `SELECT `+mediaJobColumns+` FROM media_job WHERE media = ?1 AND +state <> 'done' ORDER BY priority, id`, id[:])
		return err
	})
	return l, err
}

const assetColumns = `name, object, type, size, width, height, work`

func scanAsset(row scanner, a *playback.Asset) error {
	var object []byte
	var work string
	if err := row.Scan(&a.Name, &object, &a.Type, &a.Size, &a.Width, &a.Height, &work); err != nil {
		return err
	}
	copy(a.Object[:], object)
	return parseWork(work, &a.Work)
}

func parseWork(s string, w *media.Work) (err error) {
	if *w, err = media.ParseWork(s); err != nil {
		return vam.Wrap(vam.Corrupt, err, "stored work on a recording cannot be read")
	}
	return nil
}

// Asset implements playback.Store.
func (s Playback) Asset(ctx context.Context, id blob.ID, name string) (a playback.Asset, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		row := q.QueryRowContext(ctx, `SELECT `+assetColumns+` FROM media_asset WHERE media = ?1 AND name = ?2`, id[:], name)
		return notFound(scanAsset(row, &a), "thing that was made of this media")
	})
	return a, err
}

// mediaJobColumns name a message that carries the media, too.
const mediaJobColumns = `id, media, (SELECT origin || '/' || mid || ' ' || media_bytes FROM message WHERE message.media = media_job.media ORDER BY id LIMIT 1),
	work, priority, state, progress, attempts, cuts, next_at, created, started, changed, code, reason`

func scanMediaJob(row scanner, j *playback.Job) (err error) {
	var id []byte
	var key sql.NullString
	var work string
	var next, created, started, changed int64
	if err := row.Scan(&j.ID, &id, &key, &work, &j.Priority, &j.State, &j.Progress, &j.Attempts, &j.Cuts, &next, &created, &started, &changed, &j.Code, &j.Reason); err != nil {
		return err
	}
	copy(j.Media[:], id)
	j.NextAt, j.Created, j.Started, j.Changed = fromMicros(next), fromMicros(created), fromMicros(started), fromMicros(changed)
	if key.Valid {
		name, size, _ := strings.Cut(key.String, " ")
		origin, mid, _ := strings.Cut(name, "/")
		j.Message = message.Key{Origin: vam.Domain(origin), ID: vam.MessageID(mid)}
		if j.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
			return err
		}
	}
	return parseWork(work, &j.Work)
}

// Jobs implements playback.Store.
func (s Playback) Jobs(ctx context.Context, f playback.Filter) (out []playback.Job, err error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	where, args := `state <> 'done'`, []any{f.Limit}
	if f.State != "" {
		where, args = `state = ?2`, append(args, string(f.State))
	}
	if f.Media != (blob.ID{}) {
		args = append(args, f.Media[:])
		// The + keeps the planner to the few jobs of the media.
		where = fmt.Sprintf(`media = ?%d AND +%s`, len(args), where)
	}
	err = s.db.Read(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanMediaJob, `SELECT `+mediaJobColumns+` FROM media_job WHERE `+where+` ORDER BY id LIMIT ?1`, args...)
		return err
	})
	return out, err
}
