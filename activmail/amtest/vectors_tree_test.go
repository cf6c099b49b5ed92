package amtest_test

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// The leaves and roots of the certificate-transparency reference implementation of RFC
// 6962, which RFC 9162 did not change; the RFCs themselves print no values.
func referenceLeaves() []string {
	var out []string
	for _, h := range []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"} {
		b, _ := hex.DecodeString(h)
		out = append(out, string(b))
	}
	return out
}

func referenceRoots() []string {
	return []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
}

func treeVectors() *vectorFile {
	f := file("peer reader", "tree", "Roots (section 5.1). Sizes 0 to 8 are the reference vectors of RFC 6962.")
	for n, root := range referenceRoots() {
		f.ok(fmt.Sprintf("reference tree of %d leaves", n), "AM-5.1 AM-5.2", fields("leaf", referenceLeaves()[:n]), fields("size", n, "root", root))
	}
	for n, root := range []string{
		"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "8uohl5NFMTqw6tth6e+A5v4MvFbQmUnNNLF+iZqYVT0=", "5ViMpl03qlglv/Cfx3MCg7Ba2dDDhgebbCLgxWePUKA=",
		"WnBrdQBVDP/rY25Ipg9O69xmbmKlCt3yuJ609OFunh4=", "wDJlZVvkRIf85+R4nvJF+kO4B3ocMgkA6UAPTJQ9c/E=",
	} {
		b, _ := base64.StdEncoding.DecodeString(root)
		f.ok(fmt.Sprintf("section 5.5, %d lines", n), "AM-5.1 AM-5.2", fields("leaf", exampleLog()[:n]), fields("size", n, "root", hex.EncodeToString(b)))
	}
	for _, n := range []int{9, 64, 127} {
		f.ok(fmt.Sprintf("tree of %d leaves", n), "AM-5.1", fields("leaf", counted(n)), fields("size", n, "root", node(counted(n))))
	}
	return f
}

// counted are n different leaves.
func counted(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(i)
	}
	return out
}

