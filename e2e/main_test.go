// Package e2e_test runs whole servers against each other: real processes, sockets, DNS
// and disks, over links that fail. The long forms run with VAM_SOAK=1 (`make soak`).
package e2e_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/videoactivmail/vam/e2e/harness"
)

// The programs that servers run; each is built when a test first needs it.
var (
	plain  harness.Program
	faulty = harness.Program{Tags: "fault"}
)

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if err := errors.Join(plain.Remove(), faulty.Remove()); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// soak reports whether the long forms are wanted.
func soak() bool { return os.Getenv("VAM_SOAK") == "1" }

// pick is short, or long in a soak.
func pick[T any](short, long T) T {
	if soak() {
		return long
	}
	return short
}

// pair is two servers that run, each with an account that knows the other.
type pair struct {
	*harness.World
	a, b       *harness.Server
	alice, bob *harness.User
}

// newPair starts a.test and b.test as processes.
func newPair(t *testing.T, a, b harness.Options) *pair {
	t.Helper()
	p := setPair(t, a, b)
	p.a.Start()
	p.b.Start()
	p.befriend()
	return p
}

// insidePair starts a.test and b.test inside of the test.
func insidePair(t *testing.T, a, b harness.Options) *pair {
	t.Helper()
	p := setPair(t, a, b)
	p.a.Open()
	p.b.Open()
	p.befriend()
	return p
}

// setPair sets both servers up without running them.
func setPair(t *testing.T, a, b harness.Options) *pair {
	t.Helper()
	w := harness.New(t, &plain)
	p := &pair{World: w, a: w.Add("a.test", a), b: w.Add("b.test", b)}
	p.alice, p.bob = p.a.Account("alice"), p.b.Account("bob")
	return p
}

func (p *pair) befriend() {
	p.T.Helper()
	p.alice.Knows(p.bob)
	p.bob.Knows(p.alice)
}
