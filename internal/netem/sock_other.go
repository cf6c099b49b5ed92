//go:build !linux

package netem

import "syscall"

func unacknowledged(syscall.Conn) int { return 0 }

func deepen(syscall.Conn, int) {}
