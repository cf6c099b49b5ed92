package activmail_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// noteText is the text form of a key of C2SP signed-note: NAME+HASH+BASE64(alg || key).
func noteText(name string, key []byte, prefix string) string {
	pub := key
	if prefix != "" {
		private := ed25519.NewKeyFromSeed(key)
		pub = publicOf(private)
	}
	hash := sha256.Sum256(append([]byte(name+"\n\x01"), pub...))
	return fmt.Sprintf("%s%s+%x+%s", prefix, name, hash[:4], base64.StdEncoding.EncodeToString(append([]byte{1}, key...)))
}

// TestCheckpointIsANote: package note opens what we sign, and we open what it signs
// (AM-5.3, AM-5.4).
func TestCheckpointIsANote(t *testing.T) {
	name := activmail.CheckpointName(origin, mid)
	if name != "a.example/vam/"+string(mid) {
		t.Errorf("the name is %s", name)
	}
	verifier, err := note.NewVerifier(noteText(name, publicOf(messageKey), ""))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(noteText(name, messageKey.Seed(), "PRIVATE+KEY+"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 20 {
		cp := treeOf(leaves(n)).Checkpoint()
		text, err := activmail.SignCheckpoint(cp, origin, mid, messageKey)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := note.Open(text, note.VerifierList(verifier))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := fmt.Sprintf("%s\n%d\n%s\n", name, n, base64.StdEncoding.EncodeToString(cp.Root[:]))
		if opened.Text != want {
			t.Errorf("the text is %q, not %q", opened.Text, want)
		}
		theirs, err := note.Sign(&note.Note{Text: want}, signer)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(theirs, text) {
			t.Errorf("package note signs\n%s\nand we\n%s", theirs, text)
		}
		got, err := activmail.OpenCheckpoint(theirs, origin, mid, publicOf(messageKey))
		if err != nil || got != cp {
			t.Errorf("opened %+v (%v)", got, err)
		}
	}
}

// TestCheckpointOfAnother: neither another key nor another message opens it (AM-5.4,
// AM-5.6, AM-5.7).
func TestCheckpointOfAnother(t *testing.T) {
	cp := treeOf(leaves(3)).Checkpoint()
	text, err := activmail.SignCheckpoint(cp, origin, mid, messageKey)
	if err != nil {
		t.Fatal(err)
	}
	_, err = activmail.OpenCheckpoint(text, origin, mid, publicOf(otherKey))
	wantError(t, err, vam.Corrupt, "checkpoint-inconsistent")
	_, err = activmail.OpenCheckpoint(text, "b.example", mid, publicOf(messageKey))
	wantError(t, err, vam.Invalid, "malformed")
	_, err = activmail.OpenCheckpoint(text, origin, offerID, publicOf(messageKey))
	wantError(t, err, vam.Invalid, "malformed")
	_, err = activmail.OpenCheckpoint(text, origin, mid, publicOf(messageKey)[:31])
	wantError(t, err, vam.Invalid, "malformed")
	_, err = activmail.OpenCheckpoint(text, origin, mid, nil)
	wantError(t, err, vam.Invalid, "malformed")
}

// TestEveryOctetOfACheckpointCounts: with any octet changed, taken away or doubled the
// signed size and root are still those that were signed, or it is refused.
func TestEveryOctetOfACheckpointCounts(t *testing.T) {
	cp := treeOf(leaves(12)).Checkpoint()
	text, err := activmail.SignCheckpoint(cp, origin, mid, messageKey)
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte, how string, at int) {
		got, err := activmail.OpenCheckpoint(b, origin, mid, publicOf(messageKey))
		if err == nil {
			t.Errorf("%s octet %d: opened as %+v:\n%s", how, at, got, b)
		}
	}
	for i := range text {
		for _, bit := range []byte{1, 2, 0x20, 0x80} {
			b := bytes.Clone(text)
			b[i] ^= bit
			open(b, "changed", i)
		}
		open(append(bytes.Clone(text[:i]), text[i+1:]...), "without", i)
		open(append(bytes.Clone(text[:i]), append([]byte{text[i]}, text[i:]...)...), "doubled", i)
		open(text[:i], "cut at", i)
	}
}

func TestSignCheckpointRefuses(t *testing.T) {
	cp := treeOf(leaves(3)).Checkpoint()
	for name, sign := range map[string]func() ([]byte, error){
		"no key": func() ([]byte, error) { return activmail.SignCheckpoint(cp, origin, mid, nil) },
		"a seed": func() ([]byte, error) { return activmail.SignCheckpoint(cp, origin, mid, messageKey[:32]) },
		"negative size": func() ([]byte, error) {
			return activmail.SignCheckpoint(activmail.Checkpoint{Size: -1}, origin, mid, messageKey)
		},
		"a name with a blank": func() ([]byte, error) {
			return activmail.SignCheckpoint(cp, "a example", mid, messageKey)
		},
		"a name with a line end": func() ([]byte, error) {
			return activmail.SignCheckpoint(cp, "a.example\nx", mid, messageKey)
		},
	} {
		text, err := sign()
		if err == nil {
			// A name that is no domain is the caller's fault; it must not open as a checkpoint.
			if _, err := activmail.OpenCheckpoint(text, origin, mid, publicOf(messageKey)); err == nil {
				t.Errorf("%s was signed:\n%s", name, text)
			}
			continue
		}
		wantError(t, err, vam.Invalid, "malformed")
	}
}

// TestCheck compares with a tree (AM-5.10).
func TestCheck(t *testing.T) {
	tree := treeOf(leaves(9))
	if err := tree.Checkpoint().Check(tree); err != nil {
		t.Error(err)
	}
	wantError(t, treeOf(leaves(8)).Checkpoint().Check(tree), vam.Corrupt, "checkpoint-inconsistent")
	other := tree.Checkpoint()
	other.Root[31] ^= 1
	wantError(t, other.Check(tree), vam.Corrupt, "checkpoint-inconsistent")
	var empty activmail.Tree
	if err := empty.Checkpoint().Check(&empty); err != nil {
		t.Error(err)
	}
}

func TestMessageKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := ed25519.PublicKey(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key"))
		text := activmail.FormatMessageKey(key)
		got, err := activmail.ParseMessageKey(text)
		if err != nil || !got.Equal(key) || len(text) != 44 {
			t.Fatalf("%s: %v", text, err)
		}
	})
	good := activmail.FormatMessageKey(publicOf(messageKey))
	for name, text := range map[string]string{
		"empty": "", "without padding": good[:43], "31 octets": activmail.FormatMessageKey(publicOf(messageKey)[:31]), "33 octets": activmail.FormatMessageKey(append(bytes.Clone(publicOf(messageKey)), 0)),
		"line end": good[:20] + "\n" + good[20:], "line end behind": good + "\n", "CR": good[:20] + "\r\n" + good[20:], "blank": " " + good, "the other alphabet": strings.NewReplacer("+", "-", "/", "_").Replace(activmail.FormatMessageKey(bytes.Repeat([]byte{0xff}, 32))),
	} {
		_, err := activmail.ParseMessageKey(text)
		if err == nil {
			t.Errorf("%s: %q was read", name, text)
			continue
		}
		wantError(t, err, vam.Invalid, "malformed")
	}
	// The last digit before the padding has two bits that no octet uses (AM-1.9).
	accepted := 0
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		if _, err := activmail.ParseMessageKey(good[:42] + string(c) + "="); err == nil {
			accepted++
		}
	}
	if accepted != 16 {
		t.Errorf("%d last digits are accepted, not the 16 whose unused bits are zero", accepted)
	}
}
