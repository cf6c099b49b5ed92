package amtest_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

func policyVectors() *vectorFile {
	f := file("origin", "policy", "Policies and their records (section 2.2).")
	p := object{{"version", "1"}, {"mode", `"enforce"`}, {"mx", `["vam1.b.example"]`}, {"max_age", "604800"}}
	f.ok("smallest", "AM-2.13", fields("body", p.String()), fields("mode", "enforce", "mx", "vam1.b.example", "max-age", "604800", "offer-max", "0", "in", "1", "out", "1", "contact", ""))
	f.ok("everything", "AM-2.13", fields("body", p.with("mode", `"testing"`).with("offer_max", "2097152").with("blob_max", "4194304").with("size_max", "1073741824").with("roles", `["in"]`).
		with("features", `["live","new-thing"]`).with("contact", `"mailto:postmaster@b.example"`).with("report", `"https://b.example/vam"`).with("x", "1").String()),
		fields("mode", "testing", "offer-max", "2097152", "blob-max", "4194304", "size-max", "1073741824", "in", "1", "out", "0", "feature", []string{"live", "new-thing"},
			"contact", "mailto:postmaster@b.example", "report", "https://b.example/vam"))
	f.ok("no names", "AM-2.13", fields("body", p.with("mx", "[]").String()), fields("mode", "enforce"))
	f.ok("no role at all", "AM-2.13", fields("body", p.with("roles", "[]").String()), fields("in", "0", "out", "0"))
	f.ok("unknown role", "AM-2.13", fields("body", p.with("roles", `["relay","out"]`).String()), fields("in", "0", "out", "1"))
	f.ok("a limit of 0", "AM-2.14", fields("body", p.with("size_max", "0").String()), fields("size-max", "0"))
	f.ok("hundred names", "AM-2.13", fields("body", p.with("mx", quoteAll(repeat("vam1.b.example", 100))).String()), fields("mx", repeat("vam1.b.example", 100)))
	f.ok("longest life", "AM-2.13", fields("body", p.with("max_age", "31557600").String()), fields("max-age", "31557600"))
	for _, m := range p {
		f.bad("without "+m[0], "AM-2.13", "malformed", fields("body", p.without(m[0]).String()))
	}
	f.bad("version 2", "AM-2.13", "version", fields("body", p.with("version", "2").String()))
	for _, tc := range []struct{ name, member, value string }{
		{"unknown mode", "mode", `"none"`},
		{"mx a string", "mx", `"vam1.b.example"`},
		{"mx with a wildcard", "mx", `["*.b.example"]`},
		{"mx in upper case", "mx", `["VAM1.b.example"]`},
		{"life of 59 seconds", "max_age", "59"},
		{"life over a year", "max_age", "31557601"},
		{"life as a string", "max_age", `"604800"`},
		{"size as a string", "size_max", `"10 GiB"`},
		{"roles a string", "roles", `"in"`},
		{"contact without scheme", "contact", `"postmaster@b.example"`},
		{"report over http", "report", `"http://b.example/"`},
	} {
		f.bad(tc.name, "AM-2.13", "malformed", fields("body", p.with(tc.member, tc.value).String()))
	}
	f.bad("over 64 KiB", "AM-2.11 AM-10.13", "too-large", fields("body", p.with("x", quote(strings.Repeat("x", 65536))).String()))

	f.with("origin", "policy-record")
	f.ok("record", "AM-2.10", fields("txt", "v=VAM1; id=20261122; mode=enforce"), fields("id", "20261122", "mode", "enforce"))
	f.ok("record without mode", "AM-2.10", fields("txt", "v=VAM1;id=a1;"), fields("id", "a1", "mode", ""))
	f.ok("record with unknown tags", "AM-2.10", fields("txt", "v=VAM1; x=y; id=a1"), fields("id", "a1"))
	for name, txt := range (ordered{
		{"empty", ""},
		{"v not first", "id=1; v=VAM1"},
		{"v2", "v=VAM2; id=1"},
		{"tag twice", "v=VAM1; id=1; id=2"},
		{"unknown mode", "v=VAM1; mode=none"},
		{"id with a hyphen", "v=VAM1; id=a-b"},
		{"id of 33", "v=VAM1; id=" + strings.Repeat("a", 33)},
		{"no equals sign", "v=VAM1; id"},
		{"another record", "v=spf1 -all"},
	}).all() {
		f.bad("record: "+name, "AM-2.10", "malformed", fields("txt", txt))
	}
	return f
}

