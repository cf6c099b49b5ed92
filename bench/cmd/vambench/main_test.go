package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func chosen(t *testing.T, only string) []string {
	t.Helper()
	fs, err := choose(only)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range fs {
		out = append(out, f.name)
	}
	return out
}

func TestChoose(t *testing.T) {
	if got := strings.Join(chosen(t, ""), ","); got != names() {
		t.Errorf("all: %s", got)
	}
	if diff := cmp.Diff([]string{"transfer", "wire"}, chosen(t, "wire,transfer")); diff != "" {
		t.Error(diff)
	}
	if _, err := choose("wire,nonesuch"); err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Errorf("got %v", err)
	}
}

// The page that explains the figures knows all of them and no other.
func TestEveryFigureIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(page)) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` |"); ok && strings.HasPrefix(line, "| `") {
			rows = append(rows, name)
		}
	}
	slices.Sort(rows)
	want := chosen(t, "")
	slices.Sort(want)
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Error(diff)
	}
}
