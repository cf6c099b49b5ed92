package storetest

import (
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

// asset is something that work made.
func asset(work media.Work, name string) playback.Asset {
	return playback.Asset{Name: name, Type: "image/jpeg", Size: 1 << 33, Width: 640, Height: 480, Object: blob.NewID(), Work: work}
}

// finish leases the next quick job and finishes it.
func (w *world) finish(assets ...playback.Asset) playback.Job {
	w.Helper()
	j := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Finish(w.Context(), "me", j.ID, playback.Outcome{Assets: assets, At: w.now()}))
	return j
}

func (w *world) has(id blob.ID) bool {
	w.Helper()
	return got(w.Retention.HasMedia(w.Context(), id))(w)
}

func testFinishJob(w *world) {
	id := w.adopted(probe)
	j := w.leaseJob("me", media.Quick)
	info := media.Info{Container: "webm", Duration: time.Minute}
	w.ok(w.Playback.Finish(w.Context(), "me", j.ID, playback.Outcome{Info: &info, Works: []media.Work{poster, rendition}, At: w.now()}))
	w.stays(func() {
		w.equal("the info", got(w.Playback.Info(w.Context(), id))(w), info)
		w.equal("further jobs", len(got(w.Playback.Jobs(w.Context(), playback.Filter{Media: id}))(w)), 2)
		w.equal("assets", len(w.look(id).Assets), 0)
		w.equal("what is known", []any{w.look(id).Known, w.look(id).Info}, []any{true, info})
		w.equal("jobs that are not done, the most urgent first", []media.Work{w.look(id).Jobs[0].Work, w.look(id).Jobs[1].Work}, []media.Work{poster, rendition})
	})
	a, b := asset(poster, "poster.jpg"), asset(poster, "also.jpg")
	w.finish(a, b)
	w.stays(func() {
		w.equal("assets in order", w.look(id).Assets, []playback.Asset{b, a})
		w.equal("one asset", got(w.Playback.Asset(w.Context(), id, "poster.jpg"))(w), a)
		if !w.has(a.Object) || !w.has(b.Object) {
			w.Error("a start would remove the objects of assets")
		}
		w.equal("nothing is to be removed", w.condemn(), []blob.ID(nil))
	})
	_, err := w.Playback.Asset(w.Context(), id, "other.jpg")
	w.wantKind("no such asset", err, vam.NotFound)
	_, err = w.Playback.Asset(w.Context(), blob.NewID(), "poster.jpg")
	w.wantKind("of no media", err, vam.NotFound)
	if w.has(blob.NewID()) {
		w.Error("there is a row for an object that was never made")
	}
}

// What is made a second time takes the place of the first.
func testFinishAgain(w *world) {
	id := w.adopted(poster, peaks)
	first, wave := asset(poster, "poster.jpg"), asset(peaks, "peaks.json")
	j := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Retry(w.Context(), "me", j.ID, w.now(), media.Failed, "x"))
	j = w.finish(first, asset(poster, "old.jpg"))
	old := got(w.Playback.Asset(w.Context(), id, "old.jpg"))(w).Object
	w.finish(wave)
	w.ok(w.Playback.Adopt(w.Context(), id, nil, []media.Work{probe, poster}, w.now()))
	probed := w.leaseJob("me", media.Quick)
	second := asset(probe, "poster.jpg")
	w.ok(w.Playback.Finish(w.Context(), "me", probed.ID, playback.Outcome{Assets: []playback.Asset{second}, At: w.now()}))
	w.stays(func() {
		w.equal("the name has the new object", got(w.Playback.Asset(w.Context(), id, "poster.jpg"))(w), second)
		ids := w.condemn()
		w.equal("the old object is to be removed", ids, []blob.ID{first.Object})
		if !w.has(first.Object) || !w.has(old) {
			w.Error("an object is forgotten before it was removed")
		}
	})
	w.twice(func() error { return w.Retention.DropMedia(w.Context(), first.Object) })
	w.stays(func() {
		w.equal("then nothing is", w.condemn(), []blob.ID(nil))
		if w.has(first.Object) {
			w.Error("the removed object is still known")
		}
	})
	_ = j
}

