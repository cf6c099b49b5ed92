package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/discovery"
)

// TestLookupFindsBothTransports is AM-2.1, AM-2.5.
func TestLookupFindsBothTransports(t *testing.T) {
	d, c := newDNS(), newClock()
	d.publish(false)
	f := discovery.New(discovery.Options{Resolver: d, Now: c.now})
	got, err := f.Lookup(t.Context(), "b.example")
	if err != nil {
		t.Fatal(err)
	}
	want := discovery.Endpoint{
		Host: "vam1.b.example", Port: 1398, Network: discovery.TCP, Addrs: addrs("2606:4700::1", "1.2.3.4"),
		ServerName: "b.example", Rule: discovery.RuleDomain,
	}
	udp := want
	udp.Network = discovery.UDP
	opts := cmp.Options{
		cmpopts.IgnoreFields(discovery.Endpoint{}, "Verify"),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	}
	result := &discovery.Result{
		Domain: "b.example", TCP: []discovery.Endpoint{want}, UDP: []discovery.Endpoint{udp},
		Expires: c.now().Add(10 * time.Minute),
	}
	if diff := cmp.Diff(result, got, opts, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if got.TCP[0].AddrPorts()[1].String() != "1.2.3.4:1398" {
		t.Error(got.TCP[0].AddrPorts())
	}
	got.TCP[0].Addrs[0] = netip.Addr{}
	if again, _ := f.Lookup(t.Context(), "b.example"); again.TCP[0].Addrs[0] != want.Addrs[0] {
		t.Error("a caller can change what is remembered")
	}
}

// TestLookupSaysNotVAM is AM-2.2, AM-2.36.
func TestLookupSaysNotVAM(t *testing.T) {
	for _, tc := range []struct {
		name string
		set  func(*dns)
		text string
	}{
		{"no record", func(*dns) {}, "b.example does not take video mail: there is no _video-activmail._tcp in its DNS; check the spelling of the domain"},
		{"udp alone", func(d *dns) { d.publish(false); delete(d.srv, tcpB) }, "b.example does not take video mail: there is no _video-activmail._tcp in its DNS; check the spelling of the domain"},
		{"explicitly none", func(d *dns) {
			d.srv[tcpB] = discovery.Answer[discovery.SRV]{Records: []discovery.SRV{{Target: "."}}, TTL: time.Minute}
		}, `b.example says in its DNS that it does not take VAM (the target of _video-activmail._tcp is ".")`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDNS()
			tc.set(d)
			f := discovery.New(discovery.Options{Resolver: d})
			_, err := f.Lookup(t.Context(), "b.example")
			if vam.KindOf(err) != vam.NotVAM || vam.Public(err) != tc.text {
				t.Errorf("Lookup = %v (%v)", err, vam.KindOf(err))
			}
			if d.times("b.example")+d.times("vam.b.example") != 0 {
				t.Error("it looked for addresses of the domain itself")
			}
		})
	}
}

// TestLookupOfALongName: a domain whose record could not be asked for is none that does not
// answer.
func TestLookupOfALongName(t *testing.T) {
	d, c := newDNS(), newClock()
	f := discovery.New(discovery.Options{Resolver: d, Now: c.now})
	label := strings.Repeat("a", 57) + "."
	long := vam.Domain(strings.Repeat(label, 4)[:232-len("example")-1] + ".example")
	if _, err := vam.ParseDomain(string(long)); err != nil || len(long) != 232 {
		t.Fatalf("%d %v", len(long), err)
	}
	if _, err := f.Lookup(t.Context(), long); vam.KindOf(err) != vam.NotVAM || len(d.asked) > 0 {
		t.Errorf("%v, asked %v", err, d.asked)
	}
}

