package sqlite_test

import (
	"database/sql"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// steps are migrations 1, 2, …
func steps(sql ...string) fs.FS {
	m := fstest.MapFS{}
	for i, s := range sql {
		m[fmt.Sprintf("%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(s)}
	}
	return m
}

const (
	secondStep = "-- +goose Up\nALTER TABLE item ADD COLUMN size INTEGER NOT NULL DEFAULT 7;\n"
	brokenStep = "-- +goose Up\nCREATE TABLE half (id INTEGER);\nINSERT INTO nowhere VALUES (1);\n"
	orphanStep = "-- +goose Up\nINSERT INTO child (item) VALUES (99);\n"
)

// tryOpen opens and closes the file with the given schema.
func tryOpen(t *testing.T, path string, migrations fs.FS) error {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path, sqlite.Options{Migrations: migrations})
	if err == nil {
		check(t, db.Close())
	}
	return err
}

func TestSchemaGrows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	db := openAt(t, path, sqlite.Options{})
	check(t, db.Write(t.Context(), insert("a")))
	check(t, db.Close())

	db = openAt(t, path, sqlite.Options{Migrations: steps(schema, secondStep)})
	var size int
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		return q.QueryRowContext(t.Context(), `SELECT size FROM item WHERE name = 'a'`).Scan(&size)
	}))
	if size != 7 {
		t.Errorf("the new column holds %d, want its default", size)
	}
	check(t, db.Close())

	err := tryOpen(t, path, steps(schema))
	wantKind(t, "an older program", err, vam.Conflict)
	if err != nil && (!strings.Contains(err.Error(), "schema 2") || !strings.Contains(err.Error(), "up to 1")) {
		t.Errorf("%q does not name the two schemas", err)
	}
}

// A step that fails leaves nothing behind, and the next program goes on from there.
func TestFailedStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	if err := tryOpen(t, path, steps(schema, brokenStep)); err == nil {
		t.Fatal("a broken step was taken")
	}
	db := openAt(t, path, sqlite.Options{Migrations: steps(schema, secondStep)})
	var n int
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		return q.QueryRowContext(t.Context(), `SELECT count(*) FROM sqlite_schema WHERE name = 'half'`).Scan(&n)
	}))
	if n != 0 {
		t.Error("half of the broken step is there")
	}
}

func TestStepThatLeavesOrphans(t *testing.T) {
	if err := tryOpen(t, filepath.Join(t.TempDir(), "vam.db"), steps(schema, orphanStep)); err == nil || !strings.Contains(err.Error(), "child") {
		t.Errorf("a step that leaves a row without its parent: %v", err)
	}
}

func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(dir, "other.db")
	raw, err := sql.Open("sqlite", other)
	check(t, err)
	_, err = raw.Exec(`CREATE TABLE theirs (id INTEGER)`)
	check(t, err)
	check(t, raw.Close())
	wantKind(t, "another program's database", tryOpen(t, other, steps(schema)), vam.Conflict)

	text := filepath.Join(dir, "text.db")
	check(t, os.WriteFile(text, []byte(strings.Repeat("no database ", 100)), 0o600))
	wantKind(t, "a file that is no database", tryOpen(t, text, steps(schema)), vam.Corrupt)

	wantKind(t, "a folder that is not there", tryOpen(t, filepath.Join(dir, "none", "vam.db"), steps(schema)), vam.NotFound)
}

func TestFilesAreForTheOwnerAlone(t *testing.T) {
	dir := t.TempDir()
	db := openAt(t, filepath.Join(dir, "vam ?#%.db"), sqlite.Options{}) // a name that a URI would eat
	check(t, db.Write(t.Context(), insert("a")))
	entries, err := os.ReadDir(dir)
	check(t, err)
	if len(entries) != 3 {
		t.Errorf("%d files, want database, log and index", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		check(t, err)
		if !strings.HasPrefix(e.Name(), "vam ?#%.db") || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

// The database says itself that every commit is flushed.
func TestDurableSettings(t *testing.T) {
	db := openNew(t)
	check(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "10000"} {
			var got string
			if err := tx.QueryRowContext(t.Context(), `PRAGMA `+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q (%v), want %s", pragma, got, err, want)
			}
		}
		_, err := tx.ExecContext(t.Context(), `SELECT "no such column"`)
		if err == nil {
			t.Error("a name in quotes became a string")
		}
		return nil
	}))
	wantKind(t, "a row that points to nothing", db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO child (item) VALUES (5)`)
		return err
	}), vam.Conflict)
}

func TestCheckFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	db := openAt(t, path, sqlite.Options{})
	check(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO item (name, body) WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT i, zeroblob(100) FROM n`)
		return err
	}))
	check(t, db.Check(t.Context()))
	check(t, db.Close())

	f, err := os.OpenFile(path, os.O_RDWR, 0)
	check(t, err)
	junk := []byte(strings.Repeat("junk", 512))
	_, err = f.WriteAt(junk, 12*4096)
	check(t, err)
	check(t, f.Close())
	db = openAt(t, path, sqlite.Options{})
	wantKind(t, "a damaged page", db.Check(t.Context()), vam.Corrupt)
}
