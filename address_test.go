package vam_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
)

// wantError fails unless err is of that kind and says something.
func wantError(t *testing.T, what string, err error, kind vam.ErrorKind) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Message == "" {
		t.Errorf("%s: %v, want the kind %s", what, err, kind)
	}
}

var (
	l63 = strings.Repeat("a", 63)
	l64 = strings.Repeat("x", 64)
	// d189 and l64 with an at sign make 254 octets, the longest address.
	d189 = strings.Repeat("a.", 90) + "b.example"
	// d253 is the longest domain.
	d253 = strings.Repeat("a.", 122) + "a.example"
)

// TestParseAddress gives a verdict on addresses that are common, odd, hostile or nearly
// right. key is the form under which they are compared; "" is refused (AM-1.4 to AM-1.6,
// RFC 5321 section 4.1.2, RFC 6531).
func TestParseAddress(t *testing.T) {
	for _, tc := range []struct{ in, key string }{
		// Dot-strings.
		{"alice@a.example", "alice@a.example"},
		{"a@b.cd", "a@b.cd"},
		{"first.last@a.example", "first.last@a.example"},
		{"a.b.c.d.e@a.example", "a.b.c.d.e@a.example"},
		{"1234567890@a.example", "1234567890@a.example"},
		{"bob+tag@b.example", "bob+tag@b.example"},
		{"+@b.example", "+@b.example"},
		{"-@b.example", "-@b.example"},
		{"_@b.example", "_@b.example"},
		{"!#$%&'*+-/=?^_`{|}~@b.example", "!#$%&'*+-/=?^_`{|}~@b.example"},
		{"%relay%host@b.example", "%relay%host@b.example"}, // no route, just letters
		{"a!b!c@b.example", "a!b!c@b.example"},
		{"postmaster@b.example", "postmaster@b.example"},
		{"MAILER-DAEMON@b.example", "mailer-daemon@b.example"},
		{"Bob.Smith@B.Example", "bob.smith@b.example"},
		{"BOB@B.EXAMPLE", "bob@b.example"},
		{l64 + "@b.example", l64 + "@b.example"},
		{l64 + "@" + d189, l64 + "@" + d189},
		// Quoted local parts.
		{`"a b"@b.example`, `"a b"@b.example`},
		{`" "@b.example`, `" "@b.example`},
		{`"a@b"@c.example`, `"a@b"@c.example`},
		{`"a..b"@b.example`, `"a..b"@b.example`},
		{`".a"@b.example`, `".a"@b.example`},
		{`"a."@b.example`, `"a."@b.example`},
		{`"(comment)"@b.example`, `"(comment)"@b.example`},
		{`"<a>,:;[]"@b.example`, `"<a>,:;[]"@b.example`},
		{`"a\"b"@b.example`, `"a\"b"@b.example`},
		{`"a\\b"@b.example`, `"a\\b"@b.example`},
		{`"\\"@b.example`, `"\\"@b.example`},
		{`"\""@b.example`, `"\""@b.example`},
		{`"bob"@b.example`, "bob@b.example"},    // quotes that are not needed
		{`"\b\o\b"@b.example`, "bob@b.example"}, // nor these escapes
		{`"\~\!\ "@b.example`, `"~! "@b.example`},
		{`"a\ b"@b.example`, `"a b"@b.example`},            // nor this one
		{`"BOB"@b.example`, "bob@b.example"},               // case folds inside quotes too
		{`"><script>"@b.example`, `"><script>"@b.example`}, // String() quotes it, so that it stays one token
		{`"` + strings.Repeat("x", 61) + ` "@b.example`, `"` + strings.Repeat("x", 61) + ` "@b.example`},
		// Local parts in other scripts (RFC 6531): case folds by the simple mapping alone,
		// and nothing is normalised or mixed up.
		{"jörg@b.example", "jörg@b.example"},
		{"JÖRG@b.example", "jörg@b.example"},
		{"用户@b.example", "用户@b.example"},
		{"ΑΣ@b.example", "ασ@b.example"},
		{"İ@b.example", "i@b.example"},
		{"ı@b.example", "ı@b.example"},
		{"STRAẞE@b.example", "straße@b.example"},
		{"e\u0301@b.example", "e\u0301@b.example"},
		{"\u00e9@b.example", "\u00e9@b.example"},
		{"\u0430lice@b.example", "\u0430lice@b.example"}, // Cyrillic a
		{"\u212a@b.example", "k@b.example"},              // the sign of Kelvin is a capital k to Unicode
		{"\uff41@b.example", "\uff41@b.example"},         // full width
		{"🌊@b.example", "🌊@b.example"},
		{`"漢 字"@b.example`, `"漢 字"@b.example`},
		// Domains.
		{"a@xn--bcher-kva.example", "a@xn--bcher-kva.example"},
		{"a@xn--80ak6aa92e.com", "a@xn--80ak6aa92e.com"}, // аррӏе.com, as it is written in DNS
		{"a@" + l63 + ".example", "a@" + l63 + ".example"},
		{"a@1.example", "a@1.example"},
		{"a@b-c.d--e.example", "a@b-c.d--e.example"},
		{"a@b.c1", "a@b.c1"},
		{"a@192.0.2.1.example", "a@192.0.2.1.example"},

		// No address at all.
		{"", ""},
		{"@", ""},
		{"bob", ""},
		{"bob@", ""},
		{"@b.example", ""},
		{"b.example", ""},
		{"bob.b.example", ""},
		{"bob@@b.example", ""},
		{"bob@x@b.example", ""},
		// Forms of mail headers.
		{"Bob <bob@b.example>", ""},
		{"<bob@b.example>", ""},
		{"bob@b.example (Bob)", ""},
		{"bob(x)@b.example", ""},
		{"bob@b.example, eve@b.example", ""},
		{"@a.example:bob@b.example", ""},
		{"@a.example,@b.example:bob@c.example", ""},
		{"mailto:bob@b.example", ""},
		{"bob@b.example;", ""},
		{"group:;", ""},
		// Dots.
		{".bob@b.example", ""},
		{"bob.@b.example", ""},
		{"b..ob@b.example", ""},
		{".@b.example", ""},
		{"..@b.example", ""},
		// Blanks and controls, which break header lines.
		{" bob@b.example", ""},
		{"bob@b.example ", ""},
		{"bo b@b.example", ""},
		{"bob @b.example", ""},
		{"bob@ b.example", ""},
		{"bob\t@b.example", ""},
		{"bob\r\n@b.example", ""},
		{"bob\nBcc: eve@c.example@b.example", ""},
		{"bob\x00@b.example", ""},
		{"bob\x7f@b.example", ""},
		{"\"a\r\nb\"@b.example", ""},
		{"\"a\tb\"@b.example", ""},
		{"\"a\\\tb\"@b.example", ""},
		{"\"a\x00\"@b.example", ""},
		// What nobody sees, and what turns the writing.
		{"bo\u200bb@b.example", ""},
		{"bo\u200db@b.example", ""},
		{"\ufeffbob@b.example", ""},
		{"bo\u00adb@b.example", ""},
		{"bo\u202eb@b.example", ""},
		{"bo\u2066b@b.example", ""},
		{"\"bo\u00a0b\"@b.example", ""},
		{"\"bo\u3000b\"@b.example", ""},
		{"bo\u2028b@b.example", ""},
		{"bo\u115fb@b.example", ""},
		{"bo\u3164b@b.example", ""},
		{"bo\uffa0b@b.example", ""},
		{"bo\u034fb@b.example", ""},
		{"bo\ufe0fb@b.example", ""},
		{"bo\U000e0101b@b.example", ""},
		{"bo\U000e0041b@b.example", ""},
		{"bo\u2800b@b.example", ""},
		{"bo\ue000b@b.example", ""},
		{"bo\ufffdb@b.example", ""},
		{"bo\uffffb@b.example", ""},
		{"bo\u0085b@b.example", ""},
		// No UTF-8.
		{"bo\xffb@b.example", ""},
		{"bo\xc3@b.example", ""},
		{"bo\xed\xa0\x80b@b.example", ""},
		{"\"bo\xffb\"@b.example", ""},
		{"bo\xc0\xafb@b.example", ""},
		// Quotes.
		{`""@b.example`, ""},
		{`"bob@b.example`, ""},
		{`bob"@b.example`, ""},
		{`"bob"x@b.example`, ""},
		{`x"bob"@b.example`, ""},
		{`"a"b"@b.example`, ""},
		{`"a"."b"@b.example`, ""},
		{`"a\"@b.example`, ""},
		{`"\"@b.example`, ""},
		{`"@b.example`, ""},
		{`"a\ä"@b.example`, ""},
		{`a\@b@c.example`, ""},
		{`a\ b@c.example`, ""},
		{`a,b@c.example`, ""},
		{`a;b@c.example`, ""},
		{`a:b@c.example`, ""},
		{`a[b]@c.example`, ""},
		// Lengths.
		{l64 + "x@b.example", ""},
		{`"` + strings.Repeat("x", 62) + ` "@b.example`, ""},
		{l64 + "@" + d189 + "x", ""},
		{strings.Repeat("ä", 33) + "@b.example", ""},
		{"a@" + d253, ""},
		{strings.Repeat("x", 100_000) + "@b.example", ""},
		// Domains that are none.
		{"bob@localhost", ""},
		{"bob@example", ""},
		{"bob@.example", ""},
		{"bob@b..example", ""},
		{"bob@b.example.", ""},
		{"bob@-b.example", ""},
		{"bob@b-.example", ""},
		{"bob@b_c.example", ""},
		{"bob@bücher.example", ""},
		{"bob@аррӏе.com", ""},
		{"bob@[192.0.2.1]", ""},
		{"bob@[IPv6:2001:db8::1]", ""},
		{"bob@192.0.2.1", ""},
		{"bob@127.1", ""},
		{"bob@b.example:25", ""},
		{"bob@b.example/x", ""},
		{"bob@" + l63 + "a.example", ""},
		{"bob@b.ex ample", ""},
		{"bob@b\u3002example", ""},
		{"bob@b.example\x00", ""},
	} {
		a, err := vam.ParseAddress(tc.in)
		if tc.key == "" {
			if err == nil {
				t.Errorf("%.80q passes for %s", tc.in, a)
			} else if wantError(t, tc.in, err, vam.Invalid); len(vam.Public(err)) > 400 || !utf8.ValidString(vam.Public(err)) {
				t.Errorf("%.80q is refused with %q", tc.in, vam.Public(err))
			}
			continue
		}
		if err != nil || a.Key() != tc.key {
			t.Errorf("%.80q has the key %q, not %q (%v)", tc.in, a.Key(), tc.key, err)
			continue
		}
		if back, err := vam.ParseAddress(a.String()); err != nil || back != a {
			t.Errorf("%q is written as %q and read as %+v (%v)", tc.in, a, back, err)
		}
	}
}

