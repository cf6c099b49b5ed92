package sqlite

import (
	"context"
	"crypto/ed25519"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
)

// Messages is message.Store.
type Messages struct{ db *DB }

var _ message.Store = Messages{}

// Messages returns the store of messages.
func (db *DB) Messages() Messages { return Messages{db} }

const messageColumns = `origin, mid, state, kind, author, subject, text, public_key, media, announced, lines, root,
	checkpoint, media_bytes, duration, sealed_at, digest, identity, sides, created, sent_at, expires, complete, forwards`

func scanMessage(row scanner, m *message.Message) error {
	var author, forwards string
	var media, root, digest, identity []byte
	var duration, sealed, created, sent, expires int64
	if err := row.Scan(&m.Origin, &m.ID, &m.State, &m.Kind, &author, &m.Subject, &m.Text, (*[]byte)(&m.PublicKey), &media, &m.Announced,
		&m.Head.Lines, &root, &m.Head.Checkpoint, &m.Head.MediaBytes, &duration, &sealed, &digest, &identity, &m.Head.Sides,
		&created, &sent, &expires, &m.Complete, &forwards); err != nil {
		return err
	}
	for name := range strings.FieldsSeq(forwards) {
		ref, err := activmail.ParseMessageRef(name)
		if err != nil {
			return err
		}
		m.Forwards = append(m.Forwards, ref)
	}
	copy(m.Media[:], media)
	copy(m.Head.Root[:], root)
	copy(m.Head.Digest[:], digest)
	copy(m.Head.Identity[:], identity)
	m.Head.State = m.State
	m.Head.Duration = time.Duration(duration) * time.Microsecond
	m.Head.SealedAt = fromMicros(sealed)
	m.Created, m.SentAt, m.Expires = fromMicros(created), fromMicros(sent), fromMicros(expires)
	return parseAddress(author, &m.Author)
}

// CreateMessage implements message.Store.
func (s Messages) CreateMessage(ctx context.Context, m message.Message, priv ed25519.PrivateKey) (out message.Message, created bool, err error) {
	err = s.db.Write(ctx, func(tx *sql.Tx) (err error) {
		if created, err = s.db.insertMessage(ctx, tx, m, priv, nil); err != nil {
			return err
		}
		out, err = readMessage(ctx, tx, m.Key)
		return err
	})
	return out, created, err
}

// insertMessage reports whether the message is new.
func (db *DB) insertMessage(ctx context.Context, tx *sql.Tx, m message.Message, priv ed25519.PrivateKey, mail []byte) (bool, error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO message (origin, mid, state, kind, author, subject, text, public_key, private_key, announced,
			lines, root, checkpoint, media_bytes, duration, sealed_at, digest, identity, sides, created, sent_at, expires, complete, mail, changed, forwards)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 0, x'', x'', 0, ?11, 0, x'', x'', 0, ?12, ?13, ?14, 0, ?15, ?16, ?17)
		ON CONFLICT (origin, mid) DO NOTHING`,
		m.Origin, m.ID, m.State, m.Kind, m.Author.String(), m.Subject, m.Text, []byte(m.PublicKey), nilIfEmpty(priv), m.Announced,
		m.Head.Duration.Microseconds(), micros(m.Created), micros(m.SentAt), micros(m.Expires), nilIfEmpty(mail), micros(db.now()), forwardsText(m.Forwards))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func forwardsText(refs []activmail.MessageRef) string {
	names := make([]string, len(refs))
	for i, r := range refs {
		names[i] = r.String()
	}
	return strings.Join(names, " ")
}

func nilIfEmpty[B ~[]byte](b B) any {
	if len(b) == 0 {
		return nil
	}
	return []byte(b)
}

func readMessage(ctx context.Context, q Querier, k message.Key) (m message.Message, err error) {
	row := q.QueryRowContext(ctx, `SELECT `+messageColumns+` FROM message WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID)
	return m, notFound(scanMessage(row, &m), "message")
}

// messageRow is the row id of a message. NotFound.
func messageRow(ctx context.Context, q Querier, k message.Key) (id int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT id FROM message WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID).Scan(&id)
	return id, notFound(err, "message")
}

// Message implements message.Store.
func (s Messages) Message(ctx context.Context, k message.Key) (m message.Message, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		m, err = readMessage(ctx, q, k)
		return err
	})
	return m, err
}

