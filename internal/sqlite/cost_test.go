package sqlite_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// crowd fills a database with n of everything that grows: messages of one mailbox with
// their media, lines, offers and tokens, and jobs that are due towards one domain that
// is busy and one that is down, and later towards many others.
const crowd = `
INSERT INTO account (id, address, key, domain, name, quota, created) VALUES (1, 'bob@home.example', 'bob@home.example', 'home.example', '', 0, 1);
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO account (address, key, domain, name, quota, created) SELECT 'a' || i || '@home.example', 'a' || i || '@home.example', 'home.example', '', 0, i FROM n;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO device (account, token, label, created, last_used) SELECT 1, randomblob(32), '', i, 0 FROM n;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO contact (account, key, address, domain, standing, since) SELECT 1, 'c' || i, 'c' || i || '@d' || i || '.example', 'd' || i || '.example', 'blocked', i FROM n;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO media (id, have, identity, complete, created) SELECT unhex(printf('%032x', i)), x'', unhex(printf('%064x', i)), 1, i FROM n;
INSERT INTO media_holder SELECT id, 'away.example' FROM media;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO message (origin, mid, state, kind, author, subject, text, public_key, private_key, media, announced, lines, root, checkpoint, media_bytes, duration,
	sealed_at, digest, identity, sides, created, sent_at, expires, complete, forwards, changed)
SELECT iif(i % 2, 'away.example', 'home.example'), printf('%08x', i), iif(i % 5, 'sealed', 'expired'), 'video', 'eve@away.example', '', '', x'', iif(i % 2, NULL, x'00'),
	iif(i % 5, unhex(printf('%032x', i)), NULL), 0, 4, x'', x'', 0, 0, 1, x'', x'', 0, i, i, iif(i % 3, 0, 9000000000 + i), 1, '', i FROM n;
DELETE FROM idle;
DELETE FROM loose;
INSERT INTO line SELECT message.id, value, x'00', 0, 0 FROM message, json_each('[0,1,2,3]');
INSERT INTO entry (account, folder, origin, mid, rcpt, sender, subject, kind, bounce, state, reason, size, duration, at, changed, seen, not_before)
SELECT 1, iif(id % 2, 'inbox', 'sent'), origin, mid, '', '', '', 'video', 0, 'stored', '', 1, 0, id, id, 0, 0 FROM message;
INSERT INTO offer_in SELECT id, 'o' || id, x'', '', 1, id, id + 1000000000 FROM message;
INSERT INTO offer_rcpt SELECT id, 'o' || id, 0, 'bob@home.example', 1, 'stored', '', '' FROM message;
INSERT INTO offer_out SELECT 'o' || id, id, 'd' || id || '.example', NULL, id, 0 FROM message;
INSERT INTO pull_token SELECT randomblob(32), 'o' || id, id FROM message;
INSERT INTO recipient SELECT id, 0, 'x', 'x@away.example', 0, 'o' || id, 'stored', '', '', 0, 0, 0 FROM message;
INSERT INTO evidence (origin, mid, have, got, at) SELECT origin, mid, x'', x'', 0 FROM message;
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO job (kind, key, domain, attempts, next_at, deadline, created, reason, owner, until, again)
SELECT 'offer', 'j' || i, CASE i % 3 WHEN 0 THEN 'busy.example' WHEN 1 THEN 'down.example' ELSE 'd' || i || '.example' END, 0,
	CASE i % 3 WHEN 2 THEN 9000000000 + i ELSE i END, 0, i, '', '', 0, 0 FROM n;
INSERT INTO link (id, account, message, key, address, sum, maker, created, expires) SELECT unhex(printf('%032x', id)), 1, id, 'amy@away.example', 'amy@away.example', unhex(printf('%064x', id)), 7, id, 0 FROM message;
INSERT INTO play SELECT id, 'a', 1, 0.5 FROM link;
INSERT INTO media_info SELECT id, '{}', 1 FROM media;
INSERT INTO media_asset SELECT id, 'poster.jpg', randomblob(16), 'image/jpeg', 1, 1, 1, 'poster' FROM media;
INSERT INTO media_job (media, work, class, priority, state, next_at, created, changed) SELECT id, 'poster', 'quick', 0, 'done', 1, 1, 1 FROM media;
INSERT INTO media_job (media, work, class, priority, state, next_at, created, changed) SELECT id, 'peaks', 'quick', 1, 'failed', 1, 1, 1 FROM media;
INSERT INTO media_job (media, work, class, priority, state, next_at, created, changed) SELECT id, 'preview', 'quick', 2, 'waiting', 9000000000, 1, 1 FROM media;
INSERT INTO media_job (media, work, class, priority, state, next_at, created, changed) SELECT id, 'rendition', 'long', 3, 'waiting', 1, 1, 1 FROM media;
INSERT INTO destination VALUES ('down.example', 3, 8000000000, '');
`

