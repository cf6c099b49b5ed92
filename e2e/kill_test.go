package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/fault"
	"github.com/videoactivmail/vam/internal/sqlite"
	"github.com/videoactivmail/vam/internal/userclient"
)

// The points at which one of the two servers is killed while a message goes from one to
// the other: where something is done and the other side does not know it yet. The
// points of the stores follow by number in TestFaultPoints.
var (
	authorPoints = []string{
		"answer user PUT /vam/v1/m/{mid}", "answer user PUT /vam/v1/m/{mid}/b/{sum}",
		"answer user POST /vam/v1/m/{mid}/log", "answer user POST /vam/v1/m/{mid}/seal", "answer user POST /vam/v1/m/{mid}/send",
		"offer.answered", "answer peer GET /vam/v1/m/{mid}/media", "answer peer PUT /vam/v1/m/{mid}/rcpt/{rid}/{event}",
		"localblob.create.before-dirsync", "localblob.write", "localblob.sync.before-flush", "localblob.sync.after-flush",
	}
	recipientPoints = []string{
		"answer peer PUT /vam/v1/in/{origin}/{mid}/{offer}", "pull.read", "receipt.told",
		"localblob.create.before-dirsync", "localblob.write", "localblob.sync.before-flush", "localblob.sync.after-flush",
	}
	commitPoints = []string{"sqlite.before-commit", "sqlite.after-commit"}
)

// TestFaultPoints kills a server at every point where something is half done, starts it
// again, and finds the message delivered once. In a soak it goes through every commit
// of the database; otherwise through some.
func TestFaultPoints(t *testing.T) {
	t.Parallel()
	for _, side := range []struct {
		name   string
		points []string
	}{{"author", authorPoints}, {"recipient", recipientPoints}} {
		t.Run(side.name, func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, &faulty)
			p := &pair{World: w, a: w.Add("a.test", harness.Options{}), b: w.Add("b.test", harness.Options{})}
			p.alice, p.bob = p.a.Account("alice"), p.b.Account("bob")
			p.a.Start()
			p.b.Start()
			p.befriend()
			victim := p.a
			if side.name == "recipient" {
				victim = p.b
			}
			n := uint64(0)
			for _, point := range side.points {
				n++
				if !p.crashAt(victim, point, 1, n) {
					t.Errorf("nothing came by the point %q; was it renamed?", point)
				}
			}
			for _, point := range commitPoints {
				step := pick(4, 1)
				begin := 1 + rand.IntN(step) // another part of them each time
				t.Logf("%s: hit %d and every %d after it", point, begin, step)
				for hit := begin; ; hit += step {
					n++
					if !p.crashAt(victim, point, hit, n) {
						t.Logf("%s: a message takes at most %d commits at the %s's", point, hit, side.name)
						break
					}
				}
			}
			p.a.Stop()
			p.b.Stop()
			p.a.Check()
			p.b.Check()
		})
	}
}

// crashAt sends a message while victim dies at a hit of a point, and reports whether it
// did. Either way the message arrives, once.
func (p *pair) crashAt(victim *harness.Server, point string, hit int, seed uint64) bool {
	p.T.Helper()
	victim.Stop()
	victim.Env = []string{fmt.Sprintf("%s=%s=crash@%d", fault.Env, point, hit)}
	err := victim.TryStart()
	victim.Env = nil
	crashed := err != nil
	if crashed { // it died before it answered: in its recovery
		victim.Start()
	}
	content := harness.Content(seed, 1<<20+10_000) // two parts
	type sent struct {
		id  vam.MessageID
		err error
	}
	done := make(chan sent, 1)
	up := userclient.Upload{Client: p.alice.Client(harness.Patience), ID: vam.NewMessageID(time.Now()), Draft: harness.DraftTo(p.bob.Addr)}
	ctx, early := p.T.Context(), crashed
	go func() {
		_, err := up.Send(ctx, bytes.NewReader(content), int64(len(content)))
		done <- sent{up.ID, err}
	}()
	quiet := make(chan struct{}) // the message went through and no crash came
	accepted := make(chan error, 1)
	go func() {
		s := <-done
		accepted <- s.err
		if s.err == nil && !early && p.arrivedWithin(up.ID, harness.Patience) {
			close(quiet)
		}
	}()
	if !crashed {
		select {
		case <-victim.Ended():
			crashed = true
			victim.Kill() // takes leave of it
		case <-quiet:
			crashed = victim.StopUnlessKilled()
		}
		victim.Start()
	}
	if err := <-accepted; err != nil {
		p.T.Fatalf("%s, hit %d: the message was not accepted: %v", point, hit, err)
	}
	p.wake()
	p.alice.AwaitRecipient(up.ID, p.bob.Addr, vam.Stored)
	p.bob.Holds(p.a.Domain, up.ID, content)
	return crashed
}

// wake makes everything due that waits for another attempt between the two.
func (p *pair) wake() {
	p.T.Helper()
	p.wakeTo(p.a, p.b.Domain)
	p.wakeTo(p.b, p.a.Domain)
}

// wakeTo makes everything due that a server has for a domain, as `vam queue retry` does.
func (p *pair) wakeTo(at *harness.Server, to vam.Domain) {
	p.T.Helper()
	at.Database(func(ctx context.Context, db *sqlite.DB) error { return db.Queue().Wake(ctx, to, time.Now()) })
}

