package playback_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
)

func TestOpen(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	k, text := h.message(recording(clip, 1)), h.message([]byte("a text\n"))
	h.done(k)
	h.done(text)
	r, err := h.s.Open(t.Context(), k, media.PosterFile)
	h.ok(err)
	want := made(media.NewWork(media.Poster), media.PosterFile, recording(clip, 1))
	h.ok(iotest.TestReader(r, want))
	if r.Size() != int64(len(want)) || r.Type != "x/poster" || r.Width != 64 || r.Height != 36 {
		t.Errorf("opened %+v", r.Asset)
	}
	h.ok(r.Close())
	for _, name := range []string{"", "other.jpg", "../poster.jpg", "poster.jpg\x00", ".poster.jpg", "POSTER.JPG", string(make([]byte, 1000))} {
		_, err := h.s.Open(t.Context(), k, name)
		h.wantKind(fmt.Sprintf("%.20q", name), err, vam.NotFound)
	}
	_, err = h.s.Open(t.Context(), text, media.PosterFile)
	h.wantKind("the poster of a text", err, vam.NotFound)
	_, err = h.s.Open(t.Context(), h.draft(nil), media.PosterFile)
	h.wantKind("the poster of nothing", err, vam.NotFound)

	_, err = h.Submission.Send(t.Context(), h.ann, k)
	h.ok(err)
	_, err = h.Submission.Revoke(t.Context(), h.ann, k)
	h.ok(err)
	_, err = h.s.Open(t.Context(), k, media.PosterFile)
	h.wantKind("the poster of a message that was taken back", err, vam.Gone)
	_, err = h.s.State(t.Context(), k)
	h.wantKind("its state", err, vam.Gone)
	h.Clock.Advance(time.Hour)
	h.ok(h.sweeper().Sweep(t.Context()))
	h.wantClean()
	if n := len(h.objects()); n != 1 {
		t.Errorf("%d objects are left, want that of the text", n)
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message(recording(clip, 1))
	st := h.state(k)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again, err := h.s.Wait(ctx, k, st.Tag)
	if h.ok(err); again.Tag != st.Tag {
		t.Errorf("without news: %+v", again)
	}
	other, err := h.s.Wait(ctx, k, "another tag")
	if h.ok(err); other.Tag != st.Tag {
		t.Errorf("news that were missed: %+v", other)
	}
	tags := map[string]bool{st.Tag: true}
	h.start()
	for !settled(st) {
		st, err = h.s.Wait(t.Context(), k, st.Tag)
		if h.ok(err); tags[st.Tag] {
			t.Errorf("the tag %s comes again", st.Tag)
		}
		tags[st.Tag] = true
	}
}

// A recording that ends the process each time it is worked on is given up in the end.
func TestPoison(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	k := h.message(recording(movie, 1))
	m, err := h.Messages.Get(t.Context(), k)
	h.ok(err)
	store := h.DB.Playback()
	h.ok(store.Adopt(t.Context(), m.Media, nil, []media.Work{media.NewWork(media.Probe)}, h.Clock.Now()))
	for life := 1; ; life++ {
		h.Clock.Advance(time.Hour)
		now := h.Clock.Now()
		_, ok, err := store.Lease(t.Context(), playback.Want{Owner: fmt.Sprint("life ", life), Class: media.Quick, Now: now, Until: now.Add(time.Minute)})
		if h.ok(err); !ok {
			t.Fatal("the job is lost")
		}
		h.build(func(o *playback.Options) { o.Quick, o.Long = -1, -1 }) // nobody works in this life
		stop := h.start()
		st := h.wait("it has begun", k, func(st playback.State) bool { return st.Jobs[0].State != playback.Running })
		stop()
		if life < 8 && (!st.Working || st.Reason != "") || life == 8 && (st.Working || st.Reason != media.Failed || st.Play != media.PlayNone) {
			t.Errorf("after %d lives: %+v", life, st)
		}
		if life == 8 {
			break
		}
	}
	if n := h.shop.count(media.NewWork(media.Probe)); n != 0 {
		t.Errorf("it was probed %d times", n)
	}
}

// withoutPath is a media store whose objects do not lie in files.
type withoutPath struct{ blob.Store }

func (s withoutPath) Open(ctx context.Context, id blob.ID) (blob.Object, error) {
	obj, err := s.Store.Open(ctx, id)
	return struct{ blob.Object }{obj}, err
}

func TestStoreWithoutFiles(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.build(func(o *playback.Options) { o.Blobs = withoutPath{h.Blobs} })
	h.start()
	k := h.message(recording(movie, 1))
	h.done(k)
	h.wantMade(k, movie, recording(movie, 1))
	h.wantClean()
}

// full is a media store without room.
type full struct {
	blob.Store
	free vam.Bytes
}

func (f full) Free(context.Context) (vam.Bytes, error) { return f.free, nil }

// What improves a message does not take the room of the next ones.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.build(func(o *playback.Options) { o.Blobs, o.Attempts = full{h.Blobs, vam.MiB}, 1 })
	h.start()
	k := h.message(recording(movie, 1))
	st := h.done(k)
	if st.Reason != media.Failed || len(st.Assets) > 0 {
		t.Errorf("without room: %+v", st)
	}
	if n := h.shop.count(media.NewWork(media.Poster)); n != 0 {
		t.Errorf("the poster was begun %d times", n)
	}
}

