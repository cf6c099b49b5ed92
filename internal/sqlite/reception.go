package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
)

// Receptions is reception.Store.
type Receptions struct{ db *DB }

var _ reception.Store = Receptions{}

// Receptions returns the store of incoming offers.
func (db *DB) Receptions() Receptions { return Receptions{db} }

func scanOffered(row scanner, o *reception.Offered) error {
	var digest []byte
	var token string
	var expires, at int64
	if err := row.Scan(&o.ID, &digest, &token, &expires, &at); err != nil {
		return err
	}
	copy(o.Digest[:], digest)
	o.Token = activmail.Token(token)
	o.Expires, o.At = fromMicros(expires), fromMicros(at)
	return nil
}

func scanRcpt(row scanner, r *reception.Rcpt) error {
	var address string
	if err := row.Scan(&address, &r.Account, &r.State, &r.Code, &r.Text); err != nil {
		return err
	}
	return parseAddress(address, &r.Address)
}

const offeredColumns = `id, digest, token, expires, at`

func readOffered(ctx context.Context, q Querier, row int64, k message.Key, id vam.MessageID) (o reception.Offered, err error) {
	o.Key = k
	err = scanOffered(q.QueryRowContext(ctx, `SELECT `+offeredColumns+` FROM offer_in WHERE message = ?1 AND id = ?2`, row, id), &o)
	if err != nil {
		return o, notFound(err, "offer")
	}
	o.Rcpts, err = readRcpts(ctx, q, row, id)
	return o, err
}

func readRcpts(ctx context.Context, q Querier, row int64, id vam.MessageID) ([]reception.Rcpt, error) {
	return collect(ctx, q, scanRcpt, `SELECT address, account, state, code, text FROM offer_rcpt WHERE message = ?1 AND offer = ?2 ORDER BY ord`, row, id)
}

// Offered implements reception.Store.
func (s Receptions) Offered(ctx context.Context, k message.Key, id vam.MessageID) (o reception.Offered, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		row, err := messageRow(ctx, q, k)
		if err != nil {
			return err
		}
		o, err = readOffered(ctx, q, row, k, id)
		return err
	})
	return o, err
}

// Take implements reception.Store (AM-12.13).
func (s Receptions) Take(ctx context.Context, t reception.Taking) (o reception.Offered, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := s.db.insertMessage(ctx, tx, t.Message, nil, t.Mail); err != nil {
			return err
		}
		t, k := t, t.Offered.Key
		row, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		if o, err = readOffered(ctx, tx, row, k, t.Offered.ID); err == nil || vam.KindOf(err) != vam.NotFound {
			return err
		}
		m, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if err := admit(ctx, tx, &t, m); err != nil {
			return err
		}
		if err := insertOffered(ctx, tx, row, t.Offered); err != nil {
			return err
		}
		if err := s.begin(ctx, tx, row, t, m); err != nil {
			return err
		}
		o, err = readOffered(ctx, tx, row, k, t.Offered.ID)
		return err
	})
	return o, err
}

// Redecide implements reception.Store.
func (s Receptions) Redecide(ctx context.Context, t reception.Taking) (o reception.Offered, err error) {
	k, id := t.Offered.Key, t.Offered.ID
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		t := t
		row, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		open, err := collect(ctx, tx, scanAddress, `SELECT address FROM offer_rcpt WHERE message = ?1 AND offer = ?2 AND state = 'rejected' AND code LIKE '4.%'`, row, id)
		if err != nil {
			return err
		}
		t.Offered.Rcpts = slices.DeleteFunc(slices.Clone(t.Offered.Rcpts), func(r reception.Rcpt) bool { return !slices.Contains(open, r.Address) })
		if len(t.Offered.Rcpts) > 0 {
			if err := s.redecide(ctx, tx, row, t); err != nil {
				return err
			}
		}
		o, err = readOffered(ctx, tx, row, k, id)
		return err
	})
	return o, err
}

