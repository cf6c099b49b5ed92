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
// Invalid, TooLarge, Gone, NotFound (AM-4.1).
func (s *Service) Append(ctx context.Context, k Key, ifMatch int64, lines [][]byte) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	sign, err := s.signer(ctx, k)
	if err != nil {
		return Message{}, err
	}
	t.appending.Lock()
	defer t.appending.Unlock()
	return t.append(ctx, ifMatch, lines, appending{place: true, own: true, sign: sign})
}

// signer signs checkpoints of a message of this server. NotFound for another's.
func (s *Service) signer(ctx context.Context, k Key) (func(activmail.Checkpoint) ([]byte, error), error) {
	priv, err := s.store.PrivateKey(ctx, k)
	if err != nil {
		return nil, err
	}
	return func(cp activmail.Checkpoint) ([]byte, error) {
		return activmail.SignCheckpoint(cp, k.Origin, k.ID, priv)
	}, nil
}

// SignPrefix is a checkpoint over the first size lines of a message of this server.
// NotFound when the message key is not here.
func (s *Service) SignPrefix(ctx context.Context, k Key, size int64) ([]byte, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	defer s.release(t)
	m, _ := t.snapshot()
	if size == m.Head.Lines && size > 0 {
		return m.Head.Checkpoint, nil
	}
	sign, err := s.signer(ctx, k)
	if err != nil {
		return nil, err
	}
	if cp, ok := t.recently(size); ok {
		return sign(cp)
	}
	tree, err := s.prefix(ctx, k, size)
	if err != nil {
		return nil, err
	}
	return sign(tree.Checkpoint())
}

// SignEdge is a checkpoint of a message of this server that covers line n: over exactly
// n+1 lines where that is one of the last ones (AM-7.10), else the newest.
func (s *Service) SignEdge(ctx context.Context, k Key, n int64) ([]byte, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return nil, err
	}
	defer s.release(t)
	if cp, ok := t.recently(n + 1); ok {
		sign, err := s.signer(ctx, k)
		if err != nil {
			return nil, err
		}
		return sign(cp)
	}
	m, _ := t.snapshot()
	return m.Head.Checkpoint, nil
}

// recently returns the root that the log had at one of its last sizes.
func (t *tracker) recently(size int64) (activmail.Checkpoint, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, cp := range t.recent {
		if cp.Size == size && size < t.m.Head.Lines {
			return cp, true
		}
	}
	return activmail.Checkpoint{}, false
}

// Root is the root of the tree over the first size lines of a log.
func (s *Service) Root(ctx context.Context, k Key, size int64) (activmail.Hash, error) {
	tree, err := s.prefix(ctx, k, size)
	return tree.Root(), err
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

// appending says how the lines of one append get their bytes and their checkpoint.
type appending struct {
	place bool // bytes must be here already, and go where the log says
	own   bool // this server is the origin
	sign  func(activmail.Checkpoint) ([]byte, error)
}

// append validates lines, stores them with a checkpoint and wakes followers;
// t.appending is held. After an error, what is known of the log is read again (AM-4.19, AM-5.8, AM-5.9).
func (t *tracker) append(ctx context.Context, from int64, raw [][]byte, a appending) (_ Message, err error) {
	if err := t.refresh(ctx); err != nil {
		return Message{}, err
	}
	m, _ := t.snapshot()
	if from != m.Head.Lines {
		return m, errPosition(m.Head.Lines, from)
	}
	if len(raw) == 0 {
		return m, nil
	}
	log, err := t.lines(ctx)
	if err != nil {
		return m, err
	}
	if log.validator.Size() != from { // the rows changed under it
		t.log = nil
		t.markStale()
		return m, errPosition(log.validator.Size(), from)
	}
	defer func() {
		if err != nil {
			t.undo()
		}
	}()
	x, err := t.extend(log, m.Head, raw, a.place)
	if err != nil {
		return m, err
	}
	var spent []activmail.Sum
	if a.place {
		if err := t.mayAppend(x.entries); err != nil {
			return m, err
		}
		if spent, err = t.place(ctx, log, x.entries); err != nil {
			return m, err
		}
		if x.head.MediaBytes > m.Head.MediaBytes { // of its own: see mayAppend
			x.have = Ranges{{0, x.head.MediaBytes}}
		}
	}
	x.complete = a.own && m.Head.SealedAt.IsZero() && !x.head.SealedAt.IsZero()
	if x.head.Checkpoint, err = a.sign(activmail.Checkpoint{Size: x.head.Lines, Root: x.head.Root}); err != nil {
		return m, err
	}
	if err := t.s.store.AppendLines(ctx, t.key, from, x.lines, x.head, x.have); err != nil {
		t.markStale() // it may be stored all the same
		return m, err
	}
	t.dropSpent(context.WithoutCancel(ctx), spent)
	return t.appended(x, spent), nil
}

func errPosition(have, want int64) error {
	return vam.Wrap(vam.Conflict, &activmail.PositionError{Size: have}, "the log has %d lines, not %d; go on from there", have, want).WithProblem("log-position")
}

// mayAppend keeps authors from adding to media that is not their message's own.
func (t *tracker) mayAppend(entries []activmail.Entry) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.shared {
		return nil
	}
	for _, e := range entries {
		if e.Record.Kind != activmail.RecordRevoke {
			return vam.Errorf(vam.Conflict, "the message carries the media of another one; nothing can be added to it").WithProblem("sealed")
		}
	}
	return nil
}

