package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
)

// Deliveries is delivery.Store.
type Deliveries struct{ db *DB }

var _ delivery.Store = Deliveries{}

// Deliveries returns the store of outgoing offers and recipients.
func (db *DB) Deliveries() Deliveries { return Deliveries{db} }

const recipientColumns = `address, hidden, offer, state, code, text, attempts, next_at, changed`

func scanRecipient(row scanner, r *delivery.Recipient) error {
	var address string
	var next, changed int64
	if err := row.Scan(&address, &r.Hidden, &r.Offer, &r.State, &r.Code, &r.Text, &r.Attempts, &next, &changed); err != nil {
		return err
	}
	r.NextAt, r.Changed = fromMicros(next), fromMicros(changed)
	return parseAddress(address, &r.Address)
}

// Offer implements delivery.Store.
func (s Deliveries) Offer(ctx context.Context, id vam.MessageID) (o delivery.Offer, err error) {
	var by, before int64
	err = s.db.Read(ctx, func(q Querier) error {
		row := q.QueryRowContext(ctx, `SELECT o.id, m.origin, m.mid, o.domain, o.body, o.deliver_by, o.not_before
			FROM offer_out o JOIN message m ON m.id = o.message WHERE o.id = ?1`, id)
		if err := row.Scan(&o.ID, &o.Key.Origin, &o.Key.ID, &o.Domain, &o.Body, &by, &before); err != nil {
			return notFound(err, "offer")
		}
		o.Recipients, err = collect(ctx, q, scanRecipient, `SELECT `+recipientColumns+` FROM recipient WHERE offer = ?1 ORDER BY ord`, id)
		return err
	})
	o.DeliverBy, o.NotBefore = fromMicros(by), fromMicros(before)
	return o, err
}

