package message_test

import (
	"bytes"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
)

// stored is a whole message that came from a domain.
func stored(t *testing.T, h *hosttest.Host, r *hosttest.Recording) {
	t.Helper()
	if _, err := follow(t.Context(), h, r, 0, r.Size()); err != nil {
		t.Fatal(err)
	}
	w := mustWriter(t, h, r.Key)
	defer w.Close()
	if err := w.WritePart(0, r.Media()); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Messages.Complete(t.Context(), r.Key, r.Key.Origin); err != nil {
		t.Fatal(err)
	}
}

func sealedRecording(t *testing.T, h *hosttest.Host, origin vam.Domain, content []byte) *hosttest.Recording {
	t.Helper()
	r := hosttest.NewRecording(t, origin, h.Clock.Now())
	r.AddFile(content, partSize)
	r.Seal()
	h.Follower(r)
	return r
}

// TestReuse is AM-14.6.
func TestReuse(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	first := sealedRecording(t, h, "a.example", content)
	stored(t, h, first)
	second := sealedRecording(t, h, "a.example", content)
	if ok, err := h.Messages.Reuse(t.Context(), second.Key, "a.example"); ok || err != nil {
		t.Fatalf("reused before its log is here: %v, %v", ok, err)
	}
	if _, err := follow(t.Context(), h, second, 0, 6); err != nil {
		t.Fatal(err)
	}
	// A hash alone opens nothing: the domain must have shown that it has the media.
	stranger := sealedRecording(t, h, "c.example", content)
	if _, err := follow(t.Context(), h, stranger, 0, 6); err != nil {
		t.Fatal(err)
	}
	for _, peer := range []vam.Domain{"c.example", "", "b.example"} {
		if ok, err := h.Messages.Reuse(t.Context(), stranger.Key, peer); ok || err != nil {
			t.Errorf("%q reused media that it never had: %v, %v", peer, ok, err)
		}
	}
	if ok, err := h.Messages.Reusable(t.Context(), second.Key, "a.example"); !ok || err != nil {
		t.Fatalf("reusable: %v, %v", ok, err)
	}
	if ok, err := h.Messages.Reuse(t.Context(), second.Key, "a.example"); !ok || err != nil {
		t.Fatalf("reuse: %v, %v", ok, err)
	}
	if ok, err := h.Messages.Reuse(t.Context(), second.Key, "a.example"); ok || err != nil {
		t.Errorf("again: %v, %v", ok, err)
	}
	if err := h.Messages.Complete(t.Context(), second.Key, "a.example"); err != nil {
		t.Fatal(err)
	}
	wantMedia(t, h, second.Key, content)
	mediaFile(t, h) // one for both
	other := sealedRecording(t, h, "a.example", hosttest.Pattern(5*partSize, 2))
	if _, err := follow(t.Context(), h, other, 0, 6); err != nil {
		t.Fatal(err)
	}
	if ok, err := h.Messages.Reuse(t.Context(), other.Key, "a.example"); ok || err != nil {
		t.Errorf("another file was reused: %v, %v", ok, err)
	}
}

func TestCopyMedia(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	src := hosttest.NewRecording(t, "a.example", h.Clock.Now())
	src.AddFile(content, partSize)
	src.Add(activmail.Record{Kind: activmail.RecordExpire, At: h.Clock.Now().Add(time.Hour).Truncate(time.Second)}, nil)
	src.AddLine([]byte(`{"k":"note","x":1}`))
	src.Seal()
	h.Follower(src)
	dst := h.Draft()
	_, err := h.Messages.CopyMedia(t.Context(), dst, src.Key)
	wantKind(t, err, vam.Conflict, "not-complete")
	stored(t, h, src)
	m, err := h.Messages.CopyMedia(t.Context(), dst, src.Key)
	if err != nil || m.State != vam.Sealed || !m.Complete || m.Head.Lines != 6 || !m.Expires.IsZero() {
		t.Fatalf("%+v, %v", m, err)
	}
	wantMedia(t, h, dst, content)
	mediaFile(t, h)
	cp, err := activmail.OpenCheckpoint(m.Head.Checkpoint, dst.Origin, dst.ID, m.PublicKey)
	if err != nil || cp.Size != 6 {
		t.Errorf("checkpoint %+v, %v", cp, err)
	}
	_, err = h.Messages.CopyMedia(t.Context(), dst, src.Key)
	wantKind(t, err, vam.Conflict, "sealed")
	h.Reopen()
	wantMedia(t, h, dst, content)
	if m, err := h.Messages.Get(t.Context(), dst); err != nil || !m.Complete {
		t.Errorf("after a restart %+v, %v", m, err)
	}

	// The forward stays when the original is taken back (AM-8.19).
	src.Revoke()
	if _, err := follow(t.Context(), h, src, 0, src.Size()); err != nil {
		t.Fatal(err)
	}
	wantMedia(t, h, dst, content)
	_, err = h.Messages.CopyMedia(t.Context(), h.Draft(), src.Key)
	wantKind(t, err, vam.Gone, "revoked")
}

