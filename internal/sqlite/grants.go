package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/message"
)

// Grants is grant.Store.
type Grants struct{ db *DB }

var _ grant.Store = Grants{}

// Grants returns the store of links.
func (db *DB) Grants() Grants { return Grants{db} }

// linkColumns are those of a link l with its message m.
const linkColumns = `l.id, l.account, m.origin, m.mid, l.address, l.created, l.expires, l.revoked, l.lock IS NOT NULL, l.plays, l.watched, l.last_play`

func scanGrant(row scanner, g *grant.Grant, more ...any) error {
	var id []byte
	var address string
	var created, expires, revoked, lastPlay int64
	dest := []any{&id, &g.Account, &g.Key.Origin, &g.Key.ID, &address, &created, &expires, &revoked, &g.Locked, &g.Plays, &g.Watched, &lastPlay}
	if err := row.Scan(append(dest, more...)...); err != nil {
		return err
	}
	copy(g.ID[:], id)
	g.Created, g.Expires, g.Revoked, g.LastPlay = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(lastPlay)
	return parseAddress(address, &g.Rcpt)
}

// readLink finds one link.
func readLink(ctx context.Context, q Querier, where string, args ...any) (g grant.Grant, s grant.Secret, err error) {
	var sum []byte
	row := q.QueryRowContext(ctx, `SELECT `+linkColumns+`, l.sum, l.maker, l.lock FROM link l JOIN message m ON m.id = l.message WHERE `+where, args...)
	err = notFound(scanGrant(row, &g, &sum, &s.Maker, &s.Lock), "link")
	copy(s.Sum[:], sum)
	return g, s, err
}

// AddGrant implements grant.Store.
func (s Grants) AddGrant(ctx context.Context, g grant.Grant, secret grant.Secret) (got grant.Grant, kept grant.Secret, added bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		row, err := messageRow(ctx, tx, g.Key)
		if err != nil {
			return err
		}
		got, kept, err = readLink(ctx, tx, `l.message = ?1 AND l.account = ?2 AND l.key = ?3 AND l.maker = ?4 AND l.revoked = 0`, row, g.Account, g.Rcpt.Key(), secret.Maker)
		if err == nil || vam.KindOf(err) != vam.NotFound {
			return err
		}
		err = changeOne(ctx, tx, "account", `INSERT INTO link (id, account, message, key, address, sum, maker, lock, created, expires)
			SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 FROM account WHERE id = ?2`,
			g.ID[:], g.Account, row, g.Rcpt.Key(), g.Rcpt.String(), secret.Sum[:], secret.Maker, nilIfEmpty(secret.Lock), micros(g.Created), micros(g.Expires))
		if err != nil {
			return err
		}
		added = true
		got, kept, err = readLink(ctx, tx, `l.id = ?1`, g.ID[:])
		return err
	})
	return got, kept, added && err == nil, err
}

// SetGrant implements grant.Store.
func (s Grants) SetGrant(ctx context.Context, id grant.ID, expires time.Time, lock []byte) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changeOne(ctx, tx, "link", `UPDATE link SET expires = ?2, lock = CASE WHEN ?4 THEN ?3 ELSE lock END,
			tries = CASE WHEN ?4 AND lock IS NOT ?3 THEN 0 ELSE tries END WHERE id = ?1`, id[:], micros(expires), nilIfEmpty(lock), lock != nil)
	})
}

// GrantBySum implements grant.Store.
func (s Grants) GrantBySum(ctx context.Context, sum activmail.Sum) (g grant.Grant, secret grant.Secret, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		g, secret, err = readLink(ctx, q, `l.sum = ?1`, sum[:])
		return err
	})
	return g, secret, err
}

// Grants implements grant.Store.
func (s Grants) Grants(ctx context.Context, account int64, k message.Key) (out []grant.Grant, err error) {
	scan := func(row scanner, g *grant.Grant) error { return scanGrant(row, g) }
	err = s.db.Read(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scan, `SELECT `+linkColumns+` FROM message m JOIN link l ON l.message = m.id
			WHERE m.origin = ?2 AND m.mid = ?3 AND l.account = ?1 ORDER BY l.created, l.id`, account, k.Origin, k.ID)
		return err
	})
	return out, err
}

// Revoke implements grant.Store.
func (s Grants) Revoke(ctx context.Context, account int64, id grant.ID, at time.Time) (g grant.Grant, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := changeOne(ctx, tx, "link", `UPDATE link SET revoked = CASE revoked WHEN 0 THEN ?3 ELSE revoked END WHERE id = ?1 AND account = ?2`,
			id[:], account, micros(at)); err != nil {
			return err
		}
		g, _, err = readLink(ctx, tx, `l.id = ?1`, id[:])
		return err
	})
	return g, err
}

// Try implements grant.Store.
func (s Grants) Try(ctx context.Context, id grant.ID, now time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var tries int
		var tried int64
		err := tx.QueryRowContext(ctx, `SELECT tries, tried FROM link WHERE id = ?1`, id[:]).Scan(&tries, &tried)
		if err != nil {
			return notFound(err, "link")
		}
		// A clock that was set back must not close a link for longer than the pause.
		if wait := min(grant.Pause(tries), fromMicros(tried).Add(grant.Pause(tries)).Sub(now)); wait > 0 {
			return vam.Errorf(vam.Busy, "too many wrong passwords were tried on this link; try again in %s", roundUp(wait)).WithRetry(roundUp(wait))
		}
		_, err = tx.ExecContext(ctx, `UPDATE link SET tries = tries + 1, tried = ?2 WHERE id = ?1`, id[:], micros(now))
		return err
	})
}

func roundUp(d time.Duration) time.Duration { return (d + time.Second - 1).Truncate(time.Second) }

// Solved implements grant.Store.
func (s Grants) Solved(ctx context.Context, id grant.ID) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changeOne(ctx, tx, "link", `UPDATE link SET tries = 0 WHERE id = ?1`, id[:])
	})
}

// SavePlay implements grant.Store.
func (s Grants) SavePlay(ctx context.Context, id grant.ID, p grant.Play) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var plays int
		if err := tx.QueryRowContext(ctx, `SELECT plays FROM link WHERE id = ?1`, id[:]).Scan(&plays); err != nil {
			return notFound(err, "link")
		}
		var known bool
		err := tx.QueryRowContext(ctx, `SELECT 1 FROM play WHERE link = ?1 AND session = ?2`, id[:], p.Session).Scan(&known)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if known || plays < grant.MaxPlays {
			if _, err := tx.ExecContext(ctx, `INSERT INTO play (link, session, at, upto) VALUES (?1, ?2, ?3, ?4)
				ON CONFLICT (link, session) DO UPDATE SET upto = max(upto, excluded.upto)`, id[:], p.Session, micros(p.At), p.UpTo); err != nil {
				return err
			}
		}
		if !known && plays < grant.MaxPlays {
			plays++
		}
		_, err = tx.ExecContext(ctx, `UPDATE link SET plays = ?2, watched = max(watched, ?3), last_play = max(last_play, ?4) WHERE id = ?1`,
			id[:], plays, p.UpTo, micros(p.At))
		return err
	})
}