// sick is a media store that takes no octets.
type sick struct{ blob.Store }

func (s sick) Open(ctx context.Context, id blob.ID) (blob.Object, error) {
	obj, err := s.Store.Open(ctx, id)
	return sickObject{obj}, err
}

type sickObject struct{ blob.Object }

func (sickObject) WriteAt([]byte, int64) (int, error) {
	return 0, vam.Errorf(vam.OverQuota, "the disk is full")
}

// What could not be stored whole is not stored at all.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.build(func(o *playback.Options) { o.Blobs, o.Attempts = sick{h.Blobs}, 1 })
	h.start()
	k := h.message(recording(movie, 1))
	if st := h.done(k); st.Reason != media.Failed || len(st.Assets) > 0 {
		t.Errorf("on a full disk: %+v", st)
	}
	if n := len(h.objects()); n != 1 {
		t.Errorf("%d objects are there, want that of the message", n)
	}
	h.wantClean()
}

// crooked is a maker that does not keep to its contract, as one that was taken over.
type crooked struct {
	*workshop
	make func(dir string) []playback.File
}

func (c crooked) Make(_ context.Context, _ media.Work, _ media.Info, _, dir string, _ func(float64)) ([]playback.File, error) {
	return c.make(dir), nil
}

// Nothing but plain files of its own folder is taken from a maker.
func TestCrookedMaker(t *testing.T) {
	t.Parallel()
	for what, do := range map[string]func(dir string) []playback.File{
		"a link out": func(dir string) []playback.File {
			_ = os.Symlink(filepath.Join(dir, "../../vam.db"), filepath.Join(dir, "poster.jpg"))
			return []playback.File{{Name: "poster.jpg"}}
		},
		"a path out":      func(string) []playback.File { return []playback.File{{Name: "../../vam.db"}} },
		"an absolute one": func(dir string) []playback.File { return []playback.File{{Name: filepath.Join(dir, "../../vam.db")}} },
		"a folder": func(dir string) []playback.File {
			_ = os.Mkdir(filepath.Join(dir, "poster.jpg"), 0o700)
			return []playback.File{{Name: "poster.jpg"}}
		},
		"nothing": func(string) []playback.File { return []playback.File{{Name: "poster.jpg"}} },
		"a hidden one": func(dir string) []playback.File {
			_ = os.WriteFile(filepath.Join(dir, ".a.jpg"), []byte("x"), 0o600)
			return []playback.File{{Name: ".a.jpg"}}
		},
		"one good and one bad": func(dir string) []playback.File {
			_ = os.WriteFile(filepath.Join(dir, "a.jpg"), []byte("x"), 0o600)
			return []playback.File{{Name: "a.jpg"}, {Name: "b.jpg"}}
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.build(func(o *playback.Options) { o.Maker, o.Attempts = crooked{h.shop, do}, 1 })
			h.start()
			k := h.message(recording(movie, 1))
			if st := h.done(k); len(st.Assets) != 0 || st.Reason == "" {
				t.Errorf("taken: %+v", st)
			}
			h.wantClean()
		})
	}
}

// ailing is a store that fails for a while.
type ailing struct {
	playback.Store
	fail func(op string) error
}

func (a ailing) Fresh(ctx context.Context, limit int) ([]playback.Recording, error) {
	if err := a.fail("fresh"); err != nil {
		return nil, err
	}
	return a.Store.Fresh(ctx, limit)
}

func (a ailing) Finish(ctx context.Context, owner string, id int64, o playback.Outcome) error {
	if len(o.Assets) > 0 {
		if err := a.fail("finish"); err != nil {
			return err
		}
	}
	return a.Store.Finish(ctx, owner, id, o)
}

// An outcome that could not be recorded is no outcome: the work is done again when its
// lease has ended, and what was made in vain goes.
func TestAilingStore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	failed := make(chan string, 100)
	var mu sync.Mutex
	left := map[string]int{"fresh": 1, "finish": 1}
	store := ailing{h.DB.Playback(), func(op string) error {
		mu.Lock()
		defer mu.Unlock()
		if left[op]--; left[op] >= 0 {
			failed <- op
			return vam.Wrap(vam.OverQuota, errors.New("full"), "the disk is full")
		}
		return nil
	}}
	h.options.Quick = 1 // in turn
	h.s = playback.New(store, h.options)
	h.start()
	k := h.message(recording(clip, 1))
	for range 2 {
		<-failed
		h.s.Wake()
	}
	h.wait("the lease has ended", k, func(st playback.State) bool {
		h.Clock.Advance(time.Minute)
		return settled(st)
	})
	h.wantMade(k, clip, recording(clip, 1))
	h.wantClean()
}
