package mailauth

import (
	"context"
	"strings"

	"github.com/videoactivmail/vam"
)

// maxWalk is the greatest number of DNS questions for one domain (RFC 9989
// section 4.10).
const maxWalk = 8

// aligner decides whether a signing domain speaks for an author domain. It keeps the
// answers of DNS for the one mail that it is made for.
type aligner struct {
	ctx   context.Context
	dns   TXTResolver
	cache map[string]*dmarcRecord
}

func newAligner(ctx context.Context, dns TXTResolver) *aligner {
	return &aligner{ctx: ctx, dns: dns, cache: make(map[string]*dmarcRecord)}
}

// aligned is identifier alignment (AM-12.8, RFC 9989 section 4.4): the same domain always;
// another one of the same organization unless the author domain's policy asks for
// strict alignment (adkim=s). Where nothing is published each domain is its own
// organization, so only the same domain aligns. Errors: Unavailable.
func (a *aligner) aligned(author, signing vam.Domain) (bool, error) {
	if author == signing {
		return true, nil
	}
	walk, err := a.walk(author)
	if err != nil {
		return false, err
	}
	org := walk.organization()
	if p := walk.policy(org); p != nil && p.strict {
		return false, nil
	}
	if !isBelow(signing, vam.Domain(org)) {
		return false, nil
	}
	other, err := a.walk(signing)
	if err != nil {
		return false, err
	}
	return other.organization() == org, nil
}

// treeWalk is the outcome of a DNS tree walk: the records found, from the domain
// upwards.
type treeWalk struct {
	domain string
	found  []foundRecord
}

type foundRecord struct {
	name string
	*dmarcRecord
}

// walk asks for the policy records at the domain and its parents (RFC 9989
// section 4.10): a name of eight labels or more jumps to its last seven, and a psd=
// of y or n ends the walk.
func (a *aligner) walk(d vam.Domain) (*treeWalk, error) {
	w := &treeWalk{domain: string(d)}
	name := w.domain
	for range maxWalk {
		r, err := a.record(name)
		if err != nil {
			return nil, err
		}
		if r != nil {
			w.found = append(w.found, foundRecord{name, r})
			if r.psd != 0 {
				break
			}
		}
		n := strings.Count(name, ".") + 1
		if n == 1 {
			break
		}
		name = lastLabels(vam.Domain(name), min(n-1, maxWalk-1))
	}
	return w, nil
}

// organization is the organizational domain (RFC 9989 section 4.10.2). A top-level
// domain is taken for a public suffix whatever its record says: otherwise one record
// there would make one organization of all domains below it.
func (w *treeWalk) organization() string {
	for _, f := range w.found {
		switch {
		case f.psd == 'n':
			return f.name
		case f.isPublicSuffix() && f.name != w.domain:
			return lastLabels(vam.Domain(w.domain), strings.Count(f.name, ".")+2)
		}
	}
	if n := len(w.found); n > 0 {
		return w.found[n-1].name
	}
	return w.domain
}

func (f foundRecord) isPublicSuffix() bool { return f.psd == 'y' || !strings.Contains(f.name, ".") }

// policy is the record that holds for the domain: its own, else that of its
// organization, else that of the public suffix (RFC 9989 section 4.10.1).
func (w *treeWalk) policy(org string) *dmarcRecord {
	for _, name := range []string{w.domain, org} {
		for _, f := range w.found {
			if f.name == name {
				return f.dmarcRecord
			}
		}
	}
	if n := len(w.found); n > 0 && w.found[n-1].isPublicSuffix() {
		return w.found[n-1].dmarcRecord
	}
	return nil
}

// dmarcRecord is what alignment needs of a policy record.
type dmarcRecord struct {
	psd    byte // 'y', 'n' or 0
	strict bool // adkim=s
}

// record asks for the one policy record of a name; several at one name count as none.
func (a *aligner) record(name string) (*dmarcRecord, error) {
	if r, ok := a.cache[name]; ok {
		return r, nil
	}
	texts, err := lookupTXT(a.ctx, a.dns, "_dmarc."+name)
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the mail policy of %s could not be fetched: DNS did not answer for _dmarc.%s", name, name).WithProblem(problemKey)
	}
	var found *dmarcRecord
	for _, text := range texts {
		r := parseDMARC(text)
		if r != nil && found != nil {
			found = nil
			break
		}
		if r != nil {
			found = r
		}
	}
	a.cache[name] = found
	return found, nil
}

// parseDMARC reads a policy record; nil is another kind of record. Unknown tags and
// values are ignored (RFC 9989 section 4.7).
func parseDMARC(text string) *dmarcRecord {
	const longest = 4096
	if len(text) > longest {
		return nil
	}
	var r dmarcRecord
	for i, spec := range strings.Split(text, ";") {
		name, value, _ := strings.Cut(spec, "=")
		name, value = strings.TrimFunc(name, isSpace), strings.TrimFunc(value, isSpace)
		switch {
		case i == 0 && (name != "v" || value != "DMARC1"):
			return nil
		case strings.EqualFold(name, "psd") && strings.EqualFold(value, "y"):
			r.psd = 'y'
		case strings.EqualFold(name, "psd") && strings.EqualFold(value, "n"):
			r.psd = 'n'
		case strings.EqualFold(name, "adkim"):
			r.strict = strings.EqualFold(value, "s")
		}
	}
	return &r
}

// lastLabels returns the last n labels of d, or all of them.
func lastLabels(d vam.Domain, n int) string {
	s := string(d)
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '.' {
			if n--; n == 0 {
				return s[i+1:]
			}
		}
	}
	return s
}
