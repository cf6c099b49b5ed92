package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/mailbox"
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
		k := t.Offered.Key
		row, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		if o, err = readOffered(ctx, tx, row, k, t.Offered.ID); err == nil || vam.KindOf(err) != vam.NotFound {
			return err
		}
		if err := insertOffered(ctx, tx, row, t.Offered); err != nil {
			return err
		}
		for _, e := range t.Entries {
			if err := insertEntry(ctx, tx, e); err != nil {
				return err
			}
		}
		if err := wanted(ctx, tx, row, t); err != nil {
			return err
		}
		m, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if m.Complete {
			err = storedForAll(ctx, tx, k, t.Offered.At)
		} else {
			err = enqueue(ctx, tx, t.Jobs...)
		}
		if err != nil {
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
		row, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		changed := map[int64]bool{} // by account
		for _, r := range t.Offered.Rcpts {
			res, err := tx.ExecContext(ctx, `UPDATE offer_rcpt SET account = ?4, state = ?5, code = ?6, text = ?7
				WHERE message = ?1 AND offer = ?2 AND address = ?3 AND state = 'rejected' AND code LIKE '4.%'`,
				row, id, r.Address.String(), r.Account, r.State, r.Code, r.Text)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n > 0 {
				changed[r.Account] = true
			}
		}
		if len(changed) > 0 {
			if err := s.admit(ctx, tx, row, t, changed); err != nil {
				return err
			}
		}
		o, err = readOffered(ctx, tx, row, k, id)
		return err
	})
	return o, err
}

