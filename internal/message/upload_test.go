package message_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
)

// TestUploadInAnyOrderAndTwice is AM-13.7.
func TestUploadInAnyOrderAndTwice(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(10*partSize+7, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	for range 2 {
		for _, i := range rand.Perm(len(ps)) {
			mustUpload(t, h, k, ps[i], content[ps[i].At:ps[i].At+ps[i].Length])
		}
	}
	if missing, err := h.Messages.Missing(t.Context(), k, ps); err != nil || len(missing) != 0 {
		t.Fatalf("missing %v, %v", missing, err)
	}
	m := mustAppend(t, h, k, 0, lines...)
	if m.Head.Lines != int64(len(lines)) || m.Head.MediaBytes != int64(len(content)) || m.State != vam.Draft {
		t.Fatalf("head %+v", m.Head)
	}
	wantMedia(t, h, k, content)
	m = mustSeal(t, h, k)
	if m.State != vam.Sealed || !m.Complete || m.Head.Digest != activmail.Hash(sha256.Sum256(content)) {
		t.Fatalf("sealed %+v", m)
	}
	cp, err := activmail.OpenCheckpoint(m.Head.Checkpoint, k.Origin, k.ID, m.PublicKey)
	if err != nil || cp.Size != m.Head.Lines || cp.Root != m.Head.Root {
		t.Fatalf("checkpoint %+v, %v", cp, err)
	}
	if n := len(storedFiles(t, h)); n != 1 {
		t.Errorf("%d files are left, want the media alone", n)
	}
}

func TestUploadReportsWhatIsNew(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(2*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	upload := func(p message.Piece, want bool) {
		t.Helper()
		created, err := h.Messages.Upload(t.Context(), k, p, body(content, p), nil)
		if err != nil || created != want {
			t.Fatalf("created %v, %v; want %v", created, err, want)
		}
	}
	upload(ps[0], true)
	upload(ps[0], false)
	mustAppend(t, h, k, 0, lines[0])
	upload(ps[0], false) // also when the log names it
	upload(ps[1], true)
	if n := len(storedFiles(t, h)); n != 1 {
		t.Errorf("%d files, want the media alone", n)
	}
}

// The place that an author gives is a hint (AM-13.7): pieces with none, with a wrong
// one, and over each other end up where the log wants them.
func TestUploadPlaces(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(4*partSize, 1)
	ps, lines := pieces(content)
	for name, places := range map[string][]int64{
		"none":            {-1, -1, -1, -1},
		"right":           {0, 1000, 2000, 3000},
		"reversed":        {3000, 2000, 1000, 0},
		"all at one":      {0, 0, 0, 0},
		"half a part off": {500, 1500, 2500, 3500},
		"overlapping":     {0, 700, 1400, 2100},
		"far away":        {5_000_000, 1000, 9 << 30, -1},
		"beyond all":      {1 << 62, 1<<63 - 1, 11 << 30, 0},
	} {
		for how, batches := range map[string][]int{"at once": {4}, "one by one": {1, 1, 1, 1}, "in two": {3, 1}} {
			t.Run(name+" "+how, func(t *testing.T) {
				k, before := h.Draft(), len(storedFiles(t, h))
				for i, p := range ps {
					data := content[p.At : p.At+p.Length]
					p.At = places[i]
					mustUpload(t, h, k, p, data)
				}
				at := 0
				for _, n := range batches {
					mustAppend(t, h, k, int64(at), lines[at:at+n]...)
					at += n
				}
				mustSeal(t, h, k)
				wantMedia(t, h, k, content)
				if err := h.Messages.VerifyDigest(t.Context(), k); err != nil {
					t.Error(err)
				}
				if n := len(storedFiles(t, h)) - before; n != 1 {
					t.Errorf("%d files are left, want the media alone", n)
				}
			})
		}
	}
}

// A file that repeats itself needs each of its parts once, however it is appended.
func TestUploadOfRepeatedParts(t *testing.T) {
	h := newHost(t)
	one := hosttest.Pattern(partSize, 1)
	content := bytes.Repeat(one, 5)
	ps, lines := pieces(content)
	for _, batches := range [][]int{{5}, {1, 1, 1, 1, 1}, {2, 3}} {
		k := h.Draft()
		mustUpload(t, h, k, ps[0], one)
		if missing, err := h.Messages.Missing(t.Context(), k, ps); err != nil || len(missing) != 0 {
			t.Fatalf("missing %v, %v", missing, err)
		}
		at := 0
		for _, n := range batches {
			mustAppend(t, h, k, int64(at), lines[at:at+n]...)
			at += n
			if missing, err := h.Messages.Missing(t.Context(), k, ps); err != nil || len(missing) != 0 {
				t.Fatalf("missing %v, %v", missing, err)
			}
		}
		mustSeal(t, h, k)
		wantMedia(t, h, k, content)
	}
}

func TestUploadRefuses(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	data := []byte("data")
	good := message.Piece{Sum: sha256.Sum256(data), Length: 4, At: 0}
	upload := func(k message.Key, p message.Piece, r io.Reader) error {
		_, err := h.Messages.Upload(t.Context(), k, p, r, nil)
		return err
	}
	wantKind(t, upload(k, good, bytes.NewReader([]byte("daub"))), vam.Corrupt, "digest-mismatch")
	wantKind(t, upload(k, good, bytes.NewReader(data[:3])), vam.Unavailable, "")
	wantKind(t, upload(k, message.Piece{Sum: good.Sum, Length: 0}, bytes.NewReader(nil)), vam.TooLarge, "")
	wantKind(t, upload(k, message.Piece{Sum: good.Sum, Length: -4}, bytes.NewReader(nil)), vam.TooLarge, "")
	wantKind(t, upload(k, message.Piece{Sum: good.Sum, Length: 4<<20 + 1}, bytes.NewReader(nil)), vam.TooLarge, "too-large")
	wantKind(t, upload(message.Key{Origin: k.Origin, ID: vam.NewMessageID(h.Clock.Now())}, good, bytes.NewReader(data)), vam.NotFound, "")
	broken := errors.New("reset")
	if err := upload(k, good, iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken body: %v", err)
	}
	// Nothing of all that was kept.
	if missing, err := h.Messages.Missing(t.Context(), k, []message.Piece{good}); err != nil || len(missing) != 1 {
		t.Errorf("missing %v, %v; want the piece", missing, err)
	}
	if _, err := h.Messages.Append(t.Context(), k, 0, [][]byte{line(activmail.Record{Kind: activmail.RecordPart}, data)}); err == nil {
		t.Error("a line was taken whose bytes are not here")
	} else {
		wantKind(t, err, vam.Conflict, "blob-missing")
	}
	if err := upload(k, good, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, h, k, 0, line(activmail.Record{Kind: activmail.RecordPart}, data))
	mustSeal(t, h, k)
	wantKind(t, upload(k, message.Piece{Sum: sha256.Sum256([]byte("more")), Length: 4, At: 4}, bytes.NewReader([]byte("more"))), vam.Conflict, "sealed")
	if _, err := h.Messages.Missing(t.Context(), k, []message.Piece{{Sum: good.Sum, Length: 1 << 40, At: 0}}); vam.KindOf(err) != vam.TooLarge {
		t.Errorf("a piece of a terabyte: %v", err)
	}
}

// What is uploaded and never named by the log is bounded by the size of a message.
func TestUploadBoundsWhatIsStaged(t *testing.T) {
	limits := activmail.DefaultLimits()
	limits.Message = 3000
	h := hosttest.New(t, hosttest.Options{Limits: limits})
	k := h.Draft()
	content := hosttest.Pattern(5*partSize, 1)
	ps, lines := pieces(content)
	for i, p := range ps[:3] {
		if i == 1 {
			p.At = -1
		}
		mustUpload(t, h, k, p, content[i*partSize:(i+1)*partSize])
	}
	if n, err := h.Messages.Staged(t.Context(), k); n != 3000 || err != nil {
		t.Fatalf("staged %d, %v", n, err)
	}
	for _, at := range []int64{-1, 3000} {
		_, err := h.Messages.Upload(t.Context(), k, message.Piece{Sum: ps[3].Sum, Length: 1000, At: at}, body(content, ps[3]), nil)
		wantKind(t, err, vam.TooLarge, "too-large")
	}
	mustAppend(t, h, k, 0, lines[:3]...)
	if n, err := h.Messages.Staged(t.Context(), k); n != 3000 || err != nil {
		t.Errorf("staged %d, %v after the append", n, err)
	}
}

// Posters and texts stand beside the media, also when a part has the same bytes.
func TestSidesStay(t *testing.T) {
	h := newHost(t)
	for _, order := range [][2]activmail.RecordKind{{activmail.RecordPoster, activmail.RecordPart}, {activmail.RecordPart, activmail.RecordPoster}} {
		for _, at := range []int64{-1, 0} {
			for _, together := range []bool{true, false} {
				k := h.Draft()
				data := hosttest.Pattern(partSize, 3)
				p := message.Piece{Sum: sha256.Sum256(data), Length: partSize, At: at}
				mustUpload(t, h, k, p, data)
				var lines [][]byte
				for _, kind := range order {
					r := activmail.Record{Kind: kind}
					if kind == activmail.RecordPoster {
						r.ContentType = "image/jpeg"
					}
					lines = append(lines, line(r, data))
				}
				if together {
					mustAppend(t, h, k, 0, lines...)
				} else {
					mustAppend(t, h, k, 0, lines[0])
					if _, err := h.Messages.Append(t.Context(), k, 1, lines[1:]); err != nil {
						wantKind(t, err, vam.Conflict, "blob-missing")
						p.At = -1
						mustUpload(t, h, k, p, data)
						mustAppend(t, h, k, 1, lines[1])
					}
				}
				mustSeal(t, h, k)
				wantMedia(t, h, k, data)
				media, err := h.Messages.OpenMedia(t.Context(), k)
				if err != nil {
					t.Fatal(err)
				}
				side, n, err := media.Side(t.Context(), p.Sum)
				if err != nil || n != partSize {
					t.Fatalf("%v at %d: the poster is gone: %v", order, at, err)
				}
				side.Close()
				media.Close()
				if read, err := h.Messages.Check(t.Context(), k, func(l message.Line, err error) { t.Errorf("line %d: %v", l.N, err) }); err != nil || read != 2*partSize {
					t.Errorf("check read %d, %v", read, err)
				}
			}
		}
	}
}

func TestUploadsAndAppendsAtTheSameTime(t *testing.T) {
	h := newHost(t)
	content := hosttest.Pattern(40*partSize, 1)
	k := h.Draft()
	ps, lines := pieces(content)
	var wg sync.WaitGroup
	work := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range work {
				p := ps[i]
				if i%3 == 1 {
					p.At = ps[(i+7)%len(ps)].At // a wrong hint
				}
				if _, err := h.Messages.Upload(t.Context(), k, p, body(content, ps[i]), nil); err != nil {
					t.Errorf("upload %d: %v", i, err)
				}
			}
		})
	}
	wg.Go(func() {
		for at := 0; at < len(lines); {
			n := min(5, len(lines)-at)
			m, err := h.Messages.Append(t.Context(), k, int64(at), lines[at:at+n])
			switch {
			case err == nil:
				at = int(m.Head.Lines)
			case vam.KindOf(err) != vam.Conflict:
				t.Errorf("append: %v", err)
				return
			}
		}
	})
	for i := range ps {
		work <- i
		work <- i
	}
	close(work)
	wg.Wait()
	mustSeal(t, h, k)
	wantMedia(t, h, k, content)
	if err := h.Messages.VerifyDigest(t.Context(), k); err != nil {
		t.Error(err)
	}
}

