//go:build !linux

package wire

import "syscall"

// SetCongestion does nothing here: the choice per socket is Linux's. It returns "".
func SetCongestion(syscall.RawConn, string) string { return "" }
