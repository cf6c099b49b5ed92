package dnsresolver

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

// errMismatch is an answer over TCP to another question; over UDP such a packet is
// passed over, because anybody can send one.
var errMismatch = errors.New("the server answered another question")

// overUDP sends q and waits for its answer. Packets that cannot be read or answer
// something else are passed over until the deadline: taking the first that comes
// would let a spoofer end the question.
func overUDP(conn net.Conn, q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096) // some servers send more than they were offered
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if m, err := unpack(buf[:n]); err == nil && answers(m, q) {
			return m, nil
		}
	}
}

func overTCP(conn net.Conn, q *dns.Msg) (*dns.Msg, error) {
	wire, err := q.Pack()
	if err != nil {
		return nil, err
	}
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(wire)))
	if _, err := conn.Write(append(framed, wire...)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, err
	}
	m, err := unpack(buf)
	if err != nil {
		return nil, err
	}
	if !answers(m, q) {
		return nil, errMismatch
	}
	return m, nil
}

// unpack reads a message. A truncated one is worth its header and question, even
// where a record was cut in the middle.
func unpack(wire []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	err := m.Unpack(wire)
	if err != nil && m.Truncated && len(m.Question) == 1 {
		m.Answer, m.Ns, m.Extra = nil, nil, nil
		return m, nil
	}
	return m, err
}

// negativeTTL is how long the absence that m states may be remembered: the smaller of
// the SOA's own TTL and its minimum (RFC 2308 section 5); 0 without SOA.
func negativeTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return seconds(min(soa.Hdr.Ttl, soa.Minttl))
		}
	}
	return 0
}

// seconds reads a TTL; one with the highest bit set is 0 (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