// TestAddressComesBack: any local part that may be is written so that it is read again.
func TestAddressComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := vam.Address{
			Local:  rapid.StringOfN(rapid.SampledFrom([]rune(`abcXYZ019.-_+"\@ (),:;<>[]äßΣ漢🌊`)), 1, 16, 30).Draw(t, "local"),
			Domain: "b.example",
		}
		got, err := vam.ParseAddress(want.String())
		if err != nil || got != want || got.IsZero() {
			t.Fatalf("%s is read as %+v (%v)", want, got, err)
		}
		var text vam.Address
		b, err := want.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		if err := text.UnmarshalText(b); err != nil || text != want {
			t.Fatalf("%s is read as %+v (%v)", b, text, err)
		}
		upper := strings.ToUpper(want.Local)
		folded, again := strings.ToLower(want.Local), strings.ToLower(upper)
		if other := (vam.Address{Local: upper, Domain: want.Domain}); folded == again && other.Key() != want.Key() {
			t.Fatalf("%s and %s are two people", want, other)
		}
	})
}

func TestNullReversePath(t *testing.T) {
	var null vam.Address
	if !null.IsZero() || null.String() != "" {
		t.Errorf("the null path is %q", null)
	}
	if _, err := vam.ParseAddress(""); err == nil {
		t.Error("nothing passes for an address")
	}
	kept := vam.Address{Local: "bob", Domain: "b.example"}
	before := kept
	wantError(t, "unmarshal", kept.UnmarshalText([]byte("bob@")), vam.Invalid)
	if kept != before {
		t.Errorf("a refused text changed the address to %s", kept)
	}
}

