package dnsresolver_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// asked is one question as it reached a server.
type asked struct {
	network, server string
	q               *dns.Msg
}

// puppet stands for all DNS servers at once, behind a Dial of pipes: answer returns the
// packets that come back, in order. Pipes follow the clock of synctest. A connection is
// closed by its owner or, with hangUp, after the last packet.
type puppet struct {
	answer func(asked) [][]byte
	hangUp bool

	mu        sync.Mutex
	questions []asked
	open, top int
	wg        sync.WaitGroup
}

func (p *puppet) dial(_ context.Context, network, address string) (net.Conn, error) {
	client, server := net.Pipe()
	p.mu.Lock()
	p.open++
	p.top = max(p.top, p.open)
	p.mu.Unlock()
	p.wg.Go(func() {
		defer server.Close()
		defer func() {
			p.mu.Lock()
			p.open--
			p.mu.Unlock()
		}()
		q, err := readQuery(server, network)
		if err != nil {
			return
		}
		a := asked{network, address, q}
		p.mu.Lock()
		p.questions = append(p.questions, a)
		p.mu.Unlock()
		for _, packet := range p.answer(a) {
			if network == "tcp" {
				packet = append(binary.BigEndian.AppendUint16(nil, uint16(len(packet))), packet...)
			}
			if _, err := server.Write(packet); err != nil {
				return
			}
		}
		if !p.hangUp {
			_, _ = server.Read(make([]byte, 1))
		}
	})
	return client, nil
}

func readQuery(c net.Conn, network string) (*dns.Msg, error) {
	buf := make([]byte, 4096)
	n := 0
	var err error
	if network == "tcp" {
		if _, err = io.ReadFull(c, buf[:2]); err == nil {
			n, err = io.ReadFull(c, buf[:binary.BigEndian.Uint16(buf)])
		}
	} else {
		n, err = c.Read(buf)
	}
	if err != nil {
		return nil, err
	}
	q := new(dns.Msg)
	return q, q.Unpack(buf[:n])
}

// seen returns the questions up to now.
func (p *puppet) seen() []asked {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]asked(nil), p.questions...)
}

// resolver asks the puppet under the given server addresses, 127.0.0.1:53 by default.
func (p *puppet) resolver(t testing.TB, o dnsresolver.Options, servers ...string) *dnsresolver.Resolver {
	t.Helper()
	if len(servers) == 0 {
		servers = []string{"127.0.0.1:53"}
	}
	o.Servers, o.Dial = p.addrs(servers...), p.dial
	r, err := dnsresolver.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.wg.Wait)
	return r
}

// reply makes an answer to q with the records of a master file; those behind an empty
// line go into the authority section.
func reply(t testing.TB, q *dns.Msg, change func(*dns.Msg), answer []string, authority ...string) [][]byte {
	t.Helper()
	m := new(dns.Msg).SetReply(q)
	m.RecursionAvailable = true
	parse := func(lines []string) (out []dns.RR) {
		for _, line := range lines {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Errorf("%q: %v", line, err)
				continue
			}
			out = append(out, rr)
		}
		return out
	}
	m.Answer, m.Ns = parse(answer), parse(authority)
	if change != nil {
		change(m)
	}
	wire, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return [][]byte{wire}
}

// absence returns the NotFoundError in err, and fails without one.
func absence(t *testing.T, err error) *discovery.NotFoundError {
	t.Helper()
	var nf *discovery.NotFoundError
	if !errors.As(err, &nf) {
		t.Fatalf("%v; want an absence", err)
	}
	return nf
}

func (p *puppet) addrs(servers ...string) (out []netip.AddrPort) {
	for _, s := range servers {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}