// Keys lists up to limit messages behind a row number, 0 for the first page, and returns
// the number for the next page. Messages that come meanwhile are listed last.
func (s Messages) Keys(ctx context.Context, after int64, limit int) (keys []message.Key, next int64, err error) {
	scan := func(row scanner, k *message.Key) error { return row.Scan(&next, &k.Origin, &k.ID) }
	err = s.db.One(ctx, func(q Querier) error {
		keys, err = collect(ctx, q, scan, `SELECT id, origin, mid FROM message WHERE id > ?1 ORDER BY id LIMIT ?2`, after, limit)
		return err
	})
	return keys, next, err
}

// PrivateKey implements message.Store.
func (s Messages) PrivateKey(ctx context.Context, k message.Key) (ed25519.PrivateKey, error) {
	return s.bytes(ctx, k, "private_key", "message of this server")
}

// Mail implements message.Store.
func (s Messages) Mail(ctx context.Context, k message.Key) ([]byte, error) {
	return s.bytes(ctx, k, "mail", "mail")
}

func (s Messages) bytes(ctx context.Context, k message.Key, column, what string) (b []byte, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		err := q.QueryRowContext(ctx, `SELECT `+column+` FROM message WHERE origin = ?1 AND mid = ?2 AND `+column+` IS NOT NULL`, k.Origin, k.ID).Scan(&b)
		return notFound(err, what)
	})
	return b, err
}

// AppendLines implements message.Store.
func (s Messages) AppendLines(ctx context.Context, k message.Key, from int64, lines []message.Line, h message.Head, have message.Ranges) error {
	now := s.db.now()
	return s.db.Write(ctx, func(tx *sql.Tx) error {
		old, err := readMessage(ctx, tx, k)
		if err != nil {
			return err
		}
		if old.Head.Lines != from {
			return vam.Wrap(vam.Conflict, &activmail.PositionError{Size: old.Head.Lines}, "the log has %d lines, not %d", old.Head.Lines, from).WithProblem("log-position")
		}
		// The caller's head may be older than a send, an expiry or a purge.
		h.State = later(old.State, h.State)
		id, err := messageRow(ctx, tx, k)
		if err != nil {
			return err
		}
		if err := insertLines(ctx, tx, id, lines); err != nil {
			return err
		}
		if err := updateHead(ctx, tx, id, h, now); err != nil {
			return err
		}
		if have != nil && old.Media != (blob.ID{}) {
			if err := saveHave(ctx, tx, old.Media, have); err != nil {
				return err
			}
		}
		if err := chargeEntries(ctx, tx, k, old, h); err != nil {
			return err
		}
		if err := completeOwn(ctx, tx, k, id, old.Head, now); err != nil {
			return err
		}
		if old.SentAt.IsZero() {
			return nil
		}
		return followState(ctx, tx, id, k, old, h.State, now)
	})
}

// later is the state of a message after an append whose head says said. A log never
// purges.
func later(stored, said vam.State) vam.State {
	order := []vam.State{vam.Purged, vam.Draft, vam.Live, vam.Sealed, vam.Expired, vam.Revoked}
	if stored == vam.Purged && said != vam.Revoked || slices.Index(order, stored) > slices.Index(order, said) {
		return stored
	}
	return said
}

func insertLines(ctx context.Context, tx *sql.Tx, id int64, lines []message.Line) error {
	for _, l := range lines {
		if _, err := tx.ExecContext(ctx, `INSERT INTO line (message, n, raw, off, len) VALUES (?1, ?2, ?3, ?4, ?5)`, id, l.N, l.Raw, l.Offset, l.Length); err != nil {
			return err
		}
	}
	return nil
}

func updateHead(ctx context.Context, tx *sql.Tx, id int64, h message.Head, now time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE message SET state = ?2, lines = ?3, root = ?4, checkpoint = ?5, media_bytes = ?6, duration = ?7,
			sealed_at = ?8, digest = ?9, identity = ?10, sides = ?11, changed = ?12,
			expires = CASE ?13 WHEN 0 THEN expires ELSE ?13 END WHERE id = ?1`,
		id, h.State, h.Lines, h.Root[:], append([]byte{}, h.Checkpoint...), h.MediaBytes, h.Duration.Microseconds(),
		micros(h.SealedAt), h.Digest[:], h.Identity[:], h.Sides, micros(now), micros(h.Expires))
	return err
}

// chargeEntries shows the size in every mailbox that holds the message. What is
// announced counts until the log says more, or is sealed.
func chargeEntries(ctx context.Context, tx *sql.Tx, k message.Key, old message.Message, h message.Head) error {
	size := chargedSize(old.Announced, h)
	if size == chargedSize(old.Announced, old.Head) && h.SealedAt.Equal(old.Head.SealedAt) && old.Head.Lines > 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE entry SET size = ?3, duration = ?4 WHERE origin = ?1 AND mid = ?2`, k.Origin, k.ID, size, h.Duration.Microseconds())
	return err
}