// A job whose media went away meanwhile leaves nothing.
func testFinishLate(w *world) {
	k, id := w.recording()
	w.ok(w.Playback.Adopt(w.Context(), id, nil, []media.Work{poster, peaks}, w.now()))
	j := w.leaseJob("me", media.Quick)
	made := asset(poster, "poster.jpg")
	w.delete(w.reader(), k)
	w.detach(10)
	w.pass(time.Second)
	w.equal("condemned", w.condemn(), []blob.ID{id})
	out := playback.Outcome{Info: &media.Info{}, Works: []media.Work{probe}, Assets: []playback.Asset{made}, At: w.now()}
	w.wantKind("finishing for condemned media", w.Playback.Finish(w.Context(), "me", j.ID, out), vam.NotFound)
	w.stays(func() {
		if w.has(made.Object) {
			w.Error("the asset was recorded")
		}
		w.equal("the job", w.mediaJob(j.ID).State, playback.Running)
	})
	w.ok(w.Retention.DropMedia(w.Context(), id))
	w.wantKind("finishing for media that is gone", w.Playback.Finish(w.Context(), "me", j.ID, out), vam.Conflict)
	w.wantKind("renewing", w.Playback.Renew(w.Context(), "me", j.ID, 0.5, w.now()), vam.Conflict)
	w.pass(lease)
	w.wantIdle("its jobs", media.Quick)
	w.equal("nothing else is left", w.condemn(), []blob.ID(nil))
}

// What was made goes with the media, not before and not without it.
func testAssetsGo(w *world) {
	k, id := w.recording()
	w.ok(w.Playback.Adopt(w.Context(), id, &media.Info{}, []media.Work{poster, peaks}, w.now()))
	a, b := asset(poster, "poster.jpg"), asset(peaks, "peaks.json")
	w.finish(a)
	w.finish(b)
	fwd := w.create()
	w.ok(w.Messages.LinkMedia(w.Context(), fwd, id))
	w.delete(w.reader(), k)
	w.detach(10)
	w.pass(time.Second)
	w.equal("while a forward has the media", w.condemn(), []blob.ID(nil))
	w.equal("assets", len(w.look(id).Assets), 2)
	w.ok(w.Submissions.DeleteDraft(w.Context(), fwd))
	w.detach(10)
	w.pass(time.Second)
	all := []blob.ID{id, a.Object, b.Object}
	w.stays(func() {
		w.equal("to be removed", sorted(w.condemn()), sorted(all))
		w.equal("assets that can be opened", len(w.look(id).Assets), 0)
		for _, id := range all {
			if !w.has(id) {
				w.Errorf("%s is forgotten before it was removed", id)
			}
		}
	})
	for i, id := range all {
		w.twice(func() error { return w.Retention.DropMedia(w.Context(), id) })
		w.equal("left", len(w.condemn()), len(all)-1-i)
		if w.has(id) {
			w.Errorf("%s is still known", id)
		}
	}
	w.stays(func() {
		w.equal("jobs", len(got(w.Playback.Jobs(w.Context(), playback.Filter{State: playback.Done}))(w)), 0)
	})
	_, err := w.Playback.Info(w.Context(), id)
	w.wantKind("the info", err, vam.NotFound)
}

func sorted(ids []blob.ID) []blob.ID {
	return slices.SortedFunc(slices.Values(ids), func(a, b blob.ID) int { return slices.Compare(a[:], b[:]) })
}

// However many there are, a sweep that goes on as long as it finds a whole batch finds
// them all.
func testAssetsMany(w *world) {
	var want []blob.ID
	var keys []message.Key
	for range 3 {
		k, id := w.recording()
		keys = append(keys, k)
		w.ok(w.Playback.Adopt(w.Context(), id, nil, []media.Work{poster}, w.now()))
		want = append(want, id)
		for _, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
			want = append(want, asset(poster, name).Object)
		}
		j := w.leaseJob("me", media.Quick)
		var made []playback.Asset
		for i, name := range []string{"a.jpg", "b.jpg", "c.jpg"} {
			a := asset(poster, name)
			a.Object = want[len(want)-3+i]
			made = append(made, a)
		}
		w.ok(w.Playback.Finish(w.Context(), "me", j.ID, playback.Outcome{Assets: made, At: w.now()}))
	}
	for _, k := range keys {
		w.delete(w.reader(), k)
	}
	w.detach(10)
	w.pass(time.Second)
	var found []blob.ID
	for {
		const batch = 2
		ids := got(w.Retention.Condemn(w.Context(), w.now(), batch))(w)
		for _, id := range ids {
			w.ok(w.Retention.DropMedia(w.Context(), id))
		}
		found = append(found, ids...)
		if len(ids) < batch {
			break
		}
	}
	w.equal("removed", sorted(found), sorted(want))
}
