package amtest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/videoactivmail/vam/activmail/amtest"
)

// object builds JSON with the members in order; a value is JSON already.
type object [][2]string

func (o object) with(name, value string) object {
	out := append(object(nil), o...)
	for i := range out {
		if out[i][0] == name {
			out[i][1] = value
			return out
		}
	}
	return append(out, [2]string{name, value})
}

func (o object) without(names ...string) object {
	var out object
	for _, m := range o {
		if !strings.Contains(" "+strings.Join(names, " ")+" ", " "+m[0]+" ") {
			out = append(out, m)
		}
	}
	return out
}

func (o object) String() string {
	parts := make([]string, len(o))
	for i, m := range o {
		parts[i] = quote(m[0]) + ":" + m[1]
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSuffix(b.String(), "\n")
}

func quoteAll(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		parts[i] = quote(s)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

const exampleToken = "vp_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

func exampleOfferObject() object {
	return object{
		{"v", "1"},
		{"mid", quote(exampleMID)},
		{"origin", quote(exampleOrigin)},
		{"offer", quote(exampleOffer)},
		{"key", quote(publicOf(messageSeed))},
		{"kind", `"video"`},
		{"state", `"sealed"`},
		{"size", "60"},
		{"dur", "1"},
		{"env", `{"from":"alice@a.example","to":["bob@b.example"]}`},
		{"mail", quote(base64.StdEncoding.EncodeToString([]byte("From: alice@a.example\r\n\r\nHi.\r\n")))},
		{"log", quoteAll(exampleLog())},
		{"cp", quote(checkpointOf(exampleLog()))},
		{"token", quote(exampleToken)},
		{"token_exp", `"2026-11-30T09:00:00Z"`},
	}
}

func offerVectors() *vectorFile {
	f := file("recipient", "offer", "Offers (chapter 6): form, lines and checkpoint. The letter inside is not looked at here.")
	o := exampleOfferObject()
	good := func(name, rules string, o object, want ...any) {
		f.ok(name, rules, fields("body", o.String()), fields(want...))
	}
	good("sealed video", "AM-6.4 AM-6.13", o, "mid", exampleMID, "origin", exampleOrigin, "offer", exampleOffer, "key", publicOf(messageSeed), "kind", "video", "state", "sealed",
		"size", 60, "duration-ns", 1000000000, "from", "alice@a.example", "to", "bob@b.example", "auto", "0", "deliver-by", "", "not-before", "",
		"mail", "From: alice@a.example\r\n\r\nHi.\r\n", "line", exampleLog(), "checkpoint-size", 4, "token-sha256", hexSum([]byte(exampleToken)), "token-expires", "2026-11-30T09:00:00Z")
	good("live with the lines so far", "AM-6.4", o.without("size", "dur").with("state", `"live"`).with("log", quoteAll(exampleLog()[:2])).with("cp", quote(checkpointOf(exampleLog()[:2]))),
		"state", "live", "size", 0, "line", exampleLog()[:2], "checkpoint-size", 2)
	good("live with nothing yet", "AM-6.4", o.without("size", "dur").with("state", `"live"`).with("log", "[]").with("cp", quote(checkpointOf(nil))), "checkpoint-size", 0)
	good("the first lines of a longer log", "AM-6.4 AM-6.13", o.with("log", quoteAll(exampleLog()[:1])).with("cp", quote(checkpointOf(exampleLog()[:1]))), "line", exampleLog()[:1], "checkpoint-size", 1)
	good("no duration", "AM-6.4", o.without("dur"), "duration-ns", 0)
	good("live with a size that is expected", "AM-6.4", o.with("state", `"live"`).with("size", "123456"), "state", "live", "size", 123456)
	good("over 10 GiB, which the answer may tell", "AM-6.16 AM-10.4", o.with("size", "10737418241"), "size", "10737418241")
	f.cases[len(f.cases)-1].Expect = []string{amtest.ResultOK, "too-large"}
	good("several recipients and conditions", "AM-6.4", o.with("env", `{"from":"","to":["bob@b.example","\"c d\"@b.example"],"deliver_by":"2026-11-27T00:00:00Z","not_before":"2026-11-24T00:00:00Z","auto":true}`),
		"from", "", "to", []string{"bob@b.example", `"c d"@b.example`}, "deliver-by", "2026-11-27T00:00:00Z", "not-before", "2026-11-24T00:00:00Z", "auto", "1")
	good("hundred recipients", "AM-10.9", o.with("env", `{"from":"alice@a.example","to":`+quoteAll(addresses(100))+`}`), "to", addresses(100))
	good("letter by name", "AM-6.4", o.without("mail").with("mail_ref", `{"b":"`+blobPart+`","l":67108864}`), "mail-blob", blobPart, "mail-length", 67108864)
	good("forwarded", "AM-6.29", o.with("fwd", quoteAll([]string{"c.example/" + exampleMID, "d.example/" + exampleOffer})), "forward", []string{"c.example/" + exampleMID, "d.example/" + exampleOffer})
	good("forwarded too often is a matter of the answer", "AM-6.29", o.with("fwd", quoteAll(repeat("c.example/"+exampleMID, 6))), "forward", repeat("c.example/"+exampleMID, 6))
	good("unknown members", "AM-1.12", o.with("x", `{"y":[1]}`).with("env", `{"from":"alice@a.example","to":["bob@b.example"],"notify":1}`), "to", "bob@b.example")

	bad := func(problem, rules string, cases ...any) {
		for i := 0; i < len(cases); i += 2 {
			name, _ := cases[i].(string)
			f.bad(name, rules, problem, fields("body", fmt.Sprint(cases[i+1])))
		}
	}
	for _, m := range o.without("dur") {
		bad("malformed", "AM-6.4", "without "+m[0], o.without(m[0]))
	}
	bad("version", "AM-6.4", "version 2", o.with("v", "2"), "version 2 with nothing else", `{"v":2}`)
	bad("malformed", "AM-6.4 AM-1.11",
		"empty", "", "no object", "[]", "cut short", o.String()[:200], "octets after the end", o.String()+"x", "member twice", o.String()[:len(o.String())-1]+`,"v":1}`,
		"version as a string", o.with("v", `"1"`), "mid of version 4", o.with("mid", `"019acf10-8a3e-4c41-9b0d-5f6c2e7a4b10"`), "origin in upper case", o.with("origin", `"A.example"`),
		"offer null", o.with("offer", "null"), "key of 31 octets", o.with("key", quote(base64.StdEncoding.EncodeToString(sum()[1:]))), "key without padding", o.with("key", quote(strings.TrimSuffix(publicOf(messageSeed), "="))),
		"unknown kind", o.with("kind", `"fax"`), "unknown state", o.with("state", `"draft"`), "negative size", o.with("size", "-1"), "size as a string", o.with("size", `"60"`),
		"duration with an exponent", o.with("dur", "1e3"), "env no object", o.with("env", `"alice"`), "no from", o.with("env", `{"to":["bob@b.example"]}`), "no to", o.with("env", `{"from":""}`),
		"no recipient", o.with("env", `{"from":"","to":[]}`), "two domains", o.with("env", `{"from":"","to":["bob@b.example","carol@c.example"]}`),
		"recipient twice", o.with("env", `{"from":"","to":["bob@b.example","BOB@b.example"]}`), "recipient no address", o.with("env", `{"from":"","to":["bob"]}`), "recipient empty", o.with("env", `{"from":"","to":[""]}`),
		"auto as a string", o.with("env", `{"from":"","to":["bob@b.example"],"auto":"no"}`), "deliver_by with an offset", o.with("env", `{"from":"","to":["bob@b.example"],"deliver_by":"2026-11-27T00:00:00+01:00"}`),
		"letter twice", o.with("mail_ref", `{"b":"`+blobPart+`","l":9}`), "letter empty", o.with("mail", `""`), "letter not base64", o.with("mail", `"RnJvbQ"`), "letter with line ends", o.with("mail", `"RnJv\nbQ=="`),
		"letter of no octets", o.without("mail").with("mail_ref", `{"b":"`+blobPart+`","l":0}`), "letter without length", o.without("mail").with("mail_ref", `{"b":"`+blobPart+`"}`),
		"log no array", o.with("log", `"x"`), "line no string", o.with("log", `[{"k":"x"}]`), "line invalid", o.with("log", `["x"]`), "lines after the seal", o.with("log", quoteAll(append(exampleLog(), exampleLog()[1]))),
		"checkpoint null", o.with("cp", "null"), "checkpoint empty", o.with("cp", `""`), "checkpoint of another message", o.with("cp", quote(strings.ReplaceAll(checkpointOf(exampleLog()), "4b10", "4b11"))),
		"to no array", o.with("env", `{"from":"","to":"bob@b.example"}`), "to null", o.with("env", `{"from":"","to":null}`), "from no address", o.with("env", `{"from":"alice","to":["bob@b.example"]}`),
		"not_before with a fraction", o.with("env", `{"from":"","to":["bob@b.example"],"not_before":"2026-11-27T00:00:00.5Z"}`), "size over 2^53-1", o.with("size", "9007199254740992"), "size null", o.with("size", "null"),
		"mid in upper case", o.with("mid", quote(strings.ToUpper(exampleMID))), "fwd with no id", o.with("fwd", `["c.example/x"]`), "fwd no array", o.with("fwd", `"c.example"`), "state null", o.with("state", "null"),
		"letter by name, blob in upper case", o.without("mail").with("mail_ref", `{"b":"`+strings.ToUpper(blobPart)+`","l":9}`), "nested too deep", o.with("x", strings.Repeat("[", 17)+strings.Repeat("]", 17)),
		"device token", o.with("token", quote("vd"+exampleToken[2:])), "token end as a number", o.with("token_exp", "1764493200"), "fwd without domain", o.with("fwd", quoteAll([]string{exampleMID})),
	)
	bad("checkpoint-inconsistent", "AM-6.13",
		"checkpoint by another key", o.with("key", quote(publicOf(otherSeed))), "lines that the checkpoint does not cover", o.with("cp", quote(checkpointOf(exampleLog()[:3]))),
		"checkpoint ahead of the lines", o.with("log", quoteAll(exampleLog()[:1])), "checkpoint over lines that are not there", o.with("log", "[]"),
		"lines that lead to another root", o.with("log", quoteAll(append(exampleLog()[:3:3], `{"k":"seal","bytes":60,"sha256":"`+blobPart+`"}`))),
	)
	bad("digest-mismatch", "AM-4.14", "seal with another number of octets", o.with("log", quoteAll(append(exampleLog()[:2:2], `{"k":"seal","bytes":60,"sha256":"`+blobPart+`"}`))))
	bad("too-large", "AM-10.1 AM-10.7 AM-10.8 AM-10.9",
		"101 recipients", o.with("env", `{"from":"","to":`+quoteAll(addresses(101))+`}`), "line over 2,048 octets", o.with("log", quoteAll([]string{`{"k":"x","y":"` + strings.Repeat("y", 2048) + `"}`})),
		"letter by name over 64 MiB", o.without("mail").with("mail_ref", `{"b":"`+blobPart+`","l":67108865}`), "log over 64 KiB", o.with("log", quoteAll(repeat(`{"k":"x","y":"`+strings.Repeat("y", 1000)+`"}`, 65))),
		"checkpoint over 2,048 octets", o.with("cp", quote(strings.Repeat("x", 2049))),
	)
	return f
}

func addresses(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("u%d@b.example", i)
	}
	return out
}

func answerVectors() *vectorFile {
	f := file("origin", "answer", "Answers to offers (section 6.2). A wanted value is address|state|code|text.")
	f.ok("the example of section 6.2", "AM-6.8", fields("body", `{"rcpt":{"bob@b.example":{"s":"accepted"},`+"\n         "+`"eve@b.example":{"s":"rejected","code":"5.1.1","text":"There is no mailbox eve@b.example here; check the spelling."}}}`),
		fields("recipient", []string{"bob@b.example|accepted||", "eve@b.example|rejected|5.1.1|There is no mailbox eve@b.example here; check the spelling."}))
	for _, s := range []string{"held", "pending", "declined", "lapsed", "stored", "displayed", "played", "withdrawn"} {
		f.ok("state "+s, "AM-6.7 AM-6.10", fields("body", `{"rcpt":{"bob@b.example":{"s":"`+s+`"}}}`), fields("recipient", "bob@b.example|"+s+"||"))
	}
	f.ok("refused for now", "AM-6.7", fields("body", `{"rcpt":{"bob@b.example":{"s":"rejected","code":"4.2.2"}},"x":1}`), fields("recipient", "bob@b.example|rejected|4.2.2|"))
	f.ok("quoted address", "AM-6.8", fields("body", `{"rcpt":{"\"c d\"@b.example":{"s":"accepted"}}}`), fields("recipient", `"c d"@b.example|accepted||`))
	for name, body := range (ordered{
		{"no rcpt", `{}`},
		{"rcpt an array", `{"rcpt":[]}`},
		{"no state", `{"rcpt":{"bob@b.example":{}}}`},
		{"unknown state", `{"rcpt":{"bob@b.example":{"s":"maybe"}}}`},
		{"rejected without code", `{"rcpt":{"bob@b.example":{"s":"rejected"}}}`},
		{"code of two parts", `{"rcpt":{"bob@b.example":{"s":"rejected","code":"5.1"}}}`},
		{"code of class 3", `{"rcpt":{"bob@b.example":{"s":"rejected","code":"3.1.1"}}}`},
		{"recipient no object", `{"rcpt":{"bob@b.example":"accepted"}}`},
		{"no address", `{"rcpt":{"bob":{"s":"accepted"}}}`},
		{"recipient twice", `{"rcpt":{"bob@b.example":{"s":"accepted"},"bob@b.example":{"s":"held"}}}`},
		{"text with a line end", `{"rcpt":{"bob@b.example":{"s":"held","text":"a\nb"}}}`},
		{"text of 501 octets", `{"rcpt":{"bob@b.example":{"s":"held","text":"` + strings.Repeat("x", 501) + `"}}}`},
		{"empty", ""},
		{"HTML", "<html>"},
	}).all() {
		f.bad(name, "AM-6.7 AM-6.8", "malformed", fields("body", body))
	}
	return f
}

func receiptVectors() *vectorFile {
	f := file("origin", "receipt", "Receipts (section 8.1) and the names of recipients in their paths.")
	f.ok("the example of section 3.4", "AM-8.1", fields("body", `{"v":1,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z"}`),
		fields("recipient", "bob@b.example", "event", "stored", "known", "1", "at", "2026-11-23T09:00:05Z", "code", "", "text", ""))
	f.ok("failed", "AM-8.1", fields("body", `{"v":1,"rcpt":"bob@b.example","event":"failed","at":"2026-11-23T09:00:05Z","code":"5.6.0","text":"Schäden"}`),
		fields("event", "failed", "code", "5.6.0", "text", "Schäden"))
	f.ok("unknown event", "AM-8.8", fields("body", `{"v":1,"rcpt":"bob@b.example","event":"loved-it","at":"2026-11-23T09:00:05Z","x":1}`), fields("event", "loved-it", "known", "0"))
	f.bad("version 2", "AM-8.1", "version", fields("body", `{"v":2,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z"}`))
	for name, body := range (ordered{
		{"no version", `{"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z"}`},
		{"no recipient", `{"v":1,"event":"stored","at":"2026-11-23T09:00:05Z"}`},
		{"no event", `{"v":1,"rcpt":"bob@b.example","at":"2026-11-23T09:00:05Z"}`},
		{"no time", `{"v":1,"rcpt":"bob@b.example","event":"stored"}`},
		{"recipient empty", `{"v":1,"rcpt":"","event":"stored","at":"2026-11-23T09:00:05Z"}`},
		{"event in upper case", `{"v":1,"rcpt":"bob@b.example","event":"Stored","at":"2026-11-23T09:00:05Z"}`},
		{"event of 33 letters", `{"v":1,"rcpt":"bob@b.example","event":"` + strings.Repeat("a", 33) + `","at":"2026-11-23T09:00:05Z"}`},
		{"failed without code", `{"v":1,"rcpt":"bob@b.example","event":"failed","at":"2026-11-23T09:00:05Z"}`},
		{"code no code", `{"v":1,"rcpt":"bob@b.example","event":"failed","at":"2026-11-23T09:00:05Z","code":"550"}`},
		{"text with a control character", `{"v":1,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z","text":"a\u0007"}`},
		{"text of 501 octets", `{"v":1,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z","text":"` + strings.Repeat("x", 501) + `"}`},
		{"recipient in other quotes", `{"v":1,"rcpt":"\"bob\"@b.example","event":"stored","at":"2026-11-23T09:00:05Z"}`},
		{"version null", `{"v":null,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05Z"}`},
		{"empty", ""},
		{"array", "[]"},
		{"time local", `{"v":1,"rcpt":"bob@b.example","event":"stored","at":"2026-11-23T09:00:05"}`},
		{"member twice", `{"v":1,"rcpt":"bob@b.example","event":"stored","event":"failed","at":"2026-11-23T09:00:05Z"}`},
	}).all() {
		f.bad(name, "AM-8.1", "malformed", fields("body", body))
	}
	f.ok("the octets of a receipt may be written in any way", "AM-1.12", fields("body", " { \"event\":\"st\\u006fred\", \"at\":\"2026-11-23T09:00:05Z\",\n\"rcpt\" : \"bob@b.example\", \"v\":1 } "), fields("event", "stored"))
	f.with("peer", "recipient-id")
	for _, a := range []struct{ in, key string }{{"bob@b.example", "bob@b.example"}, {"Bob@b.example", "bob@b.example"}, {`"C D"@b.example`, `"c d"@b.example`}} {
		f.ok("rid of "+a.in, "AM-8.7", fields("mid", exampleMID, "address", a.in), fields("rid", base64.RawURLEncoding.EncodeToString(sum([]byte(exampleMID+"\n"+a.key)))))
	}
	f.ok("rid of section 3.4", "AM-8.7", fields("mid", exampleMID, "address", "bob@b.example"), fields("rid", "8ugAFQzR6H38_ejW3V_qof_cGbrBxJiYjZzgiOxMp1o"))
	return f
}

func pullVectors() *vectorFile {
	f := file("recipient", "head", "Heads, token requests and their answers (chapter 7).")
	h := object{
		{"v", "1"},
		{"mid", quote(exampleMID)},
		{"origin", quote(exampleOrigin)},
		{"kind", `"video"`},
		{"state", `"live"`},
		{"log", "4"},
		{"size", "60"},
		{"at", `"2026-11-23T09:00:00Z"`},
		{"cp", quote(checkpointOf(exampleLog()))},
	}
	f.ok("head", "AM-7.3", fields("body", h.String()), fields("mid", exampleMID, "origin", exampleOrigin, "kind", "video", "state", "live", "log", "4", "size", "60", "duration-ns", "0",
		"at", "2026-11-23T09:00:00Z", "expires", "", "checkpoint", checkpointOf(exampleLog())))
	f.ok("head with everything", "AM-7.3", fields("body", h.with("dur", "1.25").with("ct", `"video/mp4"`).with("tr", `["low","alt"]`).with("exp", `"2026-12-24T00:00:00Z"`).with("x", "null").String()),
		fields("duration-ns", "1250000000", "content-type", "video/mp4", "track", []string{"low", "alt"}, "expires", "2026-12-24T00:00:00Z"))
	for _, m := range h {
		f.bad("head without "+m[0], "AM-7.3", "malformed", fields("body", h.without(m[0]).String()))
	}
	f.bad("head of version 2", "AM-7.3", "version", fields("body", h.with("v", "2").String()))
	f.bad("head with another state", "AM-7.3", "malformed", fields("body", h.with("state", `"revoked"`).String()))
	f.bad("head with too long a log", "AM-10.2", "too-large", fields("body", h.with("log", "200001").String()))
	f.with("origin", "token-request")
	f.ok("token request", "AM-7.21", fields("body", `{"offer":"`+exampleOffer+`"}`), fields("offer", exampleOffer))
	for name, body := range (ordered{{"empty", ""}, {"without offer", "{}"}, {"offer null", `{"offer":null}`}, {"offer no id", `{"offer":"x"}`}}).all() {
		f.bad("token request: "+name, "AM-7.21", "malformed", fields("body", body))
	}
	f.with("recipient", "token-grant")
	f.ok("token answer", "AM-7.21", fields("body", `{"token":"`+exampleToken+`","expires":"2026-11-30T09:00:00Z"}`), fields("token", exampleToken, "expires", "2026-11-30T09:00:00Z"))
	for name, body := range (ordered{
		{"without token", `{"expires":"2026-11-30T09:00:00Z"}`},
		{"without end", `{"token":"` + exampleToken + `"}`},
		{"device token", `{"token":"vd` + exampleToken[2:] + `","expires":"2026-11-30T09:00:00Z"}`},
		{"end as a number", `{"token":"` + exampleToken + `","expires":1764493200}`},
	}).all() {
		f.bad("token answer: "+name, "AM-7.21", "malformed", fields("body", body))
	}
	return f
}
