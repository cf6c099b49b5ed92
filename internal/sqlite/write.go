package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault"
)

// Bounds of one transaction, so that nobody waits long for the others' work.
const (
	batchWrites = 256
	batchTime   = 20 * time.Millisecond
	gather      = 3 // looks for one more, other goroutines first: on a busy machine more of them share the flush
)

// job is one caller of Write.
type job struct {
	fn       func(*sql.Tx) error
	err      error
	panicked any
	done     chan struct{} // closed when err and panicked are set
}

// Write runs fn in a transaction and returns when it is durable. Writes that wait at
// the same time share one transaction, each behind its own savepoint: an error of fn
// undoes fn alone, and is returned. fn runs once, on another goroutine, must neither
// commit nor roll back, and must not call Write or Read. Its statements are not
// interrupted when ctx ends (SQLite would undo the others' work with it); ctx bounds
// the wait before fn.
//
// Errors: fn's; OverQuota when the disk is full (it heals by itself); Busy when
// another process holds the database; Conflict for a broken constraint; Corrupt;
// Unavailable when the database cannot be written, or a flush failed and a restart
// is needed. After any error nothing of fn is kept, but for a failed flush: then a
// restart may find it (AM-14.10, AM-8.13).
func (db *DB) Write(ctx context.Context, fn func(*sql.Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &job{fn: fn, done: make(chan struct{})}
	select {
	case db.writes <- w:
	case <-ctx.Done():
		return ctx.Err()
	case <-db.closing:
		return errClosed
	}
	<-w.done
	if w.panicked != nil {
		panic(w.panicked)
	}
	return classify(w.err)
}

// runWriter owns the writing connection.
func (db *DB) runWriter() {
	for {
		select {
		case w := <-db.writes:
			db.commit(w)
		case <-db.closing:
			return
		}
	}
}

// commit makes one transaction of first and of whatever else waits.
func (db *DB) commit(first *job) {
	batch, err := db.runBatch(first)
	for _, w := range batch {
		if w.err == nil {
			w.err = err
		}
		close(w.done)
	}
}

// runBatch returns the writes that it took, and the error that undid those of them
// that had none of their own.
func (db *DB) runBatch(first *job) ([]*job, error) {
	batch := []*job{first}
	if e := db.failure.Load(); e != nil {
		return batch, e
	}
	tx, err := db.write.BeginTx(context.Background(), nil)
	if err != nil {
		return batch, db.judge(err)
	}
	begun := time.Now()
	for w := first; w != nil; w = db.another(begun, &batch) {
		if err := w.run(tx); err != nil {
			_ = tx.Rollback() // most often SQLite has done so
			return batch, db.judge(err)
		}
	}
	err = fault.Point("sqlite.before-commit")
	if err == nil {
		err = tx.Commit()
	}
	if err != nil {
		_ = tx.Rollback()
		return batch, db.judge(err)
	}
	return batch, fault.Point("sqlite.after-commit")
}

// another takes the next waiting write into the batch, if there is one and room.
func (db *DB) another(begun time.Time, batch *[]*job) *job {
	if len(*batch) >= batchWrites || time.Since(begun) > batchTime {
		return nil
	}
	for range gather {
		select {
		case w := <-db.writes:
			*batch = append(*batch, w)
			return w
		default:
			runtime.Gosched()
		}
	}
	return nil
}

// run runs one write behind a savepoint. It keeps the write's own error in w and
// returns an error only when the whole transaction is lost.
func (w *job) run(tx *sql.Tx) error {
	ctx := context.Background()
	if _, err := tx.ExecContext(ctx, `SAVEPOINT one`); err != nil {
		return err
	}
	if w.err = w.call(tx); w.err == nil && w.panicked == nil {
		_, err := tx.ExecContext(ctx, `RELEASE one`)
		return err
	}
	// A full disk and the like end the transaction under the savepoint: then there is
	// nothing to go back to.
	if _, err := tx.ExecContext(ctx, `ROLLBACK TO one`); err != nil {
		if w.err != nil {
			return w.err
		}
		return err
	}
	_, err := tx.ExecContext(ctx, `RELEASE one`)
	return err
}

// call keeps a panic of fn for its caller, where it belongs.
func (w *job) call(tx *sql.Tx) (err error) {
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			err = fmt.Errorf("panic: %v", w.panicked)
		}
	}()
	return w.fn(tx)
}

// judge stops the database after a failed flush: what SQLite would write and flush
// next may rest on pages that the disk has lost.
func (db *DB) judge(err error) error {
	if !lostWrite(err) {
		return err
	}
	e := vam.Wrap(vam.Unavailable, err,
		"this server's disk failed to keep what was written to its database; it takes nothing new until its operator has looked at the disk and restarted it")
	if db.failure.CompareAndSwap(nil, e) && db.onFail != nil {
		db.onFail(err)
	}
	return e
}
