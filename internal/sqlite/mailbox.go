package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Mailboxes is mailbox.Store.
type Mailboxes struct{ db *DB }

var _ mailbox.Store = Mailboxes{}

// Mailboxes returns the store of mailbox entries.
func (db *DB) Mailboxes() Mailboxes { return Mailboxes{db} }

const entryColumns = `account, folder, origin, mid, rcpt, sender, subject, kind, bounce, state, reason, size, duration, at, changed, seen, not_before`

func scanEntry(row scanner, e *mailbox.Entry) error {
	var rcpt, sender string
	var duration, at, changed, notBefore int64
	if err := row.Scan(&e.Account, &e.Folder, &e.Origin, &e.ID, &rcpt, &sender, &e.Subject, &e.Kind, &e.Bounce, &e.State, &e.Reason,
		&e.Size, &duration, &at, &changed, &e.Seen, &notBefore); err != nil {
		return err
	}
	e.Duration = time.Duration(duration) * time.Microsecond
	e.At, e.Changed, e.NotBefore = fromMicros(at), fromMicros(changed), fromMicros(notBefore)
	if err := parseAddress(rcpt, &e.Rcpt); err != nil {
		return err
	}
	return parseAddress(sender, &e.From)
}

// insertEntry leaves an entry that is there as it is (AM-6.19).
func insertEntry(ctx context.Context, tx *sql.Tx, e mailbox.Entry) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO entry (`+entryColumns+`) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
		ON CONFLICT (account, folder, origin, mid) DO NOTHING`,
		e.Account, e.Folder, e.Origin, e.ID, e.Rcpt.String(), e.From.String(), e.Subject, e.Kind, e.Bounce, e.State, e.Reason,
		e.Size, e.Duration.Microseconds(), micros(e.At), micros(e.Changed), e.Seen, micros(e.NotBefore))
	return err
}

// afterAll sorts behind every message id.
const afterAll = vam.MessageID("~")

// Entries implements mailbox.Store.
func (s Mailboxes) Entries(ctx context.Context, account int64, f mailbox.Filter) (out []mailbox.Entry, err error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 50
	}
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanEntry, `SELECT `+entryColumns+` FROM entry
			WHERE account = ?1 AND folder = ?2 AND (?3 = '' OR state = ?3) AND mid < ?4 AND not_before <= ?6 ORDER BY mid DESC LIMIT ?5`,
			account, f.Folder, f.State, cmp.Or(f.Before, afterAll), min(limit, 200), micros(s.db.now()))
		return err
	})
	return out, err
}

// Entry implements mailbox.Store.
func (s Mailboxes) Entry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) (e mailbox.Entry, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		row := q.QueryRowContext(ctx, `SELECT `+entryColumns+` FROM entry WHERE account = ?1 AND folder IN ('inbox', 'sent') AND origin = ?2 AND mid = ?3 AND not_before <= ?4 ORDER BY folder LIMIT 1`, account, origin, id, micros(s.db.now()))
		return notFound(scanEntry(row, &e), "message in this mailbox")
	})
	return e, err
}

// FindEntries implements mailbox.Store.
func (s Mailboxes) FindEntries(ctx context.Context, account int64, part string, limit int) (out []mailbox.Entry, err error) {
	is := `(substr(mid, 1, length(?2)) = ?2 OR substr(mid, -length(?2)) = ?2)`
	if _, err := vam.ParseMessageID(part); err == nil {
		is = `folder IN ('inbox', 'sent') AND mid = ?2` // as programs ask: not one entry more is read
	}
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanEntry, `SELECT `+entryColumns+` FROM entry
			WHERE account = ?1 AND `+is+` AND not_before <= ?4 ORDER BY folder, mid DESC LIMIT ?3`, account, part, limit, micros(s.db.now()))
		return err
	})
	return out, err
}

// MarkSeen implements mailbox.Store (AM-8.10).
func (s Mailboxes) MarkSeen(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID, at time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changeOne(ctx, tx, "message in this mailbox", `UPDATE entry SET changed = CASE seen WHEN 0 THEN ?4 ELSE changed END, seen = 1
			WHERE account = ?1 AND folder IN ('inbox', 'sent') AND origin = ?2 AND mid = ?3`, account, origin, id, micros(at))
	})
}

// DeleteEntry implements mailbox.Store.
func (s Mailboxes) DeleteEntry(ctx context.Context, account int64, origin vam.Domain, id vam.MessageID) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changeOne(ctx, tx, "message in this mailbox", `DELETE FROM entry WHERE account = ?1 AND folder IN ('inbox', 'sent') AND origin = ?2 AND mid = ?3`, account, origin, id)
	})
}

// setEntries moves the inbox entries of a message that are in one of the states
// from to another, and says how many.
func setEntries(ctx context.Context, tx *sql.Tx, k message.Key, account int64, from []mailbox.State, to mailbox.State, reason string, at time.Time) (int64, error) {
	list, err := jsonList(from)
	if err != nil {
		return 0, err
	}
	res, err := tx.ExecContext(ctx, `UPDATE entry SET state = ?5, reason = ?6, changed = ?7
		WHERE origin = ?1 AND mid = ?2 AND (?3 = 0 OR account = ?3) AND folder = 'inbox' AND state IN (SELECT value FROM json_each(?4))`,
		k.Origin, k.ID, account, list, to, reason, micros(at))
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}
