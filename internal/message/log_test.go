package message_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/submission"
)

// position is what a log-position conflict says.
func position(t *testing.T, err error) int64 {
	t.Helper()
	var pos *activmail.PositionError
	if !errors.As(err, &pos) {
		t.Fatalf("got %v, want a log position", err)
	}
	wantKind(t, err, vam.Conflict, "log-position")
	return pos.Size
}

// TestAppendAtAnotherPosition is AM-13.9.
func TestAppendAtAnotherPosition(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(3*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	mustAppend(t, h, k, 0, lines[:2]...)
	for _, from := range []int64{0, 1, 3, 1 << 40} {
		_, err := h.Messages.Append(t.Context(), k, from, lines[2:])
		if size := position(t, err); size != 2 {
			t.Errorf("append at %d: the log has %d lines, want 2", from, size)
		}
	}
	if m := mustAppend(t, h, k, 2, lines[2:]...); m.Head.Lines != 3 {
		t.Errorf("%d lines", m.Head.Lines)
	}
	if m := mustAppend(t, h, k, 3); m.Head.Lines != 3 {
		t.Errorf("an append of nothing made %d lines", m.Head.Lines)
	}
}

// An append is all or nothing, whichever of its lines is wrong (AM-4.19).
func TestAppendAllOrNothing(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(3*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, p := range ps[:2] {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	for name, bad := range map[string][]byte{
		"missing blob": lines[2],
		"no JSON":      []byte("{"),
		"second seal":  line(activmail.Record{Kind: activmail.RecordSeal, Bytes: 1, SHA256: activmail.Sum{1}}, nil),
		"too long":     append(append([]byte(`{"k":"x","y":"`), bytes.Repeat([]byte("y"), 3000)...), '"', '}'),
	} {
		if m, err := h.Messages.Append(t.Context(), k, 0, [][]byte{lines[0], lines[1], bad}); err == nil || m.Head.Lines != 0 {
			t.Errorf("%s: %d lines, %v", name, m.Head.Lines, err)
		}
		if got, err := h.Messages.Lines(t.Context(), k, 0, 10); err != nil || len(got) != 0 {
			t.Errorf("%s: %d lines are stored, %v", name, len(got), err)
		}
	}
	m := mustAppend(t, h, k, 0, lines[:2]...)
	var tree activmail.Tree
	for _, l := range lines[:2] {
		tree.Append(activmail.LeafHash(l))
	}
	if m.Head.Root != tree.Root() {
		t.Error("the root is not that of the two lines")
	}
	got, err := h.Messages.Lines(t.Context(), k, 0, 10)
	want := []message.Line{{N: 0, Raw: lines[0], Offset: 0, Length: partSize}, {N: 1, Raw: lines[1], Offset: partSize, Length: partSize}}
	if err != nil || !cmp.Equal(got, want) {
		t.Errorf("lines %v, %v", cmp.Diff(want, got), err)
	}
}

// TestSealChecksTheDigest is AM-13.13.
func TestSealChecksTheDigest(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(2*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	mustAppend(t, h, k, 0, lines...)
	right := activmail.Sum(sha256.Sum256(content))
	for range 2 { // a failed seal changes nothing
		m, err := h.Messages.Seal(t.Context(), k, activmail.Sum{1}, activmail.Record{})
		wantKind(t, err, vam.Corrupt, "digest-mismatch")
		if m.Head.Lines != 2 || m.State != vam.Draft {
			t.Fatalf("after a wrong digest: %+v", m)
		}
	}
	m, err := h.Messages.Seal(t.Context(), k, right, activmail.Record{Name: "clip.mp4", ContentType: "video/mp4"})
	if err != nil || m.Head.Lines != 3 || !m.Complete {
		t.Fatalf("%+v, %v", m, err)
	}
	again, err := h.Messages.Seal(t.Context(), k, right, activmail.Record{})
	if err != nil || again.Head.Lines != 3 {
		t.Errorf("again: %d lines, %v", again.Head.Lines, err)
	}
	_, err = h.Messages.Seal(t.Context(), k, activmail.Sum{1}, activmail.Record{})
	wantKind(t, err, vam.Corrupt, "digest-mismatch")
	seal, err := h.Messages.SealRecord(t.Context(), m)
	if err != nil || seal.Name != "clip.mp4" || seal.SHA256 != right || seal.Bytes != vam.Bytes(len(content)) {
		t.Errorf("seal %+v, %v", seal, err)
	}
	h.Reopen()
	if m, err = h.Messages.Get(t.Context(), k); err != nil || !m.Complete || m.State != vam.Sealed {
		t.Errorf("after a restart %+v, %v", m, err)
	}
	wantMedia(t, h, k, content)
}

func TestSealOfNothing(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	_, err := h.Messages.Seal(t.Context(), k, activmail.Sum{7}, activmail.Record{})
	wantKind(t, err, vam.Corrupt, "digest-mismatch")
	m, err := h.Messages.Seal(t.Context(), k, sha256.Sum256(nil), activmail.Record{})
	if err != nil || !m.Complete || m.Head.MediaBytes != 0 || m.State != vam.Sealed {
		t.Fatalf("%+v, %v", m, err)
	}
	_, err = h.Messages.OpenMedia(t.Context(), k)
	wantKind(t, err, vam.NotFound, "")
	if n, err := h.Messages.Check(t.Context(), k, func(l message.Line, err error) { t.Error(err) }); n != 0 || err != nil {
		t.Errorf("check %d, %v", n, err)
	}
	if err := h.Messages.VerifyDigest(t.Context(), k); err != nil {
		t.Error(err)
	}
}

// The seal of a recording waits for its digest while lines still come.
func TestSealWhileAppending(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(60*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	mustAppend(t, h, k, 0, lines[:20]...)
	done := make(chan error)
	go func() {
		for at := int64(20); at < int64(len(lines)); at++ {
			if _, err := h.Messages.Append(t.Context(), k, at, lines[at:at+1]); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	m := mustSeal(t, h, k)
	if err := <-done; err != nil {
		wantKind(t, err, vam.Conflict, "log-position") // the seal was first
	}
	if err := h.Messages.VerifyDigest(t.Context(), k); err != nil {
		t.Error(err)
	}
	wantMedia(t, h, k, content[:m.Head.MediaBytes])
}

func TestExpiryGoesIntoTheLog(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	at := h.Clock.Now().Add(time.Hour).Truncate(time.Second)
	alice := h.Account("alice@b.example", 0)
	d := submission.Draft{From: alice.Address, To: []vam.Address{alice.Address}, Kind: vam.File, Expires: at}
	if _, _, err := h.DB.Submissions().SaveDraft(t.Context(), alice.ID, message.Message{Key: k}, nil, d); err != nil {
		t.Fatal(err)
	}
	h.Messages.Forget(k)
	m := mustSeal(t, h, k)
	lines, err := h.Messages.Lines(t.Context(), k, 0, 10)
	if err != nil || len(lines) != 2 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	r, err := activmail.ParseRecord(lines[1].Raw, h.Messages.Limits())
	if err != nil || r.Kind != activmail.RecordExpire || !r.At.Equal(at) || !m.Expires.Equal(at) {
		t.Errorf("record %+v, message %v, %v", r, m.Expires, err)
	}
}

func TestRevoke(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(2*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	mustAppend(t, h, k, 0, lines...)
	mustSeal(t, h, k)
	media, err := h.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	gone := make(chan bool)
	go func() { gone <- media.Gone(t.Context()) }()
	for range 2 {
		m, err := h.Messages.Revoke(t.Context(), k, "sender")
		if err != nil || m.State != vam.Revoked || m.Head.Lines != 4 {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	if !<-gone {
		t.Error("who reads was not told")
	}
	wantKind(t, media.WaitFor(t.Context(), 0), vam.Gone, "revoked")
	_, err = h.Messages.OpenMedia(t.Context(), k)
	wantKind(t, err, vam.Gone, "revoked")
	_, err = h.Messages.Append(t.Context(), k, 4, lines[:1])
	wantKind(t, err, vam.Invalid, "malformed")
	_, err = h.Messages.Seal(t.Context(), k, activmail.Sum{}, activmail.Record{})
	wantKind(t, err, vam.Gone, "revoked")
	_, err = h.Messages.Upload(t.Context(), k, message.Piece{Sum: sha256.Sum256(nil), Length: 1}, bytes.NewReader([]byte{0}), nil)
	wantKind(t, err, vam.Gone, "revoked")
	got, err := h.Messages.Lines(t.Context(), k, 0, 10)
	if err != nil || len(got) != 4 {
		t.Errorf("the log is not readable: %d lines, %v", len(got), err)
	}
}

// Checkpoints of all sizes are those of the tree, from memory and from the store (AM-5.9).
func TestSignPrefixAndEdge(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	content := hosttest.Pattern(40*partSize, 1)
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	mustAppend(t, h, k, 0, lines[:10]...)
	m := mustAppend(t, h, k, 10, lines[10:]...)
	for range 2 {
		var tree activmail.Tree
		for n := int64(0); n <= int64(len(lines)); n++ {
			text, err := h.Messages.SignPrefix(t.Context(), k, n)
			if err != nil {
				t.Fatal(err)
			}
			cp, err := activmail.OpenCheckpoint(text, k.Origin, k.ID, m.PublicKey)
			if err != nil || cp != tree.Checkpoint() {
				t.Fatalf("prefix of %d: %+v, %v", n, cp, err)
			}
			if n == int64(len(lines)) {
				break
			}
			tree.Append(activmail.LeafHash(lines[n]))
			if text, err = h.Messages.SignEdge(t.Context(), k, n); err != nil {
				t.Fatal(err)
			}
			cp, err = activmail.OpenCheckpoint(text, k.Origin, k.ID, m.PublicKey)
			if err != nil || cp.Size < n+1 || cp.Size == n+1 && cp.Root != tree.Root() {
				t.Fatalf("edge of line %d: %+v, %v", n, cp, err)
			}
		}
		h.Reopen()
	}
}

// A follower of the live edge gets a checkpoint that ends with the line it waits for (AM-7.10).
func TestSignEdgeOfTheLastLines(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	content := hosttest.Pattern(6*partSize, 1)
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	m := mustAppend(t, h, k, 0, lines...)
	for n := range int64(6) {
		text, err := h.Messages.SignEdge(t.Context(), k, n)
		if err != nil {
			t.Fatal(err)
		}
		if cp, err := activmail.OpenCheckpoint(text, k.Origin, k.ID, m.PublicKey); err != nil || cp.Size != n+1 {
			t.Errorf("line %d: size %d, %v", n, cp.Size, err)
		}
	}
}

func TestFindBlob(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	content := hosttest.Pattern(5*partSize, 1)
	ps, lines := pieces(content)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	// The same name, written with an escape.
	lines[3] = bytes.Replace(lines[3], []byte(`"b":"`+string(ps[3].Sum.String()[0])), []byte(`"b":"\u00`+hexOf(ps[3].Sum.String()[0])), 1)
	mustAppend(t, h, k, 0, lines...)
	for _, i := range []int{0, 4, 2, 3, 1, 1} {
		l, r, err := h.Messages.FindBlob(t.Context(), k, ps[i].Sum)
		if err != nil || l.N != int64(i) || r.Blob != ps[i].Sum || l.Offset != ps[i].At {
			t.Errorf("blob %d: line %d, %v", i, l.N, err)
		}
	}
	_, _, err := h.Messages.FindBlob(t.Context(), k, activmail.Sum{9})
	wantKind(t, err, vam.NotFound, "")
}

func hexOf(b byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[b>>4], digits[b&15]})
}

func TestParseKey(t *testing.T) {
	k := message.Key{Origin: "a.example", ID: vam.NewMessageID(time.Now())}
	if got, err := message.ParseKey(k.String()); err != nil || got != k {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "/", "a.example", "a.example/", "a.example/x", "/" + string(k.ID), "a..example/" + string(k.ID), k.String() + "/x"} {
		if got, err := message.ParseKey(s); err == nil || got != (message.Key{}) {
			t.Errorf("%q was read as %v", s, got)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add("a.example/019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
	f.Add("A.EXAMPLE/019acf10-8a3e-7c41-9b0d-5f6c2e7a4b10")
	f.Add("/")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := message.ParseKey(s)
		if err != nil {
			return
		}
		if back, err := message.ParseKey(k.String()); err != nil || back != k {
			t.Errorf("%q is %v and then %v, %v", s, k, back, err)
		}
	})
}

// TestAppendSeal: a file of one part is in the log with its seal in one step, every other
// one in two; the digest is that of the file either way.
func TestAppendSeal(t *testing.T) {
	for _, parts := range []int{0, 1, 2} {
		h := newHost(t)
		k := h.Draft()
		content := hosttest.Pattern(parts*partSize, 3)
		places, lines := pieces(content)
		for _, p := range places {
			mustUpload(t, h, k, p, content[p.At:][:p.Length])
		}
		want := activmail.Sum(sha256.Sum256(content))
		_, err := h.Messages.AppendSeal(t.Context(), k, 0, lines, activmail.Sum(sha256.Sum256([]byte("other"))), activmail.Record{Name: "a.mp4"})
		wantKind(t, err, vam.Corrupt, "digest-mismatch")
		m, err := h.Messages.Get(t.Context(), k)
		if err == nil && m.Head.Lines == 0 {
			m, err = h.Messages.AppendSeal(t.Context(), k, 0, lines, want, activmail.Record{Name: "a.mp4"})
		} else if err == nil {
			m, err = h.Messages.AppendSeal(t.Context(), k, m.Head.Lines, nil, want, activmail.Record{Name: "a.mp4"})
		}
		if err != nil || m.Head.Lines != int64(parts)+1 || activmail.Sum(m.Head.Digest) != want || !m.Complete {
			t.Errorf("%d parts: %+v, %v", parts, m, err)
		}
		if err := h.Messages.VerifyDigest(t.Context(), k); err != nil {
			t.Error(err)
		}
	}
}
