package main

import (
	"context"
	"errors"
	"os"
	"syscall"

	"github.com/videoactivmail/vam"
)

// openFile opens an ordinary file that a person named. It looks before it opens: to open
// a pipe that nobody writes to would hold the program.
func openFile(path string) (*os.File, os.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, fileError(err, path)
	}
	if info.IsDir() {
		return nil, nil, vam.Errorf(vam.Invalid, "%s is a folder; send a file, or an archive of the folder", path)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, vam.Errorf(vam.Invalid, "%s is no ordinary file; what comes from a pipe or a device is sent with --live", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fileError(err, path)
	}
	if info, err = f.Stat(); err != nil || !info.Mode().IsRegular() {
		_ = f.Close()
		return nil, nil, fileError(errors.Join(err, errors.New("it was replaced just now")), path)
	}
	return f, info, nil
}

// openStream opens what may be a pipe. That waits for somebody at the other end, so that
// it is done beside the signals.
func openStream(ctx context.Context, path string, flag int) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened)
	go func() {
		f, err := os.OpenFile(path, flag, 0)
		select {
		case done <- opened{f, err}:
		case <-ctx.Done():
			if err == nil {
				_ = f.Close()
			}
		}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, fileError(o.err, path)
		}
		return o.f, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fileError classifies what the file system says of a file that a person named.
func fileError(err error, path string) error {
	var known *vam.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, os.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return vam.Errorf(vam.NotFound, "there is no file %s", path)
	case errors.Is(err, os.ErrPermission):
		return vam.Errorf(vam.Denied, "you may not use %s", path)
	case errors.Is(err, syscall.EISDIR):
		return vam.Errorf(vam.Invalid, "%s is a folder", path)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return vam.Errorf(vam.OverQuota, "there is no room left for %s; make room, then the same command goes on", path)
	}
	return vam.Wrap(vam.Unavailable, err, "%s cannot be used", path)
}
