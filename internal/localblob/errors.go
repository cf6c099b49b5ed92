package localblob

import (
	"errors"
	"io/fs"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
)

// fullRetry is how soon a full disk is worth another try: somebody has to make room.
const fullRetry = 5 * time.Minute

var errReadOnly = vam.Errorf(vam.Unavailable,
	"this server's data folder cannot be written; its operator has to mount it writable or correct its permissions")

func errFull(cause error) error {
	return vam.Wrap(vam.OverQuota, cause,
		"this server's disk is full up to the reserve that its operator keeps; nothing that was accepted is lost, try again later").WithRetry(fullRetry)
}

// classify turns an error of the operating system into one of ours. What is
// classified already, and what is not known, stays as it is.
func classify(err error) error {
	var known *vam.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case isFull(err):
		return errFull(err)
	case isReadOnly(err):
		return vam.Wrap(vam.Unavailable, err, "%s", errReadOnly.Message)
	case errors.Is(err, fs.ErrNotExist):
		return vam.Wrap(vam.NotFound, err, "there is no such file or folder in this server's data folder")
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return vam.Wrap(vam.Busy, err, "this server has too many files open; try again in a moment").WithRetry(time.Second)
	case errors.Is(err, syscall.EIO):
		return vam.Wrap(vam.Unavailable, err, "this server's disk reports an error; its operator has to look at it")
	}
	return err
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || vam.KindOf(err) == vam.OverQuota
}

func isReadOnly(err error) bool {
	return errors.Is(err, syscall.EROFS) || errors.Is(err, fs.ErrPermission)
}
