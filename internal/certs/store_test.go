package certs_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
)

func newCA(t testing.TB) *certs.CA {
	t.Helper()
	ca, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func pairIn(dir, name string) certs.Pair {
	return certs.Pair{Cert: filepath.Join(dir, name+".pem"), Key: filepath.Join(dir, name+"-key.pem")}
}

func issued(t testing.TB, ca *certs.CA, dir, name string, l certs.Leaf) certs.Pair {
	t.Helper()
	p := pairIn(dir, name)
	if err := ca.IssueFiles(p, l); err != nil {
		t.Fatal(err)
	}
	return p
}

func open(t testing.TB, now func() time.Time, pairs ...certs.Pair) *certs.Store {
	t.Helper()
	s, err := certs.Open(pairs, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shown is the first name of the certificate that a client sees which asks for name.
func shown(t testing.TB, s *certs.Store, name string) string {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Server(server, &tls.Config{GetCertificate: s.GetCertificate, MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true}).Handshake()
	}()
	c := tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	<-done
	return c.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// TestGetCertificateByName is AM-2.26.
func TestGetCertificateByName(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	past := time.Now().Add(-time.Hour)
	s := open(t, nil,
		issued(t, ca, dir, "first", certs.Leaf{DNSNames: []string{"vam.a.test", "a.test"}}),
		issued(t, ca, dir, "b-old", certs.Leaf{DNSNames: []string{"old.b.test", "b.test"}, NotBefore: past.Add(-time.Hour), NotAfter: past}),
		issued(t, ca, dir, "b", certs.Leaf{DNSNames: []string{"new.b.test", "b.test"}}),
		issued(t, ca, dir, "wild", certs.Leaf{DNSNames: []string{"*.c.test"}}),
		issued(t, ca, dir, "srv", certs.Leaf{DNSNames: []string{"host.d.test"}, SRV: []vam.Domain{"d.test"}}),
	)
	for name, want := range map[string]string{
		"":             "vam.a.test",
		"a.test":       "vam.a.test",
		"B.TEST":       "new.b.test",
		"old.b.test":   "old.b.test", // expired: the client will say so
		"x.c.test":     "*.c.test",
		"x.y.c.test":   "vam.a.test",
		"d.test":       "host.d.test",
		"unknown.test": "vam.a.test",
	} {
		if got := shown(t, s, name); got != want {
			t.Errorf("for %q it shows %s, want %s", name, got, want)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	good := issued(t, ca, dir, "good", certs.Leaf{DNSNames: []string{"a.test"}})
	other := issued(t, ca, dir, "other", certs.Leaf{DNSNames: []string{"b.test"}})
	junk := filepath.Join(dir, "junk.pem")
	big := filepath.Join(dir, "big.pem")
	write(t, junk, "no certificate")
	write(t, big, strings.Repeat("x", 2<<20))
	for _, tc := range []struct {
		name  string
		pairs []certs.Pair
		kind  vam.ErrorKind
		text  string
	}{
		{"none", nil, vam.Invalid, "there is no certificate"},
		{"missing", []certs.Pair{{Cert: filepath.Join(dir, "absent.pem"), Key: good.Key}}, vam.NotFound, "absent.pem is not there"},
		{"missing key", []certs.Pair{good, {Cert: good.Cert, Key: filepath.Join(dir, "absent-key.pem")}}, vam.NotFound, "absent-key.pem is not there"},
		{"no certificate", []certs.Pair{{Cert: junk, Key: good.Key}}, vam.Invalid, "cannot be used together"},
		{"another key", []certs.Pair{{Cert: good.Cert, Key: other.Key}}, vam.Invalid, "cannot be used together"},
		{"too big", []certs.Pair{{Cert: big, Key: good.Key}}, vam.Invalid, "at most 1 MiB"},
		{"a folder", []certs.Pair{{Cert: dir, Key: good.Key}}, vam.Invalid, "no PEM file"},
	} {
		_, err := certs.Open(tc.pairs, nil)
		if vam.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v (%v)", tc.name, err, vam.KindOf(err))
		}
	}
}

func write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReloadKeepsTheOldOne(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	a := issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{"one.a.test"}})
	b := issued(t, ca, dir, "b", certs.Leaf{DNSNames: []string{"one.b.test"}})
	s := open(t, nil, a, b)

	issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{"two.a.test"}})
	write(t, b.Cert, "half a certif")
	err := s.Reload()
	if vam.KindOf(err) != vam.Invalid || !strings.Contains(err.Error(), b.Cert) || strings.Contains(err.Error(), a.Cert) {
		t.Errorf("Reload = %v", err)
	}
	if got := shown(t, s, "two.a.test"); got != "two.a.test" {
		t.Errorf("the good one was not taken up: %s", got)
	}
	if got := shown(t, s, "one.b.test"); got != "one.b.test" {
		t.Errorf("the broken one is in use: %s", got)
	}
	status := s.Status()
	if status[0].Err != nil || status[1].Err == nil {
		t.Errorf("Status = %+v", status)
	}
	problem := status[1].Problem(time.Now())
	if problem == nil || !strings.Contains(vam.Public(problem), "the old certificate, valid until") {
		t.Errorf("Problem = %v", problem)
	}

	issued(t, ca, dir, "b", certs.Leaf{DNSNames: []string{"two.b.test"}})
	if err := s.Reload(); err != nil || shown(t, s, "two.b.test") != "two.b.test" || s.Status()[1].Err != nil {
		t.Errorf("Reload after the repair = %v", err)
	}
}

