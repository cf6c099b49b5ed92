package pair

import (
	"github.com/videoactivmail/vam/internal/netem"
)

// Options of Start.
type Options struct {
	// Program is the vam binary.
	Program string
	// Scratch is where the pair makes its folder.
	Scratch string
	// Path is the way between the domains.
	Path Path
	// Transport is auto, tcp or udp, of both domains; "" is auto.
	Transport string
	// Congestion is that of both domains' TCP connections, as in the configuration; ""
	// is auto.
	Congestion string
	// Connections is how many connections one large transfer may use; 0 is the
	// program's default.
	Connections int
	// Media lets B make posters and other forms of what arrives, as servers do. A, which has a
	// machine of its own elsewhere, has no ffmpeg, and without Media neither has B, so that
	// nothing runs beside what is measured.
	Media bool
	// Environ is added to the environment of both processes.
	Environ []string
}

// Path is the way between two domains. The zero Path is the loopback device.
type Path struct {
	// Links puts a relay of this shape in front of every listener; they end TCP, and
	// count what passes. Shapes[ToTarget] is what the domain that connects sends.
	Links bool
	// Shapes are those of the links.
	Shapes [2]netem.Shape
	// Wire, where set, joins the namespaces of the domains: A is in its Client, B in its
	// Target. It stays the caller's.
	Wire *netem.Wire
}

// The two domains of a pair, and who is there.
const (
	domainA = "a.test"
	domainB = "b.test"
	// Sender is the account at A, Recipient and Second are those at B.
	Sender    = "alice@" + domainA
	Recipient = "bob@" + domainB
	Second    = "carol@" + domainB
)
