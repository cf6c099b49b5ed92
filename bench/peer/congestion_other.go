//go:build !linux

package peer

import "syscall"

func setCongestion(string) func(network, address string, c syscall.RawConn) error { return nil }

// Congestions lists what the kernel offers; nil where it does not say.
func Congestions() []string { return nil }

// DefaultCongestion is what a socket gets that does not ask.
func DefaultCongestion() string { return "" }
