//go:build !linux

package localblob

import "os"

// fdatasync flushes f whole; the portable call is the stronger one.
func fdatasync(f *os.File) error { return f.Sync() }

func beginWriteBack(*os.File) {}

func dropCache(*os.File) {}
