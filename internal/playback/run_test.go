package playback_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/submission"
)

// A recording is probed, and what is planned of it is made.
func TestMade(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := recording(clip, 1)
	before := h.message(content)
	if st := h.state(before); st.Play != media.PlayNone || !st.Working || st.Reason != "" || st.Known || !st.Complete {
		t.Errorf("before anybody looked: %+v", st)
	}
	h.start()
	after := h.message(recording(movie, 2))
	st := h.done(before)
	if st.Play != media.PlayOriginal || !st.Known || st.Info.Container != "webm" || st.Reason != "" || len(st.Jobs) != 0 {
		t.Errorf("at the end: %+v", st)
	}
	h.wantMade(before, clip, content)
	if st := h.done(after); st.Info.Container != "matroska" || st.Play != media.PlayRendition || st.Verdict.Play != media.PlayRendition || len(st.Renditions()) == 0 {
		t.Errorf("a recording that has to be converted: %+v", st)
	}
	h.wantMade(after, movie, recording(movie, 2))
	h.wantClean()

	// A forward has all of it at once, and nothing is made twice.
	_, err := h.Submission.Send(t.Context(), h.ann, after)
	h.ok(err)
	id := vam.NewMessageID(h.Clock.Now())
	fwd, _, err := h.Submission.Put(t.Context(), h.ann, id, submission.Draft{To: []vam.Address{h.ann.Address}, Kind: vam.Video, MediaOf: after})
	h.ok(err)
	if st := h.state(fwd.Key); st.Play != media.PlayRendition || !settled(st) {
		t.Errorf("the forward: %+v", st)
	}
	h.wantMade(fwd.Key, movie, recording(movie, 2))
	if n := h.shop.count(media.NewWork(media.Poster)); n != 2 {
		t.Errorf("%d posters were made of two recordings", n)
	}
}

// What cannot be played says why, once and for all, and is not tried again.
func TestPermanentFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	for what, c := range map[string]struct {
		content []byte
		want    media.Reason
	}{
		"a text":   {[]byte("just words without an end of line"), media.NotMedia},
		"broken":   {[]byte("{broken\n"), media.Broken},
		"nothing":  {nil, media.NotMedia},
		"a secret": {recording(media.Info{Container: "mp4", Encrypted: true}, 1), media.Encrypted},
	} {
		k := h.message(c.content)
		st := h.done(k)
		if st.Play != media.PlayNone || st.Working || st.Reason != c.want || st.Verdict.Reason != c.want {
			t.Errorf("%s: %+v", what, st)
		}
		if c.want == media.NotMedia && len(st.Jobs) > 0 {
			t.Errorf("%s: that it is no recording is an answer, not a failure: %+v", what, st.Jobs)
		}
	}
	if n := h.shop.count(media.NewWork(media.Probe)); n != 3 {
		t.Errorf("three files were probed %d times", n)
	}
	h.wantClean()
}