func TestSplitPlus(t *testing.T) {
	for _, tc := range []struct{ in, base, tag string }{
		{"bob@b.example", "bob@b.example", ""},
		{"bob+tag@b.example", "bob@b.example", "tag"},
		{"bob+@b.example", "bob@b.example", ""},
		{"bob+a+b@b.example", "bob@b.example", "a+b"},
		{"+tag@b.example", "+tag@b.example", ""},
		{"+@b.example", "+@b.example", ""},
		{`"a b+c d"@b.example`, `"a b"@b.example`, "c d"},
	} {
		a, err := vam.ParseAddress(tc.in)
		if err != nil {
			t.Fatal(err)
		}
		if base, tag := a.SplitPlus(); base.String() != tc.base || tag != tc.tag {
			t.Errorf("%s is %s and %q", tc.in, base, tag)
		}
	}
}

func TestParseDomain(t *testing.T) {
	for in, want := range map[string]string{
		"a.example": "a.example", "A.EXAMPLE": "a.example", "xn--BCHER-kva.example": "xn--bcher-kva.example", d253: d253, l63 + ".b": l63 + ".b", "0.a": "0.a", "AZ-az.zZ9": "az-az.zz9", "a.x": "a.x", "a.1x1": "a.1x1", "a.0-0": "a.0-0", "a.b.c.d.e": "a.b.c.d.e",
		"": "", "example": "", ".": "", "a.": "", ".a": "", "a..b": "", "a.b.": "", "-a.b": "", "a-.b": "", "a_b.c": "", "a b.c": "", "a.b\n": "", "a.1": "", "1.2.3.4": "", "a.example:1398": "", "*.example": "", "a.exämple": "",
		d253 + "a": "", l63 + "a.b": "", "[::1]": "", "@a.b": "", "a/b.c": "", "\u212a.example": "", // the sign of Kelvin
	} {
		d, err := vam.ParseDomain(in)
		if want == "" {
			wantError(t, in, err, vam.Invalid)
		} else if err != nil || d.String() != want {
			t.Errorf("%q is %q (%v)", in, d, err)
		}
	}
}