func TestCopyMediaOfNothing(t *testing.T) {
	h := newHost(t)
	src, dst := h.Draft(), h.Draft()
	mustSeal(t, h, src)
	m, err := h.Messages.CopyMedia(t.Context(), dst, src)
	if err != nil || !m.Complete || m.Head.MediaBytes != 0 {
		t.Errorf("%+v, %v", m, err)
	}
}

// A crash between the steps of a copy is mended by doing it again, and meanwhile
// nobody can write over the media that is lent.
func TestCopyMediaIsNeverWrittenTo(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	src := sealedRecording(t, h, "a.example", content)
	stored(t, h, src)
	from, err := h.Messages.Get(t.Context(), src.Key)
	if err != nil {
		t.Fatal(err)
	}
	dst := h.Draft()
	if err := h.DB.Messages().LinkMedia(t.Context(), dst, from.Media); err != nil { // and here it crashed
		t.Fatal(err)
	}
	h.Reopen()
	evil := bytes.Repeat([]byte("evil"), partSize/4)
	p := message.Piece{Sum: sha256.Sum256(evil), Length: partSize, At: 0}
	_, err = h.Messages.Upload(t.Context(), dst, p, bytes.NewReader(evil), nil)
	wantKind(t, err, vam.Conflict, "sealed")
	ps, lines := pieces(content)
	_, err = h.Messages.Append(t.Context(), dst, 0, lines[:1])
	wantKind(t, err, vam.Conflict, "sealed")
	if missing, err := h.Messages.Missing(t.Context(), dst, ps); err != nil {
		t.Errorf("missing %v, %v", missing, err)
	}
	if m, err := h.Messages.CopyMedia(t.Context(), dst, src.Key); err != nil || !m.Complete {
		t.Fatalf("%+v, %v", m, err)
	}
	wantMedia(t, h, dst, content)
	wantMedia(t, h, src.Key, content)
}

func TestCopyMediaRacesWithUploads(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	src := sealedRecording(t, h, "a.example", content)
	stored(t, h, src)
	evil := bytes.Repeat([]byte("evil"), partSize/4)
	for range 20 {
		dst := h.Draft()
		h.Clock.Advance(time.Millisecond)
		var wg sync.WaitGroup
		for i := range 3 {
			p := message.Piece{Sum: sha256.Sum256(evil), Length: partSize, At: int64(i * partSize)}
			wg.Go(func() {
				if _, err := h.Messages.Upload(t.Context(), dst, p, bytes.NewReader(evil), nil); err != nil && vam.KindOf(err) != vam.Conflict {
					t.Error(err)
				}
			})
		}
		wg.Go(func() {
			if _, err := h.Messages.CopyMedia(t.Context(), dst, src.Key); err != nil && vam.KindOf(err) != vam.Conflict {
				t.Error(err)
			}
		})
		wg.Wait()
		if m, err := h.Messages.Get(t.Context(), dst); err != nil {
			t.Fatal(err)
		} else if m.Complete {
			wantMedia(t, h, dst, content)
		}
	}
	wantMedia(t, h, src.Key, content)
	if _, err := h.Messages.Check(t.Context(), src.Key, func(l message.Line, err error) { t.Errorf("line %d: %v", l.N, err) }); err != nil {
		t.Error(err)
	}
}

// The have-set of shared media is not touched by what happens to one of its messages.
func TestRevokeLeavesSharedMedia(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	src := sealedRecording(t, h, "a.example", content)
	stored(t, h, src)
	dst := h.Draft()
	if _, err := h.Messages.CopyMedia(t.Context(), dst, src.Key); err != nil {
		t.Fatal(err)
	}
	m, err := h.Messages.Revoke(t.Context(), dst, "sender")
	if err != nil {
		t.Fatal(err)
	}
	have, err := h.DB.Messages().Have(t.Context(), m.Media)
	if want := (message.Ranges{{Start: 0, End: 5 * partSize}}); err != nil || !cmp.Equal(have, want) {
		t.Errorf("have %v, %v", have, err)
	}
	h.Reopen()
	wantMedia(t, h, src.Key, content)
}
