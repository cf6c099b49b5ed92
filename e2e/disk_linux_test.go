package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/fault/powercut"
	"github.com/videoactivmail/vam/internal/netem"
)

// TestDiskFull fills the disk of either side. Nothing is half there, the words say whose
// disk it is, and all goes on when there is room again.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("author", func(t *testing.T) {
		t.Parallel()
		disk := powercut.New(t, 64*vam.MiB)
		p := newPair(t, harness.Options{Dir: filepath.Join(disk.Dir(), "a.test"), Env: []string{"VAM_LIMITS_RESERVE=8MiB"}}, harness.Options{})
		_, err := p.alice.TrySend(harness.DraftTo(p.bob.Addr), harness.Content(50, 80<<20))
		if vam.KindOf(err) != vam.OverQuota {
			t.Fatalf("a file that does not fit: %v", err)
		}
		says(t, "a file that does not fit", err.Error(), "this server's disk")

		before := harness.Content(51, 200_000)
		first := p.alice.SendTo(before, p.bob)
		p.bob.Holds(p.a.Domain, first.ID, before)

		filler := fill(t, disk.Dir())
		for range 3 {
			if _, err := p.alice.TrySend(harness.DraftTo(p.bob.Addr), harness.Content(52, 1<<20)); vam.KindOf(err) != vam.OverQuota {
				t.Errorf("on a full disk: %v", err)
			}
		}
		remove(t, filler)
		after := harness.Content(53, 1<<20)
		m := p.alice.SendTo(after, p.bob)
		p.bob.Holds(p.a.Domain, m.ID, after)
		if n := len(p.bob.Inbox()); n != 2 {
			t.Errorf("bob has %d messages of two that were accepted", n)
		}
		p.a.Check()
	})
	t.Run("recipient", func(t *testing.T) {
		t.Parallel()
		disk := powercut.New(t, 64*vam.MiB)
		p := newPair(t, harness.Options{Links: true}, harness.Options{Dir: filepath.Join(disk.Dir(), "b.test"), Env: []string{"VAM_LIMITS_RESERVE=1MiB"}})

		// Full before the offer.
		filler := fill(t, disk.Dir())
		content := harness.Content(54, 8<<20)
		m := p.alice.SendTo(content, p.bob)
		r := p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Waiting)
		says(t, "the recipient's disk is full", r.Text, "disk")
		remove(t, filler)
		p.wake()
		p.bob.Holds(p.a.Domain, m.ID, content)

		// Full in the middle of the transfer.
		p.a.TCP.SetShape(netem.ToClient, netem.Shape{Rate: 512 * vam.KiB, Queue: 64 * vam.KiB})
		p.a.UDP.Outage(true)
		const pulled = `vam_media_bytes_total{direction="in"}`
		before := p.b.Metrics()[pulled]
		m = p.alice.SendTo(harness.Content(55, 16<<20), p.bob)
		harness.Await(t, "some of it is there", func(context.Context) (bool, error) {
			if p.b.Metrics()[pulled] < before+1<<20 {
				return false, harness.ErrPending
			}
			return true, nil
		})
		filler = fill(t, disk.Dir())
		p.a.TCP.SetShape(netem.ToClient, netem.Shape{})
		harness.Await(t, "the pull was cut by the full disk", func(context.Context) (bool, error) {
			if p.b.Metrics()[`vam_pulls_total{result="cut"}`] == 0 {
				return false, harness.ErrPending
			}
			return true, nil
		})
		p.b.Kill() // or its lease of the job, which it could not give back, would end in a minute
		remove(t, filler)
		p.b.Start()
		p.bob.Holds(p.a.Domain, m.ID, harness.Content(55, 16<<20))
		p.b.Check()
	})
}

// fill takes what room a file system has.
func fill(t *testing.T, dir string) (file string) {
	t.Helper()
	file = filepath.Join(dir, "filler")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return file
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

// TestReadOnlyFolder starts a server whose data folder cannot be written.
func TestReadOnlyFolder(t *testing.T) {
	t.Parallel()
	disk := powercut.New(t, 32*vam.MiB)
	w := harness.New(t, &plain)
	a := w.Add("a.test", harness.Options{Dir: filepath.Join(disk.Dir(), "a.test")})
	a.Account("alice")
	if out, err := exec.Command("mount", "-o", "remount,ro", disk.Dir()).CombinedOutput(); err != nil {
		t.Fatalf("remounting: %v %s", err, out)
	}
	r := a.Run("serve")
	if r.Code == 0 || r.Code == 70 {
		t.Errorf("it ended with %d", r.Code)
	}
	says(t, "a folder that cannot be written", r.Err, a.Dir)
	says(t, "a folder that cannot be written", strings.ToLower(r.Err), "read-only")
}

// TestPowerCuts takes the power from either machine while people send each other files:
// what the kernel had not written is gone. Everything that was accepted is there once.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	disks := map[string]*powercut.Disk{}
	options := func(domain string) harness.Options {
		d := powercut.New(t, vam.GiB)
		disks[domain] = d
		return harness.Options{Dir: filepath.Join(d.Dir(), domain), Env: []string{"VAM_LIMITS_RESERVE=1MiB"}}
	}
	p := newPair(t, options("a.test"), options("b.test"))
	syscall.Sync() // what was set up is not what is tested
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	l := &load{p: p, stop: make(chan struct{})}
	for i, x := range [][2]*harness.User{{p.alice, p.bob}, {p.bob, p.alice}, {p.alice, p.bob}} {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		l.wg.Go(func() { l.run(x[0], x[1], rng) })
	}
	var cutters sync.WaitGroup
	for i, s := range []*harness.Server{p.a, p.b} {
		rng, disk := rand.New(rand.NewPCG(seed, uint64(100+i))), disks[s.Domain.String()]
		cutters.Go(func() {
			for range pick(4, 150) {
				time.Sleep(time.Duration(rng.IntN(1200)) * time.Millisecond)
				s.Freeze() // see powercut.Disk.Cut
				disk.Cut()
				s.Kill()
				disk.Restore()
				if err := s.TryStart(); err != nil {
					t.Errorf("%s does not come back: %v", s.Domain, err)
					return
				}
			}
		})
	}
	cutters.Wait()
	close(l.stop)
	l.wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d messages accepted", len(l.accepted))
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
