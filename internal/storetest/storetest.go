// Package storetest is the conformance suite of the stores that the services
// declare. An implementation passes it for every interface that it claims; what the
// comment of a method says, a test here holds it to.
package storetest

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/retention"
	"github.com/videoactivmail/vam/internal/submission"
)

// Stores is one open database as the services see it. The suite of Queue needs no
// other field than Queue and Close; every other suite needs all of them.
type Stores struct {
	Accounts    account.Store
	Mailboxes   mailbox.Store
	Messages    MessageStore
	Queue       queue.Store
	Deliveries  delivery.Store
	Submissions submission.Store
	Receptions  reception.Store
	Retention   retention.Store
	Grants      grant.Store
	Playback    playback.Store
	Close       func() error
}

// MessageStore is message.Store with a way to read what KeepEvidence wrote, which is
// for operators alone.
type MessageStore interface {
	message.Store
	Evidence(ctx context.Context, k message.Key) ([][2][]byte, error)
}

// Opener opens the database at place, a folder that is empty at first. Whatever the
// stores stamp themselves has the time of now. The suite closes a database before it
// opens the same place again.
type Opener func(t testing.TB, place string, now func() time.Time) Stores

// Run tests every store.
func Run(t *testing.T, open Opener) {
	for name, suite := range map[string]func(*testing.T, Opener){
		"Accounts":    Accounts,
		"Mailboxes":   Mailboxes,
		"Messages":    Messages,
		"Queue":       Queue,
		"Deliveries":  Deliveries,
		"Submissions": Submissions,
		"Receptions":  Receptions,
		"Retention":   Retention,
		"Grants":      Grants,
		"Playback":    Playback,
	} {
		t.Run(name, func(t *testing.T) { suite(t, open) })
	}
}

// run gives every test a database of its own.
func run(t *testing.T, open Opener, tests map[string]func(*world)) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &world{T: t, open: open, place: t.TempDir()}
			w.clock.Store(time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC).UnixMicro())
			w.Stores = open(t, w.place, w.now)
			t.Cleanup(func() { w.ok(w.Close()) })
			test(w)
		})
	}
}

// world is a test with its database and its clock.
type world struct {
	*testing.T
	Stores
	open  Opener
	place string
	clock atomic.Int64 // microseconds since 1970
}

func (w *world) now() time.Time { return time.UnixMicro(w.clock.Load()).UTC() }

// pass lets time go by.
func (w *world) pass(d time.Duration) { w.clock.Add(d.Microseconds()) }

// stays checks something now and once more after the database was closed and opened.
func (w *world) stays(check func()) {
	w.Helper()
	check()
	w.ok(w.Close())
	w.Stores = w.open(w.T, w.place, w.now)
	check()
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// twice does something that may be repeated.
func (w *world) twice(do func() error) {
	w.Helper()
	w.ok(do())
	if err := do(); err != nil {
		w.Fatalf("the second time: %v", err)
	}
}

func (w *world) wantKind(what string, err error, want vam.ErrorKind) {
	w.Helper()
	if err == nil || vam.KindOf(err) != want {
		w.Errorf("%s: error %v, want one of kind %s", what, err, want)
	}
}

func (w *world) wantProblem(what string, err error, kind vam.ErrorKind, problem string) {
	w.Helper()
	w.wantKind(what, err, kind)
	if e, ok := err.(*vam.Error); ok && e.Problem != problem {
		w.Errorf("%s: problem %q, want %q", what, e.Problem, problem)
	}
}

// equal compares what a store gave; nil and empty lists are the same.
func (w *world) equal(what string, got, want any) {
	w.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// got unwraps a result that must not fail.
func got[V any](v V, err error) func(*world) V {
	return func(w *world) V {
		w.Helper()
		w.ok(err)
		return v
	}
}

func addr(w *world, s string) vam.Address {
	w.Helper()
	return got(vam.ParseAddress(s))(w)
}

// together runs n calls at the same time and returns how many reported true.
func (w *world) together(n int, do func(i int) (bool, error)) int {
	w.Helper()
	var count atomic.Int64
	done := make(chan error)
	for i := range n {
		go func() {
			yes, err := do(i)
			if yes {
				count.Add(1)
			}
			done <- err
		}()
	}
	for range n {
		if err := <-done; err != nil {
			w.Error(err)
		}
	}
	return int(count.Load())
}
