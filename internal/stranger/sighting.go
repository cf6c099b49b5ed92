package stranger

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// maxSample bounds what is kept of a stranger's octets.
const maxSample = 64

// Error ends the reading of a connection of [Wrap] that is none of VAM. It was answered
// and is closed.
type Error struct {
	Kind Kind
	// Sample is the beginning of what it sent, at most 64 octets.
	Sample []byte
}

func (e *Error) Error() string { return fmt.Sprintf("not VAM/1 but %s", e.Kind) }

// Sighting is one stranger, for a counter and a line of the log.
type Sighting struct {
	Kind    Kind
	Network string // "tcp" or "udp"
	Remote  netip.AddrPort
	// Sample is the beginning of what it sent in clear text, at most 64 octets, or nil.
	Sample []byte
	// ALPN is what it asked for by TLS instead, at most 4 names of 32 octets.
	ALPN []string
}

// Handshake makes a sighting of a handshake that failed, see [FromHandshake]; ok is
// false where it was no stranger. It keeps neither err nor the lists.
func Handshake(network string, remote netip.AddrPort, err error, versions []uint16, alpn []string) (s Sighting, ok bool) {
	s = Sighting{Kind: FromHandshake(err, versions, alpn), Network: network, Remote: remote}
	if known := (*Error)(nil); errors.As(err, &known) {
		s.Sample = known.Sample
	}
	for _, name := range alpn[:min(len(alpn), 4)] {
		s.ALPN = append(s.ALPN, strings.Clone(name[:min(len(name), 32)]))
	}
	return s, s.Kind != ""
}

// Datagram makes a sighting of a datagram that was no QUIC. It does not keep payload.
func Datagram(payload []byte, from netip.AddrPort) Sighting {
	return Sighting{Kind: FromDatagram(payload), Network: "udp", Remote: from, Sample: sample(payload)}
}

// String is a line for the log; whatever the stranger sent is quoted.
func (s Sighting) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s from %s over %s", s.Kind, s.Remote, s.Network)
	if len(s.Sample) > 0 {
		fmt.Fprintf(&b, ", it begins %q", s.Sample)
	}
	if len(s.ALPN) > 0 {
		fmt.Fprintf(&b, ", it asks for %q", s.ALPN)
	}
	return b.String()
}

func sample(p []byte) []byte { return append([]byte(nil), p[:min(len(p), maxSample)]...) }
