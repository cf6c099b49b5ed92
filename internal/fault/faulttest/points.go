// Package faulttest finds the fault points of a package for its tests.
package faulttest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// Points are the names of fault points in the Go files of the present folder, sorted, so
// that a new one is tested without being told. It fails when there are fewer than least,
// or a name is there twice.
func Points(t testing.TB, least int) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`fault\.Point\("([^"]+)"\)`)
	var names []string
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range call.FindAllSubmatch(src, -1) {
			names = append(names, string(m[1]))
		}
	}
	slices.Sort(names)
	if len(names) < least || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Fatalf("fault points %q: too few, or one name twice", names)
	}
	return names
}
