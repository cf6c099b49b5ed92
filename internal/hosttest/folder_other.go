//go:build !linux

package hosttest

import "testing"

func folder(t testing.TB) string {
	t.Helper()
	return t.TempDir()
}