// A temporary failure is tried again, later and later, and not for ever.
func TestTemporaryFailure(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	poster := media.NewWork(media.Poster)
	rendition := media.Plan(movie, media.Judge(movie))[1]
	tries := make(chan media.Work, 100)
	h.shop.before = func(_ context.Context, w media.Work, _ func(float64)) error {
		switch w.Kind {
		case media.Poster:
			tries <- w
			if h.shop.count(poster) < 3 {
				return vam.Errorf(vam.Unavailable, "not now")
			}
		case media.Rendition:
			tries <- w
			panic("no memory")
		case media.Preview:
			return vam.Errorf(vam.TooLarge, "too large a picture")
		}
		return nil
	}
	h.start()
	k := h.message(recording(movie, 1))
	for range 2 {
		<-tries
	}
	for attempt, pause := range []time.Duration{30 * time.Second, 2 * time.Minute} {
		h.wait("both wait", k, func(st playback.State) bool {
			p, _ := st.Job(media.Poster)
			r, _ := st.Job(media.Rendition)
			fits := p.State == playback.Waiting && p.Attempts == attempt+1 && r.State == playback.Waiting && r.Attempts == attempt+1
			if fits && !p.NextAt.Equal(h.Clock.Now().Add(pause)) {
				t.Errorf("attempt %d is followed by one at %s, %s later", attempt+1, p.NextAt, p.NextAt.Sub(h.Clock.Now()))
			}
			return fits
		})
		if st := h.state(k); !st.Working || st.Play != media.PlayNone || st.Reason != "" {
			t.Errorf("meanwhile: %+v", st)
		}
		h.Clock.Advance(pause)
		h.s.Wake()
		for range 2 {
			<-tries
		}
	}
	st := h.done(k)
	if _, ok := st.Asset(media.PosterFile); !ok {
		t.Errorf("the third attempt at the poster is lost: %+v", st)
	}
	if j, ok := st.Job(media.Rendition); !ok || j.State != playback.Failed || j.Attempts != 3 || j.Work != rendition || st.Reason != media.Failed || st.Play != media.PlayNone {
		t.Errorf("at the end: %+v", st)
	}
	if j, ok := st.Job(media.Preview); !ok || j.State != playback.Failed || j.Attempts != 1 || j.Code != media.TooLarge {
		t.Errorf("the preview: %+v", j)
	}
	h.wantClean()

	// The operator has mended it.
	h.shop.before = nil
	j, _ := st.Job(media.Rendition)
	_, err := h.s.Again(t.Context(), j.ID)
	h.ok(err)
	if st := h.wait("it plays", k, func(st playback.State) bool { return st.Play == media.PlayRendition }); st.Reason != "" {
		t.Errorf("asked for again: %+v", st)
	}
}

// Without ffmpeg originals play, and it is said what is missing; with it the work is done
// after all.
func TestWithoutMaker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.build(func(o *playback.Options) { o.Maker, o.Scratch = nil, nil })
	stop := h.start()
	webm := append([]byte("\x1aE\xdf\xa3\x9fB\x82\x84webm"), make([]byte, 100)...)
	k, original, text := h.message(recording(movie, 1)), h.message(webm), h.message([]byte("a text of some length\n"))
	st := h.done(k)
	if st.Play != media.PlayNone || st.Reason != media.NoFFmpeg {
		t.Errorf("a recording that has to be converted: %+v", st)
	}
	if st := h.done(original); st.Play != media.PlayOriginal || st.Reason != "" || len(st.Verdict.Browsers) == 0 || st.Info.Container != "webm" {
		t.Errorf("an original: %+v", st)
	}
	if st := h.done(text); st.Reason != media.NoFFmpeg {
		t.Errorf("a text: %+v", st)
	}
	stop()

	h.shop.before = func(context.Context, media.Work, func(float64)) error { return media.Refuse(media.NoSandbox, nil) }
	h.build(nil)
	stop = h.start()
	h.wait("the sandbox is missing", k, func(st playback.State) bool { return st.Reason == media.NoSandbox })
	stop()

	h.shop.before = nil
	h.build(nil)
	h.start()
	if st := h.wait("it plays", k, func(st playback.State) bool { return st.Play == media.PlayRendition && settled(st) }); st.Reason != "" {
		t.Errorf("with ffmpeg: %+v", st)
	}
	h.wantMade(k, movie, recording(movie, 1))
}

