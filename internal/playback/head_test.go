package playback_test

import (
	"bytes"
	"errors"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/isobmff/isobmfftest"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

// voice is an MP4 file of a second of sound; its index stands before or behind the media.
func voice(last bool) []byte {
	f := isobmfftest.File{IndexLast: last, Tracks: []isobmfftest.Track{{Samples: slices.Repeat([]isobmfftest.Sample{{Size: 100, Duration: 4800}}, 10)}}}
	return f.Bytes()
}

func wantVoice(t *testing.T, what string, st playback.State) {
	t.Helper()
	if !st.Known || st.Info.Duration.Seconds() != 1 || len(st.Info.Tracks) != 1 || st.Info.Tracks[0].Codec != "aac" || st.Play != media.PlayOriginal && st.Play != media.PlayView {
		t.Errorf("%s: %+v", what, st)
	}
}

// An MP4 plays at once: nobody has to be asked what it is.
func TestPlaysAtOnce(t *testing.T) {
	t.Parallel()
	for _, last := range []bool{false, true} {
		h := newHouse(t)
		k := h.message(voice(last))
		wantVoice(t, "before anything was done", h.state(k))
		h.start()
		wantVoice(t, "at the end", h.done(k))
		if n := h.shop.count(media.NewWork(media.Probe)); n != 0 {
			t.Errorf("it was probed %d times", n)
		}
		h.wantMade(k, h.state(k).Info, voice(last))
	}
}

// arriving is a message of another domain whose log is here.
func (h *house) arriving(content []byte) *hosttest.Recording {
	h.Helper()
	r := hosttest.NewRecording(h.TB, "a.example", h.Clock.Now())
	r.AddFile(content, max(256, len(content)/64))
	r.Seal()
	_, _, err := h.DB.Messages().CreateMessage(h.Context(), message.Message{
		Key: r.Key, State: vam.Live, Kind: vam.Video, Author: vam.Address{Local: "alice", Domain: r.Key.Origin}, PublicKey: r.Public(),
		Created: h.Clock.Now(), SentAt: h.Clock.Now(), Head: message.Head{State: vam.Live},
	}, nil)
	h.ok(err)
	_, err = h.Messages.Follow(h.Context(), r.Key, 0, r.Lines(0, r.Size()), r.Checkpoint(r.Size()))
	h.ok(err)
	return r
}

// arrive brings some octets of it.
func (h *house) arrive(r *hosttest.Recording, from, to int) {
	h.Helper()
	w, err := h.Messages.Writer(h.Context(), r.Key)
	h.ok(err)
	h.ok(w.WritePart(int64(from), r.Media()[from:to]))
	h.ok(errors.Join(w.Flush(h.Context()), w.Close()))
}

// A recording plays while it arrives, as soon as its index is here, wherever that
// stands; nobody waits for octets to say so.
func TestPlaysWhileItArrives(t *testing.T) {
	t.Parallel()
	for _, last := range []bool{false, true} {
		h := newHouse(t)
		h.start()
		content := voice(last)
		index := bytes.Index(content, []byte("moov")) - 4
		r := h.arriving(content)
		if st := h.state(r.Key); st.Known || !st.Working || st.Complete {
			t.Errorf("before its octets are here: %+v", st)
		}
		if last {
			h.arrive(r, 0, index)
		} else {
			h.arrive(r, len(content)-64, len(content))
		}
		if st := h.state(r.Key); st.Known || !st.Working {
			t.Errorf("without its index: %+v", st)
		}
		if last {
			h.arrive(r, index, len(content))
		} else {
			h.arrive(r, 0, len(content)-300)
		}
		st := h.state(r.Key)
		wantVoice(t, "with its index", st)
		if st.Complete {
			t.Error("it is complete before all of it came")
		}
		wantVoice(t, "asked again", h.state(r.Key))
		h.arrive(r, 0, len(content))
		h.ok(h.Messages.Complete(t.Context(), r.Key, "a.example"))
		h.s.Wake()
		if st := h.done(r.Key); !st.Complete {
			t.Errorf("at the end: %+v", st)
		}
		h.wantMade(r.Key, h.state(r.Key).Info, content)
	}
}

// However many watch a recording whose index does not come to an end, it is not read again
// and again: what an index costs is for its author to choose. (Not in parallel, since it
// counts what the process allocates.)
func TestIndexThatDoesNotEnd(t *testing.T) {
	h := newHouse(t)
	const n = 500_000
	sizes := make([]byte, 4*n)
	for i := range sizes {
		sizes[i] = byte(i * 7919 >> 3)
	}
	stbl := isobmfftest.Box("stbl", isobmfftest.Full("stsd", 0, 0, isobmfftest.U32(1), isobmfftest.AVC(64, 48)),
		isobmfftest.Full("stsz", 0, 0, isobmfftest.U32(0, n), sizes))
	trak := isobmfftest.Box("trak",
		isobmfftest.Full("tkhd", 0, 1, isobmfftest.U32(0, 0, 1), make([]byte, 72)),
		isobmfftest.Box("mdia", isobmfftest.Full("mdhd", 0, 0, isobmfftest.U32(0, 0, 1000, 0, 0)), isobmfftest.Box("minf", stbl)))
	content := slices.Concat(isobmfftest.Box("ftyp", []byte("isom"), isobmfftest.U32(0)), isobmfftest.Box("moov", trak, isobmfftest.Box("udta")))
	r := h.arriving(content)
	h.arrive(r, 0, len(content)-8)
	cost := func() uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if st := h.state(r.Key); st.Known || !st.Working {
			t.Errorf("without its last box: %+v", st)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	first := cost()
	if again := cost(); first < n || again > first/10 {
		t.Errorf("the first look allocates %d octets, the next one %d", first, again)
	}
}

// A recording that is made while it is watched is known from its first fragment or not
// at all, and never an error.
func TestGrowing(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.start()
	content := voice(false)
	k := h.draft(nil)
	if st := h.state(k); st.Known || !st.Working {
		t.Errorf("before the first octet: %+v", st)
	}
	known := false
	for i := 0; i < len(content); i += 100 {
		h.append(k, int64(i/100), content[i:min(i+100, len(content))])
		st := h.state(k)
		if known && !st.Known {
			t.Error("what was known is forgotten")
		}
		known = st.Known
	}
	if !known {
		t.Error("it never became known")
	}
	h.seal(k)
	wantVoice(t, "at the end", h.done(k))
}

// An upload may leave octets behind the end of the media; who makes things does not see
// them.
func TestTail(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	content := recording(movie, 1)
	k := h.message(content)
	m, err := h.Messages.Get(t.Context(), k)
	h.ok(err)
	obj, err := h.Blobs.Open(t.Context(), m.Media)
	h.ok(err)
	_, err = obj.WriteAt([]byte("left behind"), int64(len(content)))
	h.ok(err)
	h.ok(obj.Close())
	h.start()
	h.done(k)
	h.wantMade(k, movie, content)
	h.wantClean()
}

// Whatever a stranger sends as a recording has a state.
func FuzzHead(f *testing.F) {
	shared := newHouse(f)
	for _, last := range []bool{false, true} {
		f.Add(voice(last))
		f.Add(voice(last)[:300])
	}
	f.Add([]byte{0})
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) == 0 || len(content) > 1<<16 {
			return
		}
		h := &house{TB: t, Host: shared.Host, s: shared.s}
		h.Clock.Advance(time.Millisecond)
		r := h.arriving(content)
		h.arrive(r, 0, len(content))
		if st := h.state(r.Key); st.Known && st.Verdict.Play == "" || !st.Known && !st.Working {
			t.Errorf("%+v", st)
		}
	})
}
