// Package sqlite keeps everything but media in one SQLite file, and implements the
// stores that the services declare.
//
// Every write is durable when it returns: the journal is a write-ahead log and every
// commit is flushed (synchronous=FULL; NORMAL loses the last commits in a power
// cut). One goroutine writes and puts the writes that wait into one transaction, so
// that they share the flush. Readers see the last committed state and wait for
// nobody.
//
// Nothing else in the process may open the database file: POSIX drops a process's
// locks on a file when any of its descriptors is closed.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
)

// defaultBusy is how long a connection waits for another process's lock.
const defaultBusy = 10 * time.Second

// Options of Open. The zero value is good.
type Options struct {
	// Readers is how many queries read at the same time; 0 is twice the processors,
	// at least 4.
	Readers int
	// OnFail is called once, with the cause, when a flush failed and the database
	// takes nothing more until a restart. It must not call the DB.
	OnFail func(error)
	// Busy is how long to wait for a lock of another process; 0 is 10 s.
	Busy time.Duration
	// Now is the clock of what the stores stamp themselves; nil is time.Now.
	Now func() time.Time
	// Migrations holds the schema as goose SQL files; nil is this package's own.
	Migrations fs.FS

	trace func(query string) // sees every statement that is prepared; for tests
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	write   *sql.DB // one connection
	read    *sql.DB
	onFail  func(error)
	now     func() time.Time
	failure atomic.Pointer[vam.Error]

	writes  chan *job
	closing chan struct{}
	writer  sync.WaitGroup

	mu     sync.Mutex
	closed bool
	reads  sync.WaitGroup // grows under mu while closed is not set
}

// Querier is what a reading store needs; *sql.Tx has it too.
type Querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Open opens the database file at path, makes it when it is not there, and brings its
// schema up to this program. Errors: Conflict when the schema is newer than this
// program or the file is another program's; Corrupt when it is no database or damaged;
// OverQuota, Busy and Unavailable as in Write.
func Open(ctx context.Context, path string, o Options) (*DB, error) {
	if o.Busy == 0 {
		o.Busy = defaultBusy
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := makeFile(path); err != nil {
		return nil, classify(err)
	}
	if err := migrate(ctx, path, o); err != nil {
		return nil, classify(err)
	}
	write, err := connect(path, writerPragmas(o), true, o.trace)
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	read, err := connect(path, readerPragmas(o), false, o.trace)
	if err != nil {
		write.Close()
		return nil, err
	}
	readers := o.Readers
	if readers <= 0 {
		readers = max(4, 2*runtime.GOMAXPROCS(0))
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	db := &DB{
		write: write, read: read, onFail: o.OnFail, now: o.Now,
		writes: make(chan *job), closing: make(chan struct{}),
	}
	if err := db.checkDurable(ctx); err != nil {
		return nil, errors.Join(err, write.Close(), read.Close())
	}
	db.writer.Go(db.runWriter)
	return db, nil
}

// makeFile makes the database file for the owner alone; SQLite gives its mode to the
// files beside it. The folder is flushed so that the name outlives a power cut.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func basePragmas(o Options) url.Values {
	return url.Values{
		"_busy_timeout": {fmt.Sprint(o.Busy.Milliseconds())},
		"_foreign_keys": {"on"},
		"_defensive":    {"1"}, // no statement can damage the file by design of SQLite
		"_dqs":          {"0"}, // "x" is a name and never a string
		"_pragma":       {"temp_store(memory)"},
	}
}

func writerPragmas(o Options) url.Values {
	v := basePragmas(o)
	v.Set("_txlock", "immediate")
	v.Set("_journal_mode", "wal")
	v.Set("_synchronous", "full")
	// A log that once grew (a long reader, a backup) is cut back at its next reset.
	v.Add("_pragma", "journal_size_limit(67108864)")
	v.Add("_pragma", "cache_size(-8192)")
	return v
}

func readerPragmas(o Options) url.Values {
	v := basePragmas(o)
	v.Set("_query_only", "on")
	return v
}

// checkDurable makes sure that a commit is what this package says it is: some file
// systems cannot carry a write-ahead log, and SQLite then silently does without.
func (db *DB) checkDurable(ctx context.Context) error {
	var journal string
	if err := db.write.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal); err != nil {
		return classify(err)
	}
	var synchronous int
	if err := db.write.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
		return classify(err)
	}
	if journal != "wal" || synchronous != 2 {
		return vam.Errorf(vam.Unavailable, "the database cannot keep a write-ahead log here (journal %s, synchronous %d): put the data folder on a local disk", journal, synchronous)
	}
	return nil
}

// Read runs fn on one consistent state of the database, the newest that is
// committed. fn must not call Write. Errors: fn's; Corrupt; Busy; Unavailable.
func (db *DB) Read(ctx context.Context, fn func(Querier) error) error {
	return db.reading(func() error {
		tx, err := db.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }() // there is nothing to lose
		return fn(tx)
	})
}

// One is Read for an fn of one statement, which is a transaction of its own and so
// costs half.
func (db *DB) One(ctx context.Context, fn func(Querier) error) error {
	return db.reading(func() error { return fn(db.read) })
}

// reading keeps the files open while f reads.
func (db *DB) reading(f func() error) error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return errClosed
	}
	db.reads.Add(1)
	db.mu.Unlock()
	defer db.reads.Done()
	return classify(f())
}

// exists reports whether a query finds anything.
func (db *DB) exists(ctx context.Context, query string, args ...any) (any bool, err error) {
	err = db.One(ctx, func(q Querier) error {
		return q.QueryRowContext(ctx, `SELECT EXISTS (`+query+`)`, args...).Scan(&any)
	})
	return any, err
}

// Close waits for the reads and writes that are under way and closes the files. Later
// calls fail with Unavailable. Closing twice is no error.
func (db *DB) Close() error {
	db.mu.Lock()
	again := db.closed
	db.closed = true
	db.mu.Unlock()
	if again {
		return nil
	}
	close(db.closing)
	db.writer.Wait()
	db.reads.Wait()
	return classify(errors.Join(db.read.Close(), db.write.Close()))
}

// Check reads the whole database and returns Corrupt with what is wrong first. It
// may run beside everything else.
func (db *DB) Check(ctx context.Context) error {
	return db.Read(ctx, func(q Querier) error {
		var found string
		if err := q.QueryRowContext(ctx, `PRAGMA integrity_check(1)`).Scan(&found); err != nil {
			return err
		}
		if found != "ok" {
			return vam.Wrap(vam.Corrupt, errors.New(found), "the database is damaged: stop the server and restore the newest backup")
		}
		var table string
		err := q.QueryRowContext(ctx, `SELECT "table" FROM pragma_foreign_key_check LIMIT 1`).Scan(&table)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err == nil {
			err = vam.Errorf(vam.Corrupt, "the database is damaged: a row of table %s points to nothing", table)
		}
		return err
	})
}
