package dnsresolver_test

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/dnszone"
)

const (
	domain = vam.Domain("a.test")
	tcpSRV = "_video-activmail._tcp.a.test"
	udpSRV = "_video-activmail._udp.a.test"
)

// cached is a finder over this resolver over a real DNS server, with a clock that the
// test moves.
type cached struct {
	*discovery.Finder
	dns  *dnszone.Server
	zone *dnszone.Zone
	host netip.Addr

	mu  sync.Mutex
	now time.Time
}

func newCached(t *testing.T, addr string) *cached {
	t.Helper()
	c := &cached{host: netip.MustParseAddr(addr), now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	c.dns, c.zone = listen(t, addr)
	guard, err := discovery.NewGuard(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	must(t, err)
	c.Finder = discovery.New(discovery.Options{
		Resolver: ask(t, dnsresolver.Options{}, c.dns),
		Guard:    guard,
		Now: func() time.Time {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.now
		},
	})
	return c
}

func (c *cached) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// ask looks the domain up and asserts how often DNS was asked about it in all.
func (c *cached) ask(t *testing.T, when string, want int) (*discovery.Result, error) {
	t.Helper()
	r, err := c.Lookup(t.Context(), domain)
	if got := c.dns.Asked(tcpSRV, "SRV"); got != want {
		t.Errorf("%s: DNS was asked %d times, want %d (%v)", when, got, want, err)
	}
	return r, err
}

// TestAskedAgainOnlyAfterTheTTL: AM-2.6, over IPv4 and IPv6. The smallest lifetime of
// everything that was used counts.
func TestAskedAgainOnlyAfterTheTTL(t *testing.T) {
	const long = 24 * time.Hour
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, tc := range []struct {
			name                string
			tcp, udp, addr, cut time.Duration // cut is the TTL of an alias, 0 for none
			want                time.Duration
		}{
			{"the SRV record of TCP", time.Minute, long, long, 0, time.Minute},
			{"the SRV record of UDP", long, 2 * time.Minute, long, 0, 2 * time.Minute},
			{"the address", long, long, 20 * time.Second, 0, 20 * time.Second},
			{"an alias", long, long, long, 30 * time.Second, 30 * time.Second},
			{"a TTL of 0 is taken for 5 seconds", 0, long, long, 0, 5 * time.Second},
			{"no record lasts longer than an hour here", long, long, long, 0, time.Hour},
		} {
			t.Run(tc.name+" at "+addr, func(t *testing.T) {
				c := newCached(t, addr)
				must(t, c.zone.SRV(udpSRV, tc.udp, 0, 0, 1398, "vam.a.test"), c.zone.Addr("vam.a.test", tc.addr, c.host))
				if tc.cut > 0 {
					must(t, c.zone.CNAME(tcpSRV, tc.cut, "srv.a.test"), c.zone.SRV("srv.a.test", tc.tcp, 0, 0, 1398, "vam.a.test"))
				} else {
					must(t, c.zone.SRV(tcpSRV, tc.tcp, 0, 0, 1398, "vam.a.test"))
				}
				r, err := c.ask(t, "at first", 1)
				must(t, err)
				if len(r.TCP) != 1 || len(r.UDP) != 1 || !slices.Equal(r.TCP[0].Addrs, []netip.Addr{c.host}) || !r.Expires.Equal(c.now.Add(tc.want)) {
					t.Errorf("%+v", r)
				}
				// DNS changes meanwhile, and is not asked.
				c.zone.Remove(tcpSRV)
				must(t, c.zone.SRV(tcpSRV, tc.tcp, 0, 0, 1399, "vam.a.test"))
				c.pass(tc.want - time.Nanosecond)
				if r, err = c.ask(t, "before its time", 1); err != nil || r.TCP[0].Port != 1398 {
					t.Errorf("%+v, %v", r, err)
				}
				c.pass(time.Nanosecond)
				if r, err = c.ask(t, "when it is over", 2); err != nil || r.TCP[0].Port != 1399 {
					t.Errorf("%+v, %v", r, err)
				}
			})
		}
	}
}

// TestAbsenceLastsAsTheSOASays, between 5 minutes and a day.
func TestAbsenceLastsAsTheSOASays(t *testing.T) {
	for ttl, want := range map[time.Duration]time.Duration{
		0: 5 * time.Minute, 10 * time.Minute: 10 * time.Minute, 48 * time.Hour: 24 * time.Hour,
	} {
		for _, exists := range []bool{false, true} { // NXDOMAIN, and a name with other records
			c := newCached(t, "127.0.0.1")
			c.zone.SetNegativeTTL(ttl)
			if exists {
				must(t, c.zone.TXT(tcpSRV, time.Minute, "nothing to see"))
			}
			notVAM := func(when string, n int) {
				t.Helper()
				if _, err := c.ask(t, when, n); vam.KindOf(err) != vam.NotVAM {
					t.Errorf("%s: %v", when, err)
				}
			}
			notVAM("at first", 1)
			must(t, c.zone.SRV(tcpSRV, time.Minute, 0, 0, 1398, "vam.a.test"), c.zone.Addr("vam.a.test", time.Minute, c.host))
			c.pass(want - time.Nanosecond)
			notVAM("before its time", 1)
			c.pass(time.Nanosecond)
			if r, err := c.ask(t, "when it is over", 2); err != nil || len(r.TCP) != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		}
	}
}

// TestFailureIsNotRemembered: AM-2.3.
func TestFailureIsNotRemembered(t *testing.T) {
	c := newCached(t, "127.0.0.1")
	must(t,
		c.zone.SRV(tcpSRV, time.Minute, 0, 0, 1398, "vam.a.test"), c.zone.Addr("vam.a.test", time.Minute, c.host),
		c.dns.Fail(tcpSRV, "SRV", dnszone.ServFail),
	)
	const rounds = dnsresolver.DefaultRounds
	for i := range 3 {
		if _, err := c.ask(t, "while it fails", (i+1)*rounds); vam.KindOf(err) != vam.Unavailable {
			t.Errorf("%v", err)
		}
	}
	must(t, c.dns.Fail(tcpSRV, "SRV", dnszone.Answer))
	_, err := c.ask(t, "afterwards", 3*rounds+1)
	must(t, err)
}

// TestManyAskOnce: deliveries to one domain at the same time are one question.
func TestManyAskOnce(t *testing.T) {
	c := newCached(t, "127.0.0.1")
	must(t, c.zone.SRV(tcpSRV, time.Minute, 0, 0, 1398, "vam.a.test"), c.zone.Addr("vam.a.test", time.Minute, c.host))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := c.Lookup(t.Context(), domain); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	_, err := c.ask(t, "in all", 1)
	must(t, err)
}
