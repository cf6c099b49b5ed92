// Package archtest holds the rules about who may import whom. It has no code of
// its own: table_test.go is the table, and arch_test.go compares `go list` with
// it, so that a new edge is a line that somebody reads.
package archtest
