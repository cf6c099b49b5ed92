package amclient

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	both  = map[Network]bool{TCP: true, UDP: true}
	epoch = time.Unix(1e9, 0)
)

// carry is a transfer that a plan leads to, at rate octets per second.
func (c *choice) carry(now time.Time, rate map[Network]float64) Network {
	p := c.plan(now, both, true)
	octets := int64(rate[p.first])
	c.observe(now, p.first, octets, time.Second, p.probe)
	c.carried(p.first, true)
	return p.first
}

func wantPlan(t *testing.T, c *choice, now time.Time, bulk bool, first, second Network) {
	t.Helper()
	p := c.plan(now, both, bulk)
	c.abandon(p.probe)
	if p.first != first || p.second != second {
		t.Errorf("the plan is %s, then %q; want %s, then %q", p.first, p.second, first, second)
	}
}

// TCP comes first while nothing is known, and what a mode or the peer does not have is
// never planned (AM-11.10).
func TestPlansWithoutMeasurements(t *testing.T) {
	tcp, udp, none := map[Network]bool{TCP: true}, map[Network]bool{UDP: true}, map[Network]bool{}
	for _, row := range []struct {
		mode          Mode
		have          map[Network]bool
		first, second Network
	}{
		{Auto, both, TCP, UDP},
		{Auto, tcp, TCP, ""},
		{Auto, udp, UDP, ""},
		{Auto, none, "", ""},
		{TCPOnly, both, TCP, ""},
		{TCPOnly, udp, "", ""},
		{UDPOnly, both, UDP, ""},
		{UDPOnly, tcp, "", ""},
	} {
		for _, bulk := range []bool{false, true} {
			c := newChoice(row.mode)
			if p := c.plan(epoch, row.have, bulk); p.first != row.first || p.second != row.second || p.probe {
				t.Errorf("%s of %v: %+v", row.mode, row.have, p)
			}
		}
	}
}

// A forced mode never plans the other network, whatever happens.
func TestForcedModes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		mode := rapid.SampledFrom([]Mode{TCPOnly, UDPOnly}).Draw(r, "mode")
		c, now := newChoice(mode), epoch
		for range rapid.IntRange(1, 30).Draw(r, "steps") {
			n := rapid.SampledFrom([]Network{TCP, UDP}).Draw(r, "network")
			now = now.Add(time.Duration(rapid.IntRange(0, 1e6).Draw(r, "ms")) * time.Millisecond)
			bulk := rapid.Bool().Draw(r, "bulk")
			switch rapid.IntRange(0, 4).Draw(r, "event") {
			case 0:
				c.failed(now, n, bulk, false)
			case 1:
				c.unreachable(now, n)
			case 2:
				c.observe(now, n, int64(rapid.IntRange(1, 1e8).Draw(r, "octets")), time.Second, false)
			case 3:
				c.answered(n, time.Duration(rapid.IntRange(1, 1e6).Draw(r, "us"))*time.Microsecond)
			}
			if p := c.plan(now, both, bulk); p.first != Network(mode) || p.second != "" || p.probe {
				r.Fatalf("%s planned %+v", mode, p)
			}
		}
	})
}

// What is measured decides: the other network gets one transfer, and takes over when it
// is a good deal faster, not when it is a little.
func TestMeasuredRatesChoose(t *testing.T) {
	for _, row := range []struct {
		name     string
		tcp, udp float64
		want     Network
	}{
		{"UDP is much faster", 1e6, 5e6, UDP},
		{"UDP is a little faster", 5e6, 5.5e6, TCP},
		{"UDP is slower", 5e6, 1e6, TCP},
		{"TCP is as fast as it needs to be", 100e6, 500e6, TCP},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, rate := newChoice(Auto), map[Network]float64{TCP: row.tcp, UDP: row.udp}
			used := map[Network]int{}
			for range 10 {
				used[c.carry(epoch, rate)]++
			}
			if got := c.carry(epoch, rate); got != row.want {
				t.Errorf("after ten transfers it is %s (%v)", got, used)
			}
			if row.want == TCP && used[UDP] > 1 {
				t.Errorf("UDP was tried %d times", used[UDP])
			}
			if row.tcp >= enoughRate && used[UDP] > 0 {
				t.Error("UDP was tried where TCP does all that could be wished")
			}
		})
	}
}

// A trial that loses is made again later, each time after twice as long, and after six
// hours at the latest.
func TestTrialsGrowRare(t *testing.T) {
	c, rate := newChoice(Auto), map[Network]float64{TCP: 5e6, UDP: 1e6}
	var trials []time.Duration
	for d := time.Duration(0); d < 48*time.Hour; d += time.Minute {
		if c.carry(epoch.Add(d), rate) == UDP {
			trials = append(trials, d)
		}
	}
	for i := 2; i < len(trials); i++ {
		before, gap := trials[i-1]-trials[i-2], trials[i]-trials[i-1]
		if gap < before || gap > lastProbe+time.Minute {
			t.Errorf("trials at %v", trials)
			break
		}
	}
	if len(trials) < 8 || len(trials) > 20 {
		t.Errorf("%d trials in two days", len(trials))
	}
	rate[UDP] = 50e6 // the path has changed
	now := epoch.Add(49 * time.Hour)
	for ; c.carry(now, rate) == TCP; now = now.Add(time.Minute) {
		if now.After(epoch.Add(56 * time.Hour)) {
			t.Fatal("a better network is never found")
		}
	}
}