func TestWatchTakesUpChanges(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	p := issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{"one.a.test"}})
	keyOne, err := os.ReadFile(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := open(t, nil, p)
		ctx, stop := context.WithCancel(t.Context())
		news := make(chan string, 16)
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.Watch(ctx, time.Minute, func(st certs.Status) {
				if st.Err != nil {
					news <- "broken"
				} else {
					news <- st.Names[0]
				}
			})
		}()
		// Files carry the real clock's times; what counts here is that they differ.
		touched := 0
		step := func(change func(), minutes int, want ...string) {
			t.Helper()
			change()
			touched++
			for _, name := range []string{p.Cert, p.Key} {
				at := time.Now().Add(time.Duration(touched) * time.Hour)
				if err := os.Chtimes(name, at, at); err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Duration(minutes) * time.Minute)
			synctest.Wait()
			var told []string
			for len(news) > 0 {
				told = append(told, <-news)
			}
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("step %d: %s", touched, diff)
			}
		}
		issue := func(name string) { issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{name}}) }

		step(func() { issue("two.a.test") }, 3, "two.a.test")
		step(func() { write(t, p.Key, string(keyOne)) }, 1)       // perhaps the certificate follows
		step(func() { issue("three.a.test") }, 3, "three.a.test") // it does: nothing is told of the gap
		step(func() { write(t, p.Cert, "junk") }, 5, "broken")    // told once
		step(func() { _ = os.Remove(p.Cert) }, 5, "broken")       // another trouble
		if got := s.Status()[0].Names[0]; got != "three.a.test" {
			t.Errorf("in use: %s", got)
		}
		step(func() { issue("four.a.test") }, 3, "four.a.test")
		stop()
		<-done
	})
}

func TestStatusWarnsInTime(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	long := issued(t, ca, dir, "long", certs.Leaf{DNSNames: []string{"a.test"}, NotBefore: begin, NotAfter: begin.Add(90 * day)})
	short := issued(t, ca, dir, "short", certs.Leaf{DNSNames: []string{"b.test"}, NotBefore: begin, NotAfter: begin.Add(6 * day)})
	s := open(t, func() time.Time { return begin.Add(day) }, long, short)
	for _, tc := range []struct {
		pair int
		at   time.Time
		text string // "" is no problem
	}{
		{0, begin.Add(day), ""},
		{0, begin.Add(75 * day), ""},
		{0, begin.Add(77 * day), "renew it, 13 days are left"},
		{0, begin.Add(90*day - 5*time.Hour), "renew it, 5 hours are left"},
		{0, begin.Add(91 * day), "valid until 2027-01-30 00:00 UTC: it has expired"},
		{0, begin.Add(-day), "it is valid from 2026-11-01 00:00 UTC only"},
		{1, begin.Add(3 * day), ""},
		{1, begin.Add(5 * day), "renew it, 24 hours are left"},
	} {
		err := s.Status()[tc.pair].Problem(tc.at)
		if (err == nil) != (tc.text == "") || err != nil && !strings.Contains(vam.Public(err), tc.text) {
			t.Errorf("pair %d at %s: %v", tc.pair, tc.at, err)
		}
	}
}

func TestCovers(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	past := time.Now().Add(-time.Hour)
	s := open(t, nil,
		issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{"a.test", "*.a.test"}}),
		issued(t, ca, dir, "b", certs.Leaf{DNSNames: []string{"b.test"}, NotBefore: past.Add(-time.Hour), NotAfter: past}),
		issued(t, ca, dir, "c", certs.Leaf{SRV: []vam.Domain{"c.test"}}),
	)
	for name, kind := range map[string]vam.ErrorKind{"b.test": vam.Unavailable, "d.test": vam.NotFound, "x.c.test": vam.NotFound} {
		err := s.Covers(name)
		if err == nil || vam.KindOf(err) != kind {
			t.Errorf("Covers(%s) = %v", name, err)
		}
	}
	if err := s.Covers("d.test"); !strings.Contains(vam.Public(err), "there is no certificate for d.test: "+filepath.Join(dir, "a.pem")+" is a certificate for a.test, *.a.test by vam local authority, valid until ") {
		t.Errorf("Covers = %v", err)
	}
	for _, name := range []string{"a.test", "vam.a.test", "c.test"} {
		if err := s.Covers(name); err != nil {
			t.Errorf("Covers(%s) = %v", name, err)
		}
	}
}

// TestReloadWhileHandshakesRun: each client sees one of the two, whole.
func TestReloadWhileHandshakesRun(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	p := issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{"one.a.test"}})
	s := open(t, nil, p)
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 20 {
			issued(t, ca, dir, "a", certs.Leaf{DNSNames: []string{[]string{"two.a.test", "one.a.test"}[i%2]}})
			// Between its two files the pair does not fit, and the old one stays.
			_ = s.Reload()
			s.Status()
		}
	})
	for range 20 {
		if got := shown(t, s, "a.test"); got != "one.a.test" && got != "two.a.test" {
			t.Errorf("shown: %s", got)
		}
	}
	wg.Wait()
}
