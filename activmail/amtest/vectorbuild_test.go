package amtest_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/videoactivmail/vam/activmail/amtest"
)

// The vectors are written by these builders and kept as golden files. What an answer
// must hold is computed here by the shortest reading of the specification and of the
// RFCs, not by the code under test; where an RFC gives the value, it stands here as
// there. What must be refused is always said by hand.

// vectorFile is one file of spec/vectors.
type vectorFile struct {
	intro []string
	class string
	op    string
	cases []amtest.Case
}

// file begins a file of cases for one op, which class must pass.
func file(class, op string, intro ...string) *vectorFile {
	return &vectorFile{intro: intro, class: class, op: op}
}

// with changes the op and class of the cases that follow.
func (f *vectorFile) with(class, op string) *vectorFile {
	f.class, f.op = class, op
	return f
}

// fields makes inputs or wanted values out of names and values in turn. A name that
// ends in "?" is left out when its value is empty.
func fields(pairs ...any) amtest.Fields {
	var out amtest.Fields
	for i := 0; i < len(pairs); i += 2 {
		name, _ := pairs[i].(string)
		if values, ok := pairs[i+1].([]string); ok {
			for _, v := range values {
				out.Add(name, v)
			}
			continue
		}
		out.Add(name, pairs[i+1])
	}
	return out
}

// ok adds a case that must be answered, with at least the wanted values.
func (f *vectorFile) ok(name, rules string, in, want amtest.Fields) {
	f.cases = append(f.cases, amtest.Case{
		Name: name, Class: strings.Fields(f.class), Rules: strings.Fields(rules), Op: f.op, In: in,
		Expect: []string{amtest.ResultOK}, Want: want,
	})
}

// bad adds a case that must be refused with one of the problems.
func (f *vectorFile) bad(name, rules, problems string, in amtest.Fields) {
	f.cases = append(f.cases, amtest.Case{
		Name: name, Class: strings.Fields(f.class), Rules: strings.Fields(rules), Op: f.op, In: in,
		Expect: strings.Fields(problems),
	})
}

func (f *vectorFile) bytes() []byte {
	var out []byte
	for _, line := range f.intro {
		out = append(out, "# "+line+"\n"...)
	}
	out = append(out, "# Format: README.md. Written by: go test ./activmail/amtest -run TestVectorFiles -update\n\n"...)
	for _, c := range f.cases {
		out = c.Append(out)
	}
	return out
}

// The names and keys of the examples in the specification.
const (
	exampleOrigin = "a.example"
	exampleMID    = "019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10"
	exampleOffer  = "019acf10-9d27-7f05-8e61-0a4d3c9b2e77"
	exampleName   = exampleOrigin + "/vam/" + exampleMID

	// Seed of the Ed25519 key of RFC 8032 section 7.1, test 1: the message key.
	messageSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	// Seed of another key: RFC 8032 section 7.1, test 2.
	otherSeed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
	// Seed of the key of RFC 9421 appendix B.1.4: the request key.
	requestSeed = "9f8362f87a484a954e6e740c5b4c0e84229139a20aa8ab56ff66586f6a7d29c5"
)

func keyOf(seed string) ed25519.PrivateKey {
	b, err := hex.DecodeString(seed)
	if err != nil {
		panic(err)
	}
	return ed25519.NewKeyFromSeed(b)
}

func publicOf(seed string) string {
	pub, _ := keyOf(seed).Public().(ed25519.PublicKey)
	return base64.StdEncoding.EncodeToString(pub)
}

func hexSum(parts ...[]byte) string { return hex.EncodeToString(sum(parts...)) }

func sum(parts ...[]byte) []byte {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
	}
	return h.Sum(nil)
}

// leafHash, treeHash, inclusionPath and consistencyPath are RFC 6962 section 2.1, word
// by word.
func leafHash(d string) []byte { return sum([]byte{0}, []byte(d)) }

func treeHash(d []string) []byte {
	switch n := len(d); n {
	case 0:
		return sum()
	case 1:
		return leafHash(d[0])
	default:
		k := split(n)
		return sum([]byte{1}, treeHash(d[:k]), treeHash(d[k:]))
	}
}

// split is the largest power of two below n.
func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

func inclusionPath(m int, d []string) []string {
	if len(d) == 1 {
		return nil
	}
	k := split(len(d))
	if m < k {
		return append(inclusionPath(m, d[:k]), hex.EncodeToString(treeHash(d[k:])))
	}
	return append(inclusionPath(m-k, d[k:]), hex.EncodeToString(treeHash(d[:k])))
}

func consistencyPath(m int, d []string, whole bool) []string {
	if m == len(d) {
		if whole {
			return nil
		}
		return []string{hex.EncodeToString(treeHash(d))}
	}
	k := split(len(d))
	if m <= k {
		return append(consistencyPath(m, d[:k], whole), hex.EncodeToString(treeHash(d[k:])))
	}
	return append(consistencyPath(m-k, d[k:], false), hex.EncodeToString(treeHash(d[:k])))
}

// checkpointBody is the three lines that are signed.
func checkpointBody(name string, size any, root []byte) string {
	return fmt.Sprintf("%s\n%v\n%s\n", name, size, base64.StdEncoding.EncodeToString(root))
}

// signNote adds a signature line by the key under a name (C2SP signed-note).
func signNote(text, name, seed string) string {
	key := keyOf(seed)
	pub, _ := key.Public().(ed25519.PublicKey)
	hash := sum([]byte(name), []byte{'\n', 1}, pub)[:4]
	return "— " + name + " " + base64.StdEncoding.EncodeToString(append(hash, ed25519.Sign(key, []byte(text))...)) + "\n"
}

// checkpointOf is the checkpoint of a log of the example message.
func checkpointOf(lines []string) string {
	body := checkpointBody(exampleName, len(lines), treeHash(lines))
	return body + "\n" + signNote(body, exampleName, messageSeed)
}
