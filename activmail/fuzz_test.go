package activmail_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/mod/sumdb/note"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Every target holds that what a stranger's octets were read as is read again from what we
// would write, and that a refusal is an error of the vocabulary.

// refused says that an error is one that a stranger may see.
func refused(t *testing.T, err error) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind == vam.Internal || e.Message == "" {
		t.Fatalf("refused by %v", err)
	}
}

// comesBack writes v, reads it and writes it once more.
func comesBack[T any](t *testing.T, v T, write func(T) ([]byte, error), read func([]byte) (T, error)) {
	t.Helper()
	text, err := write(v)
	if err != nil {
		t.Fatalf("%+v cannot be written: %v", v, err)
	}
	back, err := read(text)
	if err != nil {
		t.Fatalf("%s cannot be read: %v", text, err)
	}
	if diff := cmp.Diff(v, back, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s:\n%s", text, diff)
	}
	if again, err := write(back); err != nil || !bytes.Equal(again, text) {
		t.Fatalf("%s is written as %s the second time (%v)", text, again, err)
	}
}

func FuzzRecord(f *testing.F) {
	addSeeds(f, "record", "line", `{"k":"x","y":[[[[1e9,{"a":null}]]]]}`)
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := activmail.ParseRecord(line, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		if !json.Valid(line) || !utf8.Valid(line) || len(line) > 2048 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("%q passes for a line", line)
		}
		if r.Kind.Known() {
			comesBack(t, r, activmail.Record.MarshalLine, func(b []byte) (activmail.Record, error) {
				return activmail.ParseRecord(b, activmail.DefaultLimits())
			})
		}
		v := activmail.NewValidator(activmail.DefaultLimits())
		if e, err := v.Append(line); err == nil && (e.Leaf != activmail.LeafHash(line) || v.Tree().Root() != e.Leaf) {
			t.Fatalf("the leaf of %q is %s", line, e.Leaf)
		}
	})
}

func FuzzLogBody(f *testing.F) {
	addSeeds(f, "log-body", "body", "{}\n\n\n\n", "{}\n\nx\n\ny\n")
	f.Fuzz(func(t *testing.T, body []byte) {
		d := activmail.NewLogDecoder(bytes.NewReader(body), activmail.DefaultLimits())
		lines, err := readLog(d)
		var whole []byte
		for _, line := range lines {
			if len(line) < 2 || len(line) > 2048 || bytes.ContainsAny(line, "\r\n") {
				t.Fatalf("%q passes for a line", line)
			}
			whole = activmail.AppendLogLine(whole, line)
		}
		switch {
		case errors.Is(err, io.EOF):
			if whole = activmail.AppendLogEnd(whole, d.Checkpoint()); !bytes.Equal(whole, body) || len(d.Checkpoint()) > 2048 {
				t.Fatalf("%q was read as %q", body, whole)
			}
		case errors.Is(err, io.ErrUnexpectedEOF):
			if !bytes.HasPrefix(body, whole) || d.Checkpoint() != nil {
				t.Fatalf("%q begins with %q", body, whole)
			}
		default:
			refused(t, err)
		}
	})
}

// FuzzCheckpoint opens a text as it came, and one that the message key signs, whatever it
// says: only what SignCheckpoint would write is a checkpoint.
func FuzzCheckpoint(f *testing.F) {
	for _, s := range vectorInputs(f, "checkpoint", "text") {
		_, body, _ := bytes.Cut([]byte(s), []byte("\n"))
		body, _, _ = bytes.Cut(body, []byte("\n\n"))
		f.Add([]byte(s), body)
	}
	name := activmail.CheckpointName(origin, mid)
	signer, err := note.NewSigner(noteText(name, messageKey.Seed(), "PRIVATE+KEY+"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, body []byte) {
		if _, err := activmail.OpenCheckpoint(text, origin, mid, publicOf(messageKey)); err == nil {
			t.Fatalf("%q is signed", text)
		} else {
			refused(t, err)
		}
		signed, err := note.Sign(&note.Note{Text: name + "\n" + string(body) + "\n"}, signer)
		if err != nil {
			return
		}
		cp, err := activmail.OpenCheckpoint(signed, origin, mid, publicOf(messageKey))
		if err != nil {
			refused(t, err)
			return
		}
		if ours, err := activmail.SignCheckpoint(cp, origin, mid, messageKey); err != nil || !bytes.Equal(ours, signed) {
			t.Fatalf("%q passes for %q (%v)", signed, ours, err)
		}
	})
}