// TestCostStaysFlat does what happens all day in a database and in one ten times as
// full. Ten times the pages would be a reading from end to end; a tree that has grown
// by a level costs a few more.
func TestCostStaysFlat(t *testing.T) {
	const small = 150
	few, many := costs(t, small), costs(t, 10*small)
	for what, n := range few {
		if m := many[what]; m > n+max(4, n) {
			t.Errorf("%s looks at %d pages, and at %d in a database ten times as full", what, n, m)
		}
	}
}

// costs is how many pages each action looks at.
func costs(t *testing.T, n int) map[string]int {
	now := time.UnixMicro(5_000_000_000)
	db := openAll(t, filepath.Join(t.TempDir(), "vam.db"), sqlite.Options{Readers: 1, Now: func() time.Time { return now }})
	defer db.Close()
	check(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		for text := range strings.SplitSeq(strings.TrimSpace(crowd), ";\n") {
			var args []any
			if strings.Contains(text, "?1") {
				args = append(args, n)
			}
			if _, err := tx.ExecContext(context.Background(), text, args...); err != nil {
				return fmt.Errorf("%s: %w", text, err)
			}
		}
		return nil
	}))
	out := map[string]int{}
	actions := everyDay(t, db, n, now)
	for _, warm := range []bool{true, false} { // preparing a statement reads the schema
		for what, do := range actions {
			before, err := sqlite.Pages(t.Context(), db)
			check(t, err)
			check(t, do(t.Context()))
			after, err := sqlite.Pages(t.Context(), db)
			check(t, err)
			if out[what] = after - before; !warm && out[what] == 0 {
				t.Errorf("%s costs nothing: it is not measured", what)
			}
		}
	}
	return out
}

