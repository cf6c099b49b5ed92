package sqlite_test

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// commits counts the commits that are in the write-ahead log of a database: under
// synchronous=FULL each of them was one flush. Read from the file itself, so that the
// program is not asked to praise itself. (SQLite, "WAL-mode File Format".)
func commits(t *testing.T, path string) (n int) {
	t.Helper()
	wal, err := os.ReadFile(path + "-wal")
	check(t, err)
	const header, frameHeader = 32, 24
	if len(wal) < header {
		return 0
	}
	page := int(binary.BigEndian.Uint32(wal[8:]))
	salt := string(wal[16:24])
	for at := header; at+frameHeader+page <= len(wal); at += frameHeader + page {
		frame := wal[at:]
		if string(frame[8:16]) != salt {
			break // from before the log began anew
		}
		if binary.BigEndian.Uint32(frame[4:]) != 0 { // the size of the file: the last frame of a commit
			n++
		}
	}
	return n
}

// Those who wait share one flush; in the bubble everybody waits before it.
func TestWaitingWritesShareAFlush(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	file, err := schemaFile()
	check(t, err)
	check(t, os.WriteFile(path, file, 0o600))
	synctest.Test(t, func(t *testing.T) {
		db, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		check(t, err)
		defer db.Close()
		before := commits(t, path)
		hold := make(chan struct{})
		var g errgroup.Group
		g.Go(func() error {
			return db.Write(t.Context(), func(*sql.Tx) error { <-hold; return nil })
		})
		synctest.Wait()
		const waiting = 100
		for i := range waiting {
			g.Go(func() error {
				return db.Queue().Enqueue(t.Context(), queue.Job{Kind: queue.Offer, Key: fmt.Sprint(i), Domain: "a.example"})
			})
		}
		synctest.Wait()
		close(hold)
		check(t, g.Wait())
		if n := commits(t, path) - before; n != 1 {
			t.Errorf("%d writes that waited took %d flushes, want one", waiting, n)
		}
		for i := range 3 {
			check(t, db.Queue().Enqueue(t.Context(), queue.Job{Kind: queue.Poke, Key: fmt.Sprint(i), Domain: "a.example"}))
		}
		if n := commits(t, path) - before; n != 4 {
			t.Errorf("three writes one after the other brought the flushes to %d, want 4", n)
		}
	})
}

// A look at a queue without work, a domain that was always reached and a sweep with
// nothing to do flush nothing.
func TestIdleWorkCommitsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	db := openAll(t, path, sqlite.Options{})
	defer db.Close()
	far := time.Unix(2_000_000_000, 0)
	check(t, db.Queue().Enqueue(t.Context(), queue.Job{Kind: queue.Offer, Key: "later", Domain: "a.example", NextAt: far}))
	before := commits(t, path)
	w := queue.Want{Owner: "me", Kinds: []queue.Kind{queue.Offer}, Now: far.Add(-time.Second), Until: far, Limit: 10}
	for _, err := range []error{
		second(db.Queue().Lease(t.Context(), w)), second(db.Queue().NextDue(t.Context(), w.Kinds, w.Now)), db.Queue().Reached(t.Context(), "a.example", far),
		second(db.Retention().Expire(t.Context(), far, 10)), second(db.Retention().Detach(t.Context(), 10)), second(db.Retention().Condemn(t.Context(), far, 10)),
		second(db.Retention().DropMessages(t.Context(), far, 10)), second(db.Receptions().Forget(t.Context(), far, 10)),
		second(db.Receptions().HeldSince(t.Context(), far, 10)), second(db.Submissions().OldDrafts(t.Context(), far, 10)),
	} {
		check(t, err)
	}
	if n := commits(t, path) - before; n != 0 {
		t.Errorf("idle work made %d commits", n)
	}
}