// undo forgets what an append that failed may have changed in memory.
func (t *tracker) undo() {
	t.log = nil
	t.mu.Lock()
	defer t.mu.Unlock()
	t.staged.floor = t.m.Head.MediaBytes
}

// extension is an append under way.
type extension struct {
	lines    []Line
	head     Head
	have     Ranges            // nil: as it is
	complete bool              // everything that the sealed log names is here
	entries  []activmail.Entry // only where bytes are to be placed
	recent   []activmail.Checkpoint
}

// extend takes lines into the log and computes the head after them (AM-4.20).
func (t *tracker) extend(log *logState, head Head, raw [][]byte, keep bool) (extension, error) {
	x := extension{head: head, lines: make([]Line, 0, len(raw))}
	for i, line := range raw {
		e, err := log.append(line)
		if err != nil {
			return x, err
		}
		x.lines = append(x.lines, Line{N: e.Index, Raw: line, Offset: int64(e.Offset), Length: int64(e.Record.Length)})
		x.head.take(e, t.s.now())
		if keep {
			x.entries = append(x.entries, e)
		}
		if len(raw)-i <= recentRoots {
			x.recent = append(x.recent, log.validator.Tree().Checkpoint())
		}
	}
	v := log.validator
	x.head.Lines, x.head.Root, x.head.MediaBytes = v.Size(), v.Tree().Root(), int64(v.MediaBytes())
	if _, sealed := v.Sealed(); sealed {
		x.head.Identity = activmail.Hash(v.MediaIdentity())
	}
	return x, nil
}

// take moves the head over one record.
func (h *Head) take(e activmail.Entry, now time.Time) {
	r := e.Record
	switch r.Kind {
	case activmail.RecordSeal:
		h.SealedAt, h.Digest = now, activmail.Hash(r.SHA256)
		if h.State == vam.Draft || h.State == vam.Live {
			h.State = vam.Sealed
		}
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

// appended puts an extension that is stored into place and wakes followers.
func (t *tracker) appended(x extension, spent []activmail.Sum) Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.generation++
	t.m.Head, t.m.State = x.head, x.head.State
	if !x.head.Expires.IsZero() {
		t.m.Expires = x.head.Expires
	}
	t.m.Complete = t.m.Complete || x.complete
	for _, r := range x.have {
		t.have = t.have.Add(r)
	}
	t.staged.floor = x.head.MediaBytes
	for _, p := range t.staged.within(Range{0, x.head.MediaBytes}) {
		t.staged.remove(p)
	}
	for _, sum := range spent {
		t.staged.drop(sum)
	}
	for _, e := range x.entries {
		if !e.Record.HasBlob() {
			continue
		}
		if !e.Record.IsMedia() {
			t.staged.drop(e.Record.Blob)
		}
		// Wherever it stood before, it is found where the log names it from now on.
		if p := t.staged.bySum[e.Record.Blob]; p != nil && p.writers == 0 {
			t.staged.remove(p)
		}
	}
	t.recent = append(t.recent, x.recent...)
	t.recent = t.recent[max(0, len(t.recent)-recentRoots):]
	if x.have != nil {
		t.hashOn(hashAhead)
	}
	t.notify()
	return t.m
}
