package activmail_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Strict JSON is tested through records of an unknown kind: of these everything but the
// form is ignored.

func inRecord(value string) []byte { return []byte(`{"k":"x","y":` + value + `}`) }

func accepts(value string) bool {
	limits := activmail.DefaultLimits()
	limits.Line = vam.MiB
	_, err := activmail.ParseRecord(inRecord(value), limits)
	return err == nil
}

// genJSON makes any value of JSON with names that differ, in the ways that JSON allows to
// write it.
func genJSON(depth int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		kinds := []string{"number", "string", "word"}
		if depth > 0 {
			kinds = append(kinds, "object", "array", "object", "array")
		}
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case "number":
			return rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?`).Draw(t, "number")
		case "string":
			return genString().Draw(t, "string")
		case "word":
			return rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "word")
		case "array":
			return "[" + blank(t) + strings.Join(rapid.SliceOfN(genJSON(depth-1), 0, 4).Draw(t, "array"), blank(t)+","+blank(t)) + blank(t) + "]"
		}
		var members []string
		for i := range rapid.IntRange(0, 40).Draw(t, "members") {
			value := "1"
			if i < 4 {
				value = genJSON(depth-1).Draw(t, "value")
			}
			members = append(members, fmt.Sprintf(`"%d%s`, i, genString().Draw(t, "name")[1:])+blank(t)+":"+value)
		}
		return "{" + blank(t) + strings.Join(members, blank(t)+","+blank(t)) + "}"
	})
}

// genString makes a JSON string with escapes where they are allowed.
func genString() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "ä", "🌊", "\x7f", "\u2028", `\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u0000`, `\u00e4`, `\uFFfd`, `\ud83c\udf0a`, `\uDBFF\uDFFF`, "\ufffd",
		}), 0, 6).Draw(t, "parts")
		return `"` + strings.Join(parts, "") + `"`
	})
}

func blank(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", " ", "\t", "  "}).Draw(t, "blank")
}

// TestJSONIsAccepted: what JSON allows is read (AM-1.10, AM-1.12).
func TestJSONIsAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := genJSON(4).Draw(t, "json")
		if !json.Valid([]byte(value)) {
			t.Fatalf("the generator made %s", value)
		}
		if !accepts(value) {
			t.Fatalf("%s was refused", value)
		}
	})
}

// TestDamagedJSON: no octet can be changed, added or taken away so that what is no JSON any
// more is still accepted (AM-1.11).
func TestDamagedJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := []byte(genJSON(3).Draw(t, "json"))
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		octet := rapid.SampledFrom([]byte("\x00\x1f \"\\{}[]:,0-+.eEtfnu/*'\x7f\x80\xbf\xc0\xe0\xf0\xff")).Draw(t, "octet")
		switch rapid.SampledFrom([]string{"change", "add", "drop"}).Draw(t, "how") {
		case "change":
			b[at] = octet
		case "add":
			b = append(b[:at:at], append([]byte{octet}, b[at:]...)...)
		case "drop":
			b = append(b[:at:at], b[at+1:]...)
		}
		if accepts(string(b)) && (!json.Valid(inRecord(string(b))) || !utf8.Valid(b)) {
			t.Fatalf("%q was accepted", b)
		}
	})
}