// The poster does not stand behind renditions, whatever came first.
func TestQuickBeforeLong(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	hold := make(chan struct{})
	began := make(chan struct{}, 10)
	h.shop.before = func(ctx context.Context, w media.Work, progress func(float64)) error {
		if w.Class == media.Long {
			progress(0.5)
			began <- struct{}{}
			select {
			case <-hold:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	h.start()
	first := h.message(recording(movie, 1))
	<-began
	second := h.message(recording(movie, 2))
	st := h.wait("the second has its poster", second, func(st playback.State) bool { _, ok := st.Asset(media.PosterFile); return ok })
	if j, ok := st.Job(media.Rendition); !ok || j.State != playback.Waiting || !st.Working {
		t.Errorf("its rendition: %+v", j)
	}
	h.wait("progress is seen", first, func(st playback.State) bool {
		j, ok := st.Job(media.Rendition)
		return ok && j.State == playback.Running && j.Progress == 0.5
	})
	close(hold)
	h.done(first)
	h.done(second)
}

// A recording that has nothing but pictures of which none can be decoded is broken, whatever
// its header says; when the poster failed for another reason, it may play.
func TestNoPictureDecodes(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		info   media.Info
		reason media.Reason // of the poster
		others bool         // fail as well
		want   media.Reason
	}{
		"no picture":              {clip, media.Broken, true, media.Broken},
		"something else was made": {clip, media.Broken, false, ""},
		"no decoder":              {clip, media.Unsupported, true, ""},
		"too much work":           {clip, media.Expensive, true, ""},
		"none to be converted":    {movie, media.Broken, true, media.Broken},
	} {
		t.Run(what, func(t *testing.T) {
			h := newHouse(t)
			h.shop.before = func(_ context.Context, w media.Work, _ func(float64)) error {
				if w.Kind == media.Poster || c.others && w.Kind != media.Probe {
					return media.Refuse(c.reason, nil)
				}
				return nil
			}
			h.start()
			st := h.done(h.message(recording(c.info, 1)))
			if st.Reason != c.want || (st.Play == media.PlayNone) != (c.want != "") || st.Verdict.Reason != c.want {
				t.Errorf("it plays as %q (%q), want %q; %+v", st.Play, st.Reason, c.want, st.Verdict)
			}
		})
	}
}

// A recording with sound of which no picture can be decoded is taken for its sound: browsers
// do not play the original, so that a rendition is made of one that needs none otherwise.
func TestSoundAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var silent atomic.Bool
	h.shop.before = func(_ context.Context, w media.Work, _ func(float64)) error {
		if w.Kind == media.Poster || w.Kind == media.Preview || silent.Load() {
			return media.Refuse(media.Broken, nil)
		}
		return nil
	}
	h.start()
	info := clip
	info.Container, info.Tracks = "mp4", []media.Track{
		{ID: 1, Type: media.Video, Codec: "h264", Width: 640, Height: 360, DisplayWidth: 640, DisplayHeight: 360, PixelFormat: "yuv420p", BitDepth: 8},
		{ID: 2, Type: media.Audio, Codec: "aac", Profile: "LC", Channels: 2, SampleRate: 48000},
	}
	if v := media.Judge(info); v.Play != media.PlayOriginal || !v.Everywhere() {
		t.Fatalf("with pictures it is %+v", v)
	}
	st := h.done(h.message(recording(info, 1)))
	if st.Play != media.PlayRendition || st.Reason != "" || st.Info.Kind() != vam.Voice || !st.Info.NoPicture {
		t.Errorf("it plays as %q (%q), as %s; %+v", st.Play, st.Reason, st.Info.Kind(), st.Verdict)
	}
	var names []string
	for _, a := range st.Assets {
		names = append(names, a.Name)
	}
	if want := []string{media.PeaksFile, media.RenditionFile(0)}; !slices.Equal(names, want) {
		t.Errorf("%v are made, want %v", names, want)
	}
	if r := st.Renditions(); len(r) != 1 || !r[0].Work.CopyAudio {
		t.Errorf("its sound is coded anew: %+v", r)
	}

	silent.Store(true)
	if st := h.done(h.message(recording(info, 2))); st.Play != media.PlayNone || st.Reason != media.Broken || st.Working {
		t.Errorf("without a sound either it plays as %q (%q)", st.Play, st.Reason)
	}
}

// Nothing else is made of a recording while its first poster is; one that fails is not
// waited for.
func TestPosterFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	poster := media.NewWork(media.Poster)
	began, hold, early := make(chan struct{}), make(chan struct{}), make(chan media.Work, 10)
	h.shop.before = func(ctx context.Context, w media.Work, _ func(float64)) error {
		if w != poster {
			select {
			case <-hold:
			default:
				if w.Kind != media.Probe {
					early <- w
				}
			}
			return nil
		}
		close(began)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return vam.Errorf(vam.Invalid, "no picture")
	}
	h.start()
	k := h.message(recording(movie, 1))
	<-began
	h.wait("the others are leased", k, func(st playback.State) bool {
		p, _ := st.Job(media.Preview)
		r, _ := st.Job(media.Rendition)
		return p.State == playback.Running && r.State == playback.Running
	})
	close(hold)
	st := h.done(k)
	close(early)
	for w := range early {
		t.Errorf("%s was begun before the poster was made", w)
	}
	if _, ok := st.Asset(media.PreviewFile); !ok || st.Play != media.PlayRendition {
		t.Errorf("after a poster that failed: %+v", st)
	}
}

