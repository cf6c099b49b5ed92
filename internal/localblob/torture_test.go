package localblob_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/localblob"
)

// The torture: a child process works on a store and writes down, line by line, what
// it was promised. It is killed, or its power is cut; then every promise is checked.

const (
	tortureEnv   = "LOCALBLOB_TEST_TORTURE"
	torturePart  = 8 << 10
	tortureParts = 6
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(tortureEnv); dir != "" {
		fmt.Fprintln(os.Stderr, torture(dir))
		os.Exit(1) // it was meant to be killed
	}
	os.Exit(m.Run())
}

// torture works until it is killed.
func torture(dir string) error {
	s, err := localblob.Open(dir, localblob.Options{IdleFiles: 2})
	if err != nil {
		return err
	}
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			for {
				if err := tortureOne(s); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

func promise(verb string, id blob.ID, n int) { fmt.Printf("%s %s %d\n", verb, id, n) }

func tortureOne(s *localblob.Store) error {
	ctx, id := context.Background(), blob.NewID()
	if err := s.Create(ctx, id); err != nil {
		return err
	}
	promise("made", id, 0)
	obj, err := s.Open(ctx, id)
	if err != nil {
		return err
	}
	defer obj.Close()
	var unsynced []int
	for _, i := range rand.Perm(tortureParts) {
		if _, err := obj.WriteAt(tortureBytes(id, i), int64(i*torturePart)); err != nil {
			return err
		}
		if unsynced = append(unsynced, i); len(unsynced) < 2 {
			continue
		}
		if err := obj.Sync(ctx); err != nil {
			return err
		}
		for _, i := range unsynced {
			promise("part", id, i)
		}
		unsynced = nil
		p := tortureBytes(id, 100+i)
		if err := obj.PutSide(ctx, sha256.Sum256(p), p); err != nil {
			return err
		}
		promise("side", id, 100+i)
	}
	if rand.IntN(3) > 0 {
		return nil
	}
	promise("going", id, 0)
	if err := s.Remove(ctx, id); err != nil {
		return err
	}
	promise("gone", id, 0)
	return nil
}

func tortureBytes(id blob.ID, i int) []byte {
	r := rand.NewChaCha8(sha256.Sum256(append(id[:], byte(i))))
	p := make([]byte, torturePart)
	_, _ = r.Read(p)
	return p
}

// victim is a child under torture.
type victim struct {
	t   testing.TB
	cmd *exec.Cmd

	mu       sync.Mutex
	promises []string
	more     *sync.Cond
	ended    bool
	read     sync.WaitGroup
}

func startVictim(t testing.TB, dir string, env ...string) *victim {
	t.Helper()
	v := &victim{t: t, cmd: exec.Command(os.Args[0])}
	v.more = sync.NewCond(&v.mu)
	v.cmd.Env = append(append(os.Environ(), tortureEnv+"="+dir), env...)
	out, in, err := os.Pipe() // ours, so that Wait does not close it before all is read
	check(t, err)
	v.cmd.Stdout, v.cmd.Stderr = in, os.Stderr
	check(t, v.cmd.Start())
	check(t, in.Close())
	v.read.Go(func() { v.listen(out) })
	return v
}

func (v *victim) listen(out io.ReadCloser) {
	defer out.Close()
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		v.mu.Lock()
		v.promises = append(v.promises, lines.Text())
		v.more.Broadcast()
		v.mu.Unlock()
	}
	v.mu.Lock()
	v.ended = true
	v.more.Broadcast()
	v.mu.Unlock()
}

// wait returns when n promises were made or the child ended.
func (v *victim) wait(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.promises) < n && !v.ended {
		v.more.Wait()
	}
}

// kill ends the child and returns all that it was promised.
func (v *victim) kill() []string {
	_ = v.cmd.Process.Kill()
	v.reap()
	return v.promises
}

func (v *victim) reap() error {
	err := v.cmd.Wait()
	v.read.Wait()
	return err
}

// checkPromises opens the store and holds it to its word. It returns how many
// promises there were.
func checkPromises(t testing.TB, dir string, promises []string) int {
	t.Helper()
	s := open(t, dir, localblob.Options{})
	defer s.Close()
	fate := map[blob.ID]string{}
	kept := map[blob.ID][]string{}
	for _, line := range promises {
		verb, rest, _ := strings.Cut(line, " ")
		name, n, _ := strings.Cut(rest, " ")
		id, err := blob.ParseID(name)
		check(t, err)
		switch verb {
		case "made", "going", "gone":
			fate[id] = verb
		default:
			kept[id] = append(kept[id], verb+" "+n)
		}
	}
	listed := map[blob.ID]bool{}
	for id, err := range s.List(t.Context()) {
		check(t, err)
		listed[id] = true
	}
	for id, verb := range fate {
		obj, err := s.Open(t.Context(), id)
		switch {
		case verb == "gone" && (listed[id] || vam.KindOf(err) != vam.NotFound):
			t.Errorf("%s was removed and is there (listed %v, %v)", id, listed[id], err)
		case verb == "made" && (!listed[id] || err != nil):
			t.Errorf("%s was made and is not there (listed %v, %v)", id, listed[id], err)
		}
		if err != nil {
			continue
		}
		if verb == "made" {
			checkKept(t, obj, kept[id])
		}
		check(t, obj.Close())
	}
	checkNames(t, dir)
	return len(promises)
}

func checkKept(t testing.TB, obj blob.Object, promises []string) {
	for _, p := range promises {
		var verb string
		var i int
		if _, err := fmt.Sscan(p, &verb, &i); err != nil {
			t.Fatal(err)
		}
		want := tortureBytes(obj.ID(), i)
		sum := blob.Sum(sha256.Sum256(want))
		if verb == "part" {
			if ok, err := blob.VerifyRange(t.Context(), obj, int64(i*torturePart), torturePart, sum); !ok {
				t.Errorf("part %d of %s is lost (%v)", i, obj.ID(), err)
			}
			continue
		}
		r, _, err := obj.Side(t.Context(), sum)
		if err != nil {
			t.Errorf("side blob %d of %s is lost: %v", i, obj.ID(), err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || sha256.Sum256(got) != sum {
			t.Errorf("side blob %d of %s is damaged (%v)", i, obj.ID(), err)
		}
		check(t, r.Close())
	}
}

// checkNames holds every finished side blob, promised or not, against its name.
func checkNames(t testing.TB, dir string) {
	check(t, filepath.WalkDir(filepath.Join(dir, "media"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(filepath.Dir(path), ".side") || strings.HasSuffix(path, ".tmp") {
			return err
		}
		p, err := os.ReadFile(path)
		if sum := sha256.Sum256(p); err == nil && hex.EncodeToString(sum[:]) != filepath.Base(path) {
			t.Errorf("%s has %d octets of another hash", path, len(p))
		}
		return err
	}))
}

// TestKilled kills the child after some promises, again and again on one folder.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	rounds := 10
	if testing.Short() {
		rounds = 2
	}
	var promises []string
	for range rounds {
		v := startVictim(t, dir)
		v.wait(1 + rand.IntN(150))
		promises = append(promises, v.kill()...)
		checkPromises(t, dir, promises)
	}
	t.Logf("%d promises kept over %d kills", len(promises), rounds)
}
