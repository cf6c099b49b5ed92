package sqlite_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam/internal/sqlite"
)

// TestKilled kills the child after some promises, again and again on one folder.
func TestKilled(t *testing.T) {
	place := t.TempDir()
	rounds := 5
	if testing.Short() {
		rounds = 2
	}
	check(t, openAll(t, filepath.Join(place, "vam.db"), sqlite.Options{}).Close())
	var lines []string
	for range rounds {
		c := startChild(t, "accept", place, nil)
		c.wait(1 + rand.IntN(150))
		lines = append(lines, c.kill()...)
		checkPromises(t, place, lines)
	}
	t.Logf("%d promises kept over %d kills", len(lines), rounds)
}
