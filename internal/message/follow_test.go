package message_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
)

// recorded is a message of another origin with n parts.
func recorded(t *testing.T, h *hosttest.Host, n int) *hosttest.Recording {
	t.Helper()
	r := hosttest.NewRecording(t, "a.example", h.Clock.Now())
	r.AddFile(hosttest.Pattern(n*partSize, 1), partSize)
	h.Follower(r)
	return r
}

func TestFollow(t *testing.T) {
	h := newHost(t)
	r := recorded(t, h, 6)
	for _, step := range []struct{ from, to, want int64 }{
		{0, 2, 2}, {0, 2, 2}, {2, 3, 3}, {1, 4, 4}, {0, 1, 4}, {4, 4, 4}, {0, 0, 4}, {0, 6, 6}, {3, 5, 6},
	} {
		m, err := follow(t.Context(), h, r, step.from, step.to)
		if err != nil {
			t.Fatalf("lines %d to %d: %v", step.from, step.to, err)
		}
		if m, err = h.Messages.Get(t.Context(), r.Key); err != nil || m.Head.Lines != step.want || m.Complete {
			t.Fatalf("lines %d to %d: %+v, %v", step.from, step.to, m.Head, err)
		}
	}
	h.Reopen()
	r.Seal()
	m, err := follow(t.Context(), h, r, 6, 7)
	if err != nil || m.State != vam.Sealed || m.Complete || m.Head.MediaBytes != 6*partSize {
		t.Fatalf("%+v, %v", m, err)
	}
	r.Revoke()
	if m, err = follow(t.Context(), h, r, 0, 8); err != nil || m.State != vam.Revoked {
		t.Fatalf("%+v, %v", m, err)
	}
	lines, err := h.Messages.Lines(t.Context(), r.Key, 0, 100)
	if err != nil || len(lines) != 8 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, l := range lines {
		if !bytes.Equal(l.Raw, r.Lines(int64(i), 1)[0]) {
			t.Errorf("line %d is another one", i)
		}
	}
}

// TestFollowRefuses is AM-5.13.
func TestFollowRefuses(t *testing.T) {
	h := newHost(t)
	r := recorded(t, h, 4)
	if _, err := follow(t.Context(), h, r, 0, 2); err != nil {
		t.Fatal(err)
	}
	stranger := hosttest.NewRecording(t, "a.example", h.Clock.Now())
	stranger.Key = r.Key // another key under the same name
	stranger.AddFile(hosttest.Pattern(4*partSize, 1), partSize)
	long := append(append([]byte(`{"k":"note","x":"`), bytes.Repeat([]byte("x"), 2048)...), '"', '}')
	r.AddLine(long)
	follows := func(from int64, lines [][]byte, cp []byte) error {
		_, err := h.Messages.Follow(t.Context(), r.Key, from, lines, cp)
		return err
	}
	wantKind(t, follows(0, stranger.Lines(0, 4), stranger.Checkpoint(4)), vam.Corrupt, "checkpoint-inconsistent")
	wantKind(t, follows(3, r.Lines(3, 1), r.Checkpoint(4)), vam.Conflict, "log-position")
	wantKind(t, follows(2, r.Lines(2, 1), r.Checkpoint(4)), vam.Corrupt, "checkpoint-inconsistent") // fewer lines than signed
	wantKind(t, follows(2, r.Lines(2, 2), r.Checkpoint(3)), vam.Corrupt, "checkpoint-inconsistent") // more
	wantKind(t, follows(2, r.Lines(2, 3), r.Checkpoint(5)), vam.TooLarge, "")
	wantKind(t, follows(2, r.Lines(2, 1), []byte("nothing")), vam.Invalid, "")
	wantKind(t, follows(2, [][]byte{[]byte("{}")}, r.Checkpoint(3)), vam.Invalid, "")
	if evidence, err := h.DB.Messages().Evidence(t.Context(), r.Key); err != nil || len(evidence) != 0 {
		t.Errorf("%d quarrels are kept, %v; none of these proves anything", len(evidence), err)
	}
	if m, err := follow(t.Context(), h, r, 2, 4); err != nil || m.Head.Lines != 4 {
		t.Errorf("the good log is not taken after all that: %v", err)
	}
}

// Two histories under one key are kept as evidence, whichever way they come
// (AM-5.14), and the log stays what it was.
func TestSplitView(t *testing.T) {
	for name, seen := range map[string]int64{"nothing was seen": 0, "shorter": 2, "as long": 3, "longer": 4} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			r := recorded(t, h, 5)
			other := hosttest.NewRecording(t, "a.example", h.Clock.Now())
			other.Key, other.Priv = r.Key, r.Priv
			other.AddFile(hosttest.Pattern(5*partSize, 2), partSize)
			if seen > 0 {
				if _, err := follow(t.Context(), h, r, 0, seen); err != nil {
					t.Fatal(err)
				}
			}
			before, err := h.Messages.Get(t.Context(), r.Key)
			if err != nil {
				t.Fatal(err)
			}
			lines := other.Lines(0, 3)
			if seen == 0 {
				lines = r.Lines(0, 3) // not those that were signed
			}
			for range 2 {
				_, err = h.Messages.Follow(t.Context(), r.Key, 0, lines, other.Checkpoint(3))
				wantKind(t, err, vam.Corrupt, "checkpoint-inconsistent")
			}
			evidence, err := h.DB.Messages().Evidence(t.Context(), r.Key)
			if err != nil || len(evidence) != 2 {
				t.Fatalf("%d quarrels, %v", len(evidence), err)
			}
			if !bytes.Equal(evidence[0][0], before.Head.Checkpoint) || !bytes.Equal(evidence[0][1], other.Checkpoint(3)) {
				t.Error("the evidence is not the two checkpoints")
			}
			after, err := h.Messages.Get(t.Context(), r.Key)
			if err != nil || !cmp.Equal(after.Head, before.Head) {
				t.Errorf("the log changed: %s", cmp.Diff(before.Head, after.Head))
			}
			if _, err := follow(t.Context(), h, r, 0, 5); err != nil {
				t.Errorf("the first history does not go on: %v", err)
			}
		})
	}
}

// An append that the store refuses, or of which nobody knows, leaves nothing behind
// in memory that could stop the next one.
func TestAppendAfterRowsChangedElsewhere(t *testing.T) {
	h := newHost(t)
	r := recorded(t, h, 3)
	if _, err := follow(t.Context(), h, r, 0, 1); err != nil {
		t.Fatal(err)
	}
	m, err := h.Messages.Get(t.Context(), r.Key)
	if err != nil {
		t.Fatal(err)
	}
	// What a commit leaves whose answer was lost: the rows are ahead of the memory.
	m.Head.Lines, m.Head.MediaBytes = 2, 2*partSize
	var tree activmail.Tree
	tree.Append(activmail.LeafHash(r.Lines(0, 1)[0]))
	tree.Append(activmail.LeafHash(r.Lines(1, 1)[0]))
	m.Head.Root, m.Head.Checkpoint = tree.Root(), r.Checkpoint(2)
	line := lineOf(1, r.Lines(1, 1)[0], partSize, partSize)
	if err := h.DB.Messages().AppendLines(t.Context(), r.Key, 1, line, m.Head, nil); err != nil {
		t.Fatal(err)
	}
	if _, err = follow(t.Context(), h, r, 1, 3); err != nil {
		position(t, err)
	}
	if m, err = follow(t.Context(), h, r, 1, 3); err != nil || m.Head.Lines != 3 {
		t.Fatalf("it never gets over it: %d lines, %v", m.Head.Lines, err)
	}
}
