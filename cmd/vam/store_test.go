package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestOutbox: the same upload goes on under its id; two at once are two messages; what is
// over is forgotten.
func TestOutbox(t *testing.T) {
	state := t.TempDir()
	e, _, errs := scratch("XDG_STATE_HOME="+state, "HOME="+state)
	file := filepath.Join(t.TempDir(), "a\xff.mp4")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(d userwire.Draft) *outbox {
		t.Helper()
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return e.outbox(profileAccount{Server: "s:1"}, file, info, d)
	}
	first := open(userwire.Draft{Subject: "one"})
	if first.old {
		t.Error("the first is old")
	}
	other := open(userwire.Draft{Subject: "two"})
	beside := open(userwire.Draft{Subject: "one"})
	if other.id == first.id || beside.id == first.id || beside.old {
		t.Error("two uploads at once have one id")
	}
	beside.forget() // it holds nothing
	for _, b := range []*outbox{other, beside, first} {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
	again := open(userwire.Draft{Subject: "one"})
	if !again.old || again.id != first.id {
		t.Error("a broken upload is not found again")
	}
	again.forget()
	if err := again.Close(); err != nil {
		t.Error(err)
	}
	if fresh := open(userwire.Draft{Subject: "one"}); fresh.old || fresh.id == first.id {
		t.Error("what is over is not forgotten")
	} else if err := fresh.Close(); err != nil {
		t.Error(err)
	}
	if errs.Len() > 0 {
		t.Errorf("it says %q", errs)
	}

	// A place that cannot be written costs the memory, not the upload.
	e, _, errs = scratch("XDG_STATE_HOME=/dev/null")
	b := open(userwire.Draft{})
	if b.id == "" || b.old || !strings.Contains(errs.String(), "will begin anew") {
		t.Errorf("%+v, %q", b, errs)
	}
	b.forget()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// TestClaims: names and parts are given to one command each.
func TestClaims(t *testing.T) {
	dir := t.TempDir()
	part := filepath.Join(dir, "a.part")
	f, err := claimPart(part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claimPart(part); vam.KindOf(err) != vam.Conflict {
		t.Errorf("a second claim: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got := make([]string, 8)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			name, err := claimName(filepath.Join(dir, "x.mp4"))
			if err != nil {
				t.Error(err)
			}
			got[i] = filepath.Base(name)
		})
	}
	wg.Wait()
	seen := map[string]bool{}
	for _, name := range got {
		seen[name] = true
	}
	if len(seen) != len(got) || !seen["x.mp4"] || !seen["x (8).mp4"] {
		t.Errorf("the names are %v", got)
	}
	if _, err := claimName(filepath.Join(dir, "absent", "x")); vam.KindOf(err) != vam.NotFound {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	e, _, _ := scratch("HOME=" + dir)
	p, err := e.loadProfile()
	if err != nil || len(p.Accounts) != 0 {
		t.Fatal(p, err)
	}
	a := profileAccount{Address: vam.Address{Local: "alice", Domain: "a.test"}, Token: "one"}
	b := profileAccount{Address: vam.Address{Local: "bob", Domain: "b.test"}, Token: "two"}
	p.put(a)
	p.put(b)
	a.Token = "three"
	p.put(a) // the first stays the first
	if err := p.save(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(p.path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: tokens are for their owner alone", info.Mode(), err)
	}
	q, err := e.loadProfile()
	if err != nil || len(q.Accounts) != 2 || q.Accounts[0] != a || q.Accounts[1] != b {
		t.Errorf("%+v, %v", q, err)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(p.path), ".profile-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	for want, vars := range map[string][]string{
		"/x/p":                        {"VAM_PROFILE=/x/p", "HOME=/h"},
		"/c/vam/profile.json":         {"XDG_CONFIG_HOME=/c", "HOME=/h"},
		"/h/.config/vam/profile.json": {"XDG_CONFIG_HOME=relative", "HOME=/h"},
	} {
		e, _, _ := scratch(vars...)
		if got, err := e.profilePath(); err != nil || got != want {
			t.Errorf("%v gives %s, %v", vars, got, err)
		}
	}
}
