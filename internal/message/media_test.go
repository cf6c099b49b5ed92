package message_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
)

func lineOf(n int64, raw []byte, off, length int64) []message.Line {
	return []message.Line{{N: n, Raw: raw, Offset: off, Length: length}}
}

func mustWriter(t *testing.T, h *hosttest.Host, k message.Key) *message.Writer {
	t.Helper()
	w, err := h.Messages.Writer(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestReadWhileItGrows(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(20*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	mustUpload(t, h, k, ps[0], content[:partSize])
	mustAppend(t, h, k, 0, lines[0])
	var readers sync.WaitGroup
	for i := range 4 {
		from := int64(i * 700)
		readers.Go(func() {
			media, err := h.Messages.OpenMedia(t.Context(), k)
			if err != nil {
				t.Error(err)
				return
			}
			defer media.Close()
			r := media.Reader(t.Context(), from, 1<<40)
			defer r.Close()
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, content[from:]) {
				t.Errorf("from %d: %d octets, %v", from, len(got), err)
			}
		})
	}
	for i := 1; i < len(ps); i++ {
		mustUpload(t, h, k, ps[i], content[ps[i].At:ps[i].At+ps[i].Length])
		mustAppend(t, h, k, int64(i), lines[i])
	}
	mustSeal(t, h, k)
	readers.Wait()
}

// What is uploaded and not named by the log is not to be seen.
func TestStagedIsNotReadable(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(2*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	mustUpload(t, h, k, ps[0], content[:partSize])
	mustUpload(t, h, k, ps[1], content[partSize:])
	media, err := h.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	if end := media.Available(0); end != 0 {
		t.Errorf("%d octets can be read of an empty log", end)
	}
	mustAppend(t, h, k, 0, lines[0])
	if end := media.Available(0); end != partSize {
		t.Errorf("%d octets can be read, want those of the one line", end)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := media.WaitFor(ctx, partSize); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting behind the log: %v", err)
	}
}

func TestWaitingEnds(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(2*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	mustUpload(t, h, k, ps[0], content[:partSize])
	mustAppend(t, h, k, 0, lines[0])
	media, err := h.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	waits := make(chan error)
	wait := func() { waits <- media.WaitFor(t.Context(), partSize) }
	go wait()
	why := vam.Errorf(vam.Corrupt, "it cannot be had")
	h.Messages.GiveUp(k, why)
	if err := <-waits; !errors.Is(err, why) {
		t.Errorf("given up: %v", err)
	}
	if err := media.WaitFor(t.Context(), 0); err != nil {
		t.Errorf("what is here must stay readable: %v", err)
	}
	mustWriter(t, h, k).Close() // a new attempt
	go wait()
	mustSeal(t, h, k)
	if err := <-waits; !errors.Is(err, io.EOF) {
		t.Errorf("sealed: %v", err)
	}
	if m, err := h.Messages.Wait(t.Context(), k, 1); err != nil || m.Head.Lines != 2 {
		t.Errorf("%d lines, %v", m.Head.Lines, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if m, err := h.Messages.Wait(ctx, k, 2); err != nil || m.Head.Lines != 2 {
		t.Errorf("a wait that ends: %d lines, %v", m.Head.Lines, err)
	}
	go func() {
		_, err := h.Messages.Wait(t.Context(), k, 2)
		waits <- err
	}()
	if _, err := h.Messages.Revoke(t.Context(), k, "sender"); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; err != nil {
		t.Error(err)
	}
}

func TestPullAcrossRestarts(t *testing.T) {
	h := newHost(t)
	r := recorded(t, h, 10)
	content := r.Media()
	r.Seal()
	if _, err := follow(t.Context(), h, r, 0, 11); err != nil {
		t.Fatal(err)
	}
	write := func(w *message.Writer, parts ...int) {
		t.Helper()
		for _, i := range parts {
			if err := w.WritePart(int64(i*partSize), content[i*partSize:(i+1)*partSize]); err != nil {
				t.Fatal(err)
			}
		}
	}
	w := mustWriter(t, h, r.Key)
	write(w, 0, 1, 5)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(w, 2, 6, 7) // never flushed
	w.Close()
	h.Reopen()
	patch(t, mediaFile(t, h), 7*partSize+1) // and one of them torn
	w = mustWriter(t, h, r.Key)
	defer w.Close()
	lines, err := h.Messages.Lines(t.Context(), r.Key, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	known := map[int]bool{0: true, 1: true, 5: true}
	found := map[int]bool{2: true, 6: true}
	for i, l := range lines[:10] {
		if has := w.Has(message.Range{Start: l.Offset, End: l.Offset + l.Length}); has != known[i] {
			t.Errorf("part %d: known %v, want %v", i, has, known[i])
		}
		if known[i] {
			continue
		}
		if ok, err := w.Rescan(t.Context(), l); err != nil || ok != found[i] {
			t.Errorf("part %d: found %v, %v; want %v", i, ok, err, found[i])
		}
	}
	if w.Total() != 5*partSize {
		t.Errorf("%d octets are here", w.Total())
	}
	write(w, 3, 4, 7, 8, 9)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := h.Messages.Complete(t.Context(), r.Key, "a.example"); err != nil {
		t.Fatal(err)
	}
	wantMedia(t, h, r.Key, content)
	if n, err := h.Messages.Check(t.Context(), r.Key, func(l message.Line, err error) { t.Errorf("line %d: %v", l.N, err) }); err != nil || n != 10*partSize {
		t.Errorf("check %d, %v", n, err)
	}
	if err := h.Messages.VerifyDigest(t.Context(), r.Key); err != nil {
		t.Error(err)
	}
}

// An upload that a crash interrupted goes on without sending anything again that was
// acknowledged.
func TestUploadAcrossRestarts(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(8*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for _, i := range []int{0, 1, 2, 5, 6} {
		mustUpload(t, h, k, ps[i], content[ps[i].At:ps[i].At+ps[i].Length])
	}
	mustAppend(t, h, k, 0, lines[:2]...)
	h.Reopen()
	missing, err := h.Messages.Missing(t.Context(), k, ps)
	if err != nil || len(missing) != 3 || missing[0].At != 3*partSize || missing[1].At != 4*partSize || missing[2].At != 7*partSize {
		t.Fatalf("missing %v, %v; want 3, 4 and 7", missing, err)
	}
	for _, p := range missing {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	h.Reopen()
	mustAppend(t, h, k, 2, lines[2:]...) // from what the disk has alone
	mustSeal(t, h, k)
	wantMedia(t, h, k, content)
}

// Of a seal that was stored nothing is left to do after a crash.
func TestSealIsCompleteAtOnce(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	data := hosttest.Pattern(partSize, 1)
	ps, lines := pieces(data)
	mustUpload(t, h, k, ps[0], data)
	mustAppend(t, h, k, 0, lines...)
	mustSeal(t, h, k)
	m, err := h.DB.Messages().Message(t.Context(), k)
	if err != nil || !m.Complete {
		t.Errorf("the row is complete: %v, %v", m.Complete, err)
	}
}

func TestCheckFindsAFlippedOctet(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(5*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	poster := hosttest.Pattern(300, 9)
	for _, p := range ps {
		mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
	}
	pp, _ := pieces(poster)
	pp[0].At = -1
	mustUpload(t, h, k, pp[0], poster)
	mustAppend(t, h, k, 0, append(lines, line(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, poster))...)
	mustSeal(t, h, k)
	bad := func() (out []int64) {
		if _, err := h.Messages.Check(t.Context(), k, func(l message.Line, err error) {
			wantKind(t, err, vam.Corrupt, "")
			out = append(out, l.N)
		}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := bad(); len(got) != 0 {
		t.Fatalf("bad lines %v in a good message", got)
	}
	files := storedFiles(t, h)
	if len(files) != 2 {
		t.Fatalf("files %v", files)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil {
			t.Fatal(err)
		} else if info.Size() == 300 {
			patch(t, f, 299)
		} else {
			patch(t, f, 3*partSize)
		}
	}
	if got := bad(); len(got) != 2 || got[0] != 3 || got[1] != 5 {
		t.Errorf("bad lines %v, want 3 and 5", got)
	}
	wantKind(t, h.Messages.VerifyDigest(t.Context(), k), vam.Corrupt, "digest-mismatch")
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	h.Reopen()
	_, err := h.Messages.Check(t.Context(), k, func(message.Line, error) {})
	wantKind(t, err, vam.Corrupt, "") // not: nothing to check
}

// Reading and checking take memory for what is under way, whatever the size of the
// message.
func TestMemoryStaysFlat(t *testing.T) {
	const size, parts = 2 << 20, 24
	h := newHost(t)
	k := h.Draft()
	var lines [][]byte
	data := make([]byte, size)
	for i := range parts {
		data[0] = byte(i)
		mustUpload(t, h, k, message.Piece{Sum: sha256.Sum256(data), Length: size, At: int64(i) * size}, data)
		lines = append(lines, line(activmail.Record{Kind: activmail.RecordPart}, data))
	}
	allocated := func(f func()) int64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		return int64(after.TotalAlloc - before.TotalAlloc)
	}
	limit := int64(parts * size / 2)
	if n := allocated(func() { mustAppend(t, h, k, 0, lines...); mustSeal(t, h, k) }); n > limit {
		t.Errorf("appending and sealing %d MiB took %d KiB", parts*size>>20, n>>10)
	}
	media, err := h.Messages.OpenMedia(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	defer media.Close()
	if n := allocated(func() {
		r := media.Reader(t.Context(), 0, parts*size)
		defer r.Close()
		if n, err := io.Copy(io.Discard, r); err != nil || n != parts*size {
			t.Fatal(n, err)
		}
	}); n > limit {
		t.Errorf("reading %d MiB took %d KiB", parts*size>>20, n>>10)
	}
	if n := allocated(func() {
		if _, err := h.Messages.Check(t.Context(), k, func(l message.Line, err error) { t.Error(err) }); err != nil {
			t.Fatal(err)
		}
	}); n > limit {
		t.Errorf("checking %d MiB took %d KiB", parts*size>>20, n>>10)
	}
}

// What is known of a message that nobody uses is forgotten some time, and then read
// again.
func TestManyMessages(t *testing.T) {
	h := newHost(t)
	data := hosttest.Pattern(partSize, 1)
	ps, lines := pieces(data)
	k := h.Draft()
	mustUpload(t, h, k, ps[0], data)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 300 {
		h.Clock.Advance(time.Millisecond)
		other := h.Draft()
		if n, err := h.Messages.Staged(t.Context(), other); n != 0 || err != nil {
			t.Fatal(n, err)
		}
		if _, err := h.Messages.Wait(over, other, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := h.Messages.Staged(t.Context(), k); n != 0 || err != nil {
		t.Errorf("staged %d, %v: it is still in memory", n, err)
	}
	mustAppend(t, h, k, 0, lines...)
	wantMedia(t, h, k, data)
}
