package speccheck

import (
	"fmt"
	"slices"
)

// Exemption is a requirement that a citation would say nothing of, and why: no program
// can hold it, or a reader has to.
type Exemption struct {
	ID     ID
	Code   bool // no code is asked for
	Test   bool // no test is asked for
	Reason string
}

// Exempt lists the requirements of spec/ that are not asked for a citation. A row here is
// for what only a person can judge; what could be tested and is not does not belong here.
func Exempt() []Exemption {
	both := func(chapter, number int, reason string) Exemption {
		return Exemption{ID{chapter, number}, true, true, reason}
	}
	test := func(chapter, number int, reason string) Exemption {
		return Exemption{ID{chapter, number}, false, true, reason}
	}
	return []Exemption{
		test(2, 24, "connections are kept for each pair of domains, so that no two share one: read internal/nativeout/peers.go"),
		test(8, 20, "the words of `vam revoke`: read them"),
		both(12, 14, "this server sends no mail by SMTP"),
		both(12, 15, "this server takes no mail by SMTP"),
		both(12, 16, "this server takes no mail by SMTP, and the requirement only allows"),
		both(14, 11, "the mailbox serves what was pulled and shows nothing that would fetch: read internal/userapi"),
		both(14, 13, "what is logged and kept, and for how long: read docs/ and the log statements"),
		both(15, 2, "binds those who change the specification"),
	}
}

// Missing lists what the report found without code or test and no exemption excuses, and
// exemptions that are not needed any more or are of no requirement.
func (r Report) Missing(s *Spec, exempt []Exemption) []string {
	var out []string
	excused := map[ID]Exemption{}
	for _, e := range exempt {
		excused[e.ID] = e
		noCode, noTest := slices.Contains(r.NoCode, e.ID), slices.Contains(r.NoTest, e.ID)
		switch {
		case !s.Has(e.ID):
			out = append(out, fmt.Sprintf("%s is exempt and does not exist", e.ID))
		case e.Code && !noCode, e.Test && !noTest:
			out = append(out, fmt.Sprintf("%s is exempt and is cited all the same: take it off the table", e.ID))
		}
	}
	for _, id := range s.IDs() {
		e := excused[id]
		if slices.Contains(r.NoCode, id) && !e.Code {
			out = append(out, fmt.Sprintf("%s: no code names %s, %s", s.Defined[id], id, clip(s.Text[id], 72)))
		}
		if slices.Contains(r.NoTest, id) && !e.Test {
			out = append(out, fmt.Sprintf("%s: no test names %s, %s", s.Defined[id], id, clip(s.Text[id], 72)))
		}
	}
	return out
}
