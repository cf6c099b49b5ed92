package sqlite_test

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	driver "modernc.org/sqlite"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// schema is the one of these tests; the stores have theirs.
const schema = `-- +goose Up
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB) STRICT;
CREATE TABLE child (item INTEGER NOT NULL REFERENCES item (id)) STRICT;
`

func openAt(t testing.TB, path string, o sqlite.Options) *sqlite.DB {
	t.Helper()
	if o.Migrations == nil {
		o.Migrations = steps(schema)
	}
	db, err := sqlite.Open(t.Context(), path, o)
	check(t, err)
	t.Cleanup(func() { check(t, db.Close()) })
	return db
}

func openNew(t testing.TB) *sqlite.DB {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "vam.db"), sqlite.Options{})
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, what string, err error, want vam.ErrorKind) {
	t.Helper()
	if err == nil || vam.KindOf(err) != want {
		t.Errorf("%s: %v, want kind %s", what, err, want)
	}
}

func insert(name string) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		_, err := tx.ExecContext(context.Background(), `INSERT INTO item (name) VALUES (?1)`, name)
		return err
	}
}

func names(t testing.TB, db *sqlite.DB) string {
	t.Helper()
	var all sql.NullString
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		return q.QueryRowContext(t.Context(), `SELECT group_concat(name, ' ' ORDER BY name) FROM item`).Scan(&all)
	}))
	return all.String
}

func TestWriteAndRead(t *testing.T) {
	db := openNew(t)
	check(t, db.Write(t.Context(), insert("a")))
	if got := names(t, db); got != "a" {
		t.Errorf("read %q, want what was written", got)
	}
	err := db.Read(t.Context(), func(q sqlite.Querier) error {
		_, err := q.(*sql.Tx).ExecContext(t.Context(), `DELETE FROM item`)
		return err
	})
	wantKind(t, "writing on a reading connection", err, vam.Unavailable)
}

// Many writes meet in one transaction; those that fail are undone alone.
func TestWritesShareOneTransaction(t *testing.T) {
	db := openNew(t)
	mine := errors.New("mine")
	block, waiting := make(chan struct{}), make(chan struct{})
	var g errgroup.Group
	g.Go(func() error {
		return db.Write(t.Context(), func(tx *sql.Tx) error {
			close(waiting)
			<-block
			return insert("first")(tx)
		})
	})
	<-waiting
	for i := range 40 {
		name := string(rune('A' + i))
		g.Go(func() error {
			err := db.Write(t.Context(), func(tx *sql.Tx) error {
				if err := insert(name)(tx); err != nil {
					return err
				}
				switch i % 4 {
				case 1:
					return mine
				case 2:
					return insert("first")(tx) // breaks a constraint
				}
				return nil
			})
			switch {
			case i%4 == 1 && !errors.Is(err, mine):
				t.Errorf("write %d: %v, want its own error", i, err)
			case i%4 == 2:
				wantKind(t, "a broken constraint", err, vam.Conflict)
			case i%4 != 1:
				return err
			}
			return nil
		})
	}
	close(block)
	check(t, g.Wait())
	if got := strings.Fields(names(t, db)); len(got) != 21 {
		t.Errorf("%d rows, want the first and the 20 good ones: %q", len(got), got)
	}
}

// inTheMiddle is what the SQL function meanwhile() of this process does.
var inTheMiddle atomic.Pointer[func()]

func meanwhile(*driver.FunctionContext, []sqldriver.Value) (sqldriver.Value, error) {
	if f := inTheMiddle.Load(); f != nil {
		(*f)()
	}
	return int64(1), nil
}

