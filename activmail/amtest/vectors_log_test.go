package amtest_test

import (
	"encoding/hex"
	"fmt"
	"strings"
)

func nameVectors() *vectorFile {
	f := file("peer", "domain", "Domains, message ids, addresses and tokens (chapters 1 and 7).")
	for _, d := range []string{"a.example", "xn--bcher-kva.example", "a-b.c1.example", "1.example", strings.Repeat("a", 63) + ".example", strings.Repeat("a.", 122) + "a.example", "a.b.c.d", "a.1b"} {
		f.ok(fmt.Sprintf("domain of %d octets, %s", len(d), d[:min(len(d), 20)]), "AM-1.1", fields("domain", d), fields("domain", d))
	}
	for name, d := range (ordered{
		{"upper case", "A.example"},
		{"final dot", "a.example."},
		{"one label", "example"},
		{"empty", ""},
		{"empty label", "a..example"},
		{"hyphen first", "-a.example"},
		{"hyphen last", "a-.example"},
		{"underscore", "a_b.example"},
		{"U-label", "bücher.example"},
		{"IPv4", "192.0.2.1"},
		{"label of 64", strings.Repeat("a", 64) + ".example"},
		{"last label all digits", "a.1"},
		{"port", "a.example:1398"},
		{"blank", " a.example"},
		{"IPv6", "[2001:db8::1]"},
		{"254 octets", strings.Repeat("a.", 123) + "a.exampl"},
	}).all() {
		f.bad("domain: "+name, "AM-1.1", "malformed", fields("domain", d))
	}

	f.with("peer", "message-id")
	f.ok("message id", "AM-1.2", fields("id", exampleMID), fields("time-ms", "1764410559038"))
	f.ok("message id, greatest", "AM-1.2", fields("id", "ffffffff-ffff-7fff-bfff-ffffffffffff"), nil)
	for name, id := range (ordered{
		{"upper case", strings.ToUpper(exampleMID)},
		{"version 4", "019acf10-8a3e-4c41-9b0d-5f6c2e7a4b10"},
		{"variant", "019acf10-8a3e-7c41-cb0d-5f6c2e7a4b10"},
		{"braces", "{" + exampleMID + "}"},
		{"without hyphens", strings.ReplaceAll(exampleMID, "-", "")},
		{"short", exampleMID[:35]},
		{"long", exampleMID + "0"},
		{"not hex", "019acf10-8a3e-7c41-9b0d-5f6c2e7a4b1g"},
		{"empty", ""},
	}).all() {
		f.bad("message id: "+name, "AM-1.2", "malformed", fields("id", id))
	}

	f.with("peer", "address")
	for _, a := range []struct{ name, in, local, domain, key string }{
		{"plain", "bob@b.example", "bob", "b.example", "bob@b.example"},
		{"the key is in lower case", "Bob.Smith@b.example", "Bob.Smith", "b.example", "bob.smith@b.example"},
		{"plus", "bob+tag@b.example", "bob+tag", "b.example", "bob+tag@b.example"},
		{"quoted", `"a b"@b.example`, "a b", "b.example", `"a b"@b.example`},
		{"quoted with escapes", `"a\"\\b"@b.example`, `a"\b`, "b.example", `"a\"\\b"@b.example`},
		{"UTF-8", "Jörg@b.example", "Jörg", "b.example", "jörg@b.example"},
		{"at sign inside quotes", `"a@b"@b.example`, "a@b", "b.example", `"a@b"@b.example`},
		{"64 octets", strings.Repeat("x", 64) + "@b.example", strings.Repeat("x", 64), "b.example", strings.Repeat("x", 64) + "@b.example"},
		{"64 octets with quotes", `"` + strings.Repeat("x", 61) + ` "@b.example`, strings.Repeat("x", 61) + " ", "b.example", `"` + strings.Repeat("x", 61) + ` "@b.example`},
		{"254 octets", strings.Repeat("x", 64) + "@" + strings.Repeat("a.", 90) + "b.example", strings.Repeat("x", 64), strings.Repeat("a.", 90) + "b.example", strings.Repeat("x", 64) + "@" + strings.Repeat("a.", 90) + "b.example"},
		{"every sign of a dot-string", "a!#$%&'*+-/=?^_`{|}~9@b.example", "a!#$%&'*+-/=?^_`{|}~9", "b.example", "a!#$%&'*+-/=?^_`{|}~9@b.example"},
		{"dots that need quotes", `".a..b."@b.example`, ".a..b.", "b.example", `".a..b."@b.example`},
		{"no final sigma in the mapping", "ΑΣ@b.example", "ΑΣ", "b.example", "ασ@b.example"},
		{"simple mapping alone", "\u0130@b.example", "\u0130", "b.example", "i@b.example"},
		{"letters that look alike stay apart", "\u0430lice@b.example", "\u0430lice", "b.example", "\u0430lice@b.example"},
		{"no normalisation", "e\u0301@b.example", "e\u0301", "b.example", "e\u0301@b.example"},
	} {
		f.ok("address: "+a.name, "AM-1.4 AM-1.5 AM-1.6", fields("address", a.in),
			fields("local", a.local, "domain", a.domain, "key", a.key))
	}
	for name, a := range (ordered{
		{"domain in upper case", "bob@B.example"},
		{"quotes that are not needed", `"bob"@b.example`},
		{"no at sign", "bob.b.example"},
		{"no local part", "@b.example"},
		{"no domain", "bob@"},
		{"address literal", "bob@[192.0.2.1]"},
		{"display name", "Bob <bob@b.example>"},
		{"source route", "@a.example:bob@b.example"},
		{"comment", "bob(x)@b.example"},
		{"dot first", ".bob@b.example"},
		{"two dots", "b..ob@b.example"},
		{"65 octets", strings.Repeat("x", 65) + "@b.example"},
		{"line end", "bob\r\n@b.example"},
		{"blank", "bo b@b.example"},
		{"zero-width joiner", "bo\u200db@b.example"},
		{"soft hyphen", "bo\u00adb@b.example"},
		{"byte order mark", "\ufeffbob@b.example"},
		{"turned writing", "bo\u202eb@b.example"},
		{"Hangul filler", "bo\u3164b@b.example"},
		{"variation selector", "bo\ufe0fb@b.example"},
		{"blank of Braille", "bo\u2800b@b.example"},
		{"replacement character", "bo\ufffdb@b.example"},
		{"ideographic space", "\"bo\u3000b\"@b.example"},
		{"line separator", "bo\u2028b@b.example"},
		{"tab inside quotes", "\"bo\tb\"@b.example"},
		{"delete", "bo\u007fb@b.example"},
		{"private use", "bo\ue000b@b.example"},
		{"quotes around a dot-string with dots", `"b.ob"@b.example`},
		{"escape that is not needed", `"a\ b"@b.example`},
		{"quote inside", `"a"b"@b.example`},
		{"empty quotes", `""@b.example`},
		{"open quotes", `"bob@b.example`},
		{"two at signs", "bob@x@b.example"},
		{"dot last", "bob.@b.example"},
		{"final dot", "bob@b.example."},
		{"U-label", "bob@bücher.example"},
		{"255 octets", strings.Repeat("x", 64) + "@" + strings.Repeat("a.", 90) + "bb.example"},
		{"not UTF-8", "bo\xffb@b.example"},
		{"NUL", "bo\x00b@b.example"},
		{"blank at the end", "bob@b.example "},
		{"zero-width space", "bo\u200bb@b.example"},
		{"no-break space", "\"bo\u00a0b\"@b.example"},
		{"empty", ""},
	}).all() {
		f.bad("address: "+name, "AM-1.4 AM-1.5", "malformed", fields("address", a))
	}

	f.with("peer", "token")
	token := "vp_" + strings.Repeat("A", 42) + "I"
	f.ok("pull token", "AM-7.2", fields("token", token), fields("sha256", hexSum([]byte(token))))
	for name, t := range (ordered{
		{"device token", "vd_" + token[3:]},
		{"no prefix", token[3:]},
		{"short", token[:45]},
		{"long", token + "A"},
		{"unused bits set", token[:45] + "J"},
		{"padding", token + "="},
		{"base64 of the other alphabet", "vp_+/" + token[5:]},
		{"empty", ""},
	}).all() {
		f.bad("token: "+name, "AM-7.2 AM-7.25", "token-invalid", fields("token", t))
	}
	return f
}