func TestLookupKeepsSilenceApartFromAbsence(t *testing.T) {
	d := newDNS()
	d.publish(false)
	d.errs[tcpB] = errors.New("SERVFAIL")
	f := discovery.New(discovery.Options{Resolver: d})
	for range 2 {
		if _, err := f.Lookup(t.Context(), "b.example"); vam.KindOf(err) != vam.Unavailable {
			t.Fatalf("Lookup = %v", err)
		}
	}
	if d.times(tcpB) != 2 {
		t.Errorf("asked %d times: a failure must not be remembered", d.times(tcpB))
	}
	d.change(func() { delete(d.errs, tcpB) })
	if _, err := f.Lookup(t.Context(), "b.example"); err != nil {
		t.Error(err)
	}
}

func TestLookupRemembersWithinBounds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ttl   time.Duration // of the SRV record, or of its absence
		found bool
		life  time.Duration
	}{
		{"the TTL", 10 * time.Minute, true, 10 * time.Minute},
		{"TTL 0", 0, true, 5 * time.Second},
		{"a longer one than the addresses'", 48 * time.Minute, true, 20 * time.Minute},
		{"a TTL of days everywhere", 48 * time.Hour, true, time.Hour},
		{"absent, SOA of 30 s", 30 * time.Second, false, 5 * time.Minute},
		{"absent, SOA of 1 h", time.Hour, false, time.Hour},
		{"absent, SOA of a week", 7 * 24 * time.Hour, false, 24 * time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d, c := newDNS(), newClock()
			if tc.found {
				d.publish(false)
				for name, a := range d.srv {
					a.TTL = tc.ttl
					d.srv[name] = a
				}
				if tc.ttl > time.Hour {
					a := d.addrs["vam1.b.example"]
					a.TTL = tc.ttl
					d.addrs["vam1.b.example"] = a
				}
			} else {
				d.absent.TTL = tc.ttl
			}
			f := discovery.New(discovery.Options{Resolver: d, Now: c.now})
			for i, step := range []struct {
				after time.Duration
				asked int
			}{{0, 1}, {tc.life - time.Second, 1}, {time.Second, 2}} {
				c.add(step.after)
				_, err := f.Lookup(t.Context(), "b.example")
				if (err == nil) != tc.found {
					t.Fatal(err)
				}
				if d.times(tcpB) != step.asked {
					t.Errorf("step %d: asked %d times, want %d", i, d.times(tcpB), step.asked)
				}
			}
			f.Forget("b.example")
			_, _ = f.Lookup(t.Context(), "b.example")
			if d.times(tcpB) != 3 {
				t.Error("Forget did not forget")
			}
		})
	}
}

func TestLookupForgetsTheLeastUsed(t *testing.T) {
	d := newDNS()
	f := discovery.New(discovery.Options{Resolver: d, MaxEntries: 3})
	look := func(i int) {
		_, _ = f.Lookup(t.Context(), vam.Domain(fmt.Sprintf("d%d.example", i)))
	}
	for _, i := range []int{1, 2, 3, 1, 4, 1, 2} {
		look(i)
	}
	// 4 pushed 2 out; 1 was used in between and stayed.
	if n := d.times("_video-activmail._tcp.d1.example"); n != 1 {
		t.Errorf("d1 was asked for %d times", n)
	}
	if n := d.times("_video-activmail._tcp.d2.example"); n != 2 {
		t.Errorf("d2 was asked for %d times", n)
	}
}

func TestLookupReturnsErrorsOfItsOwnToEachCaller(t *testing.T) {
	f := discovery.New(discovery.Options{Resolver: newDNS()})
	_, err := f.Lookup(t.Context(), "b.example")
	var first *vam.Error
	if !errors.As(err, &first) {
		t.Fatal(err)
	}
	_ = first.WithProblem("changed")
	_, err = f.Lookup(t.Context(), "b.example")
	var second *vam.Error
	if !errors.As(err, &second) || second.Problem != "" {
		t.Errorf("a caller changed what others see: %+v", second)
	}
}

func TestLookupAsksOnceForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDNS()
		d.publish(false)
		d.gate = make(chan struct{})
		f := discovery.New(discovery.Options{Resolver: d})
		leader, leave := context.WithCancel(t.Context())
		results := make(chan error, 10)
		go func() {
			_, err := f.Lookup(leader, "b.example")
			results <- err
		}()
		synctest.Wait()
		for range 9 {
			go func() {
				_, err := f.Lookup(t.Context(), "b.example")
				results <- err
			}()
		}
		synctest.Wait()
		if d.times(tcpB) != 1 {
			t.Errorf("asked %d times", d.times(tcpB))
		}
		leave() // one of the nine takes over
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("the leader got %v", err)
		}
		synctest.Wait()
		if d.times(tcpB) != 2 {
			t.Errorf("asked %d times after the leader left", d.times(tcpB))
		}
		close(d.gate)
		for range 9 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if d.times(tcpB) != 2 {
			t.Errorf("asked %d times in the end", d.times(tcpB))
		}
	})
}

// TestLookupSkipsWhatCannotBeUsed is AM-2.25.
func TestLookupSkipsWhatCannotBeUsed(t *testing.T) {
	d := newDNS()
	srv := func(target string, port, priority uint16) discovery.SRV {
		return discovery.SRV{Target: target, Port: port, Priority: priority}
	}
	d.srv[tcpB] = discovery.Answer[discovery.SRV]{TTL: time.Hour, Records: []discovery.SRV{
		srv("private.b.example", 1398, 1), srv("mixed.b.example", 1398, 2), srv("gone.b.example", 1398, 3),
		srv("silent.b.example", 1398, 4), srv("127.0.0.1", 1398, 5), srv("zero.b.example", 0, 6), srv("localhost", 1398, 7),
	}}
	d.addrs["private.b.example"] = discovery.Answer[netip.Addr]{Records: addrs("10.0.0.1", "::ffff:8.8.8.8"), TTL: time.Hour}
	d.addrs["mixed.b.example"] = discovery.Answer[netip.Addr]{Records: addrs("127.0.0.1", "1.2.3.4"), TTL: time.Hour}
	d.errs["silent.b.example"] = errors.New("timeout")
	c := newClock()
	f := discovery.New(discovery.Options{Resolver: d, Now: c.now})
	got, err := f.Lookup(t.Context(), "b.example")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.TCP) != 1 || got.TCP[0].Host != "mixed.b.example" || len(got.TCP[0].Addrs) != 1 || got.TCP[0].Addrs[0] != netip.MustParseAddr("1.2.3.4") {
		t.Errorf("TCP = %+v", got.TCP)
	}
	kinds := make(map[string]vam.ErrorKind)
	for _, s := range got.Skipped {
		kinds[s.Host] = vam.KindOf(s.Err)
	}
	want := map[string]vam.ErrorKind{
		"private.b.example": vam.Denied, "gone.b.example": vam.NotFound, "silent.b.example": vam.Unavailable,
		"127.0.0.1": vam.Invalid, "zero.b.example": vam.Invalid, "localhost": vam.Invalid,
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Error(diff)
	}
	if life := got.Expires.Sub(c.now()); life > time.Minute {
		t.Errorf("a patchy answer is kept for %v", life)
	}

	d.change(func() { delete(d.addrs, "mixed.b.example") })
	f.Forget("b.example")
	_, err = f.Lookup(t.Context(), "b.example")
	if vam.KindOf(err) != vam.Unavailable || !strings.Contains(vam.Public(err), "private.b.example: 10.0.0.1 is not dialled: it is a private network") {
		t.Errorf("Lookup = %v", err)
	}
}

// TestLookupBoundsWhatADomainPublishes is AM-2.4, AM-2.8.
func TestLookupBoundsWhatADomainPublishes(t *testing.T) {
	d := newDNS()
	var many []netip.Addr
	for i := range 200 {
		many = append(many, netip.AddrFrom4([4]byte{1, 2, 3, byte(i)}))
	}
	var records []discovery.SRV
	for i := range 500 {
		host := fmt.Sprintf("v%d.b.example", i)
		records = append(records, discovery.SRV{Target: host, Port: 1398, Priority: uint16(i)})
		d.addrs[host] = discovery.Answer[netip.Addr]{Records: many, TTL: time.Hour}
	}
	d.srv[tcpB] = discovery.Answer[discovery.SRV]{Records: records, TTL: time.Hour}
	got, err := discovery.New(discovery.Options{Resolver: d}).Lookup(t.Context(), "b.example")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.TCP) != 16 || len(got.TCP[0].Addrs) != 16 || got.TCP[15].Host != "v15.b.example" {
		t.Errorf("%d endpoints with %d addresses", len(got.TCP), len(got.TCP[0].Addrs))
	}
}

