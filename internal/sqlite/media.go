package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/message"
)

// AttachMedia implements message.Store.
func (s Messages) AttachMedia(ctx context.Context, k message.Key, id blob.ID) (blob.ID, error) {
	got := id
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if m.Media != (blob.ID{}) {
			got = m.Media
			return nil
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO media (id, have, created) VALUES (?1, x'', ?2)`, id[:], micros(s.db.now())); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE message SET media = ?3 WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, id[:])
		return err
	})
	return got, err
}

// LinkMedia implements message.Store.
func (s Messages) LinkMedia(ctx context.Context, k message.Key, id blob.ID) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := readMessage(ctx, tx, k)
		if err != nil || m.Media == id {
			return err
		}
		if m.Media != (blob.ID{}) && (m.Head.SealedAt.IsZero() || m.Complete) {
			return vam.Errorf(vam.Conflict, "the message %s has media of its own", k.ID)
		}
		return changeOne(ctx, tx, "complete media", `UPDATE message SET media = ?3 WHERE origin = ?1 AND mid = ?2
			AND EXISTS (SELECT 1 FROM media WHERE id = ?3 AND complete = 1)`, k.Origin, k.ID, id[:])
	})
}

// Have implements message.Store.
func (s Messages) Have(ctx context.Context, id blob.ID) (have message.Ranges, err error) {
	var b []byte
	err = s.db.One(ctx, func(q Querier) error {
		return notFound(q.QueryRowContext(ctx, `SELECT have FROM media WHERE id = ?1`, id[:]).Scan(&b), "media")
	})
	if err != nil {
		return nil, err
	}
	return message.ParseRanges(b)
}

// SaveHave implements message.Store.
func (s Messages) SaveHave(ctx context.Context, id blob.ID, have message.Ranges) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return saveHave(ctx, tx, id, have) })
}

func saveHave(ctx context.Context, tx *sql.Tx, id blob.ID, have message.Ranges) error {
	b, err := have.MarshalBinary()
	if err != nil {
		return err
	}
	return changeOne(ctx, tx, "media", `UPDATE media SET have = ?2 WHERE id = ?1`, id[:], b)
}

// SetComplete implements message.Store.
func (s Messages) SetComplete(ctx context.Context, k message.Key, peer vam.Domain) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error { return complete(ctx, tx, k, peer, s.db.now()) })
}

func complete(ctx context.Context, tx *sql.Tx, k message.Key, peer vam.Domain, now time.Time) error {
	m, err := readMessage(ctx, tx, k)
	if err != nil {
		return err
	}
	if m.Head.SealedAt.IsZero() {
		return vam.Errorf(vam.Conflict, "the log of %s is not sealed", k)
	}
	if _, err := tx.ExecContext(ctx, `UPDATE message SET complete = 1, changed = ?3 WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, micros(now)); err != nil {
		return err
	}
	if err := completeMedia(ctx, tx, m, peer); err != nil {
		return err
	}
	return storedForAll(ctx, tx, k, now)
}

func completeMedia(ctx context.Context, tx *sql.Tx, m message.Message, peer vam.Domain) error {
	if m.Media == (blob.ID{}) {
		return nil // an empty file
	}
	if _, err := tx.ExecContext(ctx, `UPDATE media SET complete = 1, identity = ?2 WHERE id = ?1`, m.Media[:], m.Head.Identity[:]); err != nil {
		return err
	}
	if peer == "" {
		return nil
	}
	return noteHolder(ctx, tx, m.Media, peer)
}

func noteHolder(ctx context.Context, tx *sql.Tx, id blob.ID, d vam.Domain) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO media_holder (media, domain) VALUES (?1, ?2) ON CONFLICT DO NOTHING`, id[:], d)
	return err
}

// FindMedia implements message.Store.
func (s Messages) FindMedia(ctx context.Context, identity activmail.Hash, peer vam.Domain) (id blob.ID, err error) {
	var b []byte
	err = s.db.One(ctx, func(q Querier) error {
		return notFound(q.QueryRowContext(ctx, `SELECT id FROM media JOIN media_holder ON media = id
			WHERE identity = ?1 AND complete = 1 AND domain = ?2 LIMIT 1`, identity[:], peer).Scan(&b), "media")
	})
	copy(id[:], b)
	return id, err
}

// SameSize implements message.Store.
func (s Messages) SameSize(ctx context.Context, n vam.Bytes, peer vam.Domain, limit int) (out []message.Key, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanKey, `SELECT origin, mid FROM message JOIN media_holder ON media_holder.media = message.media
			WHERE media_bytes = ?1 AND complete = 1 AND message.media IS NOT NULL AND domain = ?2 ORDER BY message.id DESC LIMIT ?3`, n, peer, limit)
		return err
	})
	return out, err
}

// KeepEvidence implements message.Store.
func (s Messages) KeepEvidence(ctx context.Context, k message.Key, have, got []byte, at time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		const keep = 16 // of one message: a stranger cannot fill the disk with quarrels
		_, err := tx.ExecContext(ctx, `INSERT INTO evidence (origin, mid, have, got, at) SELECT ?1, ?2, ?3, ?4, ?5
			WHERE (SELECT count(*) FROM evidence WHERE origin = ?1 AND mid = ?2) < ?6`, k.Origin, k.ID, have, got, micros(at), keep)
		if err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		return nil
	})
}

// Evidence lists what KeepEvidence stored of a message: pairs of checkpoints, the
// oldest first.
func (s Messages) Evidence(ctx context.Context, k message.Key) (out [][2][]byte, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, func(row scanner, p *[2][]byte) error { return row.Scan(&p[0], &p[1]) },
			`SELECT have, got FROM evidence WHERE origin = ?1 AND mid = ?2 ORDER BY id`, k.Origin, k.ID)
		return err
	})
	return out, err
}
