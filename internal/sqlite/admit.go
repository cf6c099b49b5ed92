package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
)

// admit brings the entries of an offer into their mailboxes and makes the answer for each
// of its recipients the one that his mailbox gives in this commit, whatever was seen of it
// before. t.Entries are then those that are held or wait for the media.
//
//	entry        becomes                     answer
//	none         the new one                 as decided; rejected 4.2.2 when there is no room,
//	                                         as for every new one
//	held         held                        held
//	arriving     arriving                    accepted
//	stored       stored                      accepted, and stored follows
//	failed       the new one                 as decided (AM-8.8)
//	lapsed       the new one                 as decided (AM-8.8)
//	declined     declined, or arriving when  held, and lapsed when that hold would end;
//	             the author is known by now  or accepted
//	withdrawn,   as it is                    rejected
//	expired
//
// A person's word about a message outlives another offer of it, or a stranger could ask for
// ever; that he said no is told as little as before (AM-8.3).
func admit(ctx context.Context, tx *sql.Tx, t *reception.Taking, m message.Message) error {
	offered := t.Entries
	t.Offered.Rcpts, t.Entries = slices.Clone(t.Offered.Rcpts), nil
	for i := range t.Offered.Rcpts {
		r := &t.Offered.Rcpts[i]
		j := slices.IndexFunc(offered, func(e mailbox.Entry) bool { return e.Account == r.Account })
		if r.State == vam.Rejected || j < 0 {
			continue
		}
		stays, err := admitOne(ctx, tx, *t, offered[j], r, m)
		if err != nil {
			return err
		}
		if stays {
			t.Entries = append(t.Entries, offered[j])
		}
	}
	return nil
}

// admitOne is admit for one recipient. It reports whether the message is in the mailbox.
func admitOne(ctx context.Context, tx *sql.Tx, t reception.Taking, e mailbox.Entry, r *reception.Rcpt, m message.Message) (bool, error) {
	var state mailbox.State
	err := tx.QueryRowContext(ctx, `SELECT state FROM entry WHERE account = ?1 AND folder = ?2 AND origin = ?3 AND mid = ?4`,
		e.Account, e.Folder, e.Origin, e.ID).Scan(&state)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return false, err
	}
	switch state {
	case mailbox.Held:
		r.State = vam.Held
		return true, nil
	case mailbox.Arriving, mailbox.Stored:
		r.State = vam.Accepted
		return true, nil
	case mailbox.Withdrawn, mailbox.Expired:
		*r = reception.Rcpt{Address: r.Address, Account: r.Account, State: vam.Rejected, Code: "5.7.1", Text: fmt.Sprintf("the message was here before and is %s", state)}
		return false, nil
	case mailbox.Declined:
		if r.State == vam.Held {
			r.State = vam.Declined
			return false, oweLapse(ctx, tx, t, r.Address)
		}
	}
	if charged := chargedSize(m.Announced, m.Head); !m.Head.SealedAt.IsZero() {
		e.Size = charged
	} else {
		e.Size = max(e.Size, charged)
	}
	if refused, err := noRoom(ctx, tx, e); err != nil {
		return false, err
	} else if refused != nil {
		why := activmail.ProblemFor(refused)
		*r = reception.Rcpt{Address: r.Address, Account: r.Account, State: vam.Rejected, Code: "4.2.2", Text: why.Detail}
		return false, nil
	}
	if state == "" {
		return true, insertEntry(ctx, tx, e)
	}
	if err := dropReceipts(ctx, tx, t.Offered.Key, r.Address, activmail.EventFailed, activmail.EventLapsed); err != nil {
		return false, err
	}
	return true, renewEntry(ctx, tx, e)
}

// noRoom refuses a new entry for an account whose quota it would overstep. It is asked here
// and not only before, as other messages may have come in between.
func noRoom(ctx context.Context, tx *sql.Tx, e mailbox.Entry) (refused, err error) {
	var quota, used vam.Bytes
	if err := tx.QueryRowContext(ctx, `SELECT quota, used FROM account WHERE id = ?1`, e.Account).Scan(&quota, &used); err != nil {
		return nil, notFound(err, "account")
	}
	if room := max(0, quota-used); quota > 0 && e.Size > room {
		return reception.Full(e.Rcpt, room, quota, e.Size), nil
	}
	return nil, nil
}

// renewEntry puts an entry in the place of one that ended.
func renewEntry(ctx context.Context, tx *sql.Tx, e mailbox.Entry) error {
	_, err := tx.ExecContext(ctx, `UPDATE entry SET rcpt = ?5, state = ?6, reason = ?7, size = ?8, at = ?9, changed = ?10, seen = 0, not_before = ?11
		WHERE account = ?1 AND folder = ?2 AND origin = ?3 AND mid = ?4`,
		e.Account, e.Folder, e.Origin, e.ID, e.Rcpt.String(), e.State, e.Reason, e.Size, micros(e.At), micros(e.Changed), micros(e.NotBefore))
	return err
}

// oweLapse lets an answer of held end as if nobody had decided.
func oweLapse(ctx context.Context, tx *sql.Tx, t reception.Taking, a vam.Address) error {
	w := reception.Lapse(t.Offered.Key, a, t.HoldEnds)
	return owe(ctx, tx, w, t.HoldEnds)
}

// dropReceipts forgets what an origin was still to be told of an offer that another one
// follows: it would end that one too.
func dropReceipts(ctx context.Context, tx *sql.Tx, k message.Key, a vam.Address, events ...activmail.ReceiptEvent) error {
	for _, event := range events {
		w := reception.Owed{Key: k, Receipt: activmail.Receipt{Recipient: a, Event: event}}
		if _, err := tx.ExecContext(ctx, `DELETE FROM job WHERE kind = ?1 AND key = ?2`, queue.Receipt, w.JobKey()); err != nil {
			return err
		}
	}
	return nil
}
