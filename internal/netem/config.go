package netem

import (
	"time"

	"github.com/videoactivmail/vam"
)

// Config describes a TCPLink or a UDPLink.
type Config struct {
	// Listen is the address and port that stand for the target; port 0 is chosen by
	// the system.
	Listen string
	// Target is the address and port that everything is forwarded to.
	Target string
	// Source is the IP address that the target sees; empty is the system's choice.
	Source string
	// Shapes are indexed by Direction.
	Shapes [2]Shape
	// Seed decides the chances of packets.
	Seed uint64
}

// Even is an even path: roundTrip halved between the directions, rate octets per
// second each way (0 is no limit).
func Even(roundTrip time.Duration, rate vam.Bytes) [2]Shape {
	s := Shape{Delay: roundTrip / 2, Rate: rate}
	return [2]Shape{s, s}
}

// Megabits is a rate in the unit that links are sold in, 10^6 bits per second.
func Megabits(perSecond float64) vam.Bytes { return vam.Bytes(perSecond * 1e6 / 8) }
