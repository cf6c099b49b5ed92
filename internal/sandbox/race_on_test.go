//go:build race

package sandbox_test

// The race detector reserves a large address space.
const (
	raceEnabled = true
	memory      = 0
)