// A caller whose context ends does not take the others' work with it.
func TestEndedContext(t *testing.T) {
	db := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	end := func() { cancel() }
	inTheMiddle.Store(&end)
	defer inTheMiddle.Store(nil)
	err := db.Write(ctx, func(tx *sql.Tx) error {
		if err := insert("a")(tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO item (name) WITH RECURSIVE n (i) AS (VALUES (meanwhile()) UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT i FROM n`)
		return err
	})
	if err != nil {
		t.Errorf("a write that was running when its context ended: %v", err)
	}
	err = db.Write(ctx, insert("b"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a write under an ended context: %v", err)
	}
	check(t, db.Write(t.Context(), insert("c")))
	err = db.Read(ctx, func(sqlite.Querier) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a read under an ended context: %v", err)
	}
}

// A reader whose context ends stops in the middle, and says why.
func TestEndedRead(t *testing.T) {
	db := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	end := func() { cancel() }
	inTheMiddle.Store(&end)
	defer inTheMiddle.Store(nil)
	err := db.Read(ctx, func(q sqlite.Querier) error {
		var n int
		return q.QueryRowContext(ctx, `WITH RECURSIVE n (i) AS (VALUES (meanwhile()) UNION ALL SELECT i + 1 FROM n WHERE i < 2000000000) SELECT count(*) FROM n`).Scan(&n)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a read whose context ended: %v", err)
	}
	check(t, db.Write(t.Context(), insert("a")))
	if got := names(t, db); got != "a" {
		t.Errorf("afterwards the rows are %q", got)
	}
}

func TestPanicGoesToItsCaller(t *testing.T) {
	db := openNew(t)
	func() {
		defer func() {
			if r := recover(); r != "mine" {
				t.Errorf("recovered %v, want the panic of the write", r)
			}
		}()
		_ = db.Write(t.Context(), func(tx *sql.Tx) error {
			check(t, insert("a")(tx))
			panic("mine")
		})
	}()
	check(t, db.Write(t.Context(), insert("b")))
	if got := names(t, db); got != "b" {
		t.Errorf("after a panic the rows are %q", got)
	}
}

// A read sees one state of the database from its first query to its last.
func TestReadIsASnapshot(t *testing.T) {
	db := openNew(t)
	count := func(q sqlite.Querier) (n int) {
		check(t, q.QueryRowContext(t.Context(), `SELECT count(*) FROM item`).Scan(&n))
		return n
	}
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		before := count(q)
		check(t, db.Write(t.Context(), insert("a")))
		if after := count(q); after != before {
			t.Errorf("%d rows became %d in one read", before, after)
		}
		return nil
	}))
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		if n := count(q); n != 1 {
			t.Errorf("the next read sees %d rows, want 1", n)
		}
		return nil
	}))
}

// One text may be running twice on a connection: inside the rows of itself.
func TestNestedQueryOfTheSameText(t *testing.T) {
	db := openNew(t)
	for _, name := range []string{"a", "b", "c"} {
		check(t, db.Write(t.Context(), insert(name)))
	}
	const text = `SELECT name FROM item ORDER BY name`
	var pairs int
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		outer, err := q.QueryContext(t.Context(), text)
		check(t, err)
		defer outer.Close()
		for outer.Next() {
			inner, err := q.QueryContext(t.Context(), text)
			check(t, err)
			for inner.Next() {
				pairs++
			}
			check(t, inner.Close())
		}
		return outer.Err()
	}))
	if pairs != 9 {
		t.Errorf("%d pairs of 3 rows, want 9", pairs)
	}
}

// More texts than a connection remembers.
func TestManyTexts(t *testing.T) {
	db := openNew(t)
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		for i := range 600 {
			var got int
			text := `SELECT ?1 -- ` + strings.Repeat("x", i%500)
			if err := q.QueryRowContext(t.Context(), text, i).Scan(&got); err != nil || got != i {
				t.Fatalf("text %d: %d, %v", i, got, err)
			}
		}
		return nil
	}))
}

func TestClose(t *testing.T) {
	db := openNew(t)
	check(t, db.Write(t.Context(), insert("a")))
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for {
				if err := db.Write(context.Background(), insert(time.Now().String())); err != nil {
					if vam.KindOf(err) != vam.Unavailable && vam.KindOf(err) != vam.Conflict {
						t.Errorf("a write at the end: %v", err)
					}
					if vam.KindOf(err) == vam.Unavailable {
						return
					}
				}
			}
		})
	}
	check(t, db.Close())
	check(t, db.Close())
	wg.Wait()
	wantKind(t, "writing after Close", db.Write(t.Context(), insert("b")), vam.Unavailable)
	wantKind(t, "reading after Close", db.Read(t.Context(), func(sqlite.Querier) error { return nil }), vam.Unavailable)
}