// TestErrorsShowTheInput: as much of it as a person needs, and whole letters.
func TestErrorsShowTheInput(t *testing.T) {
	for in, want := range map[string]string{
		strings.Repeat("x", 80):          strings.Repeat("x", 80) + `"`,
		strings.Repeat("x", 81):          strings.Repeat("x", 80) + `…"`,
		strings.Repeat("ä", 60):          strings.Repeat("ä", 40) + `…"`,
		"x" + strings.Repeat("ä", 60):    "x" + strings.Repeat("ä", 39) + `…"`,
		strings.Repeat("\x80", 200):      "",
		"a@" + strings.Repeat("b", 60):   strings.Repeat("b", 60),
		strings.Repeat("🌊", 30) + "@b.c": strings.Repeat("🌊", 20) + `…"`,
	} {
		if _, err := vam.ParseAddress(in); err == nil || !strings.Contains(vam.Public(err), want) {
			t.Errorf("%q is refused with %v", in, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"bob@b.example", `"a\"\\ b"@b.example`, "İ\u0130ẞ@xn--a.example", "a@[1.2.3.4]", `"@"@b.c`, "\u202e@b.c", l64 + "@" + d189} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := vam.ParseAddress(s)
		if err != nil {
			wantError(t, s, err, vam.Invalid)
			return
		}
		if back, err := vam.ParseAddress(a.String()); err != nil || back != a {
			t.Fatalf("%q is written as %q and read as %+v (%v)", s, a, back, err)
		}
		if len(a.String()) > len(s) || len(a.Local) > vam.MaxLocalOctets || strings.ContainsAny(a.String(), "\r\n\x00\t") || !utf8.ValidString(a.Key()) {
			t.Fatalf("%q is written as %q", s, a)
		}
		if folded := (vam.Address{Local: strings.ToLower(a.Local), Domain: a.Domain}); folded.Key() != a.Key() {
			t.Fatalf("%q has the keys %q and %q", s, a.Key(), folded.Key())
		}
		base, tag := a.SplitPlus()
		if tag != "" && base.Local+"+"+tag != a.Local {
			t.Fatalf("%q is split into %q and %q", s, base.Local, tag)
		}
	})
}

func FuzzParseDomain(f *testing.F) {
	for _, s := range []string{"a.example", "xn--bcher-kva.example", "1.2.3.4", "a..b", d253} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := vam.ParseDomain(s)
		if err != nil {
			wantError(t, s, err, vam.Invalid)
			return
		}
		if back, err := vam.ParseDomain(d.String()); err != nil || back != d || !strings.EqualFold(s, string(d)) || len(d) > 253 {
			t.Fatalf("%q is read as %q and %q (%v)", s, d, back, err)
		}
		if _, err := vam.ParseAddress("a@" + s); err != nil && len(s) < 200 {
			t.Fatalf("%q is no domain of an address: %v", s, err)
		}
	})
}
