package sqlite_test

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/videoactivmail/vam/internal/sqlite"
)

// statements collects what the stores ask while they are tested.
type statements struct {
	mu    sync.Mutex
	texts map[string]bool
}

func (s *statements) note(query string) {
	verb, _, _ := strings.Cut(strings.TrimSpace(query), " ")
	if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE"}, verb) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.texts == nil {
		s.texts = map[string]bool{}
	}
	s.texts[query] = true
}

// harmless are the steps of a plan that read more than they need, and why they may.
var harmless = []struct{ step, statement, why string }{
	{`^SCAN CONSTANT ROW$|^SCAN json_each `, ``, "no table"},
	{`^SCAN (idle|loose|loose_asset|media_fresh)$`, ``, "a list of what is to be looked at, emptied by that"},
	{`^SCAN account USING INDEX`, `^SELECT .* FROM account ORDER BY key$`, "the list of accounts"},
	{`^SCAN job USING INDEX job_next$`, `ORDER BY next_at, id LIMIT`, "in order, to the limit"},
	{`^SCAN media_job USING INDEX media_job_open$`, `ORDER BY id LIMIT`, "in order, to the limit"},
	{`^SCAN job$`, `^UPDATE job SET owner = ''.* WHERE owner NOT IN`, "once at start"},
	{`^SEARCH entry .*\(account=\?\)`, `^(DELETE FROM|INSERT INTO) account|substr\(mid`, "one mailbox, when it is made, deleted or searched for a part of an id"},
	{`^USE TEMP B-TREE FOR .*ORDER BY$`, `FROM (alias|recipient|offer_in)\b|FROM media_job WHERE media =|substr\(mid|DELETE FROM pull_token`, "as many as one account, message, offer or recording has"},
	{`^USE TEMP B-TREE FOR DISTINCT$`, `FROM offer_out WHERE message`, "as many as one message has"},
}

// checkPlans holds every statement against the rule that nothing is read from one end
// to the other that grows with what is stored.
func (s *statements) checkPlans(t *testing.T) {
	db := openAll(t, filepath.Join(t.TempDir(), "vam.db"), sqlite.Options{})
	defer db.Close()
	used := make([]bool, len(harmless))
	for _, text := range slices.Sorted(maps.Keys(s.texts)) {
		for _, step := range plan(t, db, text) {
			if !suspicious(step) {
				continue
			}
			ok := false
			for i, h := range harmless {
				if regexp.MustCompile(h.step).MatchString(step) && regexp.MustCompile(h.statement).MatchString(strings.Join(strings.Fields(text), " ")) {
					ok, used[i] = true, true
				}
			}
			if !ok {
				t.Errorf("%s\n  in the plan of %s", step, text)
			}
		}
	}
	if len(s.texts) < 100 {
		return // only some of the tests have run
	}
	for i, h := range harmless {
		if !used[i] {
			t.Errorf("no plan needs the exception %q (%s) any more", h.step, h.why)
		}
	}
}

// suspicious reports whether a step may read more than its statement gives.
func suspicious(step string) bool {
	return strings.HasPrefix(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") ||
		regexp.MustCompile(`^SEARCH entry .*\(account=\?\)`).MatchString(step)
}

// plan is what SQLite says that it would do, without the help of any statistics.
func plan(t *testing.T, db *sqlite.DB, text string) (steps []string) {
	t.Helper()
	check(t, db.Read(t.Context(), func(q sqlite.Querier) error {
		rows, err := q.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+text, make([]any, strings.Count(text, "?"))...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			steps = append(steps, step)
		}
		return rows.Err()
	}))
	return steps
}