// Any mix of uploads, appends and restarts ends in the file that was meant, and never
// acknowledges what is not there.
func TestUploadProperty(t *testing.T) {
	content := hosttest.Pattern(6*partSize+1, 5)
	copy(content[3*partSize:4*partSize], content[:partSize]) // one part comes twice
	ps, lines := pieces(content)
	h := newHost(t)
	check(t, 15, func(rt *rapid.T) {
		k := h.Draft()
		at := int64(0)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			switch rapid.IntRange(0, 9).Draw(rt, "step") {
			case 0:
				h.Reopen()
			case 1, 2, 3:
				n := rapid.Int64Range(1, int64(len(lines))).Draw(rt, "lines")
				m, err := h.Messages.Append(t.Context(), k, at, lines[at:min(at+n, int64(len(lines)))])
				if err == nil {
					at = m.Head.Lines
				} else if vam.KindOf(err) != vam.Conflict {
					rt.Fatalf("append: %v", err)
				}
			default:
				p := ps[rapid.IntRange(0, len(ps)-1).Draw(rt, "piece")]
				data := content[p.At : p.At+p.Length]
				p.At = rapid.SampledFrom([]int64{p.At, p.At, p.At, -1, 0, 2500, 6000}).Draw(rt, "place")
				if _, err := h.Messages.Upload(t.Context(), k, p, bytes.NewReader(data), nil); err != nil {
					rt.Fatalf("upload: %v", err)
				}
				if missing, err := h.Messages.Missing(t.Context(), k, []message.Piece{p}); err != nil || len(missing) > 0 {
					rt.Fatalf("acknowledged and missing: %v %v", missing, err)
				}
			}
			m, err := h.Messages.Get(t.Context(), k)
			if err != nil || m.Head.Lines != at {
				rt.Fatalf("%d lines, %v; want %d", m.Head.Lines, err, at)
			}
			if at > 0 {
				wantMedia(t, h, k, content[:m.Head.MediaBytes])
			}
		}
		missing, err := h.Messages.Missing(t.Context(), k, ps)
		if err != nil {
			rt.Fatal(err)
		}
		for _, p := range missing {
			mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
		}
		for at < int64(len(lines)) {
			m, err := h.Messages.Append(t.Context(), k, at, lines[at:])
			if vam.KindOf(err) == vam.Conflict && err != nil {
				// Staged at a wrong place before a restart: the author uploads again.
				for _, p := range ps {
					mustUpload(t, h, k, p, content[p.At:p.At+p.Length])
				}
				m, err = h.Messages.Append(t.Context(), k, at, lines[at:])
			}
			if err != nil {
				rt.Fatalf("append of the rest: %v", err)
			}
			at = m.Head.Lines
		}
		mustSeal(t, h, k)
		wantMedia(t, h, k, content)
	})
}

// TestMissingWithoutMedia is AM-13.8.
func TestMissingWithoutMedia(t *testing.T) {
	h := newHost(t)
	k := h.Draft()
	ps, _ := pieces(hosttest.Pattern(3*partSize, 1))
	missing, err := h.Messages.Missing(t.Context(), k, ps)
	if err != nil || !cmp.Equal(missing, ps) {
		t.Errorf("missing %v, %v", missing, err)
	}
	if n := len(storedFiles(t, h)); n != 0 {
		t.Errorf("a question made %d files", n)
	}
}
