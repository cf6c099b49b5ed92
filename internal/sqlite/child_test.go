package sqlite_test

import (
	"bufio"
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	driver "modernc.org/sqlite"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// A child process works on a database and says, line by line, what it was promised. It
// is killed in the middle, or its disk fails; then every promise is checked.

const (
	childEnv = "SQLITE_TEST_CHILD" // what the child does
	placeEnv = "SQLITE_TEST_PLACE" // the folder that it does it in
)

func TestMain(m *testing.M) {
	driver.MustRegisterScalarFunction("die", 0, die)
	driver.MustRegisterScalarFunction("meanwhile", 0, meanwhile)
	work := map[string]func(string) error{"": nil, "accept": accept, "flush": flush, "migrate": migrateOnce}[os.Getenv(childEnv)]
	if work == nil {
		os.Exit(m.Run())
	}
	if err := work(os.Getenv(placeEnv)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// accept makes jobs from several goroutines, works on them, and says what it was
// promised, until it is killed.
func accept(place string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(place, "vam.db"), sqlite.Options{})
	if err != nil {
		return err
	}
	q, self := db.Queue(), fmt.Sprint(os.Getpid())
	if err := q.Release(ctx, self); err != nil {
		return err
	}
	var g errgroup.Group
	for worker := range 4 {
		g.Go(func() error {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%s.%d.%d", self, worker, i)
				if err := q.Enqueue(ctx, offerJob(key)); err != nil {
					return err
				}
				fmt.Println("made", key)
				if i%3 > 0 {
					continue
				}
				jobs, err := q.Lease(ctx, queue.Want{Owner: self, Kinds: []queue.Kind{queue.Offer}, Now: time.Now(), Until: time.Now().Add(time.Hour), Limit: 1})
				if err != nil {
					return err
				}
				for _, j := range jobs {
					fmt.Println("ending", j.Key)
					if err := q.Finish(ctx, self, j.ID); err != nil {
						return err
					}
					fmt.Println("done", j.Key)
				}
			}
		})
	}
	return g.Wait()
}

// flush writes rows one after the other and says how each went.
func flush(place string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, filepath.Join(place, "vam.db"), sqlite.Options{OnFail: func(error) { fmt.Println("alarm") }})
	if err != nil {
		return err
	}
	for i := range 40 {
		key := fmt.Sprint(i)
		err := db.Queue().Enqueue(ctx, offerJob(key))
		if err != nil {
			fmt.Println("refused", key, vam.KindOf(err))
			continue
		}
		fmt.Println("made", key)
	}
	if _, err := db.Queue().Jobs(ctx, "", 10); err != nil {
		fmt.Println("unread", err)
	}
	return nil // without Close: a process that was told to stop comes to that, a killed one does not
}

// die is the SQL function die(): a kill -9 in the middle of a statement.
func die(*driver.FunctionContext, []sqldriver.Value) (sqldriver.Value, error) {
	if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
		return nil, err
	}
	select {}
}

// migrateOnce opens a database whose schema may hold a step that kills.
func migrateOnce(place string) error {
	db, err := sqlite.Open(context.Background(), filepath.Join(place, "vam.db"), sqlite.Options{Migrations: os.DirFS(filepath.Join(place, "migrations"))})
	if err != nil {
		return err
	}
	return db.Close()
}

func offerJob(key string) queue.Job {
	return queue.Job{Kind: queue.Offer, Key: key, Domain: "a.example", NextAt: time.UnixMicro(1), Payload: []byte(key)}
}

// child is such a process.
type child struct {
	t   testing.TB
	cmd *exec.Cmd

	mu    sync.Mutex
	lines []string
	more  *sync.Cond
	ended bool
	read  sync.WaitGroup
}

// startChild runs this test's binary as a child, behind the words of wrap if there are
// any.
func startChild(t testing.TB, work, place string, env []string, wrap ...string) *child {
	t.Helper()
	args := append(wrap, os.Args[0])
	c := &child{t: t, cmd: exec.Command(args[0], args[1:]...)}
	c.more = sync.NewCond(&c.mu)
	c.cmd.Env = append(append(os.Environ(), childEnv+"="+work, placeEnv+"="+place), env...)
	out, in, err := os.Pipe() // ours, so that Wait does not close it before all is read
	check(t, err)
	c.cmd.Stdout, c.cmd.Stderr = in, os.Stderr
	check(t, c.cmd.Start())
	check(t, in.Close())
	c.read.Go(func() { c.listen(out) })
	return c
}

func (c *child) listen(out io.ReadCloser) {
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		c.mu.Lock()
		c.lines = append(c.lines, lines.Text())
		c.more.Broadcast()
		c.mu.Unlock()
	}
	c.mu.Lock()
	c.ended = true
	c.more.Broadcast()
	c.mu.Unlock()
}

// wait returns when the child has said n lines or has ended.
func (c *child) wait(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.lines) < n && !c.ended {
		c.more.Wait()
	}
}

// kill ends the child and returns all that it said.
func (c *child) kill() []string {
	_ = c.cmd.Process.Kill()
	_ = c.reap()
	return c.lines
}

func (c *child) reap() error {
	err := c.cmd.Wait()
	c.read.Wait()
	return err
}

// wantKilled waits for the child to kill itself.
func (c *child) wantKilled() {
	c.t.Helper()
	err := c.reap()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		c.t.Fatalf("the child ended with %v, want a kill", err)
	}
}

// checkPromises holds the database to its word: what was made is there unless it was
// finished, and what was finished is not.
func checkPromises(t testing.TB, place string, lines []string) {
	t.Helper()
	db := openAll(t, filepath.Join(place, "vam.db"), sqlite.Options{})
	defer func() { check(t, db.Close()) }()
	check(t, db.Check(t.Context()))
	jobs, err := db.Queue().Jobs(t.Context(), "", 1<<30)
	check(t, err)
	there := map[string]bool{}
	for _, j := range jobs {
		if there[j.Key] || string(j.Payload) != j.Key {
			t.Errorf("job %q is there twice, or with the payload %q", j.Key, j.Payload)
		}
		there[j.Key] = true
	}
	order := []string{"", "made", "ending", "done"} // whichever goroutine said it first
	fate := map[string]string{}
	for _, line := range lines {
		verb, key, _ := strings.Cut(line, " ")
		fate[key] = order[max(slices.Index(order, fate[key]), slices.Index(order, verb))]
	}
	for key, verb := range fate {
		if verb == "made" && !there[key] {
			t.Errorf("job %s was accepted and is lost", key)
		}
		if verb == "done" && there[key] {
			t.Errorf("job %s was finished and is there again", key)
		}
	}
}
