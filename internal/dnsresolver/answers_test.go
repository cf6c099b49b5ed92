package dnsresolver_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
)

const soa = "a.test. 900 IN SOA ns.a.test. root.a.test. 1 2 3 4 300"

// TestLifetimes: the smallest TTL on the way counts, aliases included, and an absence
// lasts as its SOA says (RFC 2308).
func TestLifetimes(t *testing.T) {
	type result struct {
		Records []string
		TTL     time.Duration
		Absent  bool
	}
	for _, tc := range []struct {
		name      string
		answer    []string
		authority []string
		want      result
	}{
		{"one record", []string{"x.a.test. 60 IN TXT one"}, nil, result{[]string{"one"}, time.Minute, false}},
		{"the smallest of a set", []string{"x.a.test. 60 IN TXT one", "x.a.test. 30 IN TXT two"}, nil, result{[]string{"one", "two"}, 30 * time.Second, false}},
		{"letters of another case", []string{"X.a.TEST. 60 IN TXT one"}, nil, result{[]string{"one"}, time.Minute, false}},
		{"records of others", []string{"x.a.test. 60 IN TXT one", "y.a.test. 1 IN TXT no", "x.a.test. 1 IN A 192.0.2.1", "x.a.test. 1 CH TXT no"}, nil, result{[]string{"one"}, time.Minute, false}},
		{"an alias that lasts longer", []string{"x.a.test. 600 IN CNAME y.b.test.", "y.b.test. 60 IN TXT one"}, nil, result{[]string{"one"}, time.Minute, false}},
		{"an alias that lasts shorter", []string{"y.b.test. 60 IN TXT one", "x.a.test. 5 IN CNAME y.b.test."}, nil, result{[]string{"one"}, 5 * time.Second, false}},
		{"a chain", []string{"x.a.test. 50 IN CNAME p.test.", "p.test. 40 IN CNAME Q.test.", "q.test. 30 IN TXT one"}, nil, result{[]string{"one"}, 30 * time.Second, false}},
		{"no time at all", []string{"x.a.test. 0 IN TXT one"}, nil, result{[]string{"one"}, 0, false}},
		{"a TTL out of range", []string{"x.a.test. 4294967295 IN TXT one"}, nil, result{[]string{"one"}, 0, false}},
		{"absent", nil, []string{soa}, result{nil, 5 * time.Minute, true}},
		{"absent, the SOA itself is shorter", nil, []string{strings.Replace(soa, "900", "7", 1)}, result{nil, 7 * time.Second, true}},
		{"absent without SOA", nil, nil, result{nil, 0, true}},
		{"absent for other types only", []string{"x.a.test. 60 IN A 192.0.2.1"}, []string{soa}, result{nil, 5 * time.Minute, true}},
		{"absent behind an alias", []string{"x.a.test. 600 IN CNAME y.b.test."}, []string{soa}, result{nil, 5 * time.Minute, true}},
		{"absent behind a short alias", []string{"x.a.test. 10 IN CNAME y.b.test."}, []string{soa}, result{nil, 10 * time.Second, true}},
	} {
		for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError} {
			if rcode == dns.RcodeNameError && !tc.want.Absent {
				continue
			}
			t.Run(tc.name+" "+dns.RcodeToString[rcode], func(t *testing.T) {
				p := &puppet{answer: func(a asked) [][]byte {
					return reply(t, a.q, func(m *dns.Msg) { m.Rcode = rcode }, tc.answer, tc.authority...)
				}}
				a, err := p.resolver(t, dnsresolver.Options{}).LookupTXT(t.Context(), "x.a.test")
				got := result{Records: a.Records, TTL: a.TTL}
				if err != nil {
					nf := absence(t, err)
					if nf.Name != "x.a.test" || nf.Type != "TXT" || vam.KindOf(err) != vam.NotFound {
						t.Errorf("%+v", nf)
					}
					got = result{TTL: nf.TTL, Absent: true}
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestNoAbsenceOutOfConfusion: what is no answer is a temporary failure and never "not
// VAM" (AM-2.3).
func TestNoAbsenceOutOfConfusion(t *testing.T) {
	long := []string{"x.a.test. 60 IN CNAME n0.test."}
	for i := range 30 {
		long = append(long, fmt.Sprintf("n%d.test. 60 IN CNAME n%d.test.", i, i+1))
	}
	rcode := func(rcode int) func(*dns.Msg) { return func(m *dns.Msg) { m.Rcode = rcode } }
	for _, tc := range []struct {
		name      string
		change    func(*dns.Msg)
		answer    []string
		authority []string
	}{
		{"SERVFAIL", rcode(dns.RcodeServerFailure), nil, nil},
		{"REFUSED", rcode(dns.RcodeRefused), nil, nil},
		{"FORMERR", rcode(dns.RcodeFormatError), nil, nil},
		{"NOTIMP", rcode(dns.RcodeNotImplemented), nil, nil},
		{"YXDOMAIN", rcode(dns.RcodeYXDomain), nil, nil},
		{"an alias of itself", nil, []string{"x.a.test. 60 IN CNAME x.a.test."}, nil},
		{"a loop", nil, []string{"x.a.test. 60 IN CNAME y.a.test.", "y.a.test. 60 IN CNAME x.a.test."}, nil},
		{"a chain without end", nil, long, nil},
		{"a referral", nil, nil, []string{"a.test. 60 IN NS ns.a.test."}},
		{"a referral by a server that does not ask on", func(m *dns.Msg) { m.RecursionAvailable = false }, nil, []string{". 60 IN NS a.root-servers.net."}},
		{"nothing, by a server that does not ask on", func(m *dns.Msg) { m.RecursionAvailable = false }, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &puppet{answer: func(a asked) [][]byte { return reply(t, a.q, tc.change, tc.answer, tc.authority...) }}
			_, err := p.resolver(t, dnsresolver.Options{}).LookupSRV(t.Context(), "x.a.test")
			if vam.KindOf(err) != vam.Unavailable || errors.As(err, new(*discovery.NotFoundError)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestLameServerIsPassedOver: the next server's answer counts.
func TestLameServerIsPassedOver(t *testing.T) {
	p := &puppet{answer: func(a asked) [][]byte {
		if a.server == "192.0.2.1:53" {
			return reply(t, a.q, func(m *dns.Msg) { m.RecursionAvailable = false }, nil, ". 60 IN NS a.root-servers.net.")
		}
		return reply(t, a.q, nil, []string{"x.a.test. 60 IN TXT one"})
	}}
	got, err := p.resolver(t, dnsresolver.Options{}, "192.0.2.1:53", "192.0.2.2:53").LookupTXT(t.Context(), "x.a.test")
	if err != nil || !cmp.Equal(got.Records, []string{"one"}) {
		t.Errorf("%v, %v", got, err)
	}
}

// TestAbsenceOfAnAuthority: an authoritative server may say "no" without asking on.
func TestAbsenceOfAnAuthority(t *testing.T) {
	p := &puppet{answer: func(a asked) [][]byte {
		return reply(t, a.q, func(m *dns.Msg) { m.RecursionAvailable, m.Authoritative = false, true }, nil, soa)
	}}
	_, err := p.resolver(t, dnsresolver.Options{}).LookupTXT(t.Context(), "x.a.test")
	absence(t, err)
}

// TestAuthenticatedOnlyFromLoopback: AM-2.21.
func TestAuthenticatedOnlyFromLoopback(t *testing.T) {
	for server, believed := range map[string]bool{
		"127.0.0.1:53": true, "127.8.8.8:53": true, "[::1]:53": true, "[::ffff:127.0.0.1]:53": true,
		"192.0.2.1:53": false, "10.0.0.1:53": false, "[fe80::1%eth0]:53": false, "[2001:db8::1]:53": false, "0.0.0.0:53": false,
	} {
		for _, secure := range []bool{true, false} {
			there := true
			p := &puppet{answer: func(a asked) [][]byte {
				opt := a.q.IsEdns0()
				if opt == nil || !opt.Do() {
					t.Error("the question does not ask for DNSSEC")
				}
				var answer []string
				if there {
					answer = []string{"x.a.test. 60 IN TXT one"}
				}
				return reply(t, a.q, func(m *dns.Msg) { m.AuthenticatedData = secure }, answer, soa)
			}}
			r := p.resolver(t, dnsresolver.Options{}, server)
			a, err := r.LookupTXT(t.Context(), "x.a.test")
			if err != nil || a.Authenticated != (believed && secure) {
				t.Errorf("%s, AD %v: authenticated %v, %v", server, secure, a.Authenticated, err)
			}
			there = false
			_, err = r.LookupTXT(t.Context(), "x.a.test")
			if nf := absence(t, err); nf.Authenticated != (believed && secure) {
				t.Errorf("%s, AD %v: absence authenticated %v", server, secure, nf.Authenticated)
			}
		}
	}
}

// TestTrustIsThatOfTheServerThatAnswered and not of the first of the list.
func TestTrustIsThatOfTheServerThatAnswered(t *testing.T) {
	p := &puppet{answer: func(a asked) [][]byte {
		if a.server == "127.0.0.1:53" {
			return reply(t, a.q, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, nil)
		}
		return reply(t, a.q, func(m *dns.Msg) { m.AuthenticatedData = true }, []string{"x.a.test. 60 IN TXT one"})
	}}
	a, err := p.resolver(t, dnsresolver.Options{}, "127.0.0.1:53", "192.0.2.1:53").LookupTXT(t.Context(), "x.a.test")
	if err != nil || a.Authenticated {
		t.Errorf("%+v, %v", a, err)
	}
}

// TestAddresses: both families are asked for, and one that fails does not hide the
// other.
func TestAddresses(t *testing.T) {
	type family struct {
		rcode  int
		secure bool
		answer string
	}
	four := func(ttl string, secure bool) family { return family{0, secure, "x.a.test. " + ttl + " IN A 192.0.2.1"} }
	six := func(ttl string, secure bool) family {
		return family{0, secure, "x.a.test. " + ttl + " IN AAAA 2001:db8::1"}
	}
	broken, none, proven := family{rcode: dns.RcodeServerFailure}, family{}, family{secure: true}
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	answer := func(ttl time.Duration, secure bool, addrs ...netip.Addr) discovery.Answer[netip.Addr] {
		return discovery.Answer[netip.Addr]{Records: addrs, TTL: ttl, Authenticated: secure}
	}
	for _, tc := range []struct {
		name   string
		a, q   family
		want   discovery.Answer[netip.Addr]
		kind   vam.ErrorKind // of the error
		absent *discovery.NotFoundError
	}{
		{"both", four("60", true), six("90", true), answer(time.Minute, true, v6, v4), 0, nil},
		{"both, the other one shorter", four("90", true), six("60", true), answer(time.Minute, true, v6, v4), 0, nil},
		{"one of them is not secure", four("60", true), six("90", false), answer(time.Minute, false, v6, v4), 0, nil},
		{"IPv4 alone", four("600", true), proven, answer(10*time.Minute, true, v4), 0, nil},
		{"IPv6 alone", proven, six("600", true), answer(10*time.Minute, true, v6), 0, nil},
		{"an absence that is not proven", four("600", true), none, answer(10*time.Minute, false, v4), 0, nil},
		{"IPv6 fails", four("600", true), broken, answer(30*time.Second, false, v4), 0, nil},
		{"IPv4 fails", broken, six("10", true), answer(10*time.Second, false, v6), 0, nil},
		{"neither exists", none, proven, answer(0, false), vam.NotFound, &discovery.NotFoundError{Name: "x.a.test", Type: "A/AAAA", TTL: 5 * time.Minute}},
		{"proven that neither exists", proven, proven, answer(0, false), vam.NotFound, &discovery.NotFoundError{Name: "x.a.test", Type: "A/AAAA", TTL: 5 * time.Minute, Authenticated: true}},
		{"one fails and the other is not there", broken, none, answer(0, false), vam.Unavailable, nil},
		{"the other way round", none, broken, answer(0, false), vam.Unavailable, nil},
		{"both fail", broken, broken, answer(0, false), vam.Unavailable, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := &puppet{answer: func(a asked) [][]byte {
				f := tc.a
				if a.q.Question[0].Qtype == dns.TypeAAAA {
					f = tc.q
				}
				var records []string
				if f.answer != "" {
					records = []string{f.answer}
				}
				return reply(t, a.q, func(m *dns.Msg) { m.Rcode, m.AuthenticatedData = f.rcode, f.secure }, records, soa)
			}}
			got, err := p.resolver(t, dnsresolver.Options{}).LookupAddrs(t.Context(), "x.a.test")
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
			if (err != nil) != (tc.kind != 0) || err != nil && vam.KindOf(err) != tc.kind {
				t.Errorf("error %v", err)
			}
			if tc.absent != nil {
				if diff := cmp.Diff(tc.absent, absence(t, err)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}