// redecide gives the recipients of t, who were refused before, what the first answer did
// not.
func (s Receptions) redecide(ctx context.Context, tx *sql.Tx, row int64, t reception.Taking) error {
	m, err := readMessage(ctx, tx, t.Offered.Key)
	if err != nil {
		return err
	}
	if err := admit(ctx, tx, &t, m); err != nil {
		return err
	}
	for _, r := range t.Offered.Rcpts {
		if _, err := tx.ExecContext(ctx, `UPDATE offer_rcpt SET account = ?4, state = ?5, code = ?6, text = ?7 WHERE message = ?1 AND offer = ?2 AND address = ?3`,
			row, t.Offered.ID, r.Address.String(), r.Account, r.State, r.Code, r.Text); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE offer_in SET changed = ?3 WHERE message = ?1 AND id = ?2`, row, t.Offered.ID, micros(t.Offered.At)); err != nil {
		return err
	}
	return s.begin(ctx, tx, row, t, m)
}

// begin lets what an offer was taken for follow: the receipts of a message that is here,
// or else the pull. m is the message before.
func (s Receptions) begin(ctx context.Context, tx *sql.Tx, row int64, t reception.Taking, m message.Message) error {
	if err := wanted(ctx, tx, row, t); err != nil {
		return err
	}
	if m.Complete {
		return storedForAll(ctx, tx, t.Offered.Key, t.Offered.At)
	}
	if len(t.Entries) == 0 {
		return nil
	}
	return enqueue(ctx, tx, t.Jobs...)
}

// wanted brings a message back whose media went because nobody held it: another
// offer of it has come, for somebody who does. A message that nobody holds is for
// the next sweep.
func wanted(ctx context.Context, tx *sql.Tx, row int64, t reception.Taking) error {
	if len(t.Entries) == 0 {
		_, err := tx.ExecContext(ctx, `INSERT OR IGNORE INTO idle VALUES (?1)`, row)
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE message SET state = CASE sealed_at WHEN 0 THEN 'live' ELSE 'sealed' END, mail = ifnull(mail, ?2), changed = ?3
		WHERE id = ?1 AND state = 'purged'`, row, nilIfEmpty(t.Mail), micros(t.Offered.At))
	return err
}

func insertOffered(ctx context.Context, tx *sql.Tx, row int64, o reception.Offered) error {
	if _, err := tx.ExecContext(ctx, `INSERT INTO offer_in (message, id, digest, token, expires, at, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)`,
		row, o.ID, o.Digest[:], string(o.Token), micros(o.Expires), micros(o.At)); err != nil {
		return err
	}
	for i, r := range o.Rcpts {
		if _, err := tx.ExecContext(ctx, `INSERT INTO offer_rcpt (message, offer, ord, address, account, state, code, text) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
			row, o.ID, i, r.Address.String(), r.Account, r.State, r.Code, r.Text); err != nil {
			return err
		}
	}
	return nil
}

// Offers implements reception.Store.
func (s Receptions) Offers(ctx context.Context, k message.Key) (out []reception.Offered, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		row, err := messageRow(ctx, q, k)
		if err != nil {
			return err
		}
		if out, err = collect(ctx, q, scanOffered, `SELECT `+offeredColumns+` FROM offer_in WHERE message = ?1 ORDER BY at DESC, id DESC`, row); err != nil {
			return err
		}
		for i := range out {
			out[i].Key = k
			if out[i].Rcpts, err = readRcpts(ctx, q, row, out[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// RenewToken implements reception.Store.
func (s Receptions) RenewToken(ctx context.Context, k message.Key, id vam.MessageID, token activmail.Token, expires time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		row, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		return changeOne(ctx, tx, "offer", `UPDATE offer_in SET token = ?3, expires = ?4 WHERE message = ?1 AND id = ?2`, row, id, string(token), micros(expires))
	})
}

// Enqueue implements reception.Store.
func (s Receptions) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	return s.db.Queue().Enqueue(ctx, jobs...)
}

// Moved implements reception.Store.
func (s Receptions) Moved(ctx context.Context, k message.Key, at time.Time) error {
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		return changeOne(ctx, tx, "message", `UPDATE message SET moved = max(moved, ?3) WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, micros(at))
	})
}

// LastMoved implements reception.Store.
func (s Receptions) LastMoved(ctx context.Context, k message.Key) (time.Time, error) {
	var at int64
	err := s.db.One(ctx, func(q Querier) error {
		return notFound(q.QueryRowContext(ctx, `SELECT moved FROM message WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID).Scan(&at), "message")
	})
	return fromMicros(at), err
}
