package dnszone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
)

// Failure is a way not to answer.
type Failure uint8

// The failures.
const (
	// Answer is no failure.
	Answer Failure = iota
	// ServFail answers with the response code SERVFAIL.
	ServFail
	// Refuse answers with REFUSED.
	Refuse
	// Silence answers nothing at all.
	Silence
	// Truncate answers over UDP with the TC bit and no records; over TCP as always.
	Truncate
	// Lame answers over UDP with a foreign question, as a spoofer would.
	Lame
)

// Server serves zones. The zero value is not usable; make one with Listen.
type Server struct {
	addr netip.AddrPort
	udp  *dns.Server
	tcp  *dns.Server
	wg   sync.WaitGroup

	mu       sync.RWMutex
	zones    map[string]*Zone
	failures map[key]Failure
	asked    map[key]int
}

// anyName and anyType match every query in a failure.
const anyName = ""

// Listen opens addr (port 0: a free one, the same for both) over UDP and TCP and
// answers there until Close. Errors: Unavailable when the address cannot be had.
func Listen(addr netip.AddrPort) (*Server, error) {
	pc, ln, err := bind(addr)
	if err != nil {
		return nil, vam.Wrap(vam.Unavailable, err, "the DNS server cannot listen on %s", addr)
	}
	s := &Server{
		addr:     ln.Addr().(*net.TCPAddr).AddrPort(),
		zones:    make(map[string]*Zone),
		failures: make(map[key]Failure),
		asked:    make(map[key]int),
	}
	s.udp = &dns.Server{PacketConn: pc, Handler: s.handler(true)}
	s.tcp = &dns.Server{Listener: ln, Handler: s.handler(false)}
	for _, one := range []*dns.Server{s.udp, s.tcp} {
		up := make(chan struct{})
		one.NotifyStartedFunc = func() { close(up) }
		s.wg.Go(func() { _ = one.ActivateAndServe() })
		<-up
	}
	return s, nil
}

// bind takes the same port on both transports. Where any port will do, a port that
// is free for one may be taken for the other, so it tries some.
func bind(addr netip.AddrPort) (net.PacketConn, net.Listener, error) {
	var errs []error
	for range 20 {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			return nil, nil, err
		}
		pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(ln.Addr().(*net.TCPAddr).AddrPort()))
		if err == nil {
			return pc, ln, nil
		}
		_ = ln.Close()
		errs = append(errs, err)
		if addr.Port() != 0 {
			break
		}
	}
	return nil, nil, errors.Join(errs...)
}

// Addr is where the server answers, over UDP and TCP.
func (s *Server) Addr() netip.AddrPort { return s.addr }

// Close stops answering and waits for what is under way, 5 seconds at most.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := errors.Join(s.udp.ShutdownContext(ctx), s.tcp.ShutdownContext(ctx))
	s.wg.Wait()
	return err
}

// Zone returns the zone with this apex and makes it when it is not there yet. Errors:
// Invalid.
func (s *Server) Zone(apex string) (*Zone, error) {
	name := canonical(apex)
	if _, ok := dns.IsDomainName(name); !ok || name == "." {
		return nil, vam.Errorf(vam.Invalid, "%.80q is not a zone name", apex)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	z, ok := s.zones[name]
	if !ok {
		z = &Zone{server: s, apex: name, records: make(map[key][]dns.RR), negative: NegativeTTL, serial: 1}
		s.zones[name] = z
	}
	return z, nil
}

// RemoveZone stops answering for the zone with this apex.
func (s *Server) RemoveZone(apex string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.zones, canonical(apex))
}

// Fail makes queries for name and type ("SRV", "TXT", …) fail in the given way from
// now on; Answer ends it. An empty name or type stands for all; the more exact rule
// wins. Errors: Invalid for an unknown type.
func (s *Server) Fail(name, qtype string, f Failure) error {
	k := key{name: anyName}
	if name != anyName {
		k.name = canonical(name)
	}
	if qtype != "" {
		t, ok := dns.StringToType[strings.ToUpper(qtype)]
		if !ok {
			return vam.Errorf(vam.Invalid, "%q is not a DNS record type", qtype)
		}
		k.qtype = t
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == Answer {
		delete(s.failures, k)
	} else {
		s.failures[k] = f
	}
	return nil
}

// Asked counts the queries for name and type since the start, over both transports.
func (s *Server) Asked(name, qtype string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.asked[key{canonical(name), dns.StringToType[strings.ToUpper(qtype)]}]
}

// failure is the rule for k. s.mu is held.
func (s *Server) failure(k key) Failure {
	for _, rule := range []key{k, {k.name, 0}, {anyName, k.qtype}, {anyName, 0}} {
		if f, ok := s.failures[rule]; ok {
			return f
		}
	}
	return Answer
}

// maxAsked bounds the query counter; a name beyond it is answered and not counted.
const maxAsked = 100_000

func (s *Server) count(k key) Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.asked[k]; ok || len(s.asked) < maxAsked {
		s.asked[k]++
	}
	return s.failure(k)
}

// String names the server for logs.
func (s *Server) String() string { return fmt.Sprintf("dns %s", s.addr) }
