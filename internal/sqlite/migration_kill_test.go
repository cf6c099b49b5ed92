package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/sqlite"
)

// dying are the migrations of this package with a statement that kills the process
// behind the n-th statement of all, and how many statements they have.
func dying(t *testing.T, dir string, n int) int {
	t.Helper()
	check(t, os.MkdirAll(dir, 0o700))
	statements := 0
	for _, file := range migrationFiles(t) {
		text, err := os.ReadFile(file)
		check(t, err)
		up, down, _ := strings.Cut(string(text), "-- +goose Down")
		var out strings.Builder
		inside := false // a statement with semicolons of its own
		for line := range strings.Lines(up) {
			out.WriteString(line)
			inside = inside && !strings.Contains(line, "StatementEnd") || strings.Contains(line, "StatementBegin")
			ended := strings.HasSuffix(strings.TrimSpace(line), ";") && !inside || strings.Contains(line, "StatementEnd")
			if ended && !strings.HasPrefix(line, "--") || strings.Contains(line, "StatementEnd") {
				if statements++; statements == n {
					out.WriteString("SELECT die();\n")
				}
			}
		}
		text = []byte(out.String() + "-- +goose Down" + down)
		check(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), text, 0o600))
	}
	return statements
}

func migrationFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("migrations/*.sql")
	check(t, err)
	return files
}

// A migration that is killed leaves its step done or not begun, wherever it was.
func TestKilledMigration(t *testing.T) {
	all := dying(t, filepath.Join(t.TempDir(), "migrations"), 0)
	if all < 10 {
		t.Fatalf("the migrations have %d statements: they are not told apart", all)
	}
	for _, n := range []int{1, all / 3, all - all/3, all} {
		t.Run(fmt.Sprintf("%d of %d", n, all), func(t *testing.T) {
			place := t.TempDir()
			dying(t, filepath.Join(place, "migrations"), n)
			startChild(t, "migrate", place, nil).wantKilled()
			startChild(t, "migrate", place, nil).wantKilled() // and once more, on what is left
			db, err := sqlite.Open(t.Context(), filepath.Join(place, "vam.db"), sqlite.Options{})
			check(t, err)
			defer db.Close()
			check(t, db.Check(t.Context()))
			check(t, db.Queue().Enqueue(t.Context(), offerJob("works")))
			version(t, db, len(migrationFiles(t)))
		})
	}
}

// A second step that is killed leaves what the first one had.
func TestKilledSecondStep(t *testing.T) {
	place := t.TempDir()
	dir := filepath.Join(place, "migrations")
	check(t, os.Mkdir(dir, 0o700))
	put := func(name, text string) { check(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	put("0001_step.sql", schema)
	path := filepath.Join(place, "vam.db")
	db := openAt(t, path, sqlite.Options{Migrations: os.DirFS(dir)})
	check(t, db.Write(t.Context(), insert("a")))
	check(t, db.Close())

	put("0002_step.sql", strings.Replace(secondStep, "ALTER", "DELETE FROM item;\nSELECT die();\nALTER", 1))
	startChild(t, "migrate", place, nil).wantKilled()
	db = openAt(t, path, sqlite.Options{Migrations: steps(schema)})
	if got := names(t, db); got != "a" {
		t.Errorf("after the killed step the rows are %q", got)
	}
	check(t, db.Close())
	put("0002_step.sql", secondStep)
	db = openAt(t, path, sqlite.Options{Migrations: os.DirFS(dir)})
	version(t, db, 2)
	if got := names(t, db); got != "a" {
		t.Errorf("after the whole step the rows are %q", got)
	}
}

func version(t *testing.T, db *sqlite.DB, want int) {
	t.Helper()
	var have int
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		return q.QueryRowContext(t.Context(), `SELECT max(version_id) FROM goose_db_version`).Scan(&have)
	}))
	if have != want {
		t.Errorf("the schema is %d, want %d", have, want)
	}
}
