package sqlite

import (
	"database/sql"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/videoactivmail/vam"
)

var errClosed = vam.Errorf(vam.Unavailable, "this server is stopping; try again in a moment")

// Times after which another try is worth while.
const (
	fullRetry = 5 * time.Minute
	busyRetry = time.Second
)

// classify turns an error of SQLite or of the file system into one of ours. What is
// classified already, and what is not known, stays as it is.
func classify(err error) error {
	var known *vam.Error
	var code *sqlite.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.As(err, &code):
		return classifyCode(err, code.Code())
	case errors.Is(err, sql.ErrConnDone):
		return vam.Wrap(vam.Unavailable, err, "%s", errClosed.Message)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errFull(err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return errReadOnly(err)
	case errors.Is(err, fs.ErrNotExist):
		return vam.Wrap(vam.NotFound, err, "the data folder is not there: make it with vam init")
	}
	return err
}

func classifyCode(err error, code int) error {
	switch code & 0xff { // the primary code; the rest says where
	case lib.SQLITE_FULL:
		return errFull(err)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_PROTOCOL:
		return vam.Wrap(vam.Busy, err, "this server's database is in use by another process; try again in a moment").WithRetry(busyRetry)
	case lib.SQLITE_READONLY, lib.SQLITE_PERM, lib.SQLITE_CANTOPEN:
		return errReadOnly(err)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return vam.Wrap(vam.Corrupt, err, "this server's database is damaged; its operator has to restore a backup")
	case lib.SQLITE_IOERR:
		return vam.Wrap(vam.Unavailable, err, "this server's disk reports an error; its operator has to look at it")
	case lib.SQLITE_CONSTRAINT:
		return vam.Wrap(vam.Conflict, err, "that conflicts with what is stored already")
	case lib.SQLITE_TOOBIG:
		return vam.Wrap(vam.TooLarge, err, "a value is larger than the database takes")
	}
	return err
}

func errFull(cause error) error {
	return vam.Wrap(vam.OverQuota, cause, "this server's disk is full; nothing that was accepted is lost, try again later").WithRetry(fullRetry)
}

func errReadOnly(cause error) error {
	return vam.Wrap(vam.Unavailable, cause,
		"this server's database cannot be opened for writing; its operator has to mount the data folder writable or correct its permissions")
}

// lostWrite reports whether a flush failed.
func lostWrite(err error) bool {
	var code *sqlite.Error
	if !errors.As(err, &code) {
		return false
	}
	switch code.Code() {
	case lib.SQLITE_IOERR_FSYNC, lib.SQLITE_IOERR_DIR_FSYNC:
		return true
	}
	return false
}