// ordered is a list of named inputs.
type ordered [][2]string

func (o ordered) all() func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		for _, e := range o {
			if !yield(e[0], e[1]) {
				return
			}
		}
	}
}

// Blobs of the example in section 4.5 of the specification.
const (
	blobInit = "548f70868cc1270552cd1af49852b6d0446c1fdb8aaaf58b5363360d21819827"
	blobPart = "b73230a5f91bad3cea1c904c37245ef65d8f1a59a788ec9f2abcbd6ea34dc0a1"
	blobNext = "9377a9335b28c5d74549bd493b5307ad9397d76fd36b0775500b5fc9d2074f00"
)

func exampleLog() []string {
	return []string{
		`{"k":"init","b":"` + blobInit + `","l":17,"ct":"video/mp4; codecs=\"avc1.64001f,mp4a.40.2\""}`,
		`{"k":"part","b":"` + blobPart + `","l":22,"t":0,"d":0.5,"i":1}`,
		`{"k":"part","b":"` + blobNext + `","l":21,"t":0.5,"d":0.5}`,
		`{"k":"seal","bytes":60,"dur":1,"sha256":"38cb461ca93f9cf4dde6e0855809d418b0f1e5cda4a91c4a5486f3a1c6af6378"}`,
	}
}

func recordVectors() *vectorFile {
	f := file("peer reader", "record", "Log records: what a line says and what makes it invalid (chapter 4).")
	part := func(members string) string { return `{"k":"part","b":"` + blobPart + `","l":22` + members + `}` }
	good := func(name, line string, want ...any) {
		f.ok(name, "AM-4.2 AM-4.3 AM-4.4", fields("line", line), append(fields("leaf", hex.EncodeToString(leafHash(line))), fields(want...)...))
	}
	lines := exampleLog()
	good("init", lines[0], "kind", "init", "known", "1", "blob", blobInit, "length", "17", "content-type", `video/mp4; codecs="avc1.64001f,mp4a.40.2"`)
	good("part with times", lines[1], "kind", "part", "blob", blobPart, "length", "22", "time-ns", "0", "duration-ns", "500000000", "independent", "1")
	good("part without key frame", lines[2], "time-ns", "500000000", "independent", "0")
	good("seal", lines[3], "kind", "seal", "bytes", "60", "duration-ns", "1000000000", "sha256", "38cb461ca93f9cf4dde6e0855809d418b0f1e5cda4a91c4a5486f3a1c6af6378")
	good("part of a plain file", part(``), "kind", "part", "length", "22")
	good("first part of a plain file", part(`,"ct":"application/pdf"`), "content-type", "application/pdf")
	good("part of an extra track", part(`,"t":1,"d":1,"tr":"low-240p"`), "track", "low-240p")
	good("nanoseconds", part(`,"t":0.000000001,"d":9999999.999999999`), "time-ns", "1", "duration-ns", "9999999999999999")
	good("zero written with decimals", part(`,"t":0.000,"d":0`), "time-ns", "0", "duration-ns", "0")
	good("escapes in a hash", strings.Replace(part(``), `"b7`, `"\u0062\u0037`, 1), "blob", blobPart)
	good("type with parameters of all forms", part(`,"ct":"video/mp4 ; a=b;c=\"d \\\\\\\" e\" ;; "`), "content-type", `video/mp4 ; a=b;c="d \\\" e" ;; `)
	good("type with every sign between quotes", part(`,"ct":"a/b; c=\" !#$%&'()*+,-./:;<=>?@[]^_{|}~\\~\""`), "content-type", `a/b; c=" !#$%&'()*+,-./:;<=>?@[]^_{|}~\~"`)
	good("type of 255 octets", part(`,"ct":"a/`+strings.Repeat("b", 253)+`"`), "length", "22")
	good("longest language tag", `{"k":"text","b":"`+blobPart+`","l":9,"ct":"text/vtt","lang":"`+strings.Repeat("abcdefgh-", 3)+`abcdefgh"}`, "lang", strings.Repeat("abcdefgh-", 3)+"abcdefgh")
	good("file name of 255 octets", `{"k":"seal","bytes":0,"sha256":"`+hexSum()+`","name":"`+strings.Repeat("n", 255)+`"}`, "kind", "seal")
	good("kind of 32 letters", `{"k":"`+strings.Repeat("k", 32)+`"}`, "known", "0")
	good("the first time", `{"k":"expire","at":"1970-01-01T00:00:00Z"}`, "at", "1970-01-01T00:00:00Z")
	good("the last second of a day", `{"k":"expire","at":"2028-02-29T23:59:59Z"}`, "at", "2028-02-29T23:59:59Z")
	good("poster", `{"k":"poster","b":"`+blobPart+`","l":1048576,"ct":"image/jpeg"}`, "kind", "poster", "length", "1048576")
	good("text", `{"k":"text","b":"`+blobPart+`","l":9,"ct":"text/vtt","lang":"de-CH-1996"}`, "lang", "de-CH-1996")
	good("seal of a cut recording", `{"k":"seal","bytes":0,"sha256":"`+hexSum()+`","why":"cut"}`, "why", "cut", "bytes", "0")
	good("seal with a file name", `{"k":"seal","bytes":0,"sha256":"`+hexSum()+`","name":"Ferien – Tag 1.mp4"}`, "name", "Ferien – Tag 1.mp4")
	good("expire", `{"k":"expire","at":"2026-12-24T00:00:00Z"}`, "at", "2026-12-24T00:00:00Z")
	good("revoke", `{"k":"revoke","at":"2026-11-23T08:00:00Z","why":"sender"}`, "at", "2026-11-23T08:00:00Z", "why", "sender")
	good("unknown kind", `{"k":"reaction","b":7,"x":[{"y":null}]}`, "kind", "reaction", "known", "0")
	good("unknown kind, not critical", `{"k":"reaction","crit":0}`, "known", "0")
	good("critical known kind", part(`,"crit":1`), "kind", "part")
	good("unknown members are ignored", part(`,"x":{"a":[1,2.5e3,"z",true,null]}`), "length", "22")
	good("members of other kinds are ignored", part(`,"lang":7,"at":"never","sha256":1`), "length", "22")
	good("any order and blanks inside", `{ "l" : 22 ,	"b":"`+blobPart+`", "k":"part" }`, "length", "22")
	good("escapes in names and values", `{"\u006b":"p\u0061rt","b":"`+blobPart+`","l":22}`, "kind", "part")
	good("longest line", part(`,"x":"`+strings.Repeat("x", 2048-len(part(`,"x":""`)))+`"`), "kind", "part")
	good("longest blob of a part", `{"k":"part","b":"`+blobPart+`","l":4194304}`, "length", "4194304")
	good("nested sixteen deep", part(`,"x":`+strings.Repeat("[", 15)+strings.Repeat("]", 15)), "kind", "part")
	good("a pair of surrogates", `{"k":"seal","bytes":0,"sha256":"`+hexSum()+`","name":"\ud83c\udf0a.mp4"}`, "name", "🌊.mp4")

	bad := func(problem string, cases ordered) {
		for name, line := range cases.all() {
			f.bad(name, "AM-1.11 AM-4.2 AM-4.5", problem, fields("line", line))
		}
	}
	bad("malformed", ordered{
		{"empty", ""},
		{"not JSON", "k=part"},
		{"array", `["k"]`},
		{"string", `"k"`},
		{"cut short", lines[1][:40] + `}`},
		{"blank before", " " + part(``)},
		{"blank after", part(``) + " "},
		{"two objects", `{"k":"x"}{"k":"x"}`},
		{"LF inside", strings.Replace(part(``), ",", ",\n", 1)},
		{"CR inside", strings.Replace(part(``), ",", ",\r", 1)},
		{"byte order mark", "\ufeff" + part(``)},
		{"no kind", `{"b":"` + blobPart + `","l":22}`},
		{"kind is no string", `{"k":1}`},
		{"kind is null", `{"k":null}`},
		{"kind is empty", `{"k":""}`},
		{"kind in upper case", `{"k":"Part","b":"` + blobPart + `","l":22}`},
		{"kind too long", `{"k":"` + strings.Repeat("k", 33) + `"}`},
		{"member names are exact", `{"K":"part","b":"` + blobPart + `","l":22}`},
		{"member twice", part(`,"l":22`)},
		{"member twice by an escape", part(`,"\u006c":22`)},
		{"member twice in an inner object", part(`,"x":{"a":1,"a":2}`)},
		{"no blob", `{"k":"part","l":22}`},
		{"no length", `{"k":"part","b":"` + blobPart + `"}`},
		{"blob in upper case", strings.Replace(part(``), blobPart, strings.ToUpper(blobPart), 1)},
		{"blob short", strings.Replace(part(``), blobPart, blobPart[:62], 1)},
		{"blob long", strings.Replace(part(``), blobPart, blobPart+"00", 1)},
		{"blob not hex", strings.Replace(part(``), blobPart, blobPart[:63]+"g", 1)},
		{"blob null", `{"k":"part","b":null,"l":22}`},
		{"length 0", strings.Replace(part(``), "22", "0", 1)},
		{"length minus zero", strings.Replace(part(``), ":22", ":-0", 1)},
		{"length negative", strings.Replace(part(``), ":22", ":-22", 1)},
		{"length with a fraction", strings.Replace(part(``), ":22", ":22.0", 1)},
		{"length with an exponent", strings.Replace(part(``), ":22", ":2e1", 1)},
		{"length as a string", strings.Replace(part(``), ":22", `:"22"`, 1)},
		{"length over 2^53-1", strings.Replace(part(``), ":22", ":9007199254740992", 1)},
		{"length with a leading zero", strings.Replace(part(``), ":22", ":022", 1)},
		{"t without d", part(`,"t":0`)},
		{"d without t", part(`,"d":0`)},
		{"t negative", part(`,"t":-1,"d":1`)},
		{"t with an exponent", part(`,"t":1e1,"d":1`)},
		{"t with ten decimals", part(`,"t":0.0000000001,"d":1`)},
		{"t too great", part(`,"t":10000000,"d":1`)},
		{"t as a string", part(`,"t":"0","d":1`)},
		{"t with nothing after the point", part(`,"t":1.,"d":1`)},
		{"i is true", part(`,"i":true`)},
		{"i is 2", part(`,"i":2`)},
		{"track in upper case", part(`,"tr":"Low"`)},
		{"track empty", part(`,"tr":""`)},
		{"content type without slash", part(`,"ct":"video"`)},
		{"content type with a line end", part(`,"ct":"video/mp4\r\nx: y"`)},
		{"content type open quote", part(`,"ct":"video/mp4; codecs=\"x"`)},
		{"content type without type", part(`,"ct":"/mp4"`)},
		{"content type without subtype", part(`,"ct":"video/"`)},
		{"content type with a blank", part(`,"ct":"vi deo/mp4"`)},
		{"content type empty", part(`,"ct":""`)},
		{"content type with a tab", part(`,"ct":"video/mp4;\ta=b"`)},
		{"content type not in ASCII", part(`,"ct":"video/mp4; a=\"ä\""`)},
		{"parameter without value", part(`,"ct":"video/mp4; a"`)},
		{"content type of 256 octets", part(`,"ct":"a/` + strings.Repeat("b", 254) + `"`)},
		{"init without type", `{"k":"init","b":"` + blobInit + `","l":17}`},
		{"text without language", `{"k":"text","b":"` + blobPart + `","l":9,"ct":"text/vtt"}`},
		{"language tag with an empty part", `{"k":"text","b":"` + blobPart + `","l":9,"ct":"text/vtt","lang":"de-"}`},
		{"language tag with nine letters", `{"k":"text","b":"` + blobPart + `","l":9,"ct":"text/vtt","lang":"abcdefghi"}`},
		{"language tag of 36 octets", `{"k":"text","b":"` + blobPart + `","l":9,"ct":"text/vtt","lang":"` + strings.Repeat("abcdefg-", 4) + `abcd"}`},
		{"text with no language tag", `{"k":"text","b":"` + blobPart + `","l":9,"ct":"text/vtt","lang":"de_CH"}`},
		{"seal without sum", `{"k":"seal","bytes":60}`},
		{"seal without bytes", `{"k":"seal","sha256":"` + hexSum() + `"}`},
		{"file name with a slash", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":"a/b"}`},
		{"file name empty", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":""}`},
		{"file name of 256 octets", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":"` + strings.Repeat("n", 256) + `"}`},
		{"file name with a backslash", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":"a\\b"}`},
		{"file name with NUL", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":"a\u0000b"}`},
		{"file name dot dot", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":".."}`},
		{"file name that turns the writing", `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `","name":"a\u202egpj.exe"}`},
		{"expire without time", `{"k":"expire"}`},
		{"time with an offset", `{"k":"expire","at":"2026-12-24T00:00:00+00:00"}`},
		{"time with a fraction", `{"k":"expire","at":"2026-12-24T00:00:00.0Z"}`},
		{"time in lower case", `{"k":"expire","at":"2026-12-24t00:00:00z"}`},
		{"time before 1970", `{"k":"expire","at":"1969-12-31T23:59:59Z"}`},
		{"year 0", `{"k":"expire","at":"0000-01-01T00:00:00Z"}`},
		{"leap second", `{"k":"expire","at":"2016-12-31T23:59:60Z"}`},
		{"hour 24", `{"k":"expire","at":"2026-12-24T24:00:00Z"}`},
		{"year of five digits", `{"k":"expire","at":"12026-12-24T00:00:00Z"}`},
		{"time that is none", `{"k":"expire","at":"2026-02-30T00:00:00Z"}`},
		{"time as a number", `{"k":"expire","at":1766534400}`},
		{"why with a blank", `{"k":"revoke","at":"2026-11-23T08:00:00Z","why":"the sender"}`},
		{"crit is true", `{"k":"x","crit":true}`},
		{"not UTF-8", "{\"k\":\"x\",\"y\":\"\xff\"}"},
		{"half a pair of surrogates", `{"k":"x","y":"\ud83c"}`},
		{"unknown escape", `{"k":"x","y":"\q"}`},
		{"bare control character", "{\"k\":\"x\",\"y\":\"\x01\"}"},
		{"nested seventeen deep", part(`,"x":` + strings.Repeat("[", 16) + strings.Repeat("]", 16))},
		{"comma at the end", `{"k":"x",}`},
		{"no comma", `{"k":"x" "y":1}`},
		{"word in upper case", `{"k":"x","y":True}`},
		{"number with a plus", `{"k":"x","y":+1}`},
		{"NaN", `{"k":"x","y":NaN}`},
		{"comment", `{"k":"x"/*y*/}`},
	})
	bad("too-large", ordered{
		{"line of 2,049 octets", part(`,"x":"` + strings.Repeat("x", 2049-len(part(`,"x":""`))) + `"`)},
		{"part over 4 MiB", `{"k":"part","b":"` + blobPart + `","l":4194305}`},
		{"init over 4 MiB", `{"k":"init","b":"` + blobPart + `","l":4194305,"ct":"video/mp4"}`},
		{"poster over 1 MiB", `{"k":"poster","b":"` + blobPart + `","l":1048577,"ct":"image/jpeg"}`},
		{"text over 1 MiB", `{"k":"text","b":"` + blobPart + `","l":1048577,"ct":"text/vtt","lang":"en"}`},
	})
	f.bad("critical unknown kind", "AM-4.6", "version", fields("line", `{"k":"reaction","crit":1}`))
	return f
}

func logVectors() *vectorFile {
	f := file("peer", "log", "Whole logs: order, offsets, roots, seal and media identity (chapter 4). A refused line is the last one.")
	init := `{"k":"init","b":"` + blobInit + `","l":17,"ct":"video/mp4"}`
	part := func(l int, members string) string {
		return fmt.Sprintf(`{"k":"part","b":"%s","l":%d%s}`, blobPart, l, members)
	}
	seal := func(n int) string { return fmt.Sprintf(`{"k":"seal","bytes":%d,"sha256":"%s"}`, n, blobNext) }
	poster := `{"k":"poster","b":"` + blobPart + `","l":5,"ct":"image/jpeg"}`
	text := `{"k":"text","b":"` + blobPart + `","l":5,"ct":"text/vtt","lang":"en"}`
	expire, revoke := `{"k":"expire","at":"2026-12-24T00:00:00Z"}`, `{"k":"revoke","at":"2026-11-23T08:00:00Z"}`
	emptySeal := `{"k":"seal","bytes":0,"sha256":"` + hexSum() + `"}`

	good := func(name, rules string, lines []string, offsets []string, want ...any) {
		w := fields("offset", offsets, "size", len(lines), "root", hex.EncodeToString(treeHash(lines)))
		f.ok(name, rules, fields("line", lines), append(w, fields(want...)...))
	}
	identity := func(pieces ...string) string { return hexSum([]byte(strings.Join(pieces, ""))) }
	good("the example of section 4.5", "AM-4.8 AM-4.14 AM-4.24", exampleLog(), []string{"0", "17", "39", "-1"},
		"media-bytes", "60", "media-identity", "ff7dec9249b2e4a288326a71e090addac2383a4dc317e14950eba8fee9eefa06", "sealed", "1", "revoked", "0",
		"leaf", []string{
			"f2ea21979345313ab0eadb61e9ef80e6fe0cbc56d09949cd34b17e899a98553d", "5b053fa85b640caa763b11b69dfbf96838118ad9961ffb97aed98b1e9b3df9a5",
			"ebc390fa21ad8b27be6a6dac260689bd85bdff75e0cbee2ce2a93d8b2b3a9d12", "c6b21dc1a993bd44e89c7695bb68e8a4b5a725a87f58c4aedfb3c397b174f944",
		})
	good("empty", "AM-5.2", nil, nil, "media-bytes", "0", "media-identity", hexSum(), "sealed", "0")
	good("plain file", "AM-4.12", []string{part(1048576, `,"ct":"application/pdf"`), part(1048576, ""), part(7, ""), seal(2097159)},
		[]string{"0", "1048576", "2097152", "-1"},
		"media-identity", identity(blobPart+" 1048576\n", blobPart+" 1048576\n", blobPart+" 7\n"))
	good("posters, texts and extra tracks are no media", "AM-4.26",
		[]string{poster, init, part(3, `,"t":0,"d":1`), part(9, `,"t":0,"d":1,"tr":"low"`), text, part(4, `,"t":1,"d":1`), seal(24)},
		[]string{"-1", "0", "17", "-1", "-1", "20", "-1"}, "media-bytes", "24",
		"media-identity", identity(blobInit+" 17\n", blobPart+" 3\n", blobPart+" 4\n"))
	good("a further init", "AM-4.10", []string{init, part(3, `,"t":0,"d":1`), init, part(3, `,"t":1,"d":1`)}, []string{"0", "17", "20", "37"}, "sealed", "0")
	good("equal times", "AM-4.11", []string{init, part(3, `,"t":1,"d":0`), part(3, `,"t":1,"d":1`)}, []string{"0", "17", "20"})
	good("a gap in time", "AM-4.11", []string{init, part(3, `,"t":1,"d":1`), part(3, `,"t":60,"d":1`)}, []string{"0", "17", "20"})
	good("tracks keep their own time", "AM-4.11", []string{part(3, `,"t":9,"d":1`), part(3, `,"t":0,"d":1,"tr":"a"`), part(3, `,"t":9,"d":1`)}, []string{"0", "-1", "3"})
	good("times without init", "AM-4.10", []string{part(3, `,"t":0,"d":1`), part(3, `,"t":1,"d":1`)}, []string{"0", "3"})
	good("sealed with nothing in it", "AM-4.14", []string{emptySeal}, []string{"-1"}, "sealed", "1", "media-bytes", "0")
	good("text, expire and revoke after the seal", "AM-4.15", []string{part(3, ""), seal(3), text, expire, expire, revoke},
		[]string{"0", "-1", "-1", "-1", "-1", "-1"}, "sealed", "1", "revoked", "1", "expires", "2026-12-24T00:00:00Z")
	good("unknown kinds after the seal", "AM-4.15", []string{part(3, ""), seal(3), `{"k":"reaction"}`}, []string{"0", "-1", "-1"})
	good("revoke without seal", "AM-4.16", []string{part(3, ""), revoke}, []string{"0", "-1"}, "sealed", "0", "revoked", "1")
	good("expire before the seal", "AM-4.17", []string{expire, part(3, ""), seal(3)}, []string{"-1", "0", "-1"}, "expires", "2026-12-24T00:00:00Z")
	good("unknown kind", "AM-4.6", []string{`{"k":"reaction"}`, part(3, "")}, []string{"-1", "0"})
	good("sixteen tracks", "AM-4.9", tracks(15, part(3, "")), append([]string{"0"}, repeat("-1", 15)...))

	bad := func(name, rules, problem string, lines ...string) {
		f.bad(name, rules, problem, fields("line", lines))
	}
	bad("seal with another number of octets", "AM-4.14", "digest-mismatch", part(3, ""), seal(4))
	bad("seal of nothing with another sum", "AM-4.14", "digest-mismatch", seal(0))
	bad("two seals", "AM-4.14", "malformed", part(3, ""), seal(3), seal(3))
	bad("part after the seal", "AM-4.15", "malformed", part(3, ""), seal(3), part(3, ""))
	bad("init after the seal", "AM-4.15", "malformed", part(3, ""), seal(3), init)
	bad("poster after the seal", "AM-4.15", "malformed", part(3, ""), seal(3), poster)
	bad("anything after a revoke", "AM-4.16", "malformed", part(3, ""), revoke, text)
	bad("second revoke", "AM-4.16", "malformed", revoke, revoke)
	bad("unknown kind after a revoke", "AM-4.16", "malformed", revoke, `{"k":"reaction"}`)
	bad("time goes back", "AM-4.11", "malformed", init, part(3, `,"t":1,"d":1`), part(3, `,"t":0.999999999,"d":1`))
	bad("time goes back after an init", "AM-4.11", "malformed", init, part(3, `,"t":1,"d":1`), init, part(3, `,"t":0,"d":1`))
	bad("init after parts that had none", "AM-4.10", "malformed", part(3, ""), init)
	bad("seventeen tracks", "AM-4.9 AM-10.11", "too-large", tracks(16, part(3, ""))...)
	bad("critical unknown kind", "AM-4.6", "version", init, `{"k":"reaction","crit":1}`)
	bad("invalid line", "AM-4.7", "malformed", init, `{"k":"part"}`)
	bad("seal over the limit of a message", "AM-10.4", "too-large", `{"k":"seal","bytes":10737418241,"sha256":"`+blobPart+`"}`)
	return f
}

// tracks is a main track's part and one part of each of n extra tracks.
func tracks(n int, part string) []string {
	out := []string{part}
	for i := range n {
		out = append(out, strings.Replace(part, "}", fmt.Sprintf(`,"tr":"t%d"}`, i), 1))
	}
	return out
}

func repeat(s string, n int) []string {
	return strings.Split(strings.TrimSuffix(strings.Repeat(s+" ", n), " "), " ")
}

// followVectors are what a follower that holds all lines makes of checkpoints.
func followVectors(f *vectorFile) *vectorFile {
	f.with("recipient", "follow")
	lines := exampleLog()
	in := func(lines []string, checkpoints ...string) []any {
		return []any{"origin", exampleOrigin, "mid", exampleMID, "key", publicOf(messageSeed), "line", lines, "checkpoint", checkpoints}
	}
	cp := func(n int) string { return checkpointOf(lines[:n]) }
	// What the origin signed elsewhere: the same log with another second part.
	other := append(append([]string(nil), lines[:2]...), `{"k":"part","b":"`+blobPart+`","l":22,"t":0.5,"d":0.5}`, lines[3])
	f.ok("a checkpoint for every length", "AM-5.8 AM-5.10", fields(in(lines, cp(0), cp(1), cp(2), cp(3), cp(4))...), fields("size", []string{"0", "1", "2", "3", "4"}))
	f.ok("an older checkpoint after a newer one", "AM-5.11", fields(in(lines, cp(4), cp(2), cp(4))...), fields("size", []string{"4", "2", "4"}))
	f.ok("a checkpoint over less than all lines", "AM-5.10", fields(in(lines, cp(3))...), fields("size", "3"))
	bad := func(name, rules string, in []any) { f.bad(name, rules, "checkpoint-inconsistent", fields(in...)) }
	bad("two histories", "AM-5.10 AM-5.14", in(lines, cp(2), checkpointOf(other[:3])))
	bad("two histories of one length", "AM-5.11 AM-5.14", in(lines, cp(4), checkpointOf(other)))
	bad("two histories, the older length", "AM-5.11 AM-5.14", in(lines, cp(4), checkpointOf(other[:3])))
	bad("lines in another order", "AM-4.1 AM-5.10", in([]string{lines[0], lines[2]}, checkpointOf([]string{lines[2], lines[0]})))
	bad("an octet more in a line", "AM-1.14 AM-4.3", in([]string{strings.Replace(lines[0], ":17", ": 17", 1)}, cp(1)))
	bad("a root that is nobody's", "AM-5.10", in(lines, signed4(treeHash(lines[:3]))))
	return f
}

// signed4 is a checkpoint over four lines with any root.
func signed4(root []byte) string {
	body := checkpointBody(exampleName, 4, root)
	return body + "\n" + signNote(body, exampleName, messageSeed)
}

func logBodyVectors() *vectorFile {
	f := file("recipient", "log-body", "Bodies of application/vnd.vam.log (section 7.3). The checkpoint is not verified here.",
		"cut 1 means that the body ended before its checkpoint: the lines are kept and the rest is asked for again.")
	lines := exampleLog()
	joined := strings.Join(lines, "\n") + "\n"
	cp := checkpointOf(lines)
	f.ok("all lines", "AM-7.4", fields("body", joined+"\n"+cp), fields("line", lines, "checkpoint", cp))
	f.ok("no lines", "AM-7.4", fields("body", "\n"+cp), fields("checkpoint", cp))
	f.ok("cut after a line", "AM-7.7", fields("body", joined), fields("line", lines, "cut", "1"))
	f.ok("cut inside a line", "AM-7.7", fields("body", joined[:len(joined)-20]), fields("line", lines[:3], "cut", "1"))
	f.ok("cut before the checkpoint", "AM-7.7", fields("body", joined+"\n"), fields("line", lines, "cut", "1"))
	f.ok("cut inside the checkpoint", "AM-7.7", fields("body", joined+"\n"+cp[:70]), fields("line", lines, "cut", "1"))
	for n, end := range []int{strings.Index(cp, "\n") + 1, strings.Index(cp, "\n4\n") + 3, strings.Index(cp, "\n\n") + 1, strings.Index(cp, "\n\n") + 2, len(cp) - 1} {
		f.ok(fmt.Sprintf("cut at line end %d of the checkpoint", n+1), "AM-7.7", fields("body", joined+"\n"+cp[:end]), fields("line", lines, "cut", "1"))
	}
	f.ok("nothing at all", "AM-7.7", fields("body", ""), fields("cut", "1"))
	f.bad("CR LF", "AM-7.4", "malformed", fields("body", strings.ReplaceAll(joined, "\n", "\r\n")+"\r\n"+cp))
	f.bad("no object", "AM-7.4", "malformed", fields("body", "k=part\n\n"+cp))
	f.bad("line too long", "AM-7.4 AM-10.1", "too-large", fields("body", `{"x":"`+strings.Repeat("x", 2042)+"\"}\n\n"+cp))
	f.bad("line without end", "AM-7.4 AM-10.1", "too-large", fields("body", "{"+strings.Repeat("x", 4096)))
	f.bad("checkpoint too long", "AM-7.4 AM-10.12", "too-large", fields("body", joined+"\n"+cp+strings.Repeat("x", 2048)+"\n"))
	return f
}
