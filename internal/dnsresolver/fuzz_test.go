package dnsresolver_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
)

// FuzzAnswer gives the resolver any message, with the id that it asked for, over UDP and
// TCP: there are records, or an absence, or a temporary failure.
func FuzzAnswer(f *testing.F) {
	q := new(dns.Msg).SetQuestion("x.a.test.", dns.TypeTXT)
	for _, answer := range [][]string{
		nil,
		{"x.a.test. 60 IN TXT one two"},
		{"x.a.test. 60 IN CNAME y.test.", "y.test. 7 IN TXT three"},
		{"x.a.test. 60 IN CNAME x.a.test."},
		{`x.a.test. 60 IN TXT "\255\000\"\\"`},
	} {
		for _, change := range []func(*dns.Msg){nil, func(m *dns.Msg) { m.Truncated = true }, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }} {
			f.Add(reply(f, q, change, answer, soa)[0][2:])
		}
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) > 4000 {
			return
		}
		p := &puppet{hangUp: true, answer: func(a asked) [][]byte {
			return [][]byte{append(binary.BigEndian.AppendUint16(nil, a.q.Id), packet...)}
		}}
		a, err := p.resolver(t, dnsresolver.Options{Rounds: 1}).LookupTXT(t.Context(), "x.a.test")
		var nf *discovery.NotFoundError
		switch {
		case errors.As(err, &nf):
			if nf.TTL < 0 || nf.TTL > (1<<31-1)*time.Second {
				t.Errorf("%+v", nf)
			}
		case err != nil:
			if vam.KindOf(err) != vam.Unavailable {
				t.Error(err)
			}
		case len(a.Records) == 0 || a.TTL < 0 || a.TTL > (1<<31-1)*time.Second:
			t.Errorf("%+v", a)
		}
	})
}