// SaveOfferBody implements delivery.Store.
func (s Deliveries) SaveOfferBody(ctx context.Context, id vam.MessageID, body []byte, token activmail.Sum, expires time.Time) (stored []byte, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT body FROM offer_out WHERE id = ?1`, id).Scan(&stored); err != nil || stored != nil {
			return notFound(err, "offer")
		}
		if _, err := tx.ExecContext(ctx, `UPDATE offer_out SET body = ?2 WHERE id = ?1`, id, body); err != nil {
			return err
		}
		stored = body
		return s.addToken(ctx, tx, id, token, expires)
	})
	return stored, err
}

// keepTokens bounds the tokens of an offer: a peer that asks for more loses its oldest.
const keepTokens = 32

func (s Deliveries) addToken(ctx context.Context, tx *sql.Tx, offer vam.MessageID, token activmail.Sum, expires time.Time) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO pull_token (hash, offer, expires) VALUES (?1, ?2, ?3)
		ON CONFLICT (hash) DO UPDATE SET expires = excluded.expires WHERE offer = excluded.offer`, token[:], offer, micros(expires)); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM pull_token WHERE offer = ?1 AND (expires <= ?2
		OR hash IN (SELECT hash FROM pull_token WHERE offer = ?1 AND hash <> ?3 ORDER BY expires DESC LIMIT -1 OFFSET ?4))`,
		offer, micros(s.db.now()), token[:], keepTokens-1)
	return err
}

// AddToken implements delivery.Store.
func (s Deliveries) AddToken(ctx context.Context, offer vam.MessageID, token activmail.Sum, expires time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		var one int
		if err := tx.QueryRowContext(ctx, `SELECT 1 FROM offer_out WHERE id = ?1`, offer).Scan(&one); err != nil {
			return notFound(err, "offer")
		}
		return s.addToken(ctx, tx, offer, token, expires)
	})
}

// TokenMessage implements delivery.Store.
func (s Deliveries) TokenMessage(ctx context.Context, token activmail.Sum, now time.Time) (k message.Key, d vam.Domain, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		row := q.QueryRowContext(ctx, `SELECT m.origin, m.mid, o.domain FROM pull_token t JOIN offer_out o ON o.id = t.offer JOIN message m ON m.id = o.message
			WHERE t.hash = ?1 AND t.expires > ?2`, token[:], micros(now))
		return notFound(row.Scan(&k.Origin, &k.ID, &d), "token")
	})
	return k, d, err
}

// Recipients implements delivery.Store.
func (s Deliveries) Recipients(ctx context.Context, k message.Key) (out []delivery.Recipient, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = recipients(ctx, q, k)
		return err
	})
	return out, err
}

func recipients(ctx context.Context, q Querier, k message.Key) ([]delivery.Recipient, error) {
	return collect(ctx, q, scanRecipient, `SELECT `+recipientColumns+` FROM recipient
		WHERE message = (SELECT id FROM message WHERE origin = ?1 AND mid = ?2) ORDER BY ord`, k.Origin, k.ID)
}

// Settle implements delivery.Store.
func (s Deliveries) Settle(ctx context.Context, k message.Key, updates []delivery.Update, bounce func([]delivery.Update) (*delivery.Bounce, error)) (took []delivery.Update, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		took = nil
		id, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		for _, u := range updates {
			ok, err := settle(ctx, tx, id, u)
			if err != nil {
				return err
			}
			if ok {
				took = append(took, u)
			}
		}
		if len(took) == 0 {
			return nil
		}
		b, err := bounce(took)
		if err != nil || b == nil {
			return err
		}
		return s.insertBounce(ctx, tx, id, k, *b)
	})
	return took, err
}

// settle reports whether the update took effect.
func settle(ctx context.Context, tx *sql.Tx, id int64, u delivery.Update) (bool, error) {
	var old vam.RecipientState
	err := tx.QueryRowContext(ctx, `SELECT state FROM recipient WHERE message = ?1 AND key = ?2`, id, u.Address.Key()).Scan(&old)
	if err == sql.ErrNoRows {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !delivery.Advances(old, u.State) {
		return false, nil
	}
	attempts := 0
	if u.Attempt {
		attempts = 1
	}
	_, err = tx.ExecContext(ctx, `UPDATE recipient SET state = ?3, code = ?4, text = ?5, next_at = ?6, changed = ?7, attempts = attempts + ?8
		WHERE message = ?1 AND key = ?2`, id, u.Address.Key(), u.State, u.Code, clip(u.Text), micros(u.NextAt), micros(u.At), attempts)
	return true, err
}

// insertBounce puts a report into the mailbox of the message's author.
func (s Deliveries) insertBounce(ctx context.Context, tx *sql.Tx, id int64, k message.Key, b delivery.Bounce) error {
	var owner sql.NullInt64
	var author string
	if err := tx.QueryRowContext(ctx, `SELECT account, author FROM message WHERE id = ?1`, id).Scan(&owner, &author); err != nil || !owner.Valid {
		return err
	}
	bk := message.Key{Origin: k.Origin, ID: b.ID}
	if _, err := s.db.insertMessage(ctx, tx, message.Message{
		Key: bk, State: vam.Sealed, Kind: vam.File, Author: b.From, Subject: b.Subject, Text: b.Text, Created: b.At, SentAt: b.At, PublicKey: []byte{},
	}, nil, b.Mail); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE message SET complete = 1, sealed_at = ?3 WHERE origin = ?1 AND mid = ?2`, bk.Origin, bk.ID, micros(b.At)); err != nil {
		return err
	}
	var to vam.Address
	if err := parseAddress(author, &to); err != nil {
		return err
	}
	return insertEntry(ctx, tx, mailbox.Entry{
		Account: owner.Int64, Folder: mailbox.Inbox, Origin: bk.Origin, ID: bk.ID, Rcpt: to, From: b.From, Subject: b.Subject, Kind: vam.File,
		Bounce: true, State: mailbox.Stored, At: b.At, Changed: b.At,
	})
}

// NoteHolder implements delivery.Store.
func (s Deliveries) NoteHolder(ctx context.Context, k message.Key, d vam.Domain) error {
	known, err := s.db.exists(ctx, `SELECT 1 FROM message JOIN media_holder ON media_holder.media = message.media
		WHERE origin = ?1 AND mid = ?2 AND domain = ?3`, k.Origin, k.ID, d)
	if err != nil || known {
		return err
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		m, err := readMessage(ctx, tx, k)
		if err != nil || m.Media == (blob.ID{}) {
			return err
		}
		return noteHolder(ctx, tx, m.Media, d)
	})
}

// OfferedTo implements delivery.Store.
func (s Deliveries) OfferedTo(ctx context.Context, id vam.MessageID, d vam.Domain) (k message.Key, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		return notFound(q.QueryRowContext(ctx, `SELECT m.origin, m.mid FROM message m JOIN offer_out o ON o.message = m.id
			WHERE m.mid = ?1 AND o.domain = ?2 LIMIT 1`, id, d).Scan(&k.Origin, &k.ID), "message that was offered to "+string(d))
	})
	return k, err
}
