package web_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/web/webtest"
)

func report(d *webtest.Door, target, body string, headers ...string) int {
	return d.Do(http.MethodPost, target, strings.NewReader(body), headers...).Status
}

// TestPlayed: a view is a play. Whoever only looks, whatever it looks at, is no viewer.
func TestPlayed(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 100_000)
	const first = `{"session":"one","upTo":0.25}`
	// A scanner, an unfurler and a prefetcher fetch everything that a page names …
	for _, below := range []string{"", "state", "poster.jpg", "preview.gif", "play/original", "original"} {
		d.Do(http.MethodHead, d.URL(link, below), nil)
	}
	d.Get(d.URL(link, ""))
	d.Get(d.URL(link, "state"))
	if n := d.Plays(link); n != 0 {
		t.Fatalf("%d plays were counted of GET and HEAD", n)
	}
	// … and one may even post; but it has seen nothing.
	if got := report(d, d.URL(link, "played"), first); got != http.StatusConflict {
		t.Errorf("a play without media: %d", got)
	}
	d.Get(d.URL(link, "play/original"), "Range", "bytes=0-999")
	if n := d.Plays(link); n != 0 {
		t.Fatalf("%d plays were counted of a GET of media", n)
	}
	for range 2 { // said twice, counted once
		if got := report(d, d.URL(link, "played"), first, "Sec-Fetch-Site", "same-origin"); got != http.StatusNoContent {
			t.Fatalf("a play: %d", got)
		}
	}
	report(d, d.URL(link, "played"), `{"session":"one","upTo":1}`)
	if n := d.Plays(link); n != 1 {
		t.Errorf("%d plays were counted, want 1", n)
	}
	report(d, d.URL(link, "played"), `{"session":"two","upTo":0.5}`)
	if n := d.Plays(link); n != 2 {
		t.Errorf("%d plays were counted, want 2", n)
	}
	for _, tc := range []struct {
		body    string
		status  int
		headers []string
	}{
		{first, http.StatusForbidden, []string{"Sec-Fetch-Site", "cross-site"}},
		{"", http.StatusBadRequest, nil},
		{`{"session":"","upTo":0}`, http.StatusBadRequest, nil},
		{`{"session":"three","upTo":2}`, http.StatusBadRequest, nil},
		{`{"session":"` + string(bytes.Repeat([]byte("x"), 2000)) + `"}`, http.StatusBadRequest, nil},
	} {
		if got := report(d, d.URL(link, "played"), tc.body, tc.headers...); got != tc.status {
			t.Errorf("%.40q: %d, want %d", tc.body, got, tc.status)
		}
	}
	if n := d.Plays(link); n != 2 {
		t.Errorf("%d plays were counted, want 2", n)
	}
}
