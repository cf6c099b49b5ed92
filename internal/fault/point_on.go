//go:build fault

package fault

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

// Enabled reports whether the points of this build do anything.
const Enabled = true

// active is the one piece of process-wide state in the tree: a crash is
// process-wide too, and the build tag keeps it out of every released binary.
var active = struct {
	sync.Mutex
	once  sync.Once
	hits  map[string]int
	rules []Rule
}{hits: map[string]int{}}

// Point marks a place. It returns the error of the rule that applies to this hit,
// sleeps, or does not return because the process is killed. Safe for concurrent
// use.
func Point(name string) error {
	for _, r := range hit(name) {
		if r.Crash {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err == nil {
				select {}
			}
		}
		time.Sleep(r.Delay)
		if r.Err != nil {
			return fmt.Errorf("fault point %s: %w", name, r.Err)
		}
	}
	return nil
}

func hit(name string) []Rule {
	active.once.Do(loadEnv)
	active.Lock()
	defer active.Unlock()
	active.hits[name]++
	var out []Rule
	for _, r := range active.rules {
		if r.Name == name && r.applies(active.hits[name]) {
			out = append(out, r)
		}
	}
	return out
}

func (r Rule) applies(hit int) bool {
	return hit == r.From || hit > r.From && !r.Only
}

func loadEnv() {
	rules, err := Parse(os.Getenv(Env))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", Env, err))
	}
	active.Lock()
	defer active.Unlock()
	active.rules = append(active.rules, rules...)
}

// Set puts rules in place of all others, counting hits from zero, until the
// returned function is called. Tests that use it must not run in parallel.
func Set(rules ...Rule) (restore func()) {
	active.once.Do(loadEnv)
	active.Lock()
	defer active.Unlock()
	old := active.rules
	active.rules, active.hits = rules, map[string]int{}
	return func() {
		active.Lock()
		defer active.Unlock()
		active.rules, active.hits = old, map[string]int{}
	}
}
