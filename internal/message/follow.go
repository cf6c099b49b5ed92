package message

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
)

// Follow extends the log of another origin's message from line from on with lines
// under a checkpoint that the message key signed over exactly from+len(lines)
// lines. Lines that are known already are skipped after comparing the tree.
//
// Errors: Corrupt with problem checkpoint-inconsistent when the checkpoint does not fit
// what was seen before (both are kept as evidence) or has no signature of the message
// key, Conflict (log-position: lines are missing before from), Invalid, TooLarge (AM-4.7, AM-5.13).
func (s *Service) Follow(ctx context.Context, k Key, from int64, lines [][]byte, checkpoint []byte) (Message, error) {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return Message{}, err
	}
	defer s.release(t)
	t.appending.Lock()
	defer t.appending.Unlock()
	if err := t.refresh(ctx); err != nil {
		return Message{}, err
	}
	m, _ := t.snapshot()
	cp, err := activmail.OpenCheckpoint(checkpoint, k.Origin, k.ID, m.PublicKey)
	if err != nil {
		return m, err
	}
	if from > m.Head.Lines {
		return m, errPosition(m.Head.Lines, from)
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

// Agrees compares lines from the first on, and the checkpoint that the message key signed
// over exactly them, with what is here of another origin's message, and changes nothing but
// the evidence: [Service.Follow] would take them, as long as each of them is valid.
//
// Errors: NotFound, and Corrupt like Follow (AM-5.11, AM-5.13).
func (s *Service) Agrees(ctx context.Context, k Key, lines [][]byte, checkpoint []byte) error {
	t, err := s.acquire(ctx, k)
	if err != nil {
		return err
	}
	defer s.release(t)
	t.appending.Lock()
	defer t.appending.Unlock()
	if err := t.refresh(ctx); err != nil {
		return err
	}
	m, _ := t.snapshot()
	cp, err := activmail.OpenCheckpoint(checkpoint, k.Origin, k.ID, m.PublicKey)
	if err != nil {
		return err
	}
	if cp.Size <= m.Head.Lines {
		return t.compareOld(ctx, cp, checkpoint)
	}
	var tree activmail.Tree
	for _, line := range lines[:min(m.Head.Lines, int64(len(lines)))] {
		tree.Append(activmail.LeafHash(line))
	}
	if m.Head.Lines > 0 && tree.Root() != m.Head.Root {
		return t.splitView(ctx, checkpoint)
	}
	return nil
}

// compareOld checks a checkpoint over lines that are here already (AM-5.11).
func (t *tracker) compareOld(ctx context.Context, cp activmail.Checkpoint, text []byte) error {
	m, _ := t.snapshot()
	root := m.Head.Root
	if cp.Size < m.Head.Lines || cp.Size == 0 {
		tree, err := t.s.prefix(ctx, t.key, cp.Size)
		if err != nil {
			return err
		}
		root = tree.Root()
	}
	if cp.Root != root {
		return t.splitView(ctx, text)
	}
	return nil
}

// splitView keeps both checkpoints: together with the stored lines they show that the
// origin signed something that does not continue what it showed before (AM-5.14).
func (t *tracker) splitView(ctx context.Context, got []byte) error {
	m, _ := t.snapshot()
	t.s.log.Error("two signed checkpoints of one message do not fit; both are kept", "message", t.key)
	have := m.Head.Checkpoint
	if have == nil {
		have = []byte{}
	}
	if err := t.s.store.KeepEvidence(ctx, t.key, have, got, t.s.now()); err != nil {
		return err
	}
	return vam.Errorf(vam.Corrupt, "the origin signed two histories of this message that do not fit; both checkpoints are kept as evidence").WithProblem("checkpoint-inconsistent")
}