func FuzzProof(f *testing.F) {
	addSeeds(f, "proof", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := activmail.ParseProof(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, p, func(p activmail.Proof) ([]byte, error) { return p.Marshal(), nil }, func(b []byte) (activmail.Proof, error) {
			return activmail.ParseProof(b, activmail.DefaultLimits())
		})
		cp := activmail.Checkpoint{Size: 9}
		if activmail.VerifyInclusion(p, 3, activmail.Hash{}, cp) == nil || activmail.VerifyConsistency(p, activmail.Checkpoint{Size: 3}, cp) == nil {
			t.Fatalf("%s proves a root of zeros", body)
		}
	})
}

func FuzzOffer(f *testing.F) {
	addSeeds(f, "offer", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := activmail.ParseOffer(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		if _, _, err := o.OpenLog(activmail.DefaultLimits()); err != nil {
			refused(t, err)
		}
		if len(o.Forwards) > activmail.DefaultLimits().Forwards {
			o.Forwards = nil // such a chain is read and not written
		}
		comesBack(t, o, func(o *activmail.Offer) ([]byte, error) { return o.Marshal(activmail.DefaultLimits()) }, func(b []byte) (*activmail.Offer, error) {
			return activmail.ParseOffer(b, activmail.DefaultLimits())
		})
	})
}

func FuzzOfferAnswer(f *testing.F) {
	addSeeds(f, "answer", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := activmail.ParseOfferAnswer(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, a, activmail.OfferAnswer.Marshal, func(b []byte) (activmail.OfferAnswer, error) {
			return activmail.ParseOfferAnswer(b, activmail.DefaultLimits())
		})
	})
}

func FuzzReceipt(f *testing.F) {
	addSeeds(f, "receipt", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := activmail.ParseReceipt(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, r, activmail.Receipt.Marshal, func(b []byte) (activmail.Receipt, error) {
			return activmail.ParseReceipt(b, activmail.DefaultLimits())
		})
	})
}

func FuzzHead(f *testing.F) {
	addSeeds(f, "head", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		h, err := activmail.ParseHead(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, h, activmail.Head.Marshal, func(b []byte) (activmail.Head, error) {
			return activmail.ParseHead(b, activmail.DefaultLimits())
		})
	})
}

func FuzzTokenDocuments(f *testing.F) {
	addSeeds(f, "token-request", "body")
	addSeeds(f, "token-grant", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		if r, err := activmail.ParseTokenRequest(body, activmail.DefaultLimits()); err != nil {
			refused(t, err)
		} else {
			comesBack(t, r, activmail.TokenRequest.Marshal, func(b []byte) (activmail.TokenRequest, error) {
				return activmail.ParseTokenRequest(b, activmail.DefaultLimits())
			})
		}
		if g, err := activmail.ParseTokenGrant(body, activmail.DefaultLimits()); err != nil {
			refused(t, err)
		} else {
			comesBack(t, g, activmail.TokenGrant.Marshal, func(b []byte) (activmail.TokenGrant, error) {
				return activmail.ParseTokenGrant(b, activmail.DefaultLimits())
			})
		}
	})
}

func FuzzPolicy(f *testing.F) {
	addSeeds(f, "policy", "body")
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := activmail.ParsePolicy(body, activmail.DefaultLimits())
		if err != nil {
			refused(t, err)
			return
		}
		comesBack(t, p, activmail.Policy.Marshal, func(b []byte) (activmail.Policy, error) {
			return activmail.ParsePolicy(b, activmail.DefaultLimits())
		})
	})
}

// FuzzTree reads what only our own disk holds; torn pages are foreign octets too.
func FuzzTree(f *testing.F) {
	for _, n := range []int{0, 1, 5, 300} {
		b, err := treeOf(leaves(n)).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var tree activmail.Tree
		if err := tree.UnmarshalBinary(b); err != nil {
			refused(t, err)
			return
		}
		if again, err := tree.MarshalBinary(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x is kept as %x (%v)", b, again, err)
		}
		size := tree.Size()
		tree.Append(activmail.Hash{1})
		if tree.Size() != size+1 || tree.Root() == (activmail.Hash{}) {
			t.Fatal("the tree does not grow")
		}
	})
}
