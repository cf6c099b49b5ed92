package sqlite

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/json"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/submission"
)

// Submissions is submission.Store.
type Submissions struct{ db *DB }

var _ submission.Store = Submissions{}

// Submissions returns the store of drafts.
func (db *DB) Submissions() Submissions { return Submissions{db} }

// SaveDraft implements submission.Store.
func (s Submissions) SaveDraft(ctx context.Context, owner int64, m message.Message, priv ed25519.PrivateKey, d submission.Draft) (out message.Message, created bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) (err error) {
		created = false
		if priv != nil {
			if err := onlyOrigin(ctx, tx, m.Key); err != nil {
				return err
			}
			if created, err = s.db.insertMessage(ctx, tx, m, priv, nil); err != nil {
				return err
			}
		}
		if err := saveDraft(ctx, tx, owner, m.Key, d, s.db.now()); err != nil {
			return err
		}
		out, err = readMessage(ctx, tx, m.Key)
		return err
	})
	return out, created && err == nil, err
}

// onlyOrigin refuses an id that a message of another domain of this server has: receipts and
// requests for tokens name a message by its id alone (AM-8.4).
func onlyOrigin(ctx context.Context, tx *sql.Tx, k message.Key) error {
	var taken bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM message WHERE mid = ?2 AND origin <> ?1 AND private_key IS NOT NULL)`, k.Origin, k.ID).Scan(&taken)
	if err == nil && taken {
		err = errTaken(k)
	}
	return err
}

func errTaken(k message.Key) error {
	return vam.Errorf(vam.Conflict, "the message id %s is taken; mint a fresh one", k.ID).WithProblem("id-taken")
}

func saveDraft(ctx context.Context, tx *sql.Tx, owner int64, k message.Key, d submission.Draft, now time.Time) error {
	m, err := readMessage(ctx, tx, k)
	if err != nil {
		return err
	}
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	var same, mine, fresh bool
	if err := tx.QueryRowContext(ctx, `SELECT ifnull(account = ?3 AND draft = ?4, 0), ifnull(account = ?3, 0), draft IS NULL AND private_key IS NOT NULL
		FROM message WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, owner, string(text)).Scan(&same, &mine, &fresh); err != nil {
		return err
	}
	switch {
	case same:
		return nil // the same words again, as in a repeated request, are no change
	case !mine && !fresh:
		return errTaken(k)
	case !m.SentAt.IsZero():
		return vam.Errorf(vam.Conflict, "the message was sent; it cannot be changed any more").WithProblem("sent")
	}
	if _, err := tx.ExecContext(ctx, `UPDATE message SET draft = ?3, account = ?4, kind = ?5, author = ?6, subject = ?7, text = ?8, announced = ?9, expires = ?10, changed = ?11
		WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, string(text), owner, d.Kind, d.From.String(), d.Subject, d.Text, d.Size, micros(d.Expires), micros(now)); err != nil {
		return err
	}
	return saveDraftEntry(ctx, tx, mailbox.Entry{
		Account: owner, Folder: mailbox.Sent, Origin: k.Origin, ID: k.ID, From: d.From, Subject: d.Subject, Kind: d.Kind,
		State: mailbox.Draft, Size: chargedSize(d.Size, m.Head), Duration: m.Head.Duration, At: m.Created, Changed: now, Seen: true,
	}, fresh)
}

// saveDraftEntry adds the author's entry or brings it up to date. One that the author
// has deleted stays deleted.
func saveDraftEntry(ctx context.Context, tx *sql.Tx, e mailbox.Entry, fresh bool) error {
	if fresh {
		return insertEntry(ctx, tx, e)
	}
	_, err := tx.ExecContext(ctx, `UPDATE entry SET sender = ?5, subject = ?6, kind = ?7, size = ?8, changed = ?9
		WHERE account = ?1 AND folder = ?2 AND origin = ?3 AND mid = ?4`,
		e.Account, e.Folder, e.Origin, e.ID, e.From.String(), e.Subject, e.Kind, e.Size, micros(e.Changed))
	return err
}

// Draft implements submission.Store.
func (s Submissions) Draft(ctx context.Context, k message.Key) (d submission.Draft, owner int64, err error) {
	var text []byte
	err = s.db.One(ctx, func(q Querier) error {
		return notFound(q.QueryRowContext(ctx, `SELECT draft, ifnull(account, 0) FROM message WHERE origin = ?1 AND mid = ?2 AND draft IS NOT NULL`, k.Origin, k.ID).Scan(&text, &owner), "message")
	})
	if err != nil {
		return d, 0, err
	}
	return d, owner, json.Unmarshal(text, &d)
}

// Send implements submission.Store.
func (s Submissions) Send(ctx context.Context, x submission.Sending) (bool, error) {
	sent := false
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		sent = false
		id, err := messageRow(ctx, tx, x.Key)
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `UPDATE message SET mail = ?2, sent_at = ?3, changed = ?3, state = CASE state WHEN 'draft' THEN 'live' ELSE state END
			WHERE id = ?1 AND sent_at = 0 AND state IN ('draft', 'sealed')`, id, x.Mail, micros(x.At))
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		sent = true
		if _, err := tx.ExecContext(ctx, `UPDATE entry SET state = 'stored', changed = ?4 WHERE account = ?1 AND origin = ?2 AND mid = ?3 AND folder = 'sent'`,
			x.Account, x.Key.Origin, x.Key.ID, micros(x.At)); err != nil {
			return err
		}
		if err := insertOffers(ctx, tx, id, 0, x.Offers); err != nil {
			return err
		}
		for _, o := range x.Offers {
			for _, r := range o.Recipients {
				if err := becomeContact(ctx, tx, x.Account, r.Address, x.At); err != nil {
					return err
				}
			}
		}
		return enqueue(ctx, tx, x.Jobs...)
	})
	return sent, err
}

// becomeContact lets whom one writes to answer; a block stays.
func becomeContact(ctx context.Context, tx *sql.Tx, owner int64, a vam.Address, at time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO contact (account, key, address, domain, standing, since) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING`,
		owner, a.Key(), a.String(), a.Domain, account.Known, micros(at))
	return err
}