// A stop cuts what runs; it is no attempt, and it goes on after the next start.
func TestStop(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	began := make(chan struct{})
	h.shop.before = func(ctx context.Context, w media.Work, _ func(float64)) error {
		if w.Kind != media.Rendition {
			return nil
		}
		close(began)
		<-ctx.Done()
		return errors.New("cut")
	}
	stop := h.start()
	k := h.message(recording(movie, 1))
	<-began
	stop()
	st := h.state(k)
	if j, ok := st.Job(media.Rendition); !ok || j.State != playback.Waiting || j.Attempts != 0 || j.Cuts != 0 || !st.Working {
		t.Errorf("after the stop: %+v", st)
	}
	h.wantClean()
	h.shop.before = nil
	h.build(nil)
	h.start()
	h.done(k)
	h.wantMade(k, movie, recording(movie, 1))
}

// Work on media that goes away is given up, and nothing of it stays.
func TestMediaGoes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	began, cut := make(chan struct{}), make(chan struct{})
	h.shop.before = func(ctx context.Context, w media.Work, _ func(float64)) error {
		if w.Kind != media.Rendition {
			return nil
		}
		close(began)
		<-ctx.Done()
		close(cut)
		return nil // too late to be told
	}
	h.build(func(o *playback.Options) { o.Lease = 30 * time.Millisecond })
	stop := h.start()
	k := h.message(recording(movie, 1))
	h.wait("there is a poster", k, func(st playback.State) bool { _, ok := st.Asset(media.PosterFile); return ok })
	r, err := h.s.Open(t.Context(), k, media.PosterFile)
	h.ok(err)
	defer r.Close()
	<-began
	h.ok(h.Submission.Discard(t.Context(), h.ann, k))
	h.Clock.Advance(time.Hour)
	h.ok(h.sweeper().Sweep(t.Context()))
	<-cut
	if _, err := r.ReadAt(make([]byte, 1), 0); err != nil {
		t.Errorf("who has the poster open reads on: %v", err)
	}
	jobs, err := h.s.Jobs(t.Context(), playback.Filter{})
	if h.ok(err); len(jobs) != 0 {
		t.Errorf("jobs are left: %+v", jobs)
	}
	stop()
	h.wantClean()
	_, err = h.s.State(t.Context(), k)
	h.wantKind("its state", err, vam.NotFound)
	_, err = h.s.Open(t.Context(), k, media.PosterFile)
	h.wantKind("its poster", err, vam.NotFound)
}

// What is in the scratch folder at the start is of a process that is gone.
func TestScratchIsEmptied(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	old := filepath.Join(h.Dir, "scratch", "1")
	h.ok(os.MkdirAll(filepath.Join(old, "deep"), 0o700))
	h.ok(os.WriteFile(filepath.Join(old, "deep", "rendition.mp4"), []byte("half"), 0o600))
	h.start()
	h.done(h.message(recording(clip, 1)))
	h.wantClean()
}