// TestBrokenJSON: what is wrong inside a value is not made good by what follows, and a
// document that ends anywhere before its end is none (AM-1.11).
func TestBrokenJSON(t *testing.T) {
	for _, value := range []string{
		`[}`, `{]`, `[,1]`, `[1,]`, `[1 2]`, `[1`, `{`, `{"a"}`, `{"a":}`, `{"a" 1}`, `{a:1}`, `{"a":1,}`, `{,"a":1}`, `{1:2}`, `[[}]`, `{"a":[}`, `nul`, `nulll`, `True`, `tru`, `-`, `--1`, `00`, `01`, `1.`, `1.e1`, `.1`, `1e`, `1e+`, `1E-`, `0x1`,
		`"`, `"\"x`, `"\x"`, `"\u12"`, `"\u12g4"`, `"\u+123"`, `"\ud800"`, `"\udc00"`, `"\ud800\u0061"`, `"\ud800x"`, `"\udc00\ud800"`, "\"\x00\"", "\"\n\"", "\"\x1f\"", "\"\xc3\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", `'a'`, `/**/1`, `1//`, "\v1", "\u00a01", "",
	} {
		if accepts(value) {
			t.Errorf("%q is accepted", value)
		}
	}
	whole := `{"k":"x","y":[1,-2.5e+3,{"a\u00e9\ud83c\udf0a":null},true,false,"z\\"] , "n":10}`
	for cut := range whole {
		if _, err := activmail.ParseTokenRequest([]byte(whole[:cut]), activmail.DefaultLimits()); err == nil {
			t.Fatalf("%s is accepted", whole[:cut])
		} else {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
	if _, err := activmail.ParseRecord([]byte(whole), activmail.DefaultLimits()); err != nil {
		t.Error(err)
	}
}

// TestNamesOnceInAnObject: however a name is written, and however many there are (AM-1.11).
func TestNamesOnceInAnObject(t *testing.T) {
	many := func(n int, last string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"m%d":1,`, i)
		}
		return "{" + b.String() + last + "}"
	}
	for _, tc := range []struct {
		value string
		ok    bool
	}{
		{`{"a":1,"A":1}`, true},
		{`{"a":1,"a":1}`, false},
		{`{"a":1,"\u0061":1}`, false},
		{`{"\n":1,"\u000a":1}`, false},
		{`{"/":1,"\/":1}`, false},
		{`{"🌊":1,"\ud83c\udf0a":1}`, false},
		{`{"":1,"":1}`, false},
		{"{\"\u00e9\":1,\"e\u0301\":1}", true}, // two ways to write one letter are two names
		{`[{"a":1},{"a":1}]`, true},
		{`{"a":{"a":1}}`, true},
		{`{"a":[{"b":1,"b":2}]}`, false},
		{many(23, `"m0":1`), false},
		{many(24, `"m0":1`), false},
		{many(25, `"m0":1`), false},
		{many(25, `"m24":1`), false},
		{many(25, `"m25":1`), true},
		{many(1000, `"m999":1`), false},
		{many(1000, `"\u006d500":1`), false},
		{many(1000, `"m1000":1`), true},
	} {
		if got := accepts(tc.value); got != tc.ok {
			t.Errorf("%.60s … %s is accepted: %v", tc.value, tc.value[max(0, len(tc.value)-20):], got)
		}
	}
}

// TestDepth: a document may be sixteen deep, arrays and objects together (AM-1.11).
func TestDepth(t *testing.T) {
	for n, ok := range map[int]bool{1: true, 15: true, 16: false, 17: false, 100_000: false} {
		if got := accepts(strings.Repeat("[", n) + strings.Repeat("]", n)); got != ok {
			t.Errorf("%d arrays inside a record are accepted: %v", n, got)
		}
		if got := accepts(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)); got != ok {
			t.Errorf("%d objects inside a record are accepted: %v", n, got)
		}
		if accepts(strings.Repeat("[", n)) || accepts(strings.Repeat(`{"a":`, n)) {
			t.Errorf("%d open brackets are accepted", n)
		}
	}
	// Neighbours are not depth.
	if !accepts("[" + strings.Repeat("[],", 1000) + "[]]") {
		t.Error("a wide array is refused")
	}
}

// TestTopOfDocument: a document is one object with nothing but blanks around it (AM-1.11).
func TestTopOfDocument(t *testing.T) {
	body := `{"offer":"` + string(offerID) + `"}`
	for text, ok := range map[string]bool{
		body: true, " \t\r\n" + body + " \t\r\n": true, body + body: false, body + "x": false, body + "\x00": false, "\ufeff" + body: false,
		"[" + body + "]": false, `"` + string(offerID) + `"`: false, "null": false, "": false, " ": false, body[:len(body)-1]: false, "\v" + body: false,
	} {
		_, err := activmail.ParseTokenRequest([]byte(text), activmail.DefaultLimits())
		if ok && err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if !ok {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
}

// TestNullIsNotAbsent: null is a wrong type (AM-1.13), an unknown member with it is nothing
// (AM-1.12), and names are compared exactly.
func TestNullIsNotAbsent(t *testing.T) {
	const receipt = `{"v":1,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z"%s}`
	for more, ok := range map[string]bool{
		"": true, `,"code":null`: false, `,"text":null`: false, `,"Code":null`: true, `,"x":null`: true, `,"code":5`: false, `,"text":[]`: false,
	} {
		_, err := activmail.ParseReceipt(fmt.Appendf(nil, receipt, more), activmail.DefaultLimits())
		if ok && err != nil {
			t.Errorf("%q: %v", more, err)
		}
		if !ok {
			wantError(t, err, vam.Invalid, "malformed")
		}
	}
}

// TestNumbers holds count and seconds (AM-1.7) at their edges.
func TestNumbers(t *testing.T) {
	const seal = `{"k":"seal","bytes":%s,"sha256":"` + "00000000000000000000000000000000" + "00000000000000000000000000000000" + `"}`
	limits := activmail.DefaultLimits()
	limits.Message = maxCount
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "9007199254740991": maxCount, "9007199254740992": -1, "9223372036854775808": -1, "18446744073709551616": -1,
		"-1": -1, "-0": -1, "1.0": -1, "1e0": -1, "1E0": -1, "0.0": -1, `"1"`: -1, "true": -1, "null": -1, "[]": -1,
	} {
		r, err := activmail.ParseRecord(fmt.Appendf(nil, seal, text), limits)
		if want < 0 {
			wantError(t, err, vam.Invalid, "malformed")
		} else if err != nil || int64(r.Bytes) != want {
			t.Errorf("%s is read as %d (%v)", text, int64(r.Bytes), err)
		}
	}
	part := `{"k":"part","b":"` + strings.Repeat("0", 64) + `","l":1,"t":%s,"d":0}`
	for text, want := range map[string]int64{
		"0": 0, "0.0": 0, "1": 1e9, "1.5": 15e8, "0.000000001": 1, "9999999.999999999": 9999999999999999, "0.1000": 1e8,
		"10000000": -1, "0.0000000001": -1, "1.": -1, ".5": -1, "01": -1, "-1": -1, "-0": -1, "1e3": -1, "1E-3": -1, "+1": -1, `"1"`: -1, "1.2.3": -1, "NaN": -1, "Infinity": -1,
	} {
		r, err := activmail.ParseRecord(fmt.Appendf(nil, part, text), limits)
		if want < 0 {
			wantError(t, err, vam.Invalid, "malformed")
		} else if err != nil || int64(r.Time) != want {
			t.Errorf("%s seconds are read as %d ns (%v)", text, int64(r.Time), err)
		}
	}
}

// TestDocumentsAreBounded: octets over the limit are refused unread (AM-10.13, AM-10.31) (AM-14.1).
func TestDocumentsAreBounded(t *testing.T) {
	limits := activmail.DefaultLimits()
	big := func(limit vam.Bytes) []byte {
		return append([]byte(`{"x":"`), bytes.Repeat([]byte("x"), int(limit))...)
	}
	for name, parse := range map[string]func([]byte) error{
		"answer":   func(b []byte) error { _, err := activmail.ParseOfferAnswer(b, limits); return err },
		"receipt":  func(b []byte) error { _, err := activmail.ParseReceipt(b, limits); return err },
		"head":     func(b []byte) error { _, err := activmail.ParseHead(b, limits); return err },
		"policy":   func(b []byte) error { _, err := activmail.ParsePolicy(b, limits); return err },
		"proof":    func(b []byte) error { _, err := activmail.ParseProof(b, limits); return err },
		"request":  func(b []byte) error { _, err := activmail.ParseTokenRequest(b, limits); return err },
		"grant":    func(b []byte) error { _, err := activmail.ParseTokenGrant(b, limits); return err },
		"log line": func(b []byte) error { _, err := activmail.ParseRecord(b, limits); return err },
	} {
		wantError(t, parse(big(limits.Document)), vam.TooLarge, "too-large")
		if name != "log line" {
			wantError(t, parse(big(100)), vam.Invalid, "malformed")
		}
	}
	_, err := activmail.ParseOffer(big(limits.Offer), limits)
	wantError(t, err, vam.TooLarge, "too-large")
	// The limit itself is within it (AM-10.30).
	for more, ok := range map[int]bool{0: true, 1: false} {
		body := `{"offer":"` + string(offerID) + `","x":"`
		body += strings.Repeat("x", int(limits.Document)+more-len(body)-2) + `"}`
		if _, err := activmail.ParseTokenRequest([]byte(body), limits); ok != (err == nil) {
			t.Errorf("a document of %d octets: %v", len(body), err)
		}
	}
}