func headerVectors() *vectorFile {
	f := file("recipient", "message-header", "Values of VAM-Message (section 12.1), without the name of the field.")
	key := publicOf(messageSeed)
	base := "v=1; id=" + exampleMID + "; o=a.example; k=" + key
	rootText := base64.StdEncoding.EncodeToString(treeHash(exampleLog()))
	root := node(exampleLog())
	f.ok("live", "AM-12.2", fields("value", base), fields("id", exampleMID, "origin", "a.example", "key", key, "sealed", "0"))
	f.ok("sealed", "AM-12.2", fields("value", base+"; n=4; r="+rootText+"; s=60; d=1"), fields("sealed", "1", "size", "4", "root", root, "bytes", "60", "duration-ns", "1000000000"))
	f.ok("folded as in chapter 12", "AM-12.2", fields("value", "v=1; id="+exampleMID+"; o=a.example;\r\n k="+key+"; n=4;\r\n r="+rootText+"; s=60; d=1"), fields("key", key, "root", root))
	f.ok("blanks and tabs around", "AM-12.2", fields("value", " v =\t1 ;id= "+exampleMID+";o=a.example;k="+key+" ; "), fields("id", exampleMID))
	f.ok("without blanks, sealed without duration", "AM-12.2", fields("value", strings.ReplaceAll(base, "; ", ";")+";n=4;r="+rootText+";s=0"), fields("bytes", "0", "duration-ns", "0"))
	f.ok("any order and unknown tags", "AM-12.2", fields("value", "k="+key+"; zz_1=x; o=a.example; t=; id="+exampleMID+"; v=1"), fields("key", key))
	many := base
	for i := range 40 {
		many += fmt.Sprintf("; t%d=x", i)
	}
	f.ok("unknown tag with every sign", "AM-12.2", fields("value", base+"; x=!#$%&'()*+,-./:<=>?@[]^_{|}~"), fields("key", key))
	f.ok("forty unknown tags", "AM-12.2", fields("value", many), fields("key", key))
	f.ok("1,024 octets", "AM-12.2", fields("value", base+"; x="+strings.Repeat("x", 1024-len(base)-4)), fields("key", key))
	f.bad("version 2", "AM-12.2", "version", fields("value", strings.Replace(base, "v=1", "v=2", 1)))
	for name, v := range (ordered{
		{"empty", ""},
		{"no version", strings.TrimPrefix(base, "v=1; ")},
		{"no id", strings.Replace(base, "id=", "x=", 1)},
		{"no origin", strings.Replace(base, "o=", "x=", 1)},
		{"no key", strings.Replace(base, "k=", "x=", 1)},
		{"tag names are exact", strings.Replace(base, "id=", "ID=", 1)},
		{"tag twice", base + "; o=b.example"},
		{"empty element", base + ";; x=y"},
		{"no equals sign", base + "; x"},
		{"blank in a value", strings.Replace(base, key, key[:20]+" "+key[20:], 1)},
		{"folded inside a value", strings.Replace(base, key, key[:20]+"\r\n "+key[20:], 1)},
		{"line end without fold", base + ";\r\nx=y"},
		{"bare LF", base + ";\n x=y"},
		{"not ASCII", base + "; x=ä"},
		{"id of version 4", strings.Replace(base, "-7c41", "-4c41", 1)},
		{"origin in upper case", strings.Replace(base, "a.example", "A.example", 1)},
		{"key of 31 octets", strings.Replace(base, key, base64.StdEncoding.EncodeToString(sum()[1:]), 1)},
		{"key in hex", strings.Replace(base, key, hex.EncodeToString(sum()), 1)},
		{"n without r and s", base + "; n=4"},
		{"n and r without s", base + "; n=4; r=" + rootText},
		{"d without n", base + "; d=1"},
		{"n is 0", base + "; n=0; r=" + rootText + "; s=60"},
		{"n with a leading zero", base + "; n=04; r=" + rootText + "; s=60"},
		{"s with a leading zero", base + "; n=4; r=" + rootText + "; s=060"},
		{"r without n", base + "; r=" + rootText},
		{"s twice", base + "; n=4; r=" + rootText + "; s=60; s=60"},
		{"root with unused bits set", base + "; n=4; r=" + strings.Replace(rootText, "E=", "F=", 1) + "; s=60"},
		{"d with nothing after the point", base + "; n=4; r=" + rootText + "; s=60; d=1."},
		{"tag name with a digit first", base + "; 1x=y"},
		{"NUL", base + "; x=\x00"},
		{"n with a sign", base + "; n=+4; r=" + rootText + "; s=60"},
		{"s negative", base + "; n=4; r=" + rootText + "; s=-1"},
		{"root short", base + "; n=4; r=" + rootText[4:] + "; s=60"},
		{"d with an exponent", base + "; n=4; r=" + rootText + "; s=60; d=1e3"},
	}).all() {
		f.bad(name, "AM-12.2", "malformed", fields("value", v))
	}
	f.bad("1,025 octets", "AM-12.2", "too-large", fields("value", base+"; x="+strings.Repeat("x", 1025-len(base)-4)))

	f.with("recipient", "binding")
	offer := exampleOfferObject()
	sealed := base + "; n=4; r=" + rootText + "; s=60; d=1"
	f.ok("the letter of the offer", "AM-12.4", fields("value", sealed, "body", offer.String()), nil)
	f.ok("a letter that was written while live", "AM-12.4", fields("value", base, "body", offer.String()), nil)
	live := offer.without("size", "dur").with("state", `"live"`).with("log", quoteAll(exampleLog()[:2])).with("cp", quote(checkpointOf(exampleLog()[:2])))
	f.ok("a live offer", "AM-12.4", fields("value", base, "body", live.String()), nil)
	for name, v := range (ordered{
		{"another message", strings.Replace(base, "4b10", "4b11", 1)},
		{"another origin", strings.Replace(base, "o=a.example", "o=b.example", 1)},
		{"the origin's parent", strings.Replace(base, "o=a.example", "o=example.example", 1)},
		{"another key", strings.Replace(base, key, publicOf(otherSeed), 1)},
		{"another size of the media", strings.Replace(sealed, "s=60", "s=61", 1)},
	}).all() {
		f.bad("binding: "+name, "AM-12.4 AM-12.9 AM-12.11", "policy", fields("value", v, "body", offer.String()))
	}
	return f
}

