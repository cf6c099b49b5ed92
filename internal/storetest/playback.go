package storetest

import (
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
)

// Playback tests playback.Store.
func Playback(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Fresh":       testFresh,
		"Adopt":       testAdopt,
		"AdoptGone":   testAdoptGone,
		"LeaseJob":    testLeaseJob,
		"JobOrder":    testWorkOrder,
		"JobRace":     testJobRace,
		"JobRenew":    testJobRenew,
		"JobRetry":    testJobRetry,
		"JobFail":     testJobFail,
		"JobReturn":   testJobReturn,
		"JobRelease":  testJobRelease,
		"JobAgain":    testJobAgain,
		"Jobs":        testListWork,
		"Finish":      testFinishJob,
		"FinishAgain": testFinishAgain,
		"FinishLate":  testFinishLate,
		"Assets":      testAssetsGo,
		"AssetsMany":  testAssetsMany,
	})
}

var (
	probe     = media.NewWork(media.Probe)
	poster    = media.NewWork(media.Poster)
	peaks     = media.NewWork(media.Peaks)
	rendition = media.Work{Kind: media.Rendition, Class: media.Long, Short: 480, CopyAudio: true}
)

// recording makes a message with complete media.
func (w *world) recording() (message.Key, blob.ID) {
	w.Helper()
	k := w.received(answer{w.reader(), vam.Accepted})
	return k, w.complete(k, k.String(), away)
}

// reader is an account that is made when it is first asked for.
func (w *world) reader() account.Account {
	w.Helper()
	a := vam.Address{Local: "reader", Domain: home}
	if acct, err := w.Accounts.AccountByAddress(w.Context(), a); err == nil {
		return acct
	}
	return w.account(a.Local)
}

// adopted makes one that has jobs.
func (w *world) adopted(works ...media.Work) blob.ID {
	w.Helper()
	_, id := w.recording()
	w.ok(w.Playback.Adopt(w.Context(), id, nil, works, w.now()))
	return id
}

func (w *world) fresh() []playback.Recording {
	w.Helper()
	return got(w.Playback.Fresh(w.Context(), 100))(w)
}

func (w *world) look(id blob.ID) playback.Look {
	w.Helper()
	return got(w.Playback.Look(w.Context(), id))(w)
}

func (w *world) mediaWant(owner string, class media.Class) playback.Want {
	return playback.Want{Owner: owner, Class: class, Now: w.now(), Until: w.now().Add(lease)}
}

// leaseJob takes a job that must be there.
func (w *world) leaseJob(owner string, class media.Class) playback.Job {
	w.Helper()
	j, ok, err := w.Playback.Lease(w.Context(), w.mediaWant(owner, class))
	if w.ok(err); !ok {
		w.Fatalf("no %s job is due", class)
	}
	return j
}

func (w *world) wantIdle(what string, class media.Class) {
	w.Helper()
	j, ok, err := w.Playback.Lease(w.Context(), w.mediaWant("idle", class))
	if w.ok(err); ok {
		w.Errorf("%s: %s of %s was leased", what, j.Work, j.Media)
	}
}

// job reads one job anew.
func (w *world) mediaJob(id int64) playback.Job {
	w.Helper()
	for _, st := range []playback.JobState{"", playback.Done} {
		for _, j := range got(w.Playback.Jobs(w.Context(), playback.Filter{State: st}))(w) {
			if j.ID == id {
				return j
			}
		}
	}
	w.Fatalf("job %d is not listed", id)
	return playback.Job{}
}

func testFresh(w *world) {
	w.equal("at first", w.fresh(), []playback.Recording(nil))
	half := w.received(answer{w.account("half"), vam.Accepted})
	w.media(half)
	w.grow(half, 1, 10)
	w.equal("while it arrives", w.fresh(), []playback.Recording(nil))
	_, id := w.recording()
	w.stays(func() { w.equal("when it is complete", w.fresh(), []playback.Recording{{Media: id, Size: announced}}) })

	own := w.create()
	sealed := w.media(own)
	w.grow(own, 1, 50)
	w.seal(own, "own")
	got1 := w.fresh()
	if len(got1) != 2 || got1[0] != (playback.Recording{Media: sealed, Size: 50}) && got1[1] != (playback.Recording{Media: sealed, Size: 50}) {
		w.Errorf("with a sealed message of this server: %v", got1)
	}
	w.equal("to the limit", len(got(w.Playback.Fresh(w.Context(), 1))(w)), 1)
	w.ok(w.Playback.Adopt(w.Context(), id, nil, nil, w.now()))
	w.stays(func() { w.equal("after one was adopted", w.fresh(), []playback.Recording{{Media: sealed, Size: 50}}) })

	// A forward shares what is known.
	fwd := w.create()
	w.ok(w.Messages.LinkMedia(w.Context(), fwd, id))
	w.grow(fwd, 1, announced)
	w.seal(fwd, "fwd")
	w.equal("after a forward", w.fresh(), []playback.Recording{{Media: sealed, Size: 50}})
}