// One trial at a time, and one that says nothing may be made again.
func TestTrialsAreSingle(t *testing.T) {
	c := newChoice(Auto)
	c.observe(epoch, TCP, 1e6, time.Second, false)
	first, second := c.plan(epoch, both, true), c.plan(epoch, both, true)
	if !first.probe || second.probe || second.first != TCP {
		t.Errorf("%+v, %+v", first, second)
	}
	c.abandon(first.probe)
	if p := c.plan(epoch, both, true); !p.probe {
		t.Errorf("after a trial that said nothing: %+v", p)
	}
	c.failed(epoch, UDP, true, true)
	if p := c.plan(epoch.Add(firstProbe), both, true); p.probe {
		t.Errorf("soon after a trial that failed: %+v", p)
	}
	if p := c.plan(epoch.Add(3*firstProbe), both, true); !p.probe {
		t.Errorf("some time after it: %+v", p)
	}
	if p := c.plan(epoch.Add(3*firstProbe), both, false); p.probe {
		t.Errorf("a small request is a trial: %+v", p)
	}
}

// A network that fails is second choice, for longer each time, and for five minutes at
// the most; when both fail it is as if none did (AM-11.11).
func TestPenalties(t *testing.T) {
	c := newChoice(Auto)
	for i, penalty := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		now := epoch.Add(time.Duration(i) * time.Hour)
		c.failed(now, TCP, false, false)
		wantPlan(t, c, now, false, UDP, TCP)
		wantPlan(t, c, now.Add(penalty-1), false, UDP, TCP)
		wantPlan(t, c, now.Add(penalty), false, TCP, UDP)
	}
	for range 100 {
		c.failed(epoch, TCP, false, false)
	}
	wantPlan(t, c, epoch.Add(lastPenalty-1), false, UDP, TCP)
	wantPlan(t, c, epoch.Add(lastPenalty), false, TCP, UDP)
	c.unreachable(epoch, UDP)
	wantPlan(t, c, epoch, false, TCP, UDP)
	wantPlan(t, c, epoch, true, TCP, UDP)
	c.carried(TCP, false)
	wantPlan(t, c, epoch, false, TCP, UDP)
	if _, _, failures := c.snapshot(TCP); failures != 0 {
		t.Errorf("%d failures after an answer", failures)
	}
}

// A path that carries requests and stalls every transfer is avoided for transfers, for
// longer each time, while requests still take it.
func TestPathThatLosesLargePackets(t *testing.T) {
	c := newChoice(Auto)
	now := epoch
	for range 5 {
		c.answered(TCP, time.Millisecond)    // the header of the media came
		c.failed(now, TCP, true, false)      // and then nothing
		c.answered(TCP, time.Millisecond)    // a request, meanwhile
		c.carried(TCP, false)                // has its answer
		wantPlan(t, c, now, false, TCP, UDP) // and shows nothing of the transfers
		now = now.Add(time.Second)
	}
	wantPlan(t, c, now.Add(10*time.Second), true, UDP, TCP)
	c.carried(TCP, true)
	wantPlan(t, c, now.Add(10*time.Second), true, TCP, UDP)
}

// Requests go where answers come sooner, and the other network is started when the first
// takes a few times as long as usual.
func TestLatencyChooses(t *testing.T) {
	c := newChoice(Auto)
	if p := c.plan(epoch, both, false); p.hedge != defaultHedge {
		t.Errorf("without a measurement the hedge is %v", p.hedge)
	}
	for _, row := range []struct{ latency, hedge time.Duration }{
		{100 * time.Millisecond, 400 * time.Millisecond}, {time.Millisecond, 50 * time.Millisecond}, {time.Minute, time.Second},
	} {
		c := newChoice(Auto)
		c.answered(TCP, row.latency)
		if p := c.plan(epoch, both, false); p.hedge != row.hedge {
			t.Errorf("with a latency of %v the hedge is %v", row.latency, p.hedge)
		}
	}
	c.answered(TCP, 100*time.Millisecond)
	c.answered(UDP, 90*time.Millisecond)
	wantPlan(t, c, epoch, false, TCP, UDP)
	for range 20 {
		c.answered(UDP, 20*time.Millisecond)
	}
	wantPlan(t, c, epoch, false, UDP, TCP)
	wantPlan(t, c, epoch, true, TCP, UDP)
}
