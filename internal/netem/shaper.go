package netem

import (
	"math/rand/v2"
	"time"

	"github.com/videoactivmail/vam"
)

// Direction names one of the two ways through a link.
type Direction int

// A link has a side that is connected to and a target that it connects to itself.
const (
	ToTarget Direction = iota // what the connecting side sends
	ToClient                  // what the target answers
)

// String is the direction's name.
func (d Direction) String() string {
	if d == ToTarget {
		return "to target"
	}
	return "to client"
}

// Directions lists both.
func Directions() [2]Direction { return [2]Direction{ToTarget, ToClient} }

// Shape is what one direction of a path does to what passes. The zero Shape passes
// everything at once.
type Shape struct {
	// Delay is the time on the way, half of the round trip on an even path.
	Delay time.Duration
	// Rate is how many octets leave per second; 0 is no limit.
	Rate vam.Bytes
	// Queue is how many octets may wait. A packet that finds the queue in front of
	// the wire full is dropped (drop-tail), 0 is what Rate carries in 2 Delay and at
	// least 256 KiB. A stream waits instead, and what is on the way counts too: 0 is
	// what Rate carries in 4 Delay and at least 1 MiB, or 64 MiB without a Rate.
	Queue vam.Bytes
	// Loss, Duplicate and Reorder are the shares of packets, 0 to 1, that are lost,
	// come out twice, or are held back by ReorderBy. Streams ignore them.
	Loss, Duplicate, Reorder float64
	// ReorderBy is the additional delay of a packet that is held back; 0 is 5 ms.
	ReorderBy time.Duration
}

const (
	minPacketQueue = 256 * vam.KiB
	minStreamQueue = 1 * vam.MiB
	unlimitedQueue = 64 * vam.MiB
	usualReorderBy = 5 * time.Millisecond
)

// packetQueue is Queue with its default for packets.
func (s Shape) packetQueue() vam.Bytes {
	if s.Queue > 0 {
		return s.Queue
	}
	return max(s.carries(2*s.Delay), minPacketQueue)
}

// streamQueue is Queue with its default for streams.
func (s Shape) streamQueue() vam.Bytes {
	switch {
	case s.Queue > 0:
		return s.Queue
	case s.Rate == 0:
		return unlimitedQueue
	}
	return max(s.carries(4*s.Delay), minStreamQueue)
}

// carries is what Rate lets through in d.
func (s Shape) carries(d time.Duration) vam.Bytes {
	return vam.Bytes(float64(s.Rate) * d.Seconds())
}

// Fate is what happens to one packet.
type Fate struct {
	// Copies is how often it comes out: 0, 1 or 2.
	Copies int
	// At is when.
	At time.Time
	// Full says that it was dropped because the queue was full, not by chance.
	Full bool
}

// Shaper applies a Shape to a sequence of packets. It keeps no clock and starts
// nothing; the same seed and the same calls give the same fates. It is not safe
// for concurrent use.
type Shaper struct {
	shape Shape
	rng   *rand.Rand
	free  time.Time // when the wire has sent all that was admitted
}

// NewShaper returns a Shaper whose chances follow from seed.
func NewShaper(shape Shape, seed uint64) *Shaper {
	return &Shaper{shape: shape, rng: rand.New(rand.NewPCG(seed, 0x6e6574656d))}
}

// SetShape changes the shape for all that is admitted from now on.
func (s *Shaper) SetShape(shape Shape) { s.shape = shape }

// Clear forgets what waits for the wire, as if its senders had been cut off.
func (s *Shaper) Clear() { s.free = time.Time{} }

// Admit takes a packet of size octets that arrives at now.
func (s *Shaper) Admit(now time.Time, size int) Fate {
	// One number of chance each, drawn whether used or not: a change of one
	// probability leaves the fates that the others decide as they were.
	lost := s.rng.Float64() < s.shape.Loss
	twice := s.rng.Float64() < s.shape.Duplicate
	late := s.rng.Float64() < s.shape.Reorder

	sent := now
	if s.shape.Rate > 0 {
		if s.backlog(now)+vam.Bytes(size) > s.shape.packetQueue() {
			return Fate{Full: true}
		}
		sent = s.occupy(now, size)
	}
	if lost { // after the wire: a lost packet has used it
		return Fate{}
	}
	f := Fate{Copies: 1, At: sent.Add(s.shape.Delay)}
	if twice {
		f.Copies = 2
	}
	if late {
		by := s.shape.ReorderBy
		if by == 0 {
			by = usualReorderBy
		}
		f.At = f.At.Add(by)
	}
	return f
}

// Pass is Admit for a stream: nothing is lost, and whoever calls it bounds what is
// waiting. It returns when the last octet comes out.
func (s *Shaper) Pass(now time.Time, size int) time.Time {
	if s.shape.Rate > 0 {
		now = s.occupy(now, size)
	}
	return now.Add(s.shape.Delay)
}

// backlog is how many octets wait for the wire.
func (s *Shaper) backlog(now time.Time) vam.Bytes {
	wait := s.free.Sub(now)
	if wait <= 0 {
		return 0
	}
	return vam.Bytes(wait.Seconds() * float64(s.shape.Rate))
}

// occupy puts size octets behind what is waiting and returns when they have left.
func (s *Shaper) occupy(now time.Time, size int) time.Time {
	if s.free.Before(now) {
		s.free = now
	}
	s.free = s.free.Add(time.Duration(float64(size) / float64(s.shape.Rate) * float64(time.Second)))
	return s.free
}