func problemVectors() *vectorFile {
	f := file("peer", "problem", "The registry of problems (problems.md), and what is made of answers that fail (chapter 9).")
	for _, p := range []struct{ name, status, code, again string }{
		{"malformed", "400", "5.5.2", "never"},
		{"version", "501", "5.5.4", "now"},
		{"signature-invalid", "401", "5.7.20", "never"},
		{"key-not-found", "401", "4.7.0", "later"},
		{"token-invalid", "401", "4.7.0", "now"},
		{"author-unaligned", "403", "5.7.26", "never"},
		{"policy", "403", "5.7.1", "never"},
		{"blocked", "403", "5.7.1", "never"},
		{"spam", "403", "5.7.1", "never"},
		{"legal", "451", "5.7.1", "never"},
		{"not-found", "404", "5.1.6", "never"},
		{"not-our-domain", "421", "5.1.2", "later"},
		{"revoked", "410", "5.7.1", "never"},
		{"expired", "410", "5.4.7", "never"},
		{"offer-conflict", "409", "5.6.0", "never"},
		{"log-position", "412", "", "now"},
		{"digest-mismatch", "422", "5.6.0", "never"},
		{"checkpoint-inconsistent", "422", "5.6.0", "never"},
		{"too-large", "413", "5.3.4", "never"},
		{"quota", "507", "4.2.2", "later"},
		{"disk-full", "507", "4.3.1", "later"},
		{"rate", "429", "4.7.0", "later"},
		{"busy", "503", "4.3.2", "later"},
		{"maintenance", "503", "4.3.2", "later"},
		{"early-data", "425", "4.7.0", "now"},
		{"timeout", "408", "4.4.2", "later"},
		{"internal", "500", "4.3.0", "later"},
	} {
		f.ok(p.name, "AM-9.2", fields("name", p.name), fields("type", problemBase+p.name, "status", p.status, "code", p.code, "again", p.again))
	}
	f.ok("no-such-recipient", "AM-9.2", fields("name", "no-such-recipient"), fields("type", problemBase+"no-such-recipient", "code", "5.1.1", "again", "never"))
	f.bad("a name that is none", "AM-9.2", "not-found", fields("name", "Malformed"))
	f.with("peer", "read-problem")
	doc := func(name, rest string) string { return `{"type":"` + problemBase + name + `"` + rest + `}` }
	f.ok("the example of chapter 9", "AM-9.3", fields("status", "413", "body", doc("too-large", `,"title":"Larger than a fixed limit","status":413,"detail":"the offer is longer than the limit of 1 MiB here","code":"5.3.4"`)),
		fields("name", "too-large", "detail", "the offer is longer than the limit of 1 MiB here", "code", "5.3.4", "temporary", "0"))
	f.ok("the type counts, not the status", "AM-9.3", fields("status", "400", "body", doc("quota", "")), fields("name", "quota", "code", "4.2.2", "temporary", "1"))
	f.ok("401 that is temporary", "AM-2.31", fields("status", "401", "body", doc("key-not-found", "")), fields("name", "key-not-found", "temporary", "1"))
	f.ok("421 is temporary", "AM-8.23", fields("status", "421", "body", doc("not-our-domain", "")), fields("name", "not-our-domain", "temporary", "1"))
	f.ok("a code of its own", "AM-9.8", fields("status", "403", "body", doc("policy", `,"code":"5.7.13"`)), fields("code", "5.7.13"))
	f.ok("a code that is none", "AM-9.8", fields("status", "403", "body", doc("policy", `,"code":"550"`)), fields("code", "5.7.1"))
	f.ok("a detail of 501 octets is cut", "AM-9.6", fields("status", "403", "body", doc("policy", `,"detail":"`+strings.Repeat("x", 501)+`"`)), fields("name", "policy"))
	f.ok("members of the wrong type are as good as none", "AM-9.3", fields("status", "403", "body", doc("spam", `,"detail":7,"code":[],"size":"x","status":"y"`)), fields("name", "spam", "detail", "", "code", "5.7.1"))
	f.ok("a name in another case is not known", "AM-9.2", fields("status", "403", "body", doc("QUOTA", "")), fields("name", "policy", "temporary", "0"))
	f.ok("a name without the address is not known", "AM-9.2", fields("status", "403", "body", `{"type":"quota"}`), fields("name", "policy"))
	f.ok("over 64 KiB", "AM-9.1 AM-10.13", fields("status", "503", "body", doc("policy", `,"x":"`+strings.Repeat("x", 65536)+`"`)), fields("temporary", "1"))
	f.ok("size below zero", "AM-9.1", fields("status", "412", "body", doc("log-position", `,"size":-1`)), fields("name", "log-position", "size", []string(nil)))
	f.ok("size", "AM-9.1", fields("status", "412", "body", doc("log-position", `,"size":305`)), fields("name", "log-position", "size", "305"))
	f.ok("retry after seconds", "AM-9.4", fields("status", "429", "header", "Retry-After: 120", "body", doc("rate", "")), fields("retry-after", "120", "temporary", "1"))
	f.ok("retry after a date", "AM-9.4", fields("status", "503", "header", []string{"Date: Mon, 23 Nov 2026 09:00:00 GMT", "Retry-After: Mon, 23 Nov 2026 09:05:00 GMT"}, "body", doc("busy", "")), fields("retry-after", "300"))
	f.ok("retry after no time", "AM-9.4", fields("status", "429", "header", "Retry-After: soon", "body", doc("rate", "")), fields("retry-after", "0", "temporary", "1"))
	f.ok("retry after the past", "AM-9.4", fields("status", "503", "header", []string{"Date: Mon, 23 Nov 2026 09:00:00 GMT", "Retry-After: Mon, 23 Nov 2026 08:05:00 GMT"}, "body", doc("busy", "")), fields("retry-after", "0"))
	f.ok("control characters are removed", "AM-9.6", fields("status", "403", "body", doc("policy", `,"detail":"a\u0007b\u001b[31mc\nd\u202e"`)), fields("detail", "ab[31mcd"))
	for _, s := range []struct{ status, temporary string }{
		{"400", "0"},
		{"401", "0"},
		{"403", "0"},
		{"404", "0"},
		{"409", "0"},
		{"410", "0"},
		{"413", "0"},
		{"418", "0"},
		{"451", "0"},
		{"501", "0"},
		{"402", "0"},
		{"405", "0"},
		{"412", "0"},
		{"415", "0"},
		{"416", "0"},
		{"422", "0"},
		{"431", "0"},
		{"421", "1"},
		{"408", "1"},
		{"425", "1"},
		{"429", "1"},
		{"500", "1"},
		{"502", "1"},
		{"503", "1"},
		{"504", "1"},
		{"507", "1"},
		{"599", "1"},
	} {
		f.ok("no document, status "+s.status, "AM-9.3", fields("status", s.status, "body", "<html>"), fields("temporary", s.temporary))
		f.ok("unknown type, status "+s.status, "AM-9.3", fields("status", s.status, "body", `{"type":"https://other.example/p/teapot","detail":"x"}`), fields("temporary", s.temporary, "detail", "x"))
	}
	return f
}

const problemBase = "https://github.com/videoactivmail/vam/blob/main/spec/problems.md#"
