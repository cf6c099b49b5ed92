package dnsresolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/dnsresolver"
)

func silent(asked) [][]byte { return nil }

// TestServersTakeTurns: each silent server is given its time, in order, in each round,
// and no more than four servers are asked.
func TestServersTakeTurns(t *testing.T) {
	for _, tc := range []struct {
		o       dnsresolver.Options
		servers []string
		want    []string
		took    time.Duration
	}{
		{dnsresolver.Options{}, []string{"192.0.2.1:53"}, []string{"192.0.2.1:53", "192.0.2.1:53"}, 6 * time.Second},
		{
			dnsresolver.Options{Timeout: time.Second, Rounds: 1},
			[]string{"192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53", "192.0.2.4:53", "192.0.2.5:53"},
			[]string{"192.0.2.1:53", "[2001:db8::1]:53", "192.0.2.3:53", "192.0.2.4:53"},
			4 * time.Second,
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := &puppet{answer: silent}
			start := time.Now()
			_, err := p.resolver(t, tc.o, tc.servers...).LookupTXT(t.Context(), "a.test")
			if vam.KindOf(err) != vam.Unavailable || time.Since(start) != tc.took {
				t.Errorf("%v after %v", err, time.Since(start))
			}
			for _, s := range tc.want {
				if !strings.Contains(errors.Unwrap(err).Error(), s) {
					t.Errorf("the operator does not read of %s: %v", s, errors.Unwrap(err))
				}
			}
			var got []string
			ids := make(map[uint16]bool)
			for _, a := range p.seen() {
				got = append(got, a.server)
				ids[a.q.Id] = true
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if len(got) > 2 && len(ids) == 1 {
				t.Error("every question has the same id")
			}
		})
	}
}

