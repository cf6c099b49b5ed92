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

// InboxEntry implements reception.Store.
func (s Receptions) InboxEntry(ctx context.Context, acct int64, k message.Key) (e mailbox.Entry, err error) {
	err = s.db.One(ctx, func(q Querier) error {
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
	rcptsFrom, rcptsTo := []vam.RecipientState{vam.Accepted}, to
	if event == activmail.EventFailed {
		rcptsTo = vam.Failed
	}
	if to == vam.Withdrawn {
		entryState, entriesFrom = mailbox.Withdrawn, []mailbox.State{mailbox.Held, mailbox.Arriving, mailbox.Stored}
		rcptsFrom = []vam.RecipientState{vam.Held, vam.Accepted, vam.Stored}
	}
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		if _, err := setEntries(ctx, tx, k, 0, entriesFrom, entryState, text, at); err != nil {
			return err
		}
		return moveRcpts(ctx, tx, k, move{from: rcptsFrom, to: rcptsTo, event: event, code: code, text: text, at: at})
	})
}

// fullAccount is one that uses more than its quota.
type fullAccount struct {
	id          int64
	rcpt        vam.Address
	quota, used vam.Bytes
	size        vam.Bytes // of the message
}

// fullAccounts lists those that wait for a message.
func fullAccounts(ctx context.Context, q Querier, k message.Key) ([]fullAccount, error) {
	scan := func(row scanner, f *fullAccount) error {
		var rcpt string
		if err := row.Scan(&f.id, &rcpt, &f.quota, &f.used, &f.size); err != nil {
			return err
		}
		return parseAddress(rcpt, &f.rcpt)
	}
	return collect(ctx, q, scan, `SELECT a.id, e.rcpt, a.quota, a.used, e.size FROM entry e JOIN account a ON a.id = e.account
		WHERE e.origin = ?1 AND e.mid = ?2 AND e.folder = 'inbox' AND e.state = 'arriving' AND a.quota > 0 AND a.used > a.quota`, k.Origin, k.ID)
}

// FailFull implements reception.Store.
func (s Receptions) FailFull(ctx context.Context, k message.Key, at time.Time) (left bool, err error) {
	var full []fullAccount
	err = s.db.One(ctx, func(q Querier) error {
		full, err = fullAccounts(ctx, q, k)
		return err
	})
	if err != nil {
		return false, err
	}
	if len(full) == 0 { // nearly always
		return s.Wanted(ctx, k)
	}
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		if full, err = fullAccounts(ctx, tx, k); err != nil {
			return err
		}
		for _, f := range full {
			why := activmail.ProblemFor(reception.Full(f.rcpt, max(0, f.quota-f.used+f.size), f.quota, f.size))
			if _, err := setEntries(ctx, tx, k, f.id, []mailbox.State{mailbox.Arriving}, mailbox.Failed, why.Detail, at); err != nil {
				return err
			}
			mv := move{account: f.id, from: []vam.RecipientState{vam.Accepted}, to: vam.Failed, event: activmail.EventFailed, code: "4.2.2", text: why.Detail, at: at}
			if err := moveRcpts(ctx, tx, k, mv); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return s.Wanted(ctx, k)
}

// Wanted implements reception.Store.
func (s Receptions) Wanted(ctx context.Context, k message.Key) (bool, error) {
	return s.db.exists(ctx, `SELECT 1 FROM entry WHERE origin = ?1 AND mid = ?2 AND folder = 'inbox' AND state = 'arriving'`, k.Origin, k.ID)
}

// HeldSince implements reception.Store.
func (s Receptions) HeldSince(ctx context.Context, before time.Time, limit int) (out []mailbox.Entry, err error) {
	err = s.db.One(ctx, func(q Querier) error {
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
