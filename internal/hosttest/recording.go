package hosttest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/letter"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/rfc5322"
)

// Recording is a message at another domain: what its origin has of it. It is safe for
// concurrent use.
type Recording struct {
	Key  message.Key
	Priv ed25519.PrivateKey

	t       testing.TB
	mu      sync.Mutex
	lines   [][]byte
	trees   []activmail.Tree // trees[n] is over the first n lines
	media   []byte
	blobs   map[activmail.Sum][]byte
	sealed  bool
	revoked bool
	changed chan struct{}
}

// NewRecording makes a message of a domain without a line.
func NewRecording(t testing.TB, origin vam.Domain, at time.Time) *Recording {
	t.Helper()
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &Recording{
		Key: message.Key{Origin: origin, ID: vam.NewMessageID(at)}, Priv: priv, t: t,
		trees: make([]activmail.Tree, 1), blobs: map[activmail.Sum][]byte{}, changed: make(chan struct{}),
	}
}

// Public is the message key.
func (r *Recording) Public() ed25519.PublicKey { return r.Priv.Public().(ed25519.PublicKey) }

// Add appends a record with its blob; name and length of the blob are filled in.
func (r *Recording) Add(rec activmail.Record, data []byte) []byte {
	r.t.Helper()
	if rec.HasBlob() {
		rec.Blob, rec.Length = sha256.Sum256(data), vam.Bytes(len(data))
	}
	line, err := rec.MarshalLine()
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if rec.HasBlob() {
		r.blobs[rec.Blob] = data
	}
	if rec.IsMedia() {
		r.media = append(r.media, data...)
	}
	r.addLocked(line)
	return line
}

// AddLine appends a line as it is.
func (r *Recording) AddLine(line []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.addLocked(line)
}

func (r *Recording) addLocked(line []byte) {
	tree := r.trees[len(r.lines)].Clone()
	tree.Append(activmail.LeafHash(line))
	r.lines, r.trees = append(r.lines, line), append(r.trees, tree)
	close(r.changed)
	r.changed = make(chan struct{})
}

// AddFile appends a file in parts.
func (r *Recording) AddFile(content []byte, part int) {
	r.t.Helper()
	for p := range slices.Chunk(content, part) {
		r.Add(activmail.Record{Kind: activmail.RecordPart}, bytes.Clone(p))
	}
}

// Seal ends the log.
func (r *Recording) Seal() {
	r.t.Helper()
	media := r.Media()
	r.Add(activmail.Record{Kind: activmail.RecordSeal, Bytes: vam.Bytes(len(media)), SHA256: sha256.Sum256(media), Name: "clip.mp4", ContentType: "video/mp4"}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sealed = true
}

// Revoke ends the log for good.
func (r *Recording) Revoke() {
	r.t.Helper()
	r.Add(activmail.Record{Kind: activmail.RecordRevoke, At: time.Now().UTC().Truncate(time.Second), Why: "sender"}, nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.revoked = true
}

// Revoked reports whether Revoke was called.
func (r *Recording) Revoked() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.revoked
}

// Media is the main track.
func (r *Recording) Media() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.media)
}

// Blob is a blob by its name; nil when there is none.
func (r *Recording) Blob(sum activmail.Sum) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blobs[sum]
}

// Size is the number of lines.
func (r *Recording) Size() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int64(len(r.lines))
}

// Lines are those from from on, at most limit.
func (r *Recording) Lines(from, limit int64) [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := int64(len(r.lines))
	return slices.Clone(r.lines[min(from, n):min(from+limit, n)])
}

// Checkpoint signs the first n lines.
func (r *Recording) Checkpoint(n int64) []byte {
	r.t.Helper()
	r.mu.Lock()
	cp := r.trees[n].Checkpoint()
	r.mu.Unlock()
	return r.Sign(cp)
}

// Sign signs whatever it is told.
func (r *Recording) Sign(cp activmail.Checkpoint) []byte {
	r.t.Helper()
	text, err := activmail.SignCheckpoint(cp, r.Key.Origin, r.Key.ID, r.Priv)
	if err != nil {
		r.t.Fatal(err)
	}
	return text
}

// WaitFor returns when there are more than n lines, or when ctx ends.
func (r *Recording) WaitFor(ctx context.Context, n int64) bool {
	for {
		r.mu.Lock()
		there, changed := int64(len(r.lines)) > n, r.changed
		r.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Offer makes an offer of the message with the first lines of its log.
func (r *Recording) Offer(signer *mailauth.Signer, at time.Time, lines int64, to ...vam.Address) *activmail.Offer {
	r.t.Helper()
	r.mu.Lock()
	sealed, size := r.sealed, len(r.media)
	header := activmail.MessageHeader{ID: r.Key.ID, Origin: r.Key.Origin, Key: r.Public()}
	if sealed {
		header.Sealed, header.Bytes, header.Checkpoint = true, vam.Bytes(size), r.trees[len(r.lines)].Checkpoint()
	}
	r.mu.Unlock()
	from := vam.Address{Local: "alice", Domain: r.Key.Origin}
	l := letter.Letter{
		From: rfc5322.Mailbox{Addr: from}, To: []rfc5322.Mailbox{{Addr: to[0]}}, Subject: "The harbour", Words: "Look at this.",
		Date: at, Kind: vam.Video, Header: header,
	}
	mail, err := l.Compose()
	if err != nil {
		r.t.Fatal(err)
	}
	if mail, err = signer.Sign(mail); err != nil {
		r.t.Fatal(err)
	}
	o := &activmail.Offer{
		MessageID: r.Key.ID, Origin: r.Key.Origin, ID: vam.NewMessageID(at), Key: r.Public(), Kind: vam.Video, State: vam.Live,
		Envelope: activmail.Envelope{From: from, To: to, DeliverBy: at.Add(4 * 24 * time.Hour).Truncate(time.Second)},
		Mail:     mail, Log: r.Lines(0, lines), Token: activmail.NewPullToken(), TokenExpires: at.Add(activmail.MaxTokenLife).Truncate(time.Second),
	}
	o.Checkpoint = r.Checkpoint(int64(len(o.Log)))
	if sealed {
		o.State, o.Size = vam.Sealed, vam.Bytes(size)
	}
	return o
}

// Follower makes the row of the message at a server that was offered it.
func (h *Host) Follower(r *Recording) {
	h.t.Helper()
	if _, _, err := h.DB.Messages().CreateMessage(context.Background(), message.Message{
		Key: r.Key, State: vam.Live, Kind: vam.Video, Author: vam.Address{Local: "alice", Domain: r.Key.Origin}, PublicKey: r.Public(),
		Created: h.Clock.Now(), SentAt: h.Clock.Now(), Head: message.Head{State: vam.Live},
	}, nil); err != nil {
		h.t.Fatal(err)
	}
}

// Pattern makes n octets that differ from those of other seeds.
func Pattern(n int, seed byte) []byte {
	out := make([]byte, 0, n+32)
	sum := sha256.Sum256([]byte{seed})
	for len(out) < n {
		out = append(out, sum[:]...)
		sum = sha256.Sum256(sum[:])
	}
	return out[:n]
}
