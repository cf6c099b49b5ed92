package speccheck_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"io/fs"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// The worked examples of the specification, checked by the code: an implementer will
// take them for test vectors.

const (
	exampleOrigin  = vam.Domain("a.example")
	exampleMessage = vam.MessageID("019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
)

// blocks returns the code blocks of a chapter below a heading.
func blocks(t *testing.T, file, heading string) []string {
	t.Helper()
	text, err := fs.ReadFile(os.DirFS("../../spec"), file)
	if err != nil {
		t.Fatal(err)
	}
	_, below, ok := strings.Cut(string(text), "\n## "+heading)
	if !ok {
		t.Fatalf("%s has no heading %q", file, heading)
	}
	below, _, _ = strings.Cut(below, "\n## ")
	var out []string
	for i, block := range strings.Split(below, "\n```") {
		if i%2 == 1 {
			_, body, _ := strings.Cut(block, "\n")
			out = append(out, body)
		}
	}
	return out
}

// exampleLog reads the log of section 4.5 and checks its leaf hashes (AM-4.3).
func exampleLog(t *testing.T) *activmail.Validator {
	t.Helper()
	v := activmail.NewValidator(activmail.DefaultLimits())
	var last activmail.Entry
	for _, line := range strings.Split(blocks(t, "04-log.md", "4.5 Example")[0], "\n") {
		var err error
		if sum, isHash := strings.CutPrefix(line, "  "); isHash {
			if got := hex.EncodeToString(last.Leaf[:]); got != sum {
				t.Errorf("line %d has the leaf hash %s, not %s", last.Index, got, sum)
			}
		} else if last, err = v.Append([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestExampleLog(t *testing.T) {
	v := exampleLog(t)
	seal, sealed := v.Sealed()
	if !sealed || v.Size() != 4 || v.MediaBytes() != 60 || seal.Bytes != 60 {
		t.Errorf("the log has %d lines and %d octets of media, sealed: %v", v.Size(), v.MediaBytes(), sealed)
	}
	text, err := os.ReadFile("../../spec/04-log.md")
	if err != nil {
		t.Fatal(err)
	}
	if id := v.MediaIdentity().String(); !strings.Contains(string(text), "`"+id+"`") {
		t.Errorf("the media identity %s (AM-4.24) is not in the text", id)
	}
}

// exampleKey is the message key of section 5.5.
func exampleKey(t *testing.T) ed25519.PublicKey {
	t.Helper()
	key, err := activmail.ParseMessageKey("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestExampleCheckpoint(t *testing.T) {
	all := blocks(t, "05-checkpoints.md", "5.5 Example")
	v := exampleLog(t)
	var leaves []activmail.Hash
	roots := map[int64]activmail.Hash{}
	for _, row := range strings.Split(all[0], "\n") {
		size, root, _ := strings.Cut(row, "  ")
		n, err := strconv.ParseInt(size, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		h, err := activmail.ParseProof([]byte(`{"hashes":["`+root+`"]}`), activmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		roots[n] = h.Hashes[0]
	}
	var tree activmail.Tree
	for n := int64(0); ; n++ {
		if got := tree.Root(); got != roots[n] {
			t.Errorf("the root of %d lines is %s, not %s (AM-5.1)", n, got, roots[n])
		}
		if n == v.Size() {
			break
		}
		leaf := exampleLeaf(t, n)
		leaves = append(leaves, leaf)
		tree.Append(leaf)
	}
	cp, err := activmail.OpenCheckpoint([]byte(all[1]+"\n"), exampleOrigin, exampleMessage, exampleKey(t))
	if err != nil {
		t.Fatal(err) // AM-5.3, AM-5.4
	}
	if err := cp.Check(v.Tree()); err != nil {
		t.Error(err)
	}
	checkProofs(t, all[2], roots, leaves, cp)
}

func exampleLeaf(t *testing.T, n int64) activmail.Hash {
	t.Helper()
	lines := strings.Split(blocks(t, "04-log.md", "4.5 Example")[0], "\n")
	return activmail.LeafHash([]byte(lines[2*n]))
}

func checkProofs(t *testing.T, text string, roots map[int64]activmail.Hash, leaves []activmail.Hash, cp activmail.Checkpoint) {
	t.Helper()
	inclusion, consistency, _ := strings.Cut(text, "\n")
	p, err := activmail.ParseProof([]byte(inclusion), activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if err := activmail.VerifyInclusion(p, 2, leaves[2], cp); err != nil {
		t.Errorf("inclusion: %v (AM-5.16)", err)
	}
	p, err = activmail.ParseProof([]byte(consistency), activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if err := activmail.VerifyConsistency(p, activmail.Checkpoint{Size: 3, Root: roots[3]}, cp); err != nil {
		t.Errorf("consistency: %v (AM-5.16)", err)
	}
}

// TestExampleSignature verifies the signed request of section 3.4, its base and the key
// record (AM-3.2 to AM-3.6, AM-2.29).
func TestExampleSignature(t *testing.T) {
	all := blocks(t, "03-signatures.md", "3.4 Worked example")
	_, record, _ := strings.Cut(all[0], `"`)
	key, err := activmail.ParseRequestKey(strings.TrimSuffix(record, `"`))
	if err != nil {
		t.Fatal(err)
	}
	body, base, request := all[1], all[2], strings.Split(all[3], "\n")
	method, path, _ := strings.Cut(request[0], " ")
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for _, field := range request[1:] {
		name, value, _ := strings.Cut(field, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	input := strings.TrimPrefix(req.Header.Get("Signature-Input"), "vam=")
	if got, err := activmail.SignatureBase(req, input); err != nil || string(got) != base || len(base) != 485 {
		t.Errorf("the signature base is (%d octets, %v)\n%s", len(got), err, got)
	}
	lookup := func(_ context.Context, keyid string) (ed25519.PublicKey, error) {
		if !strings.HasPrefix(all[0], keyid+".") {
			t.Errorf("the key %s is not the one of the example", keyid)
		}
		return key, nil
	}
	receipt, err := activmail.ParseReceipt([]byte(body), activmail.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := activmail.VerifyRequest(req, activmail.DigestOf([]byte(body)), lookup, receipt.At)
	if err != nil || signed.Domain != "b.example" {
		t.Errorf("signed by %s: %v", signed.Domain, err)
	}
	if want := "/rcpt/" + activmail.RecipientID(exampleMessage, receipt.Recipient) + "/" + string(receipt.Event); !strings.HasSuffix(path, want) {
		t.Errorf("the path %s does not end in %s (AM-8.7)", path, want)
	}
	checkBareExample(t, key, all[4], all[5], receipt.At)
}

// checkBareExample verifies the request without body.
func checkBareExample(t *testing.T, key ed25519.PublicKey, base, signature string, now time.Time) {
	t.Helper()
	_, input, _ := strings.Cut(base, `"@signature-params": `)
	_, path, _ := strings.Cut(base, `"@path": `)
	path, _, _ = strings.Cut(path, "\n")
	req := httptest.NewRequest("GET", path, nil)
	req.Host = "vam1.b.example:1398"
	req.Header.Set("Signature-Input", "vam="+input)
	req.Header.Set("Signature", strings.TrimPrefix(signature, "Signature: "))
	lookup := func(context.Context, string) (ed25519.PublicKey, error) { return key, nil }
	signed, err := activmail.VerifyRequest(req, activmail.Digest{}, lookup, now)
	if err != nil || signed.Domain != exampleOrigin {
		t.Errorf("the request without body is signed by %s: %v", signed.Domain, err)
	}
}

// TestExampleLetter reads the VAM-Message of the example letter (AM-12.2).
func TestExampleLetter(t *testing.T) {
	text, err := os.ReadFile("../../spec/12-mail.md")
	if err != nil {
		t.Fatal(err)
	}
	_, value, _ := strings.Cut(string(text), "\nVAM-Message: ")
	value, _, _ = strings.Cut(value, "\nMIME-Version")
	h, err := activmail.ParseMessageHeader(strings.ReplaceAll(value, "\n", "\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	v := exampleLog(t)
	if h.ID != exampleMessage || h.Origin != exampleOrigin || !h.Key.Equal(exampleKey(t)) || h.Checkpoint != v.Tree().Checkpoint() || h.Bytes != v.MediaBytes() {
		t.Errorf("the header names %+v, which is not the log of section 4.5", h)
	}
}
