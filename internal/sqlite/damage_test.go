package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// filled is a closed database with a few hundred jobs, and its bytes.
func filled(t *testing.T) (path string, file []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "vam.db")
	db := openAll(t, path, sqlite.Options{})
	var jobs []queue.Job
	for i := range 300 {
		j := offerJob(fmt.Sprint(i))
		j.Payload = bytes.Repeat([]byte{byte(i)}, 300)
		jobs = append(jobs, j)
	}
	check(t, db.Queue().Enqueue(t.Context(), jobs...))
	check(t, db.Close())
	file, err := os.ReadFile(path)
	check(t, err)
	return path, file
}

// A page that cannot be right is Corrupt for whoever meets it, for readers and for
// writers, and nobody else.
func TestDamagedPage(t *testing.T) {
	path, file := filled(t)
	db := openAll(t, path, sqlite.Options{})
	var root int
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		return q.QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = 'job'`).Scan(&root)
	}))
	check(t, db.Close())
	page := int(binary.BigEndian.Uint16(file[16:]))
	at := (root - 1) * page
	copy(file[at:], bytes.Repeat([]byte{0xee}, page))
	check(t, os.WriteFile(path, file, 0o600))

	db = openAll(t, path, sqlite.Options{})
	defer db.Close()
	_, err := db.Queue().Jobs(t.Context(), "", 10)
	wantKind(t, "reading the damaged table", err, vam.Corrupt)
	wantKind(t, "writing to it", db.Queue().Enqueue(t.Context(), offerJob("new")), vam.Corrupt)
	wantKind(t, "checking", db.Check(t.Context()), vam.Corrupt)
	_, err = db.Accounts().AccountByID(t.Context(), 1)
	wantKind(t, "reading beside it", err, vam.NotFound)
}

// Whatever octets change on the disk, the database opens or says what is wrong, and
// never crashes the process or loops.
func TestDamagedAnywhere(t *testing.T) {
	path, file := filled(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	found := 0
	for range 25 {
		bad := bytes.Clone(file)
		for range 1 + rnd.IntN(20) {
			bad[rnd.IntN(len(bad))] ^= byte(1 + rnd.IntN(255))
		}
		check(t, os.WriteFile(path, bad, 0o600))
		if err := useAll(t.Context(), path); err != nil {
			found++
			if kind := vam.KindOf(err); kind != vam.Corrupt && kind != vam.Conflict && kind != vam.Internal && kind != vam.Unavailable {
				t.Errorf("a damaged database: %v (kind %s)", err, kind)
			}
		}
		_ = os.Remove(path + "-wal")
		_ = os.Remove(path + "-shm")
	}
	if found == 0 {
		t.Error("no damage was noticed")
	}
}

// useAll opens, checks, reads and writes a database and returns the first error.
func useAll(ctx context.Context, path string) error {
	db, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer db.Close()
	if err := db.Check(ctx); err != nil {
		return err
	}
	if _, err := db.Queue().Jobs(ctx, "", 1000); err != nil {
		return err
	}
	return db.Queue().Enqueue(ctx, offerJob("new"))
}

// A row that points to nothing is damage too, though every page is right.
func TestCheckFindsOrphans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	db := openAll(t, path, sqlite.Options{})
	check(t, db.Check(t.Context()))
	check(t, db.Close())
	raw, err := sql.Open("sqlite", path)
	check(t, err)
	_, err = raw.Exec(`INSERT INTO line (message, n, raw, off, len) VALUES (7, 0, x'00', 0, 0)`)
	check(t, err)
	check(t, raw.Close())
	db = openAll(t, path, sqlite.Options{})
	defer db.Close()
	err = db.Check(t.Context())
	wantKind(t, "a line of no message", err, vam.Corrupt)
	if err != nil && !strings.Contains(err.Error(), "line") {
		t.Errorf("%q does not name the table", err)
	}
}

func TestDamagedHead(t *testing.T) {
	path, file := filled(t)
	for name, bad := range map[string][]byte{
		"cut off":       file[:len(file)/2],
		"another magic": append([]byte("SQLite format 2\x00"), file[16:]...),
		"zeros":         make([]byte, len(file)),
	} {
		check(t, os.WriteFile(path, bad, 0o600))
		err := useAll(t.Context(), path)
		wantKind(t, name, err, vam.Corrupt)
		_ = os.Remove(path + "-wal")
		_ = os.Remove(path + "-shm")
	}
}

// Another process that holds the database is waited for, and then Busy; nothing is
// lost, and it goes on when the other lets go.
func TestBusy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vam.db")
	db := openAll(t, path, sqlite.Options{Busy: 20 * time.Millisecond})
	defer db.Close()
	check(t, db.Queue().Enqueue(t.Context(), offerJob("before")))
	other, err := sql.Open("sqlite", path)
	check(t, err)
	defer other.Close()
	other.SetMaxOpenConns(1)
	_, err = other.Exec(`BEGIN IMMEDIATE`)
	check(t, err)
	err = db.Queue().Enqueue(t.Context(), offerJob("meanwhile"))
	wantKind(t, "a write beside another process's", err, vam.Busy)
	jobs, err := db.Queue().Jobs(t.Context(), "", 10)
	if err != nil || len(jobs) != 1 {
		t.Errorf("reading meanwhile: %d jobs, %v", len(jobs), err)
	}
	newer := append([]string{schema}, slices.Repeat([]string{secondStep}, len(migrationFiles(t)))...)
	_, err = sqlite.Open(t.Context(), path, sqlite.Options{Busy: 20 * time.Millisecond, Migrations: steps(newer...)})
	if err == nil || vam.KindOf(err) == vam.Corrupt {
		t.Errorf("opening it with another schema meanwhile: %v", err)
	}
	_, err = other.Exec(`ROLLBACK`)
	check(t, err)
	check(t, db.Queue().Enqueue(t.Context(), offerJob("after")))
}
