package amtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
)

// Origin is the outbound side of a domain in memory. It implements
// [amserver.Outbound], durability excepted, and is safe for concurrent use.
type Origin struct {
	Domain vam.Domain

	mu       sync.Mutex
	messages map[vam.MessageID]*Message
}

// NewOrigin makes an origin without messages.
func NewOrigin(domain vam.Domain) *Origin {
	return &Origin{Domain: domain, messages: make(map[vam.MessageID]*Message)}
}

// Message is one message at its origin. It is safe for concurrent use.
type Message struct {
	ID     vam.MessageID
	Origin vam.Domain
	Kind   vam.Kind
	// Key is the message key; it signs checkpoints.
	Key ed25519.PrivateKey

	mu          sync.Mutex
	validator   *activmail.Validator
	lines       [][]byte
	leaves      []activmail.Hash
	blobs       map[activmail.Sum][]byte
	media       []byte
	contentType string
	checkpoint  []byte
	sealed      bool
	revoked     bool
	withdrawn   chan struct{} // closed by Revoke
	changed     chan struct{} // closed and replaced at every append
	tokens      map[activmail.Sum]vam.Domain
	offers      map[vam.MessageID]vam.Domain
	receipts    []activmail.Receipt
}

// NewMessage makes a message with an empty log.
func (o *Origin) NewMessage(kind vam.Kind) (*Message, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	m := &Message{
		ID: vam.NewMessageID(time.Now()), Origin: o.Domain, Kind: kind, Key: key,
		validator: activmail.NewValidator(activmail.DefaultLimits()),
		blobs:     make(map[activmail.Sum][]byte),
		withdrawn: make(chan struct{}), changed: make(chan struct{}),
		tokens: make(map[activmail.Sum]vam.Domain), offers: make(map[vam.MessageID]vam.Domain),
	}
	if err := m.sign(); err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.messages[m.ID] = m
	return m, nil
}

func (m *Message) sign() (err error) {
	m.checkpoint, err = activmail.SignCheckpoint(m.validator.Tree().Checkpoint(), m.Origin, m.ID, m.Key)
	return err
}

// Append adds a record and its blob; the name and length of the blob are filled in. It
// returns the index of the record.
func (m *Message) Append(r activmail.Record, blob []byte) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.appendLocked(r, blob)
}

func (m *Message) appendLocked(r activmail.Record, blob []byte) (int64, error) {
	if blob != nil {
		r.Blob, r.Length = sha256.Sum256(blob), vam.Bytes(len(blob))
		m.blobs[r.Blob] = blob
	}
	line, err := r.MarshalLine()
	if err != nil {
		return 0, err
	}
	entry, err := m.validator.Append(line)
	if err != nil {
		return 0, err
	}
	m.lines, m.leaves = append(m.lines, line), append(m.leaves, entry.Leaf)
	if r.IsMedia() {
		m.media = append(m.media, blob...)
		if m.contentType == "" {
			m.contentType = r.ContentType
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return entry.Index, m.sign()
}

// AppendFile adds content in parts of a file, 1 MiB each.
func (m *Message) AppendFile(contentType string, content []byte) error {
	r := activmail.Record{Kind: activmail.RecordPart, ContentType: contentType}
	for part := range slices.Chunk(content, int(activmail.FilePart)) {
		if _, err := m.Append(r, part); err != nil {
			return err
		}
		r.ContentType = ""
	}
	return nil
}

// Seal says that the media is complete.
func (m *Message) Seal() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sealed = true
	_, err := m.appendLocked(activmail.Record{
		Kind: activmail.RecordSeal, Bytes: vam.Bytes(len(m.media)), SHA256: sha256.Sum256(m.media),
	}, nil)
	return err
}

// Revoke takes the message back: media is Gone, and the log ends.
func (m *Message) Revoke() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.appendLocked(activmail.Record{Kind: activmail.RecordRevoke, At: time.Now().UTC().Truncate(time.Second), Why: "sender"}, nil)
	if err == nil && !m.revoked {
		m.revoked = true
		close(m.withdrawn)
	}
	return err
}

// Grant mints a pull token for a domain.
func (m *Message) Grant(domain vam.Domain) activmail.Token {
	t := activmail.NewPullToken()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tokens[t.Hash()] = domain
	return t
}

