//go:build race

package harness

// Race reports whether the servers are built with the race detector: as the test is.
const Race = true