// TestLookupChoosesTheFirstRuleThatApplies is AM-2.15 to AM-2.20, AM-2.23.
func TestLookupChoosesTheFirstRuleThatApplies(t *testing.T) {
	sum := make([]byte, 32)
	usable := discovery.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: sum}
	listed := activmail.Policy{Mode: activmail.ModeTesting, MX: []string{"vam1.b.example"}, MaxAge: time.Hour}
	type set struct {
		secure, secureTLSA bool
		tlsa               []discovery.TLSA
		policy             *activmail.Policy
	}
	for _, tc := range []struct {
		name   string
		set    set
		rule   discovery.Rule
		server string
	}{
		{"TLSA under DNSSEC", set{secure: true, secureTLSA: true, tlsa: []discovery.TLSA{usable}, policy: &listed}, discovery.RuleTLSA, "vam1.b.example"},
		{"TLSA itself unsigned", set{secure: true, tlsa: []discovery.TLSA{usable}}, discovery.RuleSecureSRV, "vam1.b.example"},
		{"TLSA with no usable record", set{secure: true, secureTLSA: true, tlsa: []discovery.TLSA{{Usage: 1, Selector: 1, MatchingType: 1, Data: sum}}}, discovery.RuleSecureSRV, "vam1.b.example"},
		{"no TLSA", set{secure: true, policy: &listed}, discovery.RuleSecureSRV, "vam1.b.example"},
		{"unsigned, listed", set{tlsa: []discovery.TLSA{usable}, secureTLSA: true, policy: &listed}, discovery.RulePolicy, "vam1.b.example"},
		{"unsigned, not listed", set{policy: &activmail.Policy{MX: []string{"other.b.example"}, MaxAge: time.Hour}}, discovery.RuleDomain, "b.example"},
		{"nothing", set{}, discovery.RuleDomain, "b.example"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := newDNS()
			d.publish(tc.set.secure)
			if tc.set.tlsa != nil {
				d.tlsa["_1398._tcp.vam1.b.example"] = discovery.Answer[discovery.TLSA]{Records: tc.set.tlsa, TTL: time.Hour, Authenticated: tc.set.secureTLSA}
			}
			source := &documents{err: vam.Errorf(vam.NotFound, "none")}
			if tc.set.policy != nil {
				d.txt["_vam.b.example"] = discovery.Answer[string]{Records: []string{"v=VAM1; id=1"}, TTL: time.Hour}
				source.of = map[vam.Domain]activmail.Policy{"b.example": *tc.set.policy}
			}
			got, err := discovery.New(discovery.Options{Resolver: d, Policies: source}).Lookup(t.Context(), "b.example")
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range []discovery.Endpoint{got.TCP[0], got.UDP[0]} {
				if e.Rule != tc.rule || e.ServerName != tc.server {
					t.Errorf("%s: rule %d (%s), server name %s", e.Network, e.Rule, e.Rule, e.ServerName)
				}
			}
			if got.Secure != tc.set.secure {
				t.Errorf("Secure = %v", got.Secure)
			}
		})
	}
}

func TestLookupDoesNotDoWithoutTLSAThatIsSilent(t *testing.T) {
	d := newDNS()
	d.publish(true)
	d.errs["_1398._tcp.vam1.b.example"] = errors.New("SERVFAIL")
	_, err := discovery.New(discovery.Options{Resolver: d}).Lookup(t.Context(), "b.example")
	if vam.KindOf(err) != vam.Unavailable {
		t.Errorf("Lookup = %v", err)
	}
}