// Offer makes an offer for recipients of one domain, with the whole log or the first lines
// that fit, a checkpoint over exactly these (AM-6.4), and a token. The mail is the given
// one.
func (m *Message) Offer(from vam.Address, to []vam.Address, mail []byte) *activmail.Offer {
	token := m.Grant(to[0].Domain)
	id := vam.NewMessageID(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	m.offers[id] = to[0].Domain
	o := &activmail.Offer{
		MessageID: m.ID, Origin: m.Origin, ID: id, Key: m.Key.Public().(ed25519.PublicKey),
		Kind: m.Kind, State: vam.Live, Size: vam.Bytes(len(m.media)),
		Envelope: activmail.Envelope{From: from, To: to}, Mail: mail,
		Log: slices.Clone(m.lines), Checkpoint: m.checkpoint,
		Token: token, TokenExpires: time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second),
	}
	if m.sealed {
		o.State = vam.Sealed
	}
	var size vam.Bytes
	var tree activmail.Tree
	for i, line := range o.Log {
		if size += vam.Bytes(len(line)); size > activmail.DefaultLimits().OfferLog {
			o.Log = o.Log[:i]
			o.Checkpoint, _ = activmail.SignCheckpoint(tree.Checkpoint(), m.Origin, m.ID, m.Key) // the key has signed before
			break
		}
		tree.Append(m.leaves[i])
	}
	return o
}

// Media is the main track so far.
func (m *Message) Media() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.media)
}

// Receipts are those that were taken, in order.
func (m *Message) Receipts() []activmail.Receipt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.receipts)
}

// open finds the message that a token opens and locks it.
func (o *Origin) open(p amserver.Pull) (*Message, error) {
	m := o.find(p.MessageID)
	if m != nil {
		m.mu.Lock()
		if _, ok := m.tokens[p.Token.Hash()]; ok {
			return m, nil
		}
		m.mu.Unlock()
	}
	return nil, vam.Errorf(vam.Unauthenticated, "the token does not open this message").WithProblem("token-invalid")
}

func (o *Origin) find(mid vam.MessageID) *Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.messages[mid]
}

func (m *Message) goneLocked() error {
	if m.revoked {
		return vam.Errorf(vam.Gone, "the author took this message back").WithProblem("revoked")
	}
	return nil
}

// Head implements amserver.Outbound.
func (o *Origin) Head(_ context.Context, p amserver.Pull) (activmail.Head, error) {
	m, err := o.open(p)
	if err != nil {
		return activmail.Head{}, err
	}
	defer m.mu.Unlock()
	if err := m.goneLocked(); err != nil {
		return activmail.Head{}, err
	}
	state := vam.Live
	if m.sealed {
		state = vam.Sealed
	}
	return activmail.Head{
		MessageID: m.ID, Origin: m.Origin, Kind: m.Kind, State: state, LogSize: int64(len(m.lines)),
		Size: vam.Bytes(len(m.media)), ContentType: m.contentType, Created: m.ID.Time(), Checkpoint: m.checkpoint,
	}, nil
}

// waitFor returns with m locked when line n is there, the log has ended or nothing is
// to be waited for any more.
func (m *Message) waitFor(ctx context.Context, n int64, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for wait > 0 && int64(len(m.lines)) <= n && !m.sealed && !m.revoked {
		changed := m.changed
		m.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			wait = 0
		case <-timer.C:
			wait = 0
		}
		m.mu.Lock()
	}
}

// Log implements amserver.Outbound.
func (o *Origin) Log(ctx context.Context, p amserver.Pull, from int64, wait time.Duration) (amserver.Log, error) {
	m, err := o.open(p)
	if err != nil {
		return amserver.Log{}, err
	}
	defer m.mu.Unlock()
	m.waitFor(ctx, from, wait)
	l := amserver.Log{Size: int64(len(m.lines)), Ended: m.revoked, Checkpoint: m.checkpoint}
	if from >= l.Size {
		return l, nil
	}
	var body []byte
	for _, line := range m.lines[from:] {
		body = activmail.AppendLogLine(body, line)
	}
	l.Lines, l.Octets = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return l, nil
}