// everyDay are the actions; each can be done twice.
func everyDay(t *testing.T, db *sqlite.DB, n int, now time.Time) map[string]func(context.Context) error {
	last := message.Key{Origin: "home.example", ID: vam.MessageID(fmt.Sprintf("%08x", n))}
	want := queue.Want{
		Owner: "me", Kinds: []queue.Kind{queue.Offer, queue.Poke}, Now: now, Until: now.Add(time.Minute), Limit: 32, PerDomain: 8,
		Running: map[vam.Domain]int{"busy.example": 8},
	}
	identity := activmail.Hash{}
	identity[31] = 1
	linkID, mediaID := grant.ID{15: 1}, blob.ID{15: 1}
	return map[string]func(context.Context) error{
		"a look for work": func(ctx context.Context) error {
			jobs, err := db.Queue().Lease(ctx, want)
			if len(jobs) > 0 {
				t.Errorf("leased of domains that are busy or down: %+v", jobs)
			}
			return err
		},
		"one job from enqueue to finish": func(ctx context.Context) error {
			j := queue.Job{Kind: queue.Poke, Key: "k", Domain: "new.example", NextAt: now, Created: now}
			if err := db.Queue().Enqueue(ctx, j); err != nil {
				return err
			}
			jobs, err := db.Queue().Lease(ctx, want)
			if err != nil || len(jobs) != 1 {
				return fmt.Errorf("%d jobs, %w", len(jobs), err)
			}
			return db.Queue().Finish(ctx, "me", jobs[0].ID)
		},
		"a lease of a domain with a backlog": func(ctx context.Context) error {
			w := want
			w.Running, w.Limit = nil, 4
			jobs, err := db.Queue().Lease(ctx, w)
			if err != nil || len(jobs) != 4 {
				return fmt.Errorf("%d jobs, %w", len(jobs), err)
			}
			for _, j := range jobs {
				if err := db.Queue().Retry(ctx, "me", j.ID, now, ""); err != nil {
					return err
				}
			}
			return nil
		},
		"the next due time": func(ctx context.Context) error { return second(db.Queue().NextDue(ctx, want.Kinds, now)) },
		"the first jobs":    func(ctx context.Context) error { return second(db.Queue().Jobs(ctx, "", 10)) },
		"a domain's jobs":   func(ctx context.Context) error { return second(db.Queue().Jobs(ctx, "busy.example", 10)) },
		"a failure": func(ctx context.Context) error {
			return second(db.Queue().Fail(ctx, "down.example", queue.Failure{At: now}))
		},
		"a domain reached": func(ctx context.Context) error { return db.Queue().Reached(ctx, "d5.example", now) },

		"a whole id": func(ctx context.Context) error {
			return second(db.Mailboxes().FindEntries(ctx, 1, "0193ad7a-6d3c-7000-8000-000000000001", 10))
		},
		"a first page": func(ctx context.Context) error {
			return second(db.Mailboxes().Entries(ctx, 1, mailbox.Filter{Folder: mailbox.Sent, Limit: 10}))
		},
		"a late page": func(ctx context.Context) error {
			return second(db.Mailboxes().Entries(ctx, 1, mailbox.Filter{Folder: mailbox.Sent, Limit: 1, Before: "00000020"}))
		},
		"an entry":   func(ctx context.Context) error { return second(db.Mailboxes().Entry(ctx, 1, last.Origin, last.ID)) },
		"a mark":     func(ctx context.Context) error { return db.Mailboxes().MarkSeen(ctx, 1, last.Origin, last.ID, now) },
		"an account": func(ctx context.Context) error { return second(db.Accounts().AccountByID(ctx, 7)) },
		"an address": func(ctx context.Context) error {
			return second(db.Accounts().AccountByAddress(ctx, vam.Address{Local: "bob", Domain: "home.example"}))
		},
		"the oldest": func(ctx context.Context) error { return second(db.Accounts().OldestAccount(ctx, "home.example")) },
		"a domain":   func(ctx context.Context) error { return second(db.Accounts().KnowsDomain(ctx, "d7.example")) },
		"a login": func(ctx context.Context) error {
			return unfound(third(db.Accounts().DeviceByToken(ctx, activmail.Sum{1})))
		},
		"a pull": func(ctx context.Context) error {
			return unfound(third(db.Deliveries().TokenMessage(ctx, activmail.Sum{1}, now)))
		},
		"a message": func(ctx context.Context) error { return second(db.Messages().Message(ctx, last)) },
		"its lines": func(ctx context.Context) error { return second(db.Messages().Lines(ctx, last, 2, 10)) },
		"media":     func(ctx context.Context) error { return second(db.Messages().FindMedia(ctx, identity, "away.example")) },
		"evidence": func(ctx context.Context) error {
			return db.Messages().KeepEvidence(ctx, last, []byte{1}, []byte{2}, now)
		},
		"a recipient": func(ctx context.Context) error {
			u := delivery.Update{Address: vam.Address{Local: "x", Domain: "away.example"}, State: vam.Accepted}
			return second(db.Deliveries().Settle(ctx, last, []delivery.Update{u}, nil))
		},
		"an offer": func(ctx context.Context) error { return second(db.Deliveries().Offer(ctx, "o5")) },
		"its body": func(ctx context.Context) error {
			return second(db.Deliveries().SaveOfferBody(ctx, "o5", []byte{1}, sha256.Sum256([]byte("x")), now))
		},
		"an append": func(ctx context.Context) error {
			m, err := db.Messages().Message(ctx, last)
			if err != nil {
				return err
			}
			h := m.Head
			h.Lines++
			return db.Messages().AppendLines(ctx, last, m.Head.Lines, []message.Line{{N: m.Head.Lines, Raw: []byte{1}}}, h, nil)
		},

		"a link": func(ctx context.Context) error { return third(db.Grants().GrantBySum(ctx, activmail.Sum(identity))) },
		"its plays": func(ctx context.Context) error {
			return db.Grants().SavePlay(ctx, linkID, grant.Play{Session: "a", At: now})
		},
		"a password": func(ctx context.Context) error {
			return errors.Join(db.Grants().Try(ctx, linkID, now), db.Grants().Solved(ctx, linkID))
		},
		"the links of a message": func(ctx context.Context) error { return second(db.Grants().Grants(ctx, 1, last)) },
		"the same link again": func(ctx context.Context) error {
			g := grant.Grant{ID: grant.NewID(), Account: 1, Key: last, Rcpt: vam.Address{Local: "amy", Domain: "away.example"}}
			_, _, added, err := db.Grants().AddGrant(ctx, g, grant.Secret{Maker: 7})
			if added {
				t.Error("the link was not found")
			}
			return err
		},
		"what plays":     func(ctx context.Context) error { return second(db.Playback().Look(ctx, mediaID)) },
		"an asset":       func(ctx context.Context) error { return second(db.Playback().Asset(ctx, mediaID, "poster.jpg")) },
		"new media":      func(ctx context.Context) error { return second(db.Playback().Fresh(ctx, 10)) },
		"the first work": func(ctx context.Context) error { return second(db.Playback().Jobs(ctx, playback.Filter{Limit: 10})) },
		"the failed work": func(ctx context.Context) error {
			return second(db.Playback().Jobs(ctx, playback.Filter{State: playback.Failed, Limit: 10}))
		},
		"when work is due": func(ctx context.Context) error { return second(db.Playback().NextDue(ctx, media.Quick, now)) },
		"known objects":    func(ctx context.Context) error { return second(db.Retention().HasMedia(ctx, blob.NewID())) },
		"no work that is due": func(ctx context.Context) error {
			_, ok, err := db.Playback().Lease(ctx, playback.Want{Owner: "me", Class: media.Quick, Now: now, Until: now.Add(time.Minute)})
			if ok {
				t.Error("work was leased before its time")
			}
			return err
		},
		"work with a backlog": func(ctx context.Context) error {
			j, ok, err := db.Playback().Lease(ctx, playback.Want{Owner: "me", Class: media.Long, Now: now, Until: now.Add(time.Minute)})
			if err != nil || !ok {
				return fmt.Errorf("leased: %v, %w", ok, err)
			}
			if err := db.Playback().Renew(ctx, "me", j.ID, 0.5, now.Add(time.Minute)); err != nil {
				return err
			}
			return db.Playback().Finish(ctx, "me", j.ID, playback.Outcome{At: now})
		},

		"a sweep": func(ctx context.Context) error {
			day := now.Add(-24 * time.Hour)
			for _, err := range []error{
				second(db.Retention().Expire(ctx, now, 100)), second(db.Retention().Detach(ctx, 100)), second(db.Retention().Condemn(ctx, now, 100)),
				second(db.Retention().DropMessages(ctx, time.UnixMicro(1), 100)), second(db.Receptions().Forget(ctx, day, 100)),
				second(db.Receptions().HeldSince(ctx, now, 100)), second(db.Submissions().OldDrafts(ctx, now, 100)), second(db.Submissions().OverdueLive(ctx, now, message.Key{}, 100)),
			} {
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func second[A any](_ A, err error) error { return err }

func third[A, B any](_ A, _ B, err error) error { return err }

// unfound turns the expected NotFound into success.
func unfound(err error) error {
	if err == nil || vam.KindOf(err) != vam.NotFound {
		return fmt.Errorf("found: %w", err)
	}
	return nil
}