func chargedSize(announced vam.Bytes, h message.Head) vam.Bytes {
	if !h.SealedAt.IsZero() {
		return vam.Bytes(h.MediaBytes)
	}
	return max(announced, vam.Bytes(h.MediaBytes))
}

// completeOwn completes a message of this server in the commit that seals it: its
// bytes are durable before its lines.
func completeOwn(ctx context.Context, tx *sql.Tx, k message.Key, id int64, old message.Head, now time.Time) error {
	var own bool
	if err := tx.QueryRowContext(ctx, `SELECT private_key IS NOT NULL AND sealed_at > 0 FROM message WHERE id = ?1`, id).Scan(&own); err != nil {
		return err
	}
	if !own || !old.SealedAt.IsZero() {
		return nil
	}
	return complete(ctx, tx, k, "", now)
}

// followState does what a change of a sent message means for others.
func followState(ctx context.Context, tx *sql.Tx, id int64, k message.Key, old message.Message, st vam.State, now time.Time) error {
	// Nobody follows a log beyond its seal: whatever comes after it is told (AM-6.30).
	if st != old.State || !old.Head.SealedAt.IsZero() {
		if err := pokeAll(ctx, tx, id, k, now); err != nil {
			return err
		}
	}
	if st != vam.Revoked || old.State == vam.Revoked {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE recipient SET state = ?2, text = 'taken back before it was delivered', next_at = 0, changed = ?3
		WHERE message = ?1 AND state IN ('queued', 'offering', 'waiting')`, id, vam.Withdrawn, micros(now)); err != nil {
		return err
	}
	return withdraw(ctx, tx, k, now)
}

func pokeAll(ctx context.Context, tx *sql.Tx, id int64, k message.Key, now time.Time) error {
	domains, err := collect(ctx, tx, scanDomain, `SELECT DISTINCT domain FROM offer_out WHERE message = ?1 AND body IS NOT NULL`, id)
	if err != nil {
		return err
	}
	for _, d := range domains {
		job := queue.Job{Kind: queue.Poke, Key: k.String() + " " + string(d), Domain: d, NextAt: now, Created: now, Deadline: now.Add(pokeHorizon)}
		if err := enqueue(ctx, tx, job); err != nil {
			return err
		}
	}
	return nil
}

// withdraw is what a revoke means for the mailboxes of this server, wherever the
// message came from (AM-8.16).
func withdraw(ctx context.Context, tx *sql.Tx, k message.Key, now time.Time) error {
	const text = "the sender took this message back"
	if _, err := setEntries(ctx, tx, k, 0, []mailbox.State{mailbox.Held, mailbox.Arriving, mailbox.Stored}, mailbox.Withdrawn, text, now); err != nil {
		return err
	}
	return moveRcpts(ctx, tx, k, move{from: []vam.RecipientState{vam.Held, vam.Accepted, vam.Stored}, to: vam.Withdrawn, event: activmail.EventWithdrawn, text: text, at: now})
}

// pokeHorizon is how long a peer that cannot be reached is told of a change (AM-6.32).
const pokeHorizon = 14 * 24 * time.Hour

func scanDomain(row scanner, d *vam.Domain) error { return row.Scan(d) }

func scanLine(row scanner, l *message.Line) error {
	return row.Scan(&l.N, &l.Raw, &l.Offset, &l.Length)
}

// Lines implements message.Store.
func (s Messages) Lines(ctx context.Context, k message.Key, from, limit int64) (out []message.Line, err error) {
	err = s.db.One(ctx, func(q Querier) error {
		out, err = collect(ctx, q, scanLine, `SELECT n, raw, off, len FROM line
			WHERE message = (SELECT id FROM message WHERE origin = ?1 AND mid = ?2) AND n >= ?3 ORDER BY n LIMIT ?4`, k.Origin, k.ID, from, limit)
		return err
	})
	return out, err
}
