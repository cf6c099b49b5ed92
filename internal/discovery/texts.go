package discovery

import (
	"context"
	"time"
)

// Lifetimes of TXT records that belong to no domain look-up: mail keys and policies of
// authors. Strangers choose the names, so a dead name server is not asked once per
// mail.
const (
	maxTextLife = time.Hour
	noTextLife  = 5 * time.Minute
)

// Texts asks for TXT records and remembers the answers, the absence of a record
// included, for their time to live and at most an hour. Safe for concurrent use;
// questions for one name at the same time are asked once.
type Texts struct {
	resolver Resolver
	known    *lru[string, []string]
	flights  *flight[string, []string]
}

// NewTexts remembers 10,000 names. now is the clock; nil is time.Now.
func NewTexts(r Resolver, now func() time.Time) *Texts {
	if now == nil {
		now = time.Now
	}
	return &Texts{resolver: r, known: newLRU[string, []string](defaultEntries, now), flights: newFlight[string, []string]()}
}

// LookupTXT returns the TXT records of name, the strings of each joined; none is an
// empty list. Its other errors are temporary.
func (t *Texts) LookupTXT(ctx context.Context, name string) ([]string, error) {
	if known, ok := t.known.get(name); ok {
		return known, nil
	}
	return t.flights.do(ctx, name, func() ([]string, error) {
		answer, err := t.resolver.LookupTXT(ctx, name)
		if missing := notFound(err); err != nil && missing != nil {
			t.known.put(name, nil, min(max(missing.TTL, minNoKeyLife), noTextLife))
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		t.known.put(name, answer.Records, min(answer.TTL, maxTextLife))
		return answer.Records, nil
	})
}