// TestEndOfTheCaller ends a question at once, also one that waits for a free place.
func TestEndOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{answer: silent}
		r := p.resolver(t, dnsresolver.Options{})
		ctx, cancel := context.WithCancelCause(t.Context())
		start := time.Now()
		time.AfterFunc(time.Second, func() { cancel(nil) })
		if _, err := r.LookupTXT(ctx, "a.test"); !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		if _, err := r.LookupAddrs(short, "a.test"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if n := len(p.seen()); n != 3 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestQuestionsAtATime are bounded: every one has a socket.
func TestQuestionsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &puppet{answer: silent}
		r := p.resolver(t, dnsresolver.Options{Rounds: 1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var wg sync.WaitGroup
		for range 300 {
			wg.Go(func() {
				if _, err := r.LookupTXT(ctx, "a.test"); !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if p.top != 256 {
			t.Errorf("%d at a time", p.top)
		}
	})
}

// TestForeignPacketsArePassedOver: whoever guesses the port does not answer, and does
// not end the question either (RFC 5452).
func TestForeignPacketsArePassedOver(t *testing.T) {
	foreign := map[string]func(*dns.Msg){
		"id":             func(m *dns.Msg) { m.Id++ },
		"name":           func(m *dns.Msg) { m.Question[0].Name = "b.test." },
		"type":           func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		"class":          func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"a question":     func(m *dns.Msg) { m.Response = false },
		"opcode":         func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
		"no question":    func(m *dns.Msg) { m.Question = nil },
		"two questions":  func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"nothing but id": nil,
	}
	for name, change := range foreign {
		for _, network := range []string{"udp", "tcp"} {
			t.Run(name+" over "+network, func(t *testing.T) {
				p := &puppet{hangUp: true, answer: func(a asked) [][]byte {
					if network == "tcp" && a.network == "udp" {
						return reply(t, a.q, func(m *dns.Msg) { m.Truncated = true }, nil)
					}
					wrong := [][]byte{binary.BigEndian.AppendUint16(nil, a.q.Id)}
					if change != nil {
						wrong = reply(t, a.q, change, []string{"a.test. 60 IN TXT wrong"})
					}
					return append(wrong, reply(t, a.q, nil, []string{"A.test. 60 IN TXT right"})...)
				}}
				got, err := p.resolver(t, dnsresolver.Options{Rounds: 1}).LookupTXT(t.Context(), "a.test")
				if network == "udp" && (err != nil || !slices.Equal(got.Records, []string{"right"})) {
					t.Errorf("%v, %v", got, err)
				}
				// Over TCP nobody but the server speaks, so it answers wrongly.
				if network == "tcp" && vam.KindOf(err) != vam.Unavailable {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
	}
}

// TestTruncatedAnswersComeOverTCP, also when a record was cut in the middle.
func TestTruncatedAnswersComeOverTCP(t *testing.T) {
	for _, cut := range []int{0, 1, 10} {
		p := &puppet{answer: func(a asked) [][]byte {
			if a.network == "tcp" {
				return reply(t, a.q, nil, []string{"a.test. 60 IN TXT all of it"})
			}
			wire := reply(t, a.q, func(m *dns.Msg) { m.Truncated = true }, []string{"a.test. 60 IN TXT part"})
			return [][]byte{wire[0][:len(wire[0])-cut]}
		}}
		got, err := p.resolver(t, dnsresolver.Options{Rounds: 1}).LookupTXT(t.Context(), "a.test")
		if err != nil || len(got.Records) != 1 || !strings.HasPrefix(got.Records[0], "all") {
			t.Errorf("cut by %d: %v, %v", cut, got, err)
		}
		if seen := p.seen(); len(seen) != 2 || seen[0].network != "udp" || seen[1].network != "tcp" {
			t.Errorf("asked %v", seen)
		}
	}
}

// TestBrokenTCP is a failure of that server.
func TestBrokenTCP(t *testing.T) {
	whole := func(a asked) []byte { return reply(t, a.q, nil, []string{"a.test. 60 IN TXT one"})[0] }
	for name, answer := range map[string]func(asked) [][]byte{
		"closed at once": func(asked) [][]byte { return nil },
		"an empty frame": func(asked) [][]byte { return [][]byte{{}} },
		"garbage":        func(asked) [][]byte { return [][]byte{[]byte("garbage")} },
		"a cut message":  func(a asked) [][]byte { w := whole(a); return [][]byte{w[:len(w)-3]} },
	} {
		t.Run(name, func(t *testing.T) {
			p := &puppet{hangUp: true, answer: func(a asked) [][]byte {
				if a.network == "udp" {
					return reply(t, a.q, func(m *dns.Msg) { m.Truncated = true }, nil)
				}
				return answer(a)
			}}
			if got, err := p.resolver(t, dnsresolver.Options{}).LookupTXT(t.Context(), "a.test"); vam.KindOf(err) != vam.Unavailable {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}

// TestServerWithoutEDNS is asked again without it (RFC 6891 section 6.2.2).
func TestServerWithoutEDNS(t *testing.T) {
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented} {
		p := &puppet{answer: func(a asked) [][]byte {
			if a.q.IsEdns0() != nil {
				return reply(t, a.q, func(m *dns.Msg) { m.Rcode = rcode }, nil)
			}
			return reply(t, a.q, nil, []string{"a.test. 60 IN TXT one"})
		}}
		got, err := p.resolver(t, dnsresolver.Options{Rounds: 1}).LookupTXT(t.Context(), "a.test")
		if err != nil || !slices.Equal(got.Records, []string{"one"}) {
			t.Errorf("%v, %v", got, err)
		}
	}
}

// TestServerThatCannotBeReached: the next one is asked at once.
func TestServerThatCannotBeReached(t *testing.T) {
	p := &puppet{answer: func(a asked) [][]byte { return reply(t, a.q, nil, []string{"a.test. 60 IN TXT one"}) }}
	refuse := errors.New("no route")
	o := dnsresolver.Options{
		Servers: p.addrs("192.0.2.1:53", "192.0.2.2:53"),
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "192.0.2.1:53" {
				return nil, refuse
			}
			return p.dial(ctx, network, address)
		},
	}
	t.Cleanup(p.wg.Wait)
	r, err := dnsresolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.LookupTXT(t.Context(), "a.test"); err != nil || len(got.Records) != 1 {
		t.Errorf("%v, %v", got, err)
	}
	o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, refuse }
	if r, err = dnsresolver.New(o); err != nil {
		t.Fatal(err)
	}
	if _, err := r.LookupTXT(t.Context(), "a.test"); vam.KindOf(err) != vam.Unavailable || !errors.Is(err, refuse) {
		t.Errorf("%v", err)
	}
}

// TestWhatIsNoNameIsNotAsked for.
func TestWhatIsNoNameIsNotAsked(t *testing.T) {
	p := &puppet{answer: silent}
	r := p.resolver(t, dnsresolver.Options{})
	for _, name := range []string{
		"", ".", "a.test.", ".a.test", "a..test", strings.Repeat("a", 64) + ".test", strings.Repeat("a.", 126) + "aa",
		`a\.b.test`, "a b.test", "ä.test", "a.test\n", "a\x00.test", "*.a.test", "a/b.test",
	} {
		if _, err := r.LookupTXT(t.Context(), name); vam.KindOf(err) != vam.Invalid {
			t.Errorf("%q: %v", name, err)
		}
	}
	if n := len(p.seen()); n != 0 {
		t.Errorf("%d questions", n)
	}
}
