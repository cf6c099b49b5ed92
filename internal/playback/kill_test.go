package playback_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// A child process works on the recordings of a folder and kills itself (SIGKILL) at the
// n-th step of those that change anything on the disk. Whatever n is, the next process
// ends the work, and nothing is left over.

const (
	placeEnv = "PLAYBACK_TEST_PLACE" // the folder that the child works in
	stepEnv  = "PLAYBACK_TEST_STEP"  // at which step it dies
	keyEnv   = "PLAYBACK_TEST_KEY"   // the message that it works on to the end
)

func TestMain(m *testing.M) {
	place := os.Getenv(placeEnv)
	if place == "" {
		os.Exit(m.Run())
	}
	step, err := strconv.Atoi(os.Getenv(stepEnv))
	if err == nil {
		err = workAndDie(place, os.Getenv(keyEnv), &steps{at: int64(step)})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// steps counts to the one at which the process dies; 0 is never.
type steps struct {
	at int64
	n  atomic.Int64
}

func (s *steps) step() {
	if s.n.Add(1) == s.at {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// before is a step before something; the one after it is the step before the next.
func (s *steps) before(do func() error) error {
	s.step()
	return do()
}

// mortalStore dies between commits.
type mortalStore struct {
	playback.Store
	*steps
}

func (m mortalStore) Adopt(ctx context.Context, id blob.ID, info *media.Info, works []media.Work, at time.Time) error {
	return m.before(func() error { return m.Store.Adopt(ctx, id, info, works, at) })
}

func (m mortalStore) Lease(ctx context.Context, w playback.Want) (playback.Job, bool, error) {
	j, ok, err := m.Store.Lease(ctx, w)
	if ok {
		m.step()
	}
	return j, ok, err
}

func (m mortalStore) Finish(ctx context.Context, owner string, id int64, o playback.Outcome) error {
	return m.before(func() error { return m.Store.Finish(ctx, owner, id, o) })
}

func (m mortalStore) Retry(ctx context.Context, owner string, id int64, next time.Time, code media.Reason, reason string) error {
	return m.before(func() error { return m.Store.Retry(ctx, owner, id, next, code, reason) })
}

func (m mortalStore) Fail(ctx context.Context, owner string, id int64, at time.Time, code media.Reason, reason string) error {
	return m.before(func() error { return m.Store.Fail(ctx, owner, id, at, code, reason) })
}

// mortalBlobs dies around whatever changes the media store.
type mortalBlobs struct {
	blob.Store
	*steps
}

func (m mortalBlobs) Create(ctx context.Context, id blob.ID) error {
	return m.before(func() error { return m.Store.Create(ctx, id) })
}

func (m mortalBlobs) Remove(ctx context.Context, id blob.ID) error {
	return m.before(func() error { return m.Store.Remove(ctx, id) })
}

func (m mortalBlobs) Open(ctx context.Context, id blob.ID) (blob.Object, error) {
	obj, err := m.Store.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	return mortalObject{obj, m.steps}, nil
}

type mortalObject struct {
	blob.Object
	*steps
}

func (m mortalObject) WriteAt(p []byte, off int64) (int, error) {
	m.step()
	return m.Object.WriteAt(p, off)
}

func (m mortalObject) Sync(ctx context.Context) error {
	return m.before(func() error { return m.Object.Sync(ctx) })
}

// workAndDie works until the message is done or a step kills it.
func workAndDie(place, key string, dying *steps) (err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	k, err := message.ParseKey(key)
	if err != nil {
		return err
	}
	db, err := sqlite.Open(ctx, filepath.Join(place, "vam.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	blobs, err := localblob.Open(place, localblob.Options{Reserve: -1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blobs.Close()) }()
	scratch, err := localblob.OpenScratch(filepath.Join(place, "scratch"))
	if err != nil {
		return err
	}
	messages := message.New(db.Messages(), blobs, message.Options{})
	defer func() { err = errors.Join(err, messages.Close()) }()
	shop := &workshop{before: func(context.Context, media.Work, func(float64)) error { dying.step(); return nil }}
	s := playback.New(mortalStore{db.Playback(), dying}, playback.Options{
		Messages: messages, Blobs: mortalBlobs{blobs, dying}, Owner: fmt.Sprint(os.Getpid()), Maker: shop, Scratch: scratch, Quick: 1, Long: 1,
	})
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	for st, err := s.State(ctx, k); !settled(st); st, err = s.Wait(ctx, k, st.Tag) {
		if err != nil {
			return err
		}
	}
	fmt.Println(dying.n.Load())
	cancel()
	return <-done
}

// live runs a child. It returns how many steps it made, 0 when it was killed.
func live(t *testing.T, place string, k message.Key, step int) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), placeEnv+"="+place, stepEnv+"="+strconv.Itoa(step), keyEnv+"="+k.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return 0
	}
	n, perr := strconv.Atoi(string(out[:max(0, len(out)-1)]))
	if err != nil || perr != nil {
		t.Fatalf("the child that dies at step %d ended with %v, %v", step, err, perr)
	}
	return n
}

// TestKilled kills a process at every step of the work on a recording.
func TestKilled(t *testing.T) {
	h := newHouse(t)
	content := recording(movie, 1)
	k := h.message(content)
	h.Close()
	fresh := h.Dir
	again := func(step int) string {
		place := filepath.Join(t.TempDir(), strconv.Itoa(step))
		h.ok(os.CopyFS(place, os.DirFS(fresh)))
		return place
	}
	all := live(t, again(0), k, 0)
	t.Logf("the work has %d steps", all)
	if all < 15 {
		t.Fatalf("the work has %d steps: it is not watched", all)
	}
	stride := 1
	if testing.Short() {
		stride = 7
	}
	for step := 1; step <= all; step += stride {
		t.Run(strconv.Itoa(step), func(t *testing.T) {
			t.Parallel()
			place := again(step)
			if n := live(t, place, k, step); n != 0 {
				return // the order of two workers differs: this one had fewer steps
			}
			checkAlive(t, place, k, content)
		})
	}
}

// checkAlive opens what a killed process left, and ends its work.
func checkAlive(t *testing.T, place string, k message.Key, content []byte) {
	t.Helper()
	h := revive(t, place)
	h.ok(h.DB.Check(t.Context()))
	h.ok(h.sweeper().Recover(t.Context()))
	for id := range h.objects() {
		if known, err := h.DB.Retention().HasMedia(t.Context(), id); err != nil || !known {
			t.Errorf("after a start the object %s is left over, %v", id, err)
		}
	}
	h.build(nil)
	stop := h.start()
	st := h.done(k)
	stop()
	if st.Play != media.PlayRendition || len(st.Jobs) > 0 {
		t.Errorf("at the end: %+v", st)
	}
	h.wantMade(k, movie, content)
	h.wantClean()
	jobs, err := h.s.Jobs(t.Context(), playback.Filter{State: playback.Running})
	if h.ok(err); len(jobs) > 0 {
		t.Errorf("jobs run for ever: %+v", jobs)
	}
	// Everything goes with the message.
	h.ok(h.Submission.Discard(t.Context(), h.ann, k))
	h.Clock.Advance(time.Hour)
	h.ok(h.sweeper().Sweep(t.Context()))
	if left := h.objects(); len(left) > 0 {
		t.Errorf("objects outlive their message: %v", left)
	}
}

// revive is a server over the folder of one that was killed.
func revive(t *testing.T, place string) *house {
	t.Helper()
	h := &house{TB: t, Host: hosttest.New(t, hosttest.Options{}), shop: &workshop{}}
	h.Host.Close()
	h.ok(os.RemoveAll(filepath.Join(h.Dir, "media")))
	for _, name := range []string{"vam.db", "vam.db-wal", "vam.db-shm"} {
		if err := os.Remove(filepath.Join(h.Dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	h.ok(os.CopyFS(h.Dir, os.DirFS(place)))
	h.Reopen()
	var err error
	h.ann, err = h.DB.Accounts().AccountByAddress(t.Context(), hosttest.Address(t, "ann@b.example"))
	h.ok(err)
	return h
}