func proofVectors() *vectorFile {
	f := file("peer reader", "inclusion", "Inclusion and consistency proofs (section 5.4, RFC 6962 sections 2.1.1 and 2.1.2). Hashes in hex.",
		"Cases named reference have the values of the reference implementation of RFC 6962.")
	leaves, roots := referenceLeaves(), referenceRoots()
	leaf := func(i int) string { return hex.EncodeToString(leafHash(leaves[i])) }
	const (
		h1, h23 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
		h4, h45 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b", "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
		h47     = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
		h67     = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
	)
	inclusion := func(i, size int, proof ...string) []any {
		return []any{"leaf", i, "hash", leaf(i), "size", size, "root", roots[size], "proof", proof}
	}
	for _, tc := range []struct {
		i, size int
		proof   []string
	}{
		{0, 1, nil}, {0, 8, []string{h1, h23, h47}}, {5, 8, []string{h4, h67, roots[4]}}, {2, 3, []string{roots[2]}}, {1, 5, []string{roots[1], h23, h4}},
	} {
		f.ok(fmt.Sprintf("reference: leaf %d of %d", tc.i, tc.size), "AM-5.16", fields(inclusion(tc.i, tc.size, tc.proof...)...), nil)
	}
	// RFC 6962 section 2.1.3 draws the tree of 7 leaves and names these nodes.
	for _, tc := range []struct {
		i     int
		proof []string
	}{{0, []string{h1, h23, node(leaves[4:7])}}, {3, []string{leaf(2), node(leaves[0:2]), node(leaves[4:7])}}, {4, []string{leaf(5), leaf(6), node(leaves[0:4])}}, {6, []string{h45, node(leaves[0:4])}}} {
		f.ok(fmt.Sprintf("section 2.1.3 of RFC 6962: PATH(%d, D[7])", tc.i), "AM-5.16", fields(inclusion(tc.i, 7, tc.proof...)...), nil)
	}
	wrong := func(name string, in []any) { f.bad(name, "AM-5.16", "checkpoint-inconsistent", fields(in...)) }
	wrong("hash missing", inclusion(0, 8, h1, h23))
	wrong("hash too many", inclusion(0, 8, h1, h23, h47, h47))
	wrong("hashes in another order", inclusion(0, 8, h23, h1, h47))
	wrong("another leaf", inclusion(1, 8, h1, h23, h47))
	wrong("another hash in the middle", inclusion(0, 8, h1, h45, h47))
	wrong("no hash at all", inclusion(0, 8))
	wrong("a proof of another size", []any{"leaf", 4, "hash", leaf(4), "size", 5, "root", roots[8], "proof", []string{leaf(5), h67, roots[4]}})
	for _, tc := range [][2]int{{0, 127}, {64, 127}, {126, 127}, {63, 64}} {
		d := counted(tc[1])
		f.ok(fmt.Sprintf("leaf %d of %d", tc[0], tc[1]), "AM-5.16", fields("leaf", tc[0], "hash", hex.EncodeToString(leafHash(d[tc[0]])), "size", tc[1], "root", node(d), "proof", inclusionPath(tc[0], d)), nil)
	}
	wrong("proof for a single leaf", inclusion(0, 1, h1))
	wrong("another root", []any{"leaf", 0, "hash", leaf(0), "size", 8, "root", roots[7], "proof", []string{h1, h23, h47}})
	wrong("an inner node for a leaf", []any{"leaf", 0, "hash", roots[2], "size", 4, "root", roots[4], "proof", []string{h23}})
	for _, tc := range []struct {
		name string
		leaf string
		size string
	}{{"leaf beyond the tree", "8", "8"}, {"negative leaf", "-1", "8"}, {"empty tree", "0", "0"}, {"size over 2^48", "0", "9223372036854775807"}} {
		f.bad(tc.name, "AM-5.16", "malformed checkpoint-inconsistent", fields("leaf", tc.leaf, "hash", leaf(0), "size", tc.size, "root", roots[8], "proof", []string{h1, h23, h47}))
	}

	f.with("peer reader", "consistency")
	consistency := func(from, size int, proof ...string) []any {
		return []any{"old-size", from, "old-root", roots[from], "size", size, "root", roots[size], "proof", proof}
	}
	for _, tc := range []struct {
		from, size int
		proof      []string
	}{{1, 1, nil}, {8, 8, nil}, {0, 5, nil}, {0, 0, nil}, {1, 8, []string{h1, h23, h47}}, {6, 8, []string{h45, h67, roots[4]}}, {2, 5, []string{h23, h4}}} {
		f.ok(fmt.Sprintf("reference: %d to %d", tc.from, tc.size), "AM-5.16", fields(consistency(tc.from, tc.size, tc.proof...)...), nil)
	}
	for _, from := range []int{3, 4, 6} {
		f.ok(fmt.Sprintf("section 2.1.3 of RFC 6962: PROOF(%d, D[7])", from), "AM-5.16", fields(consistency(from, 7, consistencyPath(from, leaves[:7], true)...)...), nil)
	}
	for _, tc := range [][2]int{{1, 127}, {64, 127}, {100, 127}, {126, 127}, {32, 64}} {
		d := counted(tc[1])
		f.ok(fmt.Sprintf("consistency: %d to %d", tc[0], tc[1]), "AM-5.16", fields("old-size", tc[0], "old-root", node(d[:tc[0]]), "size", tc[1], "root", node(d), "proof", consistencyPath(tc[0], d, true)), nil)
	}
	wrong("consistency: hashes in another order", consistency(6, 8, h67, h45, roots[4]))
	wrong("consistency: no hash at all", consistency(6, 8))
	wrong("consistency: hash missing", consistency(6, 8, h45, h67))
	wrong("consistency: hash too many", consistency(6, 8, h45, h67, roots[4], roots[4]))
	wrong("consistency: another old root", []any{"old-size", 6, "old-root", roots[5], "size", 8, "root", roots[8], "proof", []string{h45, h67, roots[4]}})
	wrong("consistency: another root", []any{"old-size", 6, "old-root", roots[6], "size", 8, "root", roots[7], "proof", []string{h45, h67, roots[4]}})
	wrong("consistency: one size, two roots", []any{"old-size", 8, "old-root", roots[7], "size", 8, "root", roots[8]})
	wrong("consistency: one size and a proof", consistency(8, 8, h1))
	wrong("consistency: from nothing with a proof", consistency(0, 8, h1))
	wrong("consistency: empty tree with another root", []any{"old-size", 0, "old-root", roots[1], "size", 8, "root", roots[8]})
	f.bad("consistency: shrinking", "AM-5.16", "malformed checkpoint-inconsistent", fields(consistency(8, 6, h45, h67, roots[4])...))

	f.with("origin", "prove-inclusion")
	for _, tc := range [][2]int{{0, 1}, {0, 8}, {5, 8}, {6, 7}, {4, 5}} {
		f.ok(fmt.Sprintf("prove leaf %d of %d", tc[0], tc[1]), "AM-5.15 AM-7.14", fields("leaf", leaves, "index", tc[0], "size", tc[1]), fields("proof", inclusionPath(tc[0], leaves[:tc[1]])))
	}
	f.bad("prove a leaf beyond the tree", "AM-7.14", "malformed", fields("leaf", leaves, "index", 4, "size", 4))
	f.bad("prove in a tree beyond the log", "AM-7.14", "log-position", fields("leaf", leaves, "index", 4, "size", 9))
	f.with("origin", "prove-consistency")
	for _, tc := range [][2]int{{1, 8}, {6, 8}, {3, 7}, {4, 7}, {8, 8}} {
		f.ok(fmt.Sprintf("prove %d to %d", tc[0], tc[1]), "AM-5.15 AM-7.14", fields("leaf", leaves, "from", tc[0], "size", tc[1]), fields("proof", consistencyPath(tc[0], leaves[:tc[1]], true)))
	}
	f.bad("prove a shrinking log", "AM-7.14", "malformed", fields("leaf", leaves, "from", 5, "size", 4))

	f.with("reader", "proof")
	f.ok("proof document", "AM-5.15", fields("body", `{"hashes":["xrIdwamTvUTonHaVu2jopLWnJah/WMSu37PDl7F0+UQ=","5ViMpl03qlglv/Cfx3MCg7Ba2dDDhgebbCLgxWePUKA="]}`),
		fields("proof", []string{"c6b21dc1a993bd44e89c7695bb68e8a4b5a725a87f58c4aedfb3c397b174f944", "e5588ca65d37aa5825bff09fc7730283b05ad9d0c386079b6c22e0c5678f50a0"}))
	f.ok("empty proof document", "AM-5.15", fields("body", `{"hashes":[],"x":1}`), nil)
	hash := `"` + base64.StdEncoding.EncodeToString(sum()) + `"`
	for name, body := range (ordered{
		{"no hashes", `{}`},
		{"null", `{"hashes":null}`},
		{"a number", `{"hashes":[1]}`},
		{"hash in hex", `{"hashes":["` + roots[1] + `"]}`},
		{"hash of 31 octets", `{"hashes":["` + base64.StdEncoding.EncodeToString(sum()[1:]) + `"]}`},
		{"hash without padding", `{"hashes":["` + strings.Trim(hash, `"=`) + `"]}`},
	}).all() {
		f.bad("proof document: "+name, "AM-5.15", "malformed", fields("body", body))
	}
	f.bad("proof document of 65 hashes", "AM-5.15 AM-10.14", "too-large malformed checkpoint-inconsistent", fields("body", `{"hashes":[`+strings.Repeat(hash+",", 64)+hash+`]}`))
	return f
}

