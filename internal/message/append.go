package message

import (
	"context"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Append extends the log of a message of this server by lines that its author (or
// this server) wrote, if the log has exactly ifMatch lines, and signs a new
// checkpoint. Every part that the lines name has been uploaded before. All or
// nothing; what it returns is durable.
//
// Errors: Conflict (log-position with a *activmail.PositionError, or blob-missing),
// Invalid, TooLarge, Gone, NotFound.
func (s *Service) Append(ctx context.Context, k Key, ifMatch int64, lines [][]byte) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	priv, err := s.store.PrivateKey(ctx, k)
	if err != nil {
		return Message{}, err
	}
	t.appending.Lock()
	defer t.appending.Unlock()
	return t.append(ctx, ifMatch, lines, appending{place: true, sign: func(cp activmail.Checkpoint) ([]byte, error) {
		return activmail.SignCheckpoint(cp, k.Origin, k.ID, priv)
	}})
}

// Follow extends the log of another origin's message from line from on with lines
// under a checkpoint that the message key signed over exactly from+len(lines)
// lines. Lines that are known already are skipped after comparing the tree.
//
// Errors: Corrupt with problem checkpoint-inconsistent when the checkpoint does
// not fit what was seen before (both are kept as evidence), Unauthenticated for a
// wrong signature, Invalid, TooLarge.
func (s *Service) Follow(ctx context.Context, k Key, from int64, lines [][]byte, checkpoint []byte) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	t.appending.Lock()
	defer t.appending.Unlock()
	m, _ := t.snapshot()
	cp, err := activmail.OpenCheckpoint(checkpoint, k.Origin, k.ID, m.PublicKey)
	if err != nil {
		return m, err
	}
	if from > m.Head.Lines {
		return m, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: m.Head.Lines}, "the log has %d lines, not %d", m.Head.Lines, from).WithProblem("log-position")
	}
	if cp.Size != from+int64(len(lines)) {
		return m, vam.Errorf(vam.Corrupt, "the checkpoint is over %d lines and %d were sent", cp.Size, from+int64(len(lines))).WithProblem("checkpoint-inconsistent")
	}
	if cp.Size <= m.Head.Lines {
		return m, t.compareOld(ctx, cp, checkpoint)
	}
	lines = lines[m.Head.Lines-from:]
	return t.append(ctx, m.Head.Lines, lines, appending{sign: func(got activmail.Checkpoint) ([]byte, error) {
		if got.Root != cp.Root {
			return nil, t.splitView(ctx, checkpoint)
		}
		return checkpoint, nil
	}})
}

// SignPrefix is a checkpoint over the first size lines of a message of this server;
// nil for none. NotFound when the message key is not here.
func (s *Service) SignPrefix(ctx context.Context, k Key, size int64) ([]byte, error) {
	m, err := s.Get(ctx, k)
	if err != nil || size == 0 {
		return nil, err
	}
	if size == m.Head.Lines {
		return m.Head.Checkpoint, nil
	}
	tree, err := s.prefix(ctx, k, size)
	if err != nil {
		return nil, err
	}
	priv, err := s.store.PrivateKey(ctx, k)
	if err != nil {
		return nil, err
	}
	return activmail.SignCheckpoint(activmail.Checkpoint{Size: size, Root: tree.Root()}, k.Origin, k.ID, priv)
}

// prefix is the tree over the first size lines.
func (s *Service) prefix(ctx context.Context, k Key, size int64) (activmail.Tree, error) {
	var tree activmail.Tree
	for tree.Size() < size {
		lines, err := s.store.Lines(ctx, k, tree.Size(), min(linePage, size-tree.Size()))
		if err != nil {
			return tree, err
		}
		if len(lines) == 0 {
			return tree, vam.Errorf(vam.Corrupt, "the stored log of %s ends at line %d", k, tree.Size())
		}
		for _, l := range lines {
			tree.Append(activmail.LeafHash(l.Raw))
		}
	}
	return tree, nil
}

// compareOld checks a checkpoint over lines that are here already.
func (t *tracker) compareOld(ctx context.Context, cp activmail.Checkpoint, text []byte) error {
	if m, _ := t.snapshot(); cp.Size == m.Head.Lines {
		if cp.Root != m.Head.Root {
			return t.splitView(ctx, text)
		}
		return nil
	}
	tree, err := t.s.prefix(ctx, t.key, cp.Size)
	if err != nil {
		return err
	}
	if tree.Root() != cp.Root {
		return t.splitView(ctx, text)
	}
	return nil
}

// splitView keeps both checkpoints: together they prove that the origin signed two
// histories of one message (AM-5).
func (t *tracker) splitView(ctx context.Context, got []byte) error {
	m, _ := t.snapshot()
	t.s.log.Error("two signed checkpoints of one message do not fit; both are kept", "message", t.key)
	if err := t.s.store.KeepEvidence(ctx, t.key, m.Head.Checkpoint, got, t.s.now()); err != nil {
		return err
	}
	return vam.Errorf(vam.Corrupt, "the origin signed two histories of this message that do not fit; both checkpoints are kept as evidence").WithProblem("checkpoint-inconsistent")
}

// appending says how the lines of one append get their bytes and their checkpoint.
type appending struct {
	place bool // bytes must be here already: this server is the origin
	sign  func(activmail.Checkpoint) ([]byte, error)
}

