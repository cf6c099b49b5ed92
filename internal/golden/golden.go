// Package golden compares what a program writes with a file of the checkout, or writes
// the file anew: the flag -update says which.
package golden

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update is a flag of every test binary that imports this package.
var update = flag.Bool("update", false, "write golden files anew")

// Updating reports whether files are written anew.
func Updating() bool { return *update }

// Compare fails unless the file holds got; with -update it does afterwards.
func Compare(t testing.TB, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s is old; -update (`make docs`) writes it anew:\n%s", file, diff)
	}
}
