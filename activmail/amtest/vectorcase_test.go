package amtest_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam/activmail/amtest"
)

// TestCasesComeBack: any octets survive the format, one case behind the other.
func TestCasesComeBack(t *testing.T) {
	genFields := rapid.Custom(func(t *rapid.T) amtest.Fields {
		var out amtest.Fields
		for range rapid.IntRange(0, 4).Draw(t, "fields") {
			value := append([]byte{}, rapid.SliceOfN(rapid.SampledFrom([]byte("a \t\r\n#:;\"\\\x00\x7f\x80\xc3\xa4\xff")), 0, 12).Draw(t, "value")...)
			out = append(out, amtest.Field{Name: rapid.StringMatching(`[a-z][a-z0-9-]{0,8}x`).Draw(t, "name"), Value: value})
		}
		return out
	})
	rapid.Check(t, func(t *rapid.T) {
		var want []amtest.Case
		var text []byte
		for range rapid.IntRange(0, 3).Draw(t, "cases") {
			c := amtest.Case{
				Name: rapid.StringMatching(`[a-z]( [a-z]){0,3}`).Draw(t, "name"), Class: []string{"peer", "reader"}, Op: "x", Expect: []string{"ok"},
				In: genFields.Draw(t, "in"), Want: genFields.Draw(t, "want"),
			}
			want, text = append(want, c), c.Append(append(text, "# a comment\n\n"...))
		}
		got, err := amtest.ReadCases(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s\n%s", text, diff)
		}
	})
}

// FuzzReadCases reads what another implementation answers.
func FuzzReadCases(f *testing.F) {
	f.Add("case: x\nclass: peer\nop: y\nv;hex: 00ff\nexpect: ok\nwant.v;json: \"a\\nb\"\n\n")
	f.Add("# only a comment\n\n\nresult: ok\n\n")
	f.Add("v;b64: AA==\n:\n;json: \"\"\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		cases, err := amtest.ReadCases(strings.NewReader(text))
		if err != nil {
			return
		}
		var again []byte
		for _, c := range cases {
			again = c.Append(again)
		}
		back, err := amtest.ReadCases(bytes.NewReader(again))
		if err != nil || len(back) != len(cases) {
			t.Fatalf("%q is written as %q: %v", text, again, err)
		}
	})
}