// sending is a message that somebody was told is accepted.
type sending struct {
	from, to *harness.User
	id       vam.MessageID
	seed     uint64
	size     int
}

// load is people who send one message after the other, over restarts of their servers.
type load struct {
	p        *pair
	stop     chan struct{}
	wg       sync.WaitGroup
	mu       sync.Mutex
	accepted []sending
}

// run is one person's work until stop.
func (l *load) run(from, to *harness.User, rng *rand.Rand) {
	sizes := []int{0, 1, 4000, 100_000, 1<<20 + 1, 3 << 20}
	for n := 0; ; n++ {
		select {
		case <-l.stop:
			return
		default:
		}
		s := sending{from: from, to: to, id: vam.NewMessageID(time.Now()), seed: rng.Uint64(), size: sizes[rng.IntN(len(sizes))]}
		if err := l.send(s, n%4 == 3); err != nil {
			l.p.T.Errorf("%s to %s was not accepted: %v", s.id, to.Addr, err)
			return
		}
		l.mu.Lock()
		l.accepted = append(l.accepted, s)
		l.mu.Unlock()
	}
}

func (l *load) send(s sending, live bool) error {
	ctx := l.p.T.Context()
	up := userclient.Upload{Client: s.from.Client(harness.Patience), ID: s.id, Draft: harness.DraftTo(s.to.Addr)}
	content := harness.Content(s.seed, s.size)
	if !live {
		_, err := up.Send(ctx, bytes.NewReader(content), int64(len(content)))
		return err
	}
	r, w := io.Pipe()
	go func() { // a recording comes in pieces
		for len(content) > 0 {
			n := min(len(content), 200_000)
			if _, err := w.Write(content[:n]); err != nil {
				return
			}
			content = content[n:]
			time.Sleep(20 * time.Millisecond)
		}
		_ = w.Close()
	}()
	_, err := up.Live(ctx, r)
	_ = r.CloseWithError(err)
	return err
}

// TestKills kills both servers over and over at random moments while people send each
// other files and recordings. Everything that was accepted is there once, byte for
// byte, and nothing else is.
func TestKills(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	carol, dave := p.a.Account("carol"), p.b.Account("dave")
	carol.Knows(dave, p.bob)
	dave.Knows(carol, p.alice)
	p.alice.Knows(dave)
	p.bob.Knows(carol)

	l := &load{p: p, stop: make(chan struct{})}
	for i, x := range [][2]*harness.User{{p.alice, p.bob}, {carol, dave}, {carol, p.bob}, {p.bob, p.alice}, {dave, carol}} {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		l.wg.Go(func() { l.run(x[0], x[1], rng) })
	}
	var killers sync.WaitGroup
	cycles := pick(50, 500) // of each
	apart := 300            // milliseconds, at most
	if harness.Race {
		apart = 1000
	}
	for i, s := range []*harness.Server{p.a, p.b} {
		rng := rand.New(rand.NewPCG(seed, uint64(100+i)))
		killers.Go(func() {
			for range cycles {
				time.Sleep(time.Duration(rng.IntN(apart)) * time.Millisecond)
				s.Kill()
				if err := s.TryStart(); err != nil {
					t.Errorf("%s does not come back: %v", s.Domain, err)
					return
				}
			}
		})
	}
	killers.Wait()
	close(l.stop)
	l.wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d kills, %d messages accepted", 2*cycles, len(l.accepted))
	if len(l.accepted) < cycles/5 {
		t.Error("hardly anything went on between the kills; the test does not test what it says")
	}
	p.wake()
	for _, s := range l.accepted {
		s.from.AwaitRecipient(s.id, s.to.Addr, vam.Stored)
	}
	l.compare(t)
	p.a.Stop()
	p.b.Stop()
	p.a.Check()
	p.b.Check()
}

// compare looks into every mailbox.
func (l *load) compare(t *testing.T) {
	t.Helper()
	want := map[*harness.User]map[vam.MessageID]sending{}
	for _, s := range l.accepted {
		if want[s.to] == nil {
			want[s.to] = map[vam.MessageID]sending{}
		}
		want[s.to][s.id] = s
	}
	for u, messages := range want {
		seen := map[vam.MessageID]int{}
		for _, e := range u.Inbox() {
			seen[e.ID]++
			s, ok := messages[e.ID]
			if !ok {
				t.Errorf("%s has %s from %s, which nobody sent: %+v", u.Addr, e.ID, e.From, e)
				continue
			}
			if e.State != "stored" || seen[e.ID] > 1 {
				t.Errorf("%s has %s %s, %d times", u.Addr, e.ID, e.State, seen[e.ID])
				continue
			}
			got, err := u.Download(s.from.Addr.Domain, s.id, 0)
			if err != nil {
				t.Errorf("%s cannot read %s: %v", u.Addr, e.ID, err)
				continue
			}
			if !bytes.Equal(got, harness.Content(s.seed, s.size)) {
				t.Errorf("%s has other octets under %s than were sent: %d, SHA-256 %.16s", u.Addr, e.ID, len(got), harness.Sum(got))
			}
		}
		if len(seen) != len(messages) {
			t.Errorf("%s has %d messages of %d", u.Addr, len(seen), len(messages))
		}
	}
}
