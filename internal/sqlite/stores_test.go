package sqlite_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/sqlite"
	"github.com/videoactivmail/vam/internal/storetest"
)

// schemaFile is a database without rows, made once: bringing a fresh file up to the
// schema costs more than most tests.
var schemaFile = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "vam-schema")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "vam.db")
	db, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// openAll opens a database with the schema of this package.
func openAll(t testing.TB, path string, o sqlite.Options) *sqlite.DB {
	t.Helper()
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		file, err := schemaFile()
		check(t, err)
		check(t, os.WriteFile(path, file, 0o600))
	}
	db, err := sqlite.Open(context.Background(), path, o)
	check(t, err)
	return db
}

// openStores is how the suites open a database.
func openStores(o sqlite.Options) storetest.Opener {
	return func(t testing.TB, place string, now func() time.Time) storetest.Stores {
		o := o
		o.Now = now
		return stores(openAll(t, filepath.Join(place, "vam.db"), o))
	}
}

func stores(db *sqlite.DB) storetest.Stores {
	return storetest.Stores{
		Accounts: db.Accounts(), Mailboxes: db.Mailboxes(), Messages: db.Messages(), Queue: db.Queue(), Deliveries: db.Deliveries(),
		Submissions: db.Submissions(), Receptions: db.Receptions(), Retention: db.Retention(),
		Grants: db.Grants(), Playback: db.Playback(), Close: db.Close,
	}
}

func TestStores(t *testing.T) {
	var asked statements
	storetest.Run(t, openStores(sqlite.Traced(sqlite.Options{}, asked.note)))
	t.Run("Plans", asked.checkPlans)
}
