package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/queue"
)

// testQueueModel does hundreds of random things to the store and to a MemoryQueue and
// compares what both say.
func testQueueModel(w *world) {
	seed := rand.Uint64()
	w.Logf("seed %d", seed)
	m := &model{world: w, rnd: rand.New(rand.NewPCG(seed, 0)), model: NewMemoryQueue()}
	for range 150 {
		w.pass(time.Microsecond) // no two times are the same
		m.step()
		if w.Failed() {
			return
		}
	}
	w.stays(m.compare)
}

type model struct {
	*world
	rnd   *rand.Rand
	model *MemoryQueue
	held  []pair // what was leased, whether the lease still holds or not
}

// pair are the ids of one job in the two stores, which need not count alike.
type pair struct{ model, store int64 }

// id is the one that s knows.
func (m *model) id(s queue.Store, p pair) int64 {
	if s == m.model {
		return p.model
	}
	return p.store
}

// both does something to both stores and compares the outcome.
func (m *model) both(what string, do func(queue.Store) (any, error)) {
	m.Helper()
	want, wantErr := do(m.model)
	have, err := do(m.Queue)
	if (err == nil) != (wantErr == nil) || err != nil && vam.KindOf(err) != vam.KindOf(wantErr) {
		m.Errorf("%s: error %v, want %v", what, err, wantErr)
	}
	m.equal(what, have, want)
}

var modelKinds = []queue.Kind{queue.Offer, queue.Poke, queue.Pull}

func (m *model) domain() vam.Domain { return vam.Domain(fmt.Sprintf("d%d.example", m.rnd.IntN(4))) }

func (m *model) owner() string { return fmt.Sprint("worker ", m.rnd.IntN(2)) }

func (m *model) in(most time.Duration) time.Time {
	return m.now().Add(time.Duration(m.rnd.Int64N(int64(most/time.Microsecond))) * time.Microsecond)
}

func (m *model) step() {
	ctx := m.Context()
	switch n := m.rnd.IntN(100); {
	case n < 30:
		key := m.rnd.IntN(40)
		d := vam.Domain(fmt.Sprintf("d%d.example", key%4))
		j := queue.Job{Kind: modelKinds[m.rnd.IntN(3)], Key: fmt.Sprint(key), Domain: d, NextAt: m.in(2 * time.Minute), Created: m.now()}
		if m.rnd.IntN(3) > 0 {
			j.Deadline = m.in(time.Hour)
		}
		m.both("Enqueue", func(s queue.Store) (any, error) { return nil, s.Enqueue(ctx, j) })
	case n < 50:
		m.lease()
	case n < 70 && len(m.held) > 0:
		m.end()
	case n < 75:
		d, f := m.domain(), queue.Failure{At: m.now(), AtLeast: time.Duration(m.rnd.IntN(20)) * time.Second, Spread: 2*m.rnd.Float64() - 1, Reason: "down"}
		m.both("Fail", func(s queue.Store) (any, error) { return s.Fail(ctx, d, f) })
	case n < 80:
		d, wake := m.domain(), m.rnd.IntN(2) == 0
		m.both("Reached or Wake", func(s queue.Store) (any, error) {
			if wake {
				return nil, s.Wake(ctx, d, m.now())
			}
			return nil, s.Reached(ctx, d, m.now())
		})
	case n < 82:
		owner := m.owner()
		m.both("Release", func(s queue.Store) (any, error) { return nil, s.Release(ctx, owner) })
	case n < 92:
		m.pass(time.Duration(m.rnd.IntN(40)) * time.Second)
	default:
		m.compare()
	}
}

func (m *model) lease() {
	w := queue.Want{Owner: m.owner(), Now: m.now(), Until: m.in(2 * time.Minute), Limit: m.rnd.IntN(6), PerDomain: m.rnd.IntN(4), Running: map[vam.Domain]int{}}
	for _, k := range modelKinds {
		if m.rnd.IntN(3) > 0 {
			w.Kinds = append(w.Kinds, k)
		}
	}
	for range m.rnd.IntN(3) {
		w.Running[m.domain()] = m.rnd.IntN(4)
	}
	jobs := got(m.Queue.Lease(m.Context(), w))(m.world)
	m.follow(w, jobs)
}

// follow checks a lease of the store against the model and makes the model lease the
// same jobs: among those that became due at the same time the store may choose.
func (m *model) follow(w queue.Want, jobs []queue.Job) {
	before := map[string]memoryJob{}
	for _, j := range m.model.jobs {
		before[string(j.Kind)+j.Key] = *j
	}
	var want, have []time.Time
	for _, j := range got(m.model.Lease(m.Context(), w))(m.world) {
		b := before[string(j.Kind)+j.Key]
		want = append(want, b.ready())
		*m.model.jobs[j.ID] = b
	}
	taken := map[vam.Domain]int{}
	for _, j := range jobs {
		b, ok := before[string(j.Kind)+j.Key]
		taken[j.Domain]++
		if !ok || !m.model.open(w, &b) || taken[j.Domain] > w.Room(j.Domain) {
			m.Fatalf("Lease(%+v) gave %+v, which the model does not", w, j)
		}
		have = append(have, b.ready())
		m.held = append(m.held, pair{b.ID, j.ID})
		m.model.lease(w, m.model.jobs[b.ID])
		j.ID = b.ID
		m.equal("a leased job", j, b.Job)
	}
	m.equal(fmt.Sprintf("the times of Lease(%+v)", w), have, want)
}

// end ends or renews a lease, which may be lost.
func (m *model) end() {
	i := m.rnd.IntN(len(m.held))
	p, owner, next, how := m.held[i], m.owner(), m.in(time.Minute), m.rnd.IntN(3)
	m.held = append(m.held[:i], m.held[i+1:]...)
	m.both("the end of a lease", func(s queue.Store) (any, error) {
		switch how {
		case 0:
			return nil, s.Retry(m.Context(), owner, m.id(s, p), next, "again")
		case 1:
			kept, err := s.Renew(m.Context(), owner, next, []int64{m.id(s, p)})
			return len(kept), err
		}
		return nil, s.Finish(m.Context(), owner, m.id(s, p))
	})
}

// nextDue may be too early.
func (m *model) nextDue(k queue.Kind) {
	want := got(m.model.NextDue(m.Context(), []queue.Kind{k}, m.now()))(m.world)
	have := got(m.Queue.NextDue(m.Context(), []queue.Kind{k}, m.now()))(m.world)
	if !want.IsZero() && (have.IsZero() || have.After(want)) || !have.IsZero() && !have.After(m.now()) {
		m.Errorf("at %v the next %s is due at %v, want at the latest %v", m.now(), k, have, want)
	}
}

func (m *model) compare() {
	ctx := m.Context()
	m.both("Jobs", func(s queue.Store) (any, error) {
		jobs, err := s.Jobs(ctx, "", 1000)
		for i := range jobs {
			jobs[i].ID = 0
		}
		slices.SortFunc(jobs, func(a, b queue.Job) int {
			return cmp.Or(a.NextAt.Compare(b.NextAt), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Key, b.Key))
		})
		return jobs, err
	})
	for _, k := range modelKinds {
		m.both("Depth", func(s queue.Store) (any, error) {
			n, oldest, err := s.Depth(ctx, k)
			return fmt.Sprint(n, oldest.UTC()), err
		})
		m.nextDue(k)
	}
	for i := range 4 {
		d := vam.Domain(fmt.Sprintf("d%d.example", i))
		m.both("Destination", func(s queue.Store) (any, error) { return s.Destination(ctx, d) })
	}
}
