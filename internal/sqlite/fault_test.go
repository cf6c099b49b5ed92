//go:build fault

package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/fault"
	"github.com/videoactivmail/vam/internal/fault/faulttest"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// TestKilledAtEveryPoint lets the child kill itself at each point, at several hits.
func TestKilledAtEveryPoint(t *testing.T) {
	for _, point := range faulttest.Points(t, 2) {
		t.Run(point, func(t *testing.T) {
			place := t.TempDir()
			check(t, openAll(t, filepath.Join(place, "vam.db"), sqlite.Options{}).Close())
			var lines []string
			for _, hit := range []int{1, 2, 7, 30} {
				c := startChild(t, "accept", place, []string{fmt.Sprintf("%s=%s=crash@%d", fault.Env, point, hit)})
				c.wantKilled()
				lines = append(lines, c.lines...)
				checkPromises(t, place, lines)
			}
		})
	}
}

// An error before the commit undoes everything of it and nothing else.
func TestErrorBeforeCommit(t *testing.T) {
	db := openAll(t, filepath.Join(t.TempDir(), "vam.db"), sqlite.Options{OnFail: func(err error) { t.Errorf("alarm: %v", err) }})
	defer db.Close()
	check(t, db.Queue().Enqueue(t.Context(), offerJob("before")))
	rules, err := fault.Parse("sqlite.before-commit=error:EIO")
	check(t, err)
	restore := fault.Set(rules...)
	defer restore()
	if err := db.Queue().Enqueue(t.Context(), offerJob("lost")); err == nil || !vam.KindOf(err).Temporary() {
		t.Errorf("a commit that failed: %v, want a temporary error", err)
	}
	check(t, db.Queue().Enqueue(t.Context(), offerJob("after")))
	jobs, err := db.Queue().Jobs(t.Context(), "", 10)
	check(t, err)
	if len(jobs) != 2 || jobs[0].Key != "before" || jobs[1].Key != "after" {
		t.Errorf("the jobs are %+v", jobs)
	}
}