func insertOffers(ctx context.Context, tx *sql.Tx, id int64, ord int, offers []delivery.Offer) error {
	for _, o := range offers {
		if _, err := tx.ExecContext(ctx, `INSERT INTO offer_out (id, message, domain, deliver_by, not_before) VALUES (?1, ?2, ?3, ?4, ?5)`,
			o.ID, id, o.Domain, micros(o.DeliverBy), micros(o.NotBefore)); err != nil {
			return err
		}
		for _, r := range o.Recipients {
			if _, err := tx.ExecContext(ctx, `INSERT INTO recipient (message, ord, key, address, hidden, offer, state, code, text, attempts, next_at, changed)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, '', '', 0, ?8, ?9)`,
				id, ord, r.Address.Key(), r.Address.String(), r.Hidden, o.ID, r.State, micros(r.NextAt), micros(r.Changed)); err != nil {
				return err
			}
			ord++
		}
	}
	return nil
}

// DeleteDraft implements submission.Store.
func (s Submissions) DeleteDraft(ctx context.Context, k message.Key) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if !m.SentAt.IsZero() {
			return vam.Errorf(vam.Conflict, "the message was sent; take it back with revoke").WithProblem("sent")
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM entry WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM message WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID)
		return err
	})
}

// OverdueLive implements submission.Store.
func (s Submissions) OverdueLive(ctx context.Context, now time.Time, after message.Key, limit int) (out []message.Key, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanKey, `SELECT origin, mid FROM message AS m WHERE state = 'live' AND private_key IS NOT NULL
			AND sent_at > 0 AND NOT EXISTS (SELECT 1 FROM offer_out WHERE message = m.id AND deliver_by > ?1)
			AND id > ifnull((SELECT id FROM message WHERE origin = ?3 AND mid = ?4), 0) ORDER BY id LIMIT ?2`, micros(now), limit, after.Origin, after.ID)
		return err
	})
	return out, err
}

// OldDrafts implements submission.Store.
func (s Submissions) OldDrafts(ctx context.Context, before time.Time, limit int) (out []message.Key, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanKey, `SELECT origin, mid FROM message WHERE sent_at = 0 AND changed < ?1 ORDER BY changed LIMIT ?2`, micros(before), limit)
		return err
	})
	return out, err
}

func scanKey(row scanner, k *message.Key) error { return row.Scan(&k.Origin, &k.ID) }
