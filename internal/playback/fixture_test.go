package playback_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/retention"
	"github.com/videoactivmail/vam/internal/submission"
)

// The recordings of these tests have their media.Info as JSON in their first line; the
// workshop reads that instead of ffprobe, and writes files that name the work and the
// hash of the original.

var (
	clip  = media.Info{Container: "webm", Duration: time.Second, Tracks: []media.Track{{ID: 1, Type: media.Video, Codec: "vp9", Width: 640, Height: 360, DisplayWidth: 640, DisplayHeight: 360, PixelFormat: "yuv420p", BitDepth: 8}}}
	movie = media.Info{Container: "matroska", Duration: time.Second, Tracks: []media.Track{{ID: 1, Type: media.Video, Codec: "mpeg2video", Width: 640, Height: 360, DisplayWidth: 640, DisplayHeight: 360, PixelFormat: "yuv420p", BitDepth: 8}}}
)

// recording is a file that the workshop understands.
func recording(info media.Info, seed byte) []byte {
	head, err := json.Marshal(info)
	if err != nil {
		panic(err)
	}
	return append(append(head, '\n'), hosttest.Pattern(3000, seed)...)
}

// workshop is a playback.Maker.
type workshop struct {
	// before, if not nil, is called before each work is done.
	before func(ctx context.Context, w media.Work, progress func(float64)) error

	mu   sync.Mutex
	done map[string]int // how often each work was done
}

func (m *workshop) begin(ctx context.Context, w media.Work, progress func(float64)) error {
	m.mu.Lock()
	if m.done == nil {
		m.done = map[string]int{}
	}
	m.done[w.String()]++
	m.mu.Unlock()
	if m.before != nil {
		return m.before(ctx, w, progress)
	}
	return nil
}

func (m *workshop) count(w media.Work) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.done[w.String()]
}

func (m *workshop) Probe(ctx context.Context, path string) (media.Info, error) {
	if err := m.begin(ctx, media.NewWork(media.Probe), nil); err != nil {
		return media.Info{}, err
	}
	f, err := os.Open(path)
	if err != nil {
		return media.Info{}, err
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadBytes('\n')
	if err != nil {
		return media.Info{}, media.Refuse(media.NotMedia, err)
	}
	var info media.Info
	if err := json.Unmarshal(line, &info); err != nil {
		return media.Info{}, media.Refuse(media.Broken, err)
	}
	return info, nil
}

func (m *workshop) Make(ctx context.Context, w media.Work, info media.Info, path, dir string, progress func(float64)) ([]playback.File, error) {
	if err := m.begin(ctx, w, progress); err != nil {
		return nil, err
	}
	original, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []playback.File
	for _, name := range w.Files(info) {
		if err := os.WriteFile(filepath.Join(dir, name), made(w, name, original), 0o600); err != nil {
			return nil, err
		}
		out = append(out, playback.File{Name: name, Type: "x/" + string(w.Kind), Width: 64, Height: 36})
	}
	return out, nil
}

// made is what the workshop makes.
func made(w media.Work, name string, original []byte) []byte {
	return fmt.Appendf(nil, "%s: %s of %x", name, w, sha256.Sum256(original))
}

// house is a server with a workshop.
type house struct {
	testing.TB
	*hosttest.Host
	shop    *workshop
	scratch *localblob.Scratch
	s       *playback.Service
	ann     account.Account
	options playback.Options
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{TB: t, Host: hosttest.New(t, hosttest.Options{}), shop: &workshop{}}
	h.ann = h.Account("ann@b.example", 0)
	h.build(nil)
	return h
}

// build makes the service anew, as after a start.
func (h *house) build(change func(*playback.Options)) {
	h.Helper()
	var err error
	h.scratch, err = localblob.OpenScratch(filepath.Join(h.Dir, "scratch"))
	h.ok(err)
	h.options = playback.Options{
		Messages: h.Messages, Blobs: h.Blobs, Owner: fmt.Sprintf("process %d", h.Clock.Now().UnixNano()), Maker: h.shop, Scratch: h.scratch,
		Quick: 2, Long: 1, Now: h.Clock.Now,
	}
	if change != nil {
		change(&h.options)
	}
	h.s = playback.New(h.DB.Playback(), h.options)
}

// start runs the service until stop, which returns after it.
func (h *house) start() (stop func()) {
	h.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.Error(err)
		}
	})
	h.Cleanup(stop)
	return stop
}

func (h *house) ok(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *house) wantKind(what string, err error, want vam.ErrorKind) {
	h.Helper()
	if err == nil || vam.KindOf(err) != want {
		h.Errorf("%s: %v, want kind %s", what, err, want)
	}
}

