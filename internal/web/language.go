package web

import (
	"net/http"
	"strconv"
	"strings"
)

// maxLanguages is how many entries of an Accept-Language are looked at.
const maxLanguages = 20

// language picks the catalogue for a request: what its query asks for ("?lang=de"), else
// what its browser prefers, else the first.
func language(all []*Catalogue, r *http.Request) *Catalogue {
	if c := spoken(all, r.URL.Query().Get("lang")); c != nil {
		return c
	}
	return preferred(all, r.Header.Get("Accept-Language"))
}

// preferred reads an Accept-Language (RFC 9110 section 12.5.4). Of two languages that are
// wanted as much the first one is taken; "*" is the first catalogue.
func preferred(all []*Catalogue, header string) *Catalogue {
	best, weight := all[0], 0.0
	for n := 0; header != "" && n < maxLanguages; n++ {
		var entry string
		entry, header, _ = strings.Cut(header, ",")
		tag, params, _ := strings.Cut(entry, ";")
		q := quality(params)
		if q <= weight {
			continue
		}
		tag = strings.TrimSpace(tag)
		c := spoken(all, tag)
		if tag == "*" {
			c = all[0]
		}
		if c != nil {
			best, weight = c, q
		}
	}
	return best
}

// quality reads ";q=0.8"; a broken one is 0.
func quality(params string) float64 {
	name, value, ok := strings.Cut(params, "=")
	if !ok || strings.TrimSpace(name) != "q" {
		return 1
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// spoken finds the catalogue of a tag by its primary subtag; nil is none.
func spoken(all []*Catalogue, tag string) *Catalogue {
	primary, _, _ := strings.Cut(tag, "-")
	for _, c := range all {
		own, _, _ := strings.Cut(c.Lang, "-")
		if strings.EqualFold(own, primary) {
			return c
		}
	}
	return nil
}