// Entry implements amserver.Outbound.
func (o *Origin) Entry(ctx context.Context, p amserver.Pull, n int64, wait time.Duration) (amserver.Entry, error) {
	m, err := o.open(p)
	if err != nil {
		return amserver.Entry{}, err
	}
	defer m.mu.Unlock()
	m.waitFor(ctx, n, wait)
	e := amserver.Entry{Size: int64(len(m.lines)), Ended: m.revoked}
	if n >= e.Size {
		return e, nil
	}
	e.Line, e.Checkpoint = m.lines[n], m.checkpoint
	r, err := activmail.ParseRecord(e.Line, activmail.DefaultLimits())
	if err != nil {
		return e, err
	}
	if r.HasBlob() {
		if err := m.goneLocked(); err != nil {
			return amserver.Entry{}, err
		}
		e.Blob, e.Length = inMemory(m.blobs[r.Blob]), r.Length
	}
	return e, nil
}

// Media implements amserver.Outbound.
func (o *Origin) Media(_ context.Context, p amserver.Pull) (amserver.Media, error) {
	m, err := o.open(p)
	if err != nil {
		return amserver.Media{}, err
	}
	defer m.mu.Unlock()
	if err := m.goneLocked(); err != nil {
		return amserver.Media{}, err
	}
	return amserver.Media{
		Content: inMemory(m.media), Size: vam.Bytes(len(m.media)), Complete: m.sealed,
		ContentType: m.contentType, ETag: string(m.ID), Withdrawn: m.withdrawn,
	}, nil
}

// Blob implements amserver.Outbound.
func (o *Origin) Blob(_ context.Context, p amserver.Pull, name activmail.Sum) (amserver.Blob, error) {
	m, err := o.open(p)
	if err != nil {
		return amserver.Blob{}, err
	}
	defer m.mu.Unlock()
	if err := m.goneLocked(); err != nil {
		return amserver.Blob{}, err
	}
	b, ok := m.blobs[name]
	if !ok {
		return amserver.Blob{}, vam.Errorf(vam.NotFound, "no record of this message names that blob").WithProblem("not-found")
	}
	return amserver.Blob{Content: inMemory(b), Size: vam.Bytes(len(b)), Withdrawn: m.withdrawn}, nil
}

// Proof implements amserver.Outbound.
func (o *Origin) Proof(_ context.Context, p amserver.Pull, req amserver.ProofRequest) (activmail.Proof, error) {
	m, err := o.open(p)
	if err != nil {
		return activmail.Proof{}, err
	}
	defer m.mu.Unlock()
	if size := int64(len(m.lines)); req.Size > size {
		return activmail.Proof{}, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: size}, "the log has %d lines", size).WithProblem("log-position")
	}
	read := func(from, to int64) ([]activmail.Hash, error) { return m.leaves[from:to], nil }
	if req.Inclusion {
		return activmail.ProveInclusion(req.Leaf, req.Size, read)
	}
	return activmail.ProveConsistency(req.From, req.Size, read)
}

// PutReceipt implements amserver.Outbound.
func (o *Origin) PutReceipt(_ context.Context, req amserver.ReceiptRequest) (bool, error) {
	m := o.find(req.MessageID)
	if m == nil {
		return false, vam.Errorf(vam.NotFound, "there is no such message here").WithProblem("not-found")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.receipts {
		if r.Recipient.Key() == req.Receipt.Recipient.Key() && r.Event == req.Receipt.Event {
			return false, nil
		}
	}
	m.receipts = append(m.receipts, req.Receipt)
	return true, nil
}

// RenewToken implements amserver.Outbound.
func (o *Origin) RenewToken(_ context.Context, req amserver.RenewRequest) (activmail.TokenGrant, error) {
	m := o.find(req.MessageID)
	if m == nil {
		return activmail.TokenGrant{}, vam.Errorf(vam.NotFound, "there is no such message here").WithProblem("not-found")
	}
	m.mu.Lock()
	domain, ok := m.offers[req.Offer]
	m.mu.Unlock()
	if !ok || domain != req.Signed.Domain {
		return activmail.TokenGrant{}, vam.Errorf(vam.Denied, "there is no such offer to your domain").WithProblem("policy")
	}
	return activmail.TokenGrant{Token: m.Grant(domain), Expires: time.Now().Add(24 * time.Hour)}, nil
}

// content is bytes in memory.
type content struct{ *bytes.Reader }

func (content) Close() error { return nil }

func inMemory(b []byte) amserver.Content { return content{bytes.NewReader(b)} }
