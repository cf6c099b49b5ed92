package activmail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
	"golang.org/x/mod/sumdb/note"
)

// CheckpointType is the media type of a checkpoint text.
const CheckpointType = "application/vnd.vam.checkpoint"

// Checkpoint is what a message key signs: that the log has Size lines under Root. On
// the wire it is a C2SP tlog-checkpoint, a signed note of three lines.
type Checkpoint struct {
	Size int64
	Root Hash
}

// CheckpointName is the first line of a checkpoint and the name of its key:
// "a.example/vam/MID".
func CheckpointName(origin vam.Domain, mid vam.MessageID) string {
	return string(origin) + "/vam/" + string(mid)
}

// SignCheckpoint writes cp signed by the message key (AM-5.4). Errors: Invalid (a key of the
// wrong length, an impossible size).
func SignCheckpoint(cp Checkpoint, origin vam.Domain, mid vam.MessageID, key ed25519.PrivateKey) ([]byte, error) {
	if len(key) != ed25519.PrivateKeySize || cp.Size < 0 || cp.Size > maxTreeSize {
		return nil, malformed("a checkpoint of size %d cannot be signed by a key of %d octets", cp.Size, len(key))
	}
	name := CheckpointName(origin, mid)
	pub, _ := key.Public().(ed25519.PublicKey)
	text := name + "\n" + strconv.FormatInt(cp.Size, 10) + "\n" + cp.Root.String() + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, noteSigner{noteKey{name, pub}, key})
	if err != nil {
		return nil, vam.Wrap(vam.Invalid, err, "the checkpoint cannot be signed")
	}
	return signed, nil
}

// OpenCheckpoint verifies text, which is at most 2 KiB (AM-5.3). Signatures by other
// keys are ignored (AM-5.5); the extension lines that C2SP allows are not used in VAM/1. Errors:
// Invalid (no checkpoint, or that of another message), Corrupt (checkpoint-inconsistent:
// no valid signature by key), TooLarge.
func OpenCheckpoint(text []byte, origin vam.Domain, mid vam.MessageID, key ed25519.PublicKey) (Checkpoint, error) {
	if limit := DefaultLimits().Checkpoint; vam.Bytes(len(text)) > limit {
		return Checkpoint{}, tooLarge("checkpoint", limit)
	}
	name := CheckpointName(origin, mid)
	if !bytes.HasPrefix(text, []byte(name+"\n")) {
		return Checkpoint{}, malformed("the checkpoint does not begin with %s", name)
	}
	if len(key) != ed25519.PublicKeySize {
		return Checkpoint{}, malformed("the message key has %d octets, not 32", len(key))
	}
	n, err := note.Open(text, note.VerifierList(noteKey{name, key}))
	if err != nil {
		var unsigned *note.UnverifiedNoteError
		var wrong *note.InvalidSignatureError
		if errors.As(err, &unsigned) || errors.As(err, &wrong) {
			return Checkpoint{}, inconsistent("the checkpoint has no valid signature by the message key")
		}
		return Checkpoint{}, malformed("the checkpoint is not a signed note")
	}
	if !canonicalSignatures(text) {
		return Checkpoint{}, malformed("a signature of the checkpoint is not in the one spelling of base64")
	}
	return parseCheckpoint(n.Text)
}

// canonicalSignatures holds AM-1.9 for the signature lines of a sound note: package note
// overlooks unused bits that are set.
func canonicalSignatures(text []byte) bool {
	sigs := text[bytes.LastIndex(text, []byte("\n\n"))+2:]
	for line := range bytes.Lines(sigs) {
		value := line[bytes.LastIndexByte(line, ' ')+1 : len(line)-1]
		if _, err := parseBase64(string(value)); err != nil {
			return false
		}
	}
	return true
}

// parseCheckpoint reads the body of a note: name, size, root, each in the one spelling
// that it has.
func parseCheckpoint(text string) (Checkpoint, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return Checkpoint{}, malformed("the checkpoint has not exactly the three lines name, size and root")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > maxTreeSize || strconv.FormatInt(size, 10) != lines[1] {
		return Checkpoint{}, malformed("the size in the checkpoint is not a whole number from 0 to 2^48")
	}
	root, err := parseBase64(lines[2])
	if err != nil || len(root) != len(Hash{}) {
		return Checkpoint{}, malformed("the root in the checkpoint is not the base64 of 32 octets")
	}
	cp := Checkpoint{Size: size, Root: Hash(root)}
	if size == 0 && cp.Root != emptyRoot() {
		return Checkpoint{}, inconsistent("the checkpoint of an empty log has not the root of nothing")
	}
	return cp, nil
}

// Check compares the checkpoint with a tree that was built from the lines (AM-5.10). Errors:
// Corrupt (checkpoint-inconsistent).
func (cp Checkpoint) Check(t *Tree) error {
	if cp.Size != t.Size() {
		return inconsistent("the checkpoint is for %d lines and there are %d", cp.Size, t.Size())
	}
	if cp.Root != t.Root() {
		return inconsistent("the lines do not lead to the signed root of %d lines", cp.Size)
	}
	return nil
}

func inconsistent(format string, args ...any) *vam.Error {
	return vam.Errorf(vam.Corrupt, format, args...).WithProblem("checkpoint-inconsistent")
}

// noteKey is a message key as the note package wants it, without the detour over the
// text form of keys.
type noteKey struct {
	name string
	pub  ed25519.PublicKey
}

func (k noteKey) Name() string { return k.name }

func (k noteKey) Verify(msg, sig []byte) bool { return ed25519.Verify(k.pub, msg, sig) }

// KeyHash is that of the signed-note specification for algorithm 1, Ed25519.
func (k noteKey) KeyHash() uint32 {
	const ed25519Algorithm = 1
	sum := sha256.Sum256(append(append([]byte(k.name), '\n', ed25519Algorithm), k.pub...))
	return binary.BigEndian.Uint32(sum[:])
}

type noteSigner struct {
	noteKey
	priv ed25519.PrivateKey
}

func (s noteSigner) Sign(msg []byte) ([]byte, error) { return ed25519.Sign(s.priv, msg), nil }

// FormatMessageKey writes a public key as it stands in offers and in VAM-Message.
func FormatMessageKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParseMessageKey reads the FormatMessageKey form. Errors: Invalid.
func ParseMessageKey(s string) (ed25519.PublicKey, error) {
	b, err := parseBase64(s)
	if err != nil || len(b) != ed25519.PublicKeySize {
		return nil, malformed("the message key is not the base64 of 32 octets")
	}
	return b, nil
}