// admit gives the accounts that an offer is taken for now what its first answer did not.
func (s Receptions) admit(ctx context.Context, tx *sql.Tx, row int64, t reception.Taking, accounts map[int64]bool) error {
	k := t.Offered.Key
	for _, e := range t.Entries {
		if accounts[e.Account] {
			if err := insertEntry(ctx, tx, e); err != nil {
				return err
			}
		}
	}
	if _, err := tx.ExecContext(ctx, `UPDATE offer_in SET changed = ?3 WHERE message = ?1 AND id = ?2`, row, t.Offered.ID, micros(t.Offered.At)); err != nil {
		return err
	}
	if err := wanted(ctx, tx, row, t); err != nil {
		return err
	}
	m, err := readMessage(ctx, tx, k)
	if err != nil {
		return err
	}
	if m.Complete {
		return storedForAll(ctx, tx, k, t.Offered.At)
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

// storedForAll is what a complete message means for its recipients here.
func storedForAll(ctx context.Context, tx *sql.Tx, k message.Key, at time.Time) error {
	if _, err := setEntries(ctx, tx, k, 0, []mailbox.State{mailbox.Arriving}, mailbox.Stored, "", at); err != nil {
		return err
	}
	return moveRcpts(ctx, tx, k, move{from: []vam.RecipientState{vam.Accepted}, to: vam.Stored, event: activmail.EventStored, at: at})
}

// move is a change of state of the recipients of a message's offers.
type move struct {
	account    int64 // 0 is all
	from       []vam.RecipientState
	to         vam.RecipientState
	event      activmail.ReceiptEvent // "" owes no receipt
	code, text string
	at         time.Time
}

// moveRcpts changes states and owes a receipt for each recipient that it changed.
func moveRcpts(ctx context.Context, tx *sql.Tx, k message.Key, mv move) error {
	from, err := jsonList(mv.from)
	if err != nil {
		return err
	}
	moved, err := collect(ctx, tx, scanAddress, `UPDATE offer_rcpt SET state = ?3, code = ?4, text = ?5
		WHERE message = (SELECT id FROM message WHERE origin = ?1 AND mid = ?2) AND (?6 = 0 OR account = ?6)
			AND state IN (SELECT value FROM json_each(?7)) RETURNING address`,
		k.Origin, k.ID, mv.to, mv.code, mv.text, mv.account, from)
	if err != nil || len(moved) == 0 {
		return err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE offer_in SET changed = ?3 WHERE message = (SELECT id FROM message WHERE origin = ?1 AND mid = ?2)`,
		k.Origin, k.ID, micros(mv.at)); err != nil || mv.event == "" {
		return err
	}
	for _, a := range moved {
		w := reception.Owed{Key: k, Receipt: activmail.Receipt{
			Recipient: a, Event: mv.event, Code: mv.code, Text: mv.text, At: mv.at.UTC().Truncate(time.Second),
		}}
		if err := owe(ctx, tx, w, mv.at); err != nil {
			return err
		}
	}
	return nil
}

func owe(ctx context.Context, tx *sql.Tx, w reception.Owed, now time.Time) error {
	job, err := w.Job(now)
	if err != nil {
		return err
	}
	return enqueue(ctx, tx, job)
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

// InboxEntry implements reception.Store.
func (s Receptions) InboxEntry(ctx context.Context, acct int64, k message.Key) (e mailbox.Entry, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		row := q.QueryRowContext(ctx, `SELECT `+entryColumns+` FROM entry WHERE account = ?1 AND folder = 'inbox' AND origin = ?2 AND mid = ?3`, acct, k.Origin, k.ID)
		return notFound(scanEntry(row, &e), "message in this inbox")
	})
	return e, err
}

// Decide implements reception.Store.
func (s Receptions) Decide(ctx context.Context, acct int64, k message.Key, to vam.RecipientState, receipts []reception.Owed, jobs []queue.Job, at time.Time) error {
	entryState, ok := map[vam.RecipientState]mailbox.State{
		vam.Accepted: mailbox.Arriving, vam.Declined: mailbox.Declined, vam.Lapsed: mailbox.Lapsed,
	}[to]
	if !ok {
		return vam.Errorf(vam.Internal, "a hold cannot be decided to %s", to)
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		n, err := setEntries(ctx, tx, k, acct, []mailbox.State{mailbox.Held}, entryState, "", at)
		if err != nil {
			return err
		}
		if n == 0 {
			var state mailbox.State
			err := tx.QueryRowContext(ctx, `SELECT state FROM entry WHERE account = ?1 AND folder = 'inbox' AND origin = ?2 AND mid = ?3`, acct, k.Origin, k.ID).Scan(&state)
			if err != nil {
				return notFound(err, "message in this inbox")
			}
			return vam.Errorf(vam.Conflict, "the message is %s, not held; there is nothing to decide", state)
		}
		if err := moveRcpts(ctx, tx, k, move{account: acct, from: []vam.RecipientState{vam.Held}, to: to, at: at}); err != nil {
			return err
		}
		for _, w := range receipts {
			if err := owe(ctx, tx, w, at); err != nil {
				return err
			}
		}
		if to != vam.Accepted {
			return enqueue(ctx, tx, jobs...)
		}
		m, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if err := setStanding(ctx, tx, acct, m.Author, account.Known, at); err != nil {
			return err
		}
		if m.Complete {
			return storedForAll(ctx, tx, k, at)
		}
		return enqueue(ctx, tx, jobs...)
	})
}

// Conclude implements reception.Store.
func (s Receptions) Conclude(ctx context.Context, k message.Key, to vam.RecipientState, event activmail.ReceiptEvent, code, text string, at time.Time) error {
	entryState, entriesFrom := mailbox.Failed, []mailbox.State{mailbox.Arriving}
	rcptsFrom := []vam.RecipientState{vam.Accepted}
	if to == vam.Withdrawn {
		entryState, entriesFrom = mailbox.Withdrawn, []mailbox.State{mailbox.Held, mailbox.Arriving, mailbox.Stored}
		rcptsFrom = []vam.RecipientState{vam.Held, vam.Accepted, vam.Stored}
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := setEntries(ctx, tx, k, 0, entriesFrom, entryState, text, at); err != nil {
			return err
		}
		return moveRcpts(ctx, tx, k, move{from: rcptsFrom, to: to, event: event, code: code, text: text, at: at})
	})
}

// Wanted implements reception.Store.
func (s Receptions) Wanted(ctx context.Context, k message.Key) (bool, error) {
	return s.db.exists(ctx, `SELECT 1 FROM entry WHERE origin = ?1 AND mid = ?2 AND folder = 'inbox' AND state = 'arriving'`, k.Origin, k.ID)
}

// Enqueue implements reception.Store.
func (s Receptions) Enqueue(ctx context.Context, jobs ...queue.Job) error {
	return s.db.Queue().Enqueue(ctx, jobs...)
}

// HeldSince implements reception.Store.
func (s Receptions) HeldSince(ctx context.Context, before time.Time, limit int) (out []mailbox.Entry, err error) {
	err = s.db.Read(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanEntry, `SELECT `+entryColumns+` FROM entry WHERE state = 'held' AND at < ?1 ORDER BY at LIMIT ?2`, micros(before), limit)
		return err
	})
	return out, err
}

// Forget implements reception.Store.
func (s Receptions) Forget(ctx context.Context, before time.Time, limit int) (int, error) {
	const old = `SELECT message, id FROM offer_in o WHERE changed < ?1 AND NOT EXISTS (
		SELECT 1 FROM message m, offer_rcpt r, entry e WHERE m.id = o.message AND r.message = o.message AND r.offer = o.id
			AND e.account = r.account AND e.folder = 'inbox' AND e.origin = m.origin AND e.mid = m.mid AND e.state IN ('held', 'arriving'))`
	if any, err := s.db.exists(ctx, old, micros(before)); err != nil || !any {
		return 0, err
	}
	var n int64
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM offer_in WHERE (message, id) IN (`+old+` LIMIT ?2)`, micros(before), limit)
		if err != nil {
			return err
		}
		n, err = res.RowsAffected()
		return err
	})
	return int(n), err
}
