package discovery_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
)

func TestParsePolicyPointer(t *testing.T) {
	for _, tc := range []struct {
		txt  string
		want discovery.PolicyPointer
		ok   bool
	}{
		{"v=VAM1; id=20261122T2000; mode=enforce", discovery.PolicyPointer{ID: "20261122T2000", Mode: activmail.ModeEnforce}, true},
		{"v=VAM1", discovery.PolicyPointer{}, true},
		{"v=VAM1;", discovery.PolicyPointer{}, true},
		{"v=VAM1;id=a;x=y z", discovery.PolicyPointer{ID: "a"}, true},
		{"v=VAM1 ;\tid = a ; mode=testing; ", discovery.PolicyPointer{ID: "a", Mode: activmail.ModeTesting}, true},
		{"v=VAM2; id=a", discovery.PolicyPointer{}, false},
		{"v=VAM10; id=a", discovery.PolicyPointer{}, false},
		{"id=a; v=VAM1", discovery.PolicyPointer{}, false},
		{"v=VAM1; id=a; id=b", discovery.PolicyPointer{}, false},
		{"v=VAM1; id=", discovery.PolicyPointer{}, false},
		{"v=VAM1; id=a-b", discovery.PolicyPointer{}, false},
		{"v=VAM1; id=" + strings.Repeat("a", 33), discovery.PolicyPointer{}, false},
		{"v=VAM1; enforce", discovery.PolicyPointer{}, false},
		{"v=VAM1; v=VAM1", discovery.PolicyPointer{}, false},
		{"v=VAM1; x=" + strings.Repeat("a", 600), discovery.PolicyPointer{}, false},
		{"", discovery.PolicyPointer{}, false},
	} {
		got, err := discovery.ParsePolicyPointer(tc.txt)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("ParsePolicyPointer(%q) = %+v, %v", tc.txt, got, err)
		}
		if err != nil && vam.KindOf(err) != vam.Invalid {
			t.Errorf("ParsePolicyPointer(%q): kind %v", tc.txt, vam.KindOf(err))
		}
	}
}

func FuzzParsePolicyPointer(f *testing.F) {
	f.Add("v=VAM1; id=20261122T2000; mode=enforce")
	f.Add("v=VAM1;;=")
	f.Fuzz(func(t *testing.T, txt string) {
		p, err := discovery.ParsePolicyPointer(txt)
		if err != nil {
			return
		}
		if !strings.HasPrefix(txt, "v=VAM1") || len(p.ID) > 32 || strings.ContainsAny(p.ID, "; \t\r\n") {
			t.Errorf("ParsePolicyPointer(%q) = %+v", txt, p)
		}
	})
}

// policed is a finder for b.example whose policy a test can change.
type policed struct {
	dns    *dns
	clock  *clock
	source *documents
	finder *discovery.Finder
}

func newPoliced(mode activmail.PolicyMode) *policed {
	p := &policed{dns: newDNS(), clock: newClock()}
	p.dns.publish(false)
	p.point("v=VAM1; id=1")
	p.source = &documents{err: errors.New("connection refused"), of: map[vam.Domain]activmail.Policy{
		"b.example": {Mode: mode, MX: []string{"vam1.b.example"}, MaxAge: 7 * 24 * time.Hour},
	}}
	p.finder = discovery.New(discovery.Options{Resolver: p.dns, Policies: p.source, Now: p.clock.now})
	return p
}

func (p *policed) point(txt ...string) {
	p.dns.change(func() {
		p.dns.txt["_vam.b.example"] = discovery.Answer[string]{Records: txt, TTL: time.Minute}
	})
}

func (p *policed) look(t *testing.T) (*discovery.Result, error) {
	t.Helper()
	p.finder.Forget("b.example")
	return p.finder.Lookup(t.Context(), "b.example")
}

// TestPolicyIsFetchedWhenThePointerChanges is AM-2.12.
func TestPolicyIsFetchedWhenThePointerChanges(t *testing.T) {
	p := newPoliced(activmail.ModeTesting)
	for _, step := range []struct {
		name    string
		do      func()
		fetched int
	}{
		{"first", func() {}, 1},
		{"again", func() {}, 1},
		{"a day later", func() { p.clock.add(25 * time.Hour) }, 2},
		{"new id", func() { p.point("v=VAM1; id=2") }, 3},
		{"no pointer", func() { p.point("something else") }, 3},
		{"two pointers", func() { p.point("v=VAM1; id=3", "v=VAM1; id=4") }, 3},
		{"new id, document gone", func() {
			p.point("v=VAM1; id=5")
			p.source.change(func() { p.source.of = nil })
		}, 4},
		{"soon after a failure", func() { p.clock.add(time.Minute) }, 4},
		{"later", func() { p.clock.add(5 * time.Minute) }, 5},
	} {
		step.do()
		got, err := p.look(t)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if p.source.fetched != step.fetched {
			t.Errorf("%s: fetched %d times, want %d", step.name, p.source.fetched, step.fetched)
		}
		if got.Policy == nil || got.TCP[0].Rule != discovery.RulePolicy {
			t.Errorf("%s: the policy is not in force", step.name)
		}
	}
	p.clock.add(8 * 24 * time.Hour)
	got, err := p.look(t)
	if err != nil {
		t.Fatal(err)
	}
	if got.Policy != nil || got.TCP[0].Rule != discovery.RuleDomain {
		t.Error("the policy outlives its max_age")
	}
}

func TestPolicyIsNotFetchedWithoutPointer(t *testing.T) {
	p := newPoliced(activmail.ModeEnforce)
	p.dns.change(func() { delete(p.dns.txt, "_vam.b.example") })
	if got, err := p.look(t); err != nil || got.Policy != nil || p.source.fetched != 0 {
		t.Errorf("fetched %d times: %+v, %v", p.source.fetched, got, err)
	}
}

// TestEnforceHoldsWhenTheRecordsVanish is AM-2.9, AM-2.37.
func TestEnforceHoldsWhenTheRecordsVanish(t *testing.T) {
	vanish := func(p *policed) {
		p.dns.change(func() { p.dns.srv = nil; p.dns.txt = nil })
	}
	p := newPoliced(activmail.ModeEnforce)
	if _, err := p.look(t); err != nil {
		t.Fatal(err)
	}
	vanish(p)
	_, err := p.look(t)
	if vam.KindOf(err) != vam.Unavailable || !strings.Contains(vam.Public(err), "promised to take VAM") {
		t.Errorf("enforce: %v", err)
	}
	p.clock.add(8 * 24 * time.Hour)
	if _, err = p.look(t); vam.KindOf(err) != vam.NotVAM {
		t.Errorf("enforce, after max_age: %v", err)
	}

	p = newPoliced(activmail.ModeEnforce)
	if _, err := p.look(t); err != nil {
		t.Fatal(err)
	}
	vanish(p)
	p.dns.change(func() { p.dns.absent.Authenticated = true })
	if _, err = p.look(t); vam.KindOf(err) != vam.NotVAM {
		t.Errorf("absence under DNSSEC: %v", err)
	}

	p = newPoliced(activmail.ModeTesting)
	if _, err := p.look(t); err != nil {
		t.Fatal(err)
	}
	vanish(p)
	if _, err = p.look(t); vam.KindOf(err) != vam.NotVAM {
		t.Errorf("testing: %v", err)
	}
}