// draft makes a message of ann's with some media.
func (h *house) draft(content []byte) message.Key {
	h.Helper()
	h.Clock.Advance(time.Millisecond)
	m, _, err := h.Submission.Put(h.Context(), h.ann, vam.NewMessageID(h.Clock.Now()), submission.Draft{To: []vam.Address{h.ann.Address}, Kind: vam.Video})
	h.ok(err)
	if len(content) > 0 {
		h.append(m.Key, 0, content)
	}
	return m.Key
}

// append adds a part to a message with that many lines.
func (h *house) append(k message.Key, lines int64, content []byte) {
	h.Helper()
	sum := activmail.Sum(sha256.Sum256(content))
	_, err := h.Submission.Upload(h.Context(), h.ann, k, message.Piece{Sum: sum, Length: int64(len(content))}, bytes.NewReader(content))
	h.ok(err)
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: sum, Length: vam.Bytes(len(content))}.MarshalLine()
	h.ok(err)
	_, err = h.Submission.Append(h.Context(), h.ann, k, lines, [][]byte{line})
	h.ok(err)
}

// message makes a sealed one.
func (h *house) message(content []byte) message.Key {
	h.Helper()
	k := h.draft(content)
	h.seal(k)
	return k
}

func (h *house) seal(k message.Key) {
	h.Helper()
	_, err := h.Submission.Seal(h.Context(), h.ann, k, activmail.Sum{})
	h.ok(err)
	h.s.Wake()
}

func (h *house) state(k message.Key) playback.State {
	h.Helper()
	st, err := h.s.State(h.Context(), k)
	h.ok(err)
	return st
}

// wait returns the first state that fits.
func (h *house) wait(what string, k message.Key, fits func(playback.State) bool) playback.State {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	st := h.state(k)
	for !fits(st) {
		h.s.Wake()
		var err error
		if st, err = h.s.Wait(ctx, k, st.Tag); err != nil || ctx.Err() != nil {
			h.Fatalf("waiting until %s: %v; it stands at %+v", what, err, st)
		}
	}
	return st
}

// settled is a state in which nothing is under way any more.
func settled(st playback.State) bool {
	for _, j := range st.Jobs {
		if j.State != playback.Failed {
			return false
		}
	}
	return !st.Working && st.Planned
}

// done waits until nothing is under way.
func (h *house) done(k message.Key) playback.State {
	h.Helper()
	return h.wait("all is done", k, settled)
}

// read reads an asset.
func (h *house) read(k message.Key, name string) []byte {
	h.Helper()
	r, err := h.s.Open(h.Context(), k, name)
	h.ok(err)
	b, err := io.ReadAll(r)
	h.ok(errors.Join(err, r.Close()))
	return b
}

// wantMade checks everything that was made of a recording against its plan.
func (h *house) wantMade(k message.Key, info media.Info, content []byte) {
	h.Helper()
	n := 0
	for _, w := range media.Plan(info, media.Judge(info)) {
		for _, name := range w.Files(info) {
			n++
			if got, want := h.read(k, name), made(w, name, content); !bytes.Equal(got, want) {
				h.Errorf("%s is %q, want %q", name, got, want)
			}
		}
	}
	if st := h.state(k); len(st.Assets) != n {
		h.Errorf("there are %d assets, want %d", len(st.Assets), n)
	}
}

func (h *house) sweeper() *retention.Service {
	return retention.New(retention.Options{
		Store: h.DB.Retention(), Blobs: h.Blobs, Drafts: h.DB.Submissions(), Holds: h.Reception, Offers: h.DB.Receptions(), Forget: h.Messages.Forget, Now: h.Clock.Now,
	})
}

// objects are those on the disk.
func (h *house) objects() map[blob.ID]bool {
	h.Helper()
	out := map[blob.ID]bool{}
	for id, err := range h.Blobs.List(h.Context()) {
		h.ok(err)
		out[id] = true
	}
	return out
}

// wantClean wants no object that nothing names, and an empty scratch folder.
func (h *house) wantClean() {
	h.Helper()
	for id := range h.objects() {
		known, err := h.DB.Retention().HasMedia(h.Context(), id)
		if h.ok(err); !known {
			h.Errorf("nothing names the object %s", id)
		}
	}
	left, err := os.ReadDir(filepath.Join(h.Dir, "scratch"))
	if h.ok(err); len(left) > 0 {
		h.Errorf("%d folders are left of jobs", len(left))
	}
}