func node(d []string) string { return hex.EncodeToString(treeHash(d)) }

func checkpointVectors() *vectorFile {
	f := file("peer reader", "checkpoint", "Signed checkpoints (section 5.2). The message key is that of RFC 8032 section 7.1, test 1.")
	key := publicOf(messageSeed)
	in := func(text string) []any {
		return []any{"origin", exampleOrigin, "mid", exampleMID, "key", key, "text", text}
	}
	lines := exampleLog()
	root := treeHash(lines)
	sign := func(body string) string { return body + "\n" + signNote(body, exampleName, messageSeed) }
	good := checkpointOf(lines)
	body := checkpointBody(exampleName, 4, root)
	f.ok("the example of section 5.5", "AM-5.3 AM-5.4", fields(in("a.example/vam/019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10\n4\nwDJlZVvkRIf85+R4nvJF+kO4B3ocMgkA6UAPTJQ9c/E=\n\n"+
		"— a.example/vam/019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10 3qQGxmjOBfijyHTvH5uDNfzcSScjZ5gThu2WRopSoehQgydI4U+DkeFuW3lyso0g2JngbJ7YVYmMHFA5MQnrJvRPFw0=\n")...),
		fields("size", "4", "root", hex.EncodeToString(root)))
	for n := range 4 {
		f.ok(fmt.Sprintf("size %d", n), "AM-5.3 AM-5.4", fields(in(checkpointOf(lines[:n]))...), fields("size", n, "root", hex.EncodeToString(treeHash(lines[:n]))))
	}
	other := signNote(body, "witness.example/w", otherSeed)
	f.ok("a signature by a witness before", "AM-5.5", fields(in(body+"\n"+other+signNote(body, exampleName, messageSeed))...), fields("size", "4"))
	f.ok("a signature by a witness after", "AM-5.5", fields(in(good+other)...), fields("size", "4"))
	f.ok("a signature by another key of the same name", "AM-5.5", fields(in(good+signNote(body, exampleName, otherSeed))...), fields("size", "4"))
	f.ok("sixteen signatures", "AM-5.5", fields(in(body+"\n"+shortSignatures(15)+signNote(body, exampleName, messageSeed))...), fields("size", "4"))
	f.ok("2,048 octets", "AM-5.3 AM-10.12", fields(in(padded(good, 2048))...), fields("size", "4"))

	inconsistent := func(name, rules, text string) {
		f.bad(name, rules, "checkpoint-inconsistent", fields(in(text)...))
	}
	inconsistent("signed by another key", "AM-5.4", body+"\n"+signNote(body, exampleName, otherSeed))
	inconsistent("signed under another name", "AM-5.4", body+"\n"+signNote(body, "a.example/vam/x", messageSeed))
	inconsistent("signature of another size", "AM-5.4", checkpointBody(exampleName, 5, root)+"\n"+signNote(body, exampleName, messageSeed))
	inconsistent("signature of another root", "AM-5.4", checkpointBody(exampleName, 4, treeHash(lines[:3]))+"\n"+signNote(body, exampleName, messageSeed))
	inconsistent("empty log with another root", "AM-5.2", sign(checkpointBody(exampleName, 0, root)))
	malformed := func(name, text string) { f.bad(name, "AM-5.3", "malformed", fields(in(text)...)) }
	malformed("empty", "")
	malformed("no signature", body)
	malformed("no signature line", body+"\n")
	malformed("of another message", strings.ReplaceAll(good, "4b10", "4b11"))
	malformed("of another origin", strings.ReplaceAll(good, "a.example", "b.example"))
	malformed("no empty line", body+signNote(body, exampleName, messageSeed))
	malformed("no LF at the end", strings.TrimSuffix(good, "\n"))
	malformed("a hyphen for the dash", strings.Replace(good, "—", "-", 1))
	malformed("CR LF", strings.ReplaceAll(good, "\n", "\r\n"))
	malformed("extension line", sign(body+"x\n"))
	malformed("size with a leading zero", sign(checkpointBody(exampleName, "04", root)))
	malformed("size with a sign", sign(checkpointBody(exampleName, "+4", root)))
	malformed("negative size", sign(checkpointBody(exampleName, "-4", root)))
	malformed("size over 64 bits", sign(checkpointBody(exampleName, "99999999999999999999", root)))
	malformed("no size", sign(checkpointBody(exampleName, "", root)))
	malformed("root of 31 octets", sign(checkpointBody(exampleName, 4, root[:31])))
	malformed("root in hex", sign(fmt.Sprintf("%s\n4\n%x\n", exampleName, root)))
	malformed("root with unused bits set", sign(strings.Replace(body, "c/E=", "c/F=", 1)))
	malformed("no root", sign(exampleName+"\n4\n"))
	malformed("text after the signatures", good+"x\n")
	malformed("signature with unused bits set", setUnusedBit(good))
	malformed("signature without padding", strings.TrimSuffix(good, "=\n")+"\n")
	malformed("name of a key with a plus", good+"— w+x "+base64.StdEncoding.EncodeToString(sum())+"\n")
	f.bad("2,049 octets", "AM-5.3 AM-10.12", "too-large", fields(in(padded(good, 2049))...))

	f.with("origin", "sign-checkpoint")
	for n := range 5 {
		f.ok(fmt.Sprintf("sign size %d", n), "AM-5.3 AM-5.4", fields("origin", exampleOrigin, "mid", exampleMID, "seed", messageSeed, "size", n, "root", node(lines[:n])),
			fields("text", checkpointOf(lines[:n])))
	}
	return f
}

// padded adds a signature line of another key, by which the checkpoint has size octets.
func padded(text string, size int) string {
	value := base64.StdEncoding.EncodeToString(sum([]byte("another key")))
	return text + "— " + strings.Repeat("w", size-len(text)-len("—  \n")-len(value)) + " " + value + "\n"
}

// setUnusedBit changes the last digit of the base64 at the end so that a lax reader sees
// the same octets.
func setUnusedBit(text string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(strings.TrimRight(text, "=\n")) - 1
	return text[:at] + string(alphabet[strings.IndexByte(alphabet, text[at])+1]) + text[at+1:]
}

// shortSignatures are lines of other keys that do not use much of the 2,048 octets.
func shortSignatures(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "— w%d %s\n", i, base64.StdEncoding.EncodeToString(append([]byte{1, 2, 3, byte(i)}, sum([]byte{byte(i)})...)))
	}
	return b.String()
}