// append validates lines, stores them with a checkpoint and wakes followers;
// t.appending is held. On any error the validator is dropped and read again.
func (t *tracker) append(ctx context.Context, from int64, raw [][]byte, a appending) (_ Message, err error) {
	m, _ := t.snapshot()
	if from != m.Head.Lines {
		return m, vam.Wrap(vam.Conflict, &activmail.PositionError{Size: m.Head.Lines}, "the log has %d lines, not %d; go on from there", m.Head.Lines, from).WithProblem("log-position")
	}
	if len(raw) == 0 {
		return m, nil
	}
	v, err := t.log(ctx)
	if err != nil {
		return m, err
	}
	defer func() {
		if err != nil {
			t.validator = nil
		}
	}()
	head, lines := m.Head, make([]Line, 0, len(raw))
	entries := make([]activmail.Entry, 0, len(raw))
	for _, line := range raw {
		e, err := v.Append(line)
		if err != nil {
			return m, err
		}
		entries = append(entries, e)
		lines = append(lines, Line{N: e.Index, Raw: line, Offset: int64(e.Offset), Length: int64(e.Record.Length)})
		head.take(e, t.s.now())
	}
	if a.place {
		if err := t.place(ctx, entries); err != nil {
			return m, err
		}
	}
	head.Lines, head.Root, head.MediaBytes = v.Size(), v.Tree().Root(), int64(v.MediaBytes())
	if _, sealed := v.Sealed(); sealed {
		head.Identity = activmail.Hash(v.MediaIdentity())
	}
	if head.Checkpoint, err = a.sign(activmail.Checkpoint{Size: head.Lines, Root: head.Root}); err != nil {
		return m, err
	}
	t.mu.Lock()
	have := append(Ranges{}, t.have...)
	t.mu.Unlock()
	if !a.place {
		have = nil // a puller saves its own
	}
	if err := t.s.store.AppendLines(ctx, t.key, from, lines, head, have); err != nil {
		return m, err
	}
	return t.appended(head, entries), nil
}

// take moves the head over one record.
func (h *Head) take(e activmail.Entry, now time.Time) {
	r := e.Record
	switch r.Kind {
	case activmail.RecordSeal:
		h.State, h.SealedAt, h.Digest = vam.Sealed, now, activmail.Hash(r.SHA256)
		if r.Duration > 0 {
			h.Duration = r.Duration
		}
	case activmail.RecordRevoke:
		h.State = vam.Revoked
	case activmail.RecordExpire:
		h.Expires = r.At
	case activmail.RecordPart:
		if r.Timed && r.Track == "" {
			h.Duration = max(h.Duration, r.Time+r.Duration)
		}
	}
	if r.HasBlob() && !r.IsMedia() {
		h.Sides++
	}
}

func (t *tracker) appended(head Head, entries []activmail.Entry) Message {
	t.mu.Lock()
	t.m.Head = head
	t.m.State = head.State
	if !head.Expires.IsZero() {
		t.m.Expires = head.Expires
	}
	for _, e := range entries {
		delete(t.placed, e.Record.Blob)
	}
	t.notify()
	m := t.m
	t.mu.Unlock()
	return m
}

// Seal ends the log of a message of this server: the media is complete. want, when
// it is not zero, is the SHA-256 that the author's program computed; a difference
// is Corrupt with problem digest-mismatch, and nothing is sealed. Sealing a sealed
// message again is no error.
func (s *Service) Seal(ctx context.Context, k Key, want activmail.Sum, r activmail.Record) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	for {
		m, _, err := t.watch(ctx)
		if err != nil || m.Head.State != vam.Draft && m.Head.State != vam.Live {
			return m, err
		}
		if m.Head.MediaBytes > 0 {
			if _, err := t.object(ctx, false); err != nil {
				return m, err
			}
		}
		sum, err := t.wholeDigest(ctx, m.Head.MediaBytes)
		if err != nil {
			return m, err
		}
		if want != (activmail.Sum{}) && want != sum {
			return m, vam.Errorf(vam.Corrupt, "the bytes here have SHA-256 %x and the author's program says %x; nothing was sealed, upload again", sum[:8], want[:8]).WithProblem("digest-mismatch")
		}
		r.Kind, r.Bytes, r.SHA256 = activmail.RecordSeal, vam.Bytes(m.Head.MediaBytes), sum
		if r.Duration == 0 {
			r.Duration = m.Head.Duration
		}
		line, err := r.MarshalLine()
		if err != nil {
			return m, err
		}
		lines := [][]byte{line}
		if !m.Expires.IsZero() {
			expire, err := activmail.Record{Kind: activmail.RecordExpire, At: m.Expires.UTC().Truncate(time.Second)}.MarshalLine()
			if err != nil {
				return m, err
			}
			lines = append(lines, expire)
		}
		m, err = s.Append(ctx, k, m.Head.Lines, lines)
		if vam.KindOf(err) == vam.Conflict && err != nil {
			continue // another append was first: the seal is over that one too
		}
		if err == nil {
			err = s.store.SetComplete(ctx, k, "")
			t.markStale()
		}
		return m, err
	}
}

// Revoke ends a message of this server: the log stays readable and ends in a
// revoke record. Revoking twice is no error.
func (s *Service) Revoke(ctx context.Context, k Key, why string) (Message, error) {
	for {
		m, err := s.Get(ctx, k)
		if err != nil || m.Head.State == vam.Revoked {
			return m, err
		}
		line, err := activmail.Record{Kind: activmail.RecordRevoke, At: s.now().UTC().Truncate(time.Second), Why: why}.MarshalLine()
		if err != nil {
			return m, err
		}
		m, err = s.Append(ctx, k, m.Head.Lines, [][]byte{line})
		if vam.KindOf(err) == vam.Conflict && err != nil {
			continue
		}
		return m, err
	}
}