func testAdopt(w *world) {
	k, id := w.recording()
	_, err := w.Playback.Info(w.Context(), id)
	w.wantKind("the info before", err, vam.NotFound)
	info := media.Info{Container: "mp4", Size: announced, Duration: time.Second, Tracks: []media.Track{{ID: 1, Type: media.Video, Codec: "h264", Width: 640}}}
	at := w.now()
	w.twice(func() error {
		return w.Playback.Adopt(w.Context(), id, &info, []media.Work{poster, rendition, peaks}, at)
	})
	w.stays(func() {
		w.equal("the info", got(w.Playback.Info(w.Context(), id))(w), info)
		var want []playback.Job
		for i, work := range []media.Work{poster, rendition, peaks} {
			want = append(want, playback.Job{
				ID: int64(i + 1), Recording: playback.Recording{Media: id, Size: announced}, Message: k, Work: work, Priority: i, State: playback.Waiting,
				NextAt: at, Created: at, Changed: at,
			})
		}
		jobs := got(w.Playback.Jobs(w.Context(), playback.Filter{Media: id}))(w)
		for i := range jobs {
			jobs[i].ID = int64(i + 1)
		}
		w.equal("the jobs", jobs, want)
		look := w.look(id)
		for i := range look.Jobs {
			look.Jobs[i].ID = int64(i + 1)
		}
		w.equal("all of it", look, playback.Look{Known: true, Info: info, Jobs: want})
	})
	w.equal("of nothing", w.look(blob.NewID()), playback.Look{})
	// What is known is not forgotten, and another time adds what is missing.
	w.ok(w.Playback.Adopt(w.Context(), id, nil, []media.Work{poster, probe}, w.now()))
	w.equal("the info still", got(w.Playback.Info(w.Context(), id))(w), info)
	w.equal("jobs", len(got(w.Playback.Jobs(w.Context(), playback.Filter{Media: id}))(w)), 4)
	info.Container = "mov"
	w.ok(w.Playback.Adopt(w.Context(), id, &info, nil, w.now()))
	w.equal("the new info", got(w.Playback.Info(w.Context(), id))(w), info)

	many := make([]media.Work, playback.MaxPriority+3)
	for i := range many {
		many[i] = media.Work{Kind: media.Rendition, Class: media.Long, Short: i + 1}
	}
	other := w.adopted(many...)
	jobs := got(w.Playback.Jobs(w.Context(), playback.Filter{Media: other}))(w)
	w.equal("the last of many", jobs[len(jobs)-1].Priority, playback.MaxPriority)
}

func testAdoptGone(w *world) {
	bob := w.account("bob")
	adopt := func(id blob.ID) error {
		return w.Playback.Adopt(w.Context(), id, &media.Info{}, []media.Work{poster}, w.now())
	}
	w.wantKind("unknown media", adopt(blob.NewID()), vam.NotFound)
	k := w.received(answer{bob, vam.Accepted})
	id := w.complete(k, "x", away)
	w.delete(bob, k)
	w.detach(10)
	w.pass(time.Second)
	w.equal("condemned", w.condemn(), []blob.ID{id})
	w.wantKind("condemned media", adopt(id), vam.NotFound)
	w.stays(func() {
		w.equal("it is struck off", w.fresh(), []playback.Recording(nil))
		w.equal("without a job", len(got(w.Playback.Jobs(w.Context(), playback.Filter{}))(w)), 0)
	})
	half := w.received(answer{bob, vam.Accepted})
	w.wantKind("media that arrives", adopt(w.media(half)), vam.NotFound)
}

func testListWork(w *world) {
	a, b := w.adopted(poster, peaks, rendition), w.adopted(poster, rendition)
	j := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Finish(w.Context(), "me", j.ID, playback.Outcome{At: w.now()}))
	k := w.leaseJob("me", media.Quick)
	w.ok(w.Playback.Fail(w.Context(), "me", k.ID, w.now(), media.Broken, "x"))
	w.leaseJob("me", media.Quick)
	count := func(what string, f playback.Filter, want int) {
		w.Helper()
		jobs := got(w.Playback.Jobs(w.Context(), f))(w)
		for i := 1; i < len(jobs); i++ {
			if jobs[i].ID <= jobs[i-1].ID {
				w.Errorf("%s: out of order", what)
			}
		}
		if len(jobs) != want {
			w.Errorf("%s: %d jobs, want %d", what, len(jobs), want)
		}
	}
	w.stays(func() {
		count("all that are not done", playback.Filter{}, 4)
		count("to the limit", playback.Filter{Limit: 3}, 3)
		count("done", playback.Filter{State: playback.Done}, 1)
		count("failed", playback.Filter{State: playback.Failed}, 1)
		count("running", playback.Filter{State: playback.Running}, 1)
		count("waiting", playback.Filter{State: playback.Waiting}, 2)
		count("of one", playback.Filter{Media: j.Media}, map[blob.ID]int{a: 2, b: 1}[j.Media])
		count("of one, done", playback.Filter{Media: j.Media, State: playback.Done}, 1)
		count("of one, waiting, to the limit", playback.Filter{Media: a, State: playback.Waiting, Limit: 1}, 1)
		count("of none", playback.Filter{Media: blob.NewID()}, 0)
		for class, want := range map[media.Class]int64{media.Quick: 1, media.Long: 2} {
			n, oldest, err := w.Playback.Depth(w.Context(), class)
			if w.ok(err); n != want || oldest.IsZero() || oldest.After(w.now()) {
				w.Errorf("%s: %d jobs, the oldest from %s", class, n, oldest)
			}
		}
	})
	n, oldest, err := w.Playback.Depth(w.Context(), "other")
	if w.ok(err); n != 0 || !oldest.IsZero() {
		w.Errorf("of no class: %d, %s", n, oldest)
	}
}
