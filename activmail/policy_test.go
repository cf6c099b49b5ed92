package activmail_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

func genPolicy() *rapid.Generator[activmail.Policy] {
	return rapid.Custom(func(t *rapid.T) activmail.Policy {
		p := activmail.Policy{
			Mode:   rapid.SampledFrom([]activmail.PolicyMode{activmail.ModeTesting, activmail.ModeEnforce}).Draw(t, "mode"),
			MaxAge: time.Duration(rapid.Int64Range(60, 31_557_600).Draw(t, "age")) * time.Second,
			Offer:  genBytes(maxCount).Draw(t, "offer"), Blob: genBytes(maxCount).Draw(t, "blob"), Message: genBytes(maxCount).Draw(t, "message"),
			Features: rapid.SliceOfN(genWord(), 0, 3).Draw(t, "features"),
			Contact:  rapid.SampledFrom([]string{"", "mailto:postmaster@b.example", "https://b.example/contact"}).Draw(t, "contact"),
			Report:   rapid.SampledFrom([]string{"", "mailto:vam@b.example", "https://b.example:8443/?x=y"}).Draw(t, "report"),
		}
		for _, d := range rapid.SliceOfN(genDomain(), 0, 3).Draw(t, "mx") {
			p.MX = append(p.MX, string(d))
		}
		if rapid.Bool().Draw(t, "with roles") {
			p.Roles = rapid.SliceOfN(rapid.SampledFrom([]string{activmail.RoleIn, activmail.RoleOut, "relay"}), 0, 3).Draw(t, "roles")
		}
		return p
	})
}

func TestPolicyComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genPolicy().Draw(t, "policy")
		body, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := activmail.ParsePolicy(body, activmail.DefaultLimits())
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		// No list of roles is both roles; an empty one is none (AM-2.13).
		if (got.Roles == nil) != (want.Roles == nil) {
			t.Fatalf("the roles %#v come back as %#v", want.Roles, got.Roles)
		}
	})
}

func TestPolicyRefuses(t *testing.T) {
	good := activmail.Policy{Mode: activmail.ModeEnforce, MX: []string{"vam1.b.example"}, MaxAge: time.Hour}
	for name, change := range map[string]func(p *activmail.Policy){
		"no mode": func(p *activmail.Policy) { p.Mode = "" }, "unknown mode": func(p *activmail.Policy) { p.Mode = "none" },
		"short life": func(p *activmail.Policy) { p.MaxAge = 59 * time.Second }, "long life": func(p *activmail.Policy) { p.MaxAge = 31_557_601 * time.Second }, "endless life": func(p *activmail.Policy) { p.MaxAge = 1<<63 - 1 }, "life below zero": func(p *activmail.Policy) { p.MaxAge = -time.Hour },
		"name in upper case": func(p *activmail.Policy) { p.MX = []string{"VAM1.b.example"} }, "name with a final dot": func(p *activmail.Policy) { p.MX = []string{"vam1.b.example."} }, "wildcard": func(p *activmail.Policy) { p.MX = []string{"*.b.example"} }, "address": func(p *activmail.Policy) { p.MX = []string{"192.0.2.1"} },
		"role with a blank": func(p *activmail.Policy) { p.Roles = []string{"in out"} }, "feature in upper case": func(p *activmail.Policy) { p.Features = []string{"Live"} },
		"contact without scheme": func(p *activmail.Policy) { p.Contact = "postmaster@b.example" }, "contact of script": func(p *activmail.Policy) { p.Contact = "javascript:alert(1)" }, "contact of http": func(p *activmail.Policy) { p.Contact = "http://b.example/" },
		"contact without host": func(p *activmail.Policy) { p.Contact = "https:///x" }, "mailto nobody": func(p *activmail.Policy) { p.Report = "mailto:" }, "long contact": func(p *activmail.Policy) { p.Contact = "https://b.example/" + strings.Repeat("x", 500) },
	} {
		p := good
		change(&p)
		if body, err := p.Marshal(); err == nil {
			t.Errorf("%s was written as %s", name, body)
		} else {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
	_, err := activmail.ParsePolicy([]byte(`{"version":2}`), activmail.DefaultLimits())
	wantError(t, err, vam.Invalid, "version")
	// A life that does not fit into a duration is too long, and does not wrap around.
	_, err = activmail.ParsePolicy([]byte(`{"version":1,"mode":"enforce","mx":[],"max_age":9007199254740991}`), activmail.DefaultLimits())
	wantError(t, err, vam.Invalid, "malformed")
}

// TestPolicyAnswers is AM-15.5.
func TestPolicyAnswers(t *testing.T) {
	p := activmail.Policy{MX: []string{"vam1.b.example"}}
	for server, listed := range map[string]bool{"vam1.b.example": true, "VAM1.B.example.": true, "vam2.b.example": false, "x.vam1.b.example": false, "b.example": false, "": false} {
		if p.Lists(server) != listed {
			t.Errorf("%q is listed: %v", server, !listed)
		}
	}
	for _, tc := range []struct {
		roles   []string
		in, out bool
	}{{nil, true, true}, {[]string{}, false, false}, {[]string{"in"}, true, false}, {[]string{"out", "relay"}, false, true}} {
		p.Roles = tc.roles
		if p.Takes(activmail.RoleIn) != tc.in || p.Takes(activmail.RoleOut) != tc.out {
			t.Errorf("with the roles %#v it takes in %v, out %v", tc.roles, p.Takes(activmail.RoleIn), p.Takes(activmail.RoleOut))
		}
	}
}

func TestPolicyRecordComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := activmail.PolicyRecord{
			ID:   rapid.StringMatching(`[A-Za-z0-9]{0,32}`).Draw(t, "id"),
			Mode: rapid.SampledFrom([]activmail.PolicyMode{"", activmail.ModeTesting, activmail.ModeEnforce}).Draw(t, "mode"),
		}
		got, err := activmail.ParsePolicyRecord(want.String())
		if err != nil || got != want {
			t.Fatalf("%s comes back as %+v (%v)", want, got, err)
		}
	})
}
