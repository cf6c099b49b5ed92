package netem

import (
	"sync"
	"time"
)

// maxPacket is the largest packet or datagram that a link carries, in octets: a
// jumbo frame.
const maxPacket = 9216

// packet is one packet and the memory that it lies in.
type packet struct {
	data []byte // a prefix of room
	room [maxPacket]byte
}

// packetPool keeps packets that have left.
type packetPool struct{ pool sync.Pool }

func (p *packetPool) get() *packet {
	if k, ok := p.pool.Get().(*packet); ok {
		return k
	}
	return new(packet)
}

func (p *packetPool) put(k *packet) {
	k.data = nil
	p.pool.Put(k)
}

// twin returns a copy of k.
func (p *packetPool) twin(k *packet) *packet {
	t := p.get()
	t.data = t.room[:copy(t.room[:], k.data)]
	return t
}

// parcel is a packet on its way; to is what the link needs to deliver it.
type parcel[T any] struct {
	at time.Time
	*packet
	to T
}

// parcels is sorted by arrival; what arrives together keeps its order. Nearly
// every packet comes in order, so that adding at the end costs one comparison.
type parcels[T any] struct {
	items []parcel[T]
	head  int
}

func (q *parcels[T]) len() int { return len(q.items) - q.head }

func (q *parcels[T]) first() *parcel[T] { return &q.items[q.head] }

// add reports whether p is the first to leave.
func (q *parcels[T]) add(p parcel[T]) bool {
	q.items = append(q.items, p)
	i := len(q.items) - 1
	for ; i > q.head && q.items[i-1].at.After(p.at); i-- {
		q.items[i] = q.items[i-1]
	}
	q.items[i] = p
	return i == q.head
}

func (q *parcels[T]) pop() parcel[T] {
	p := q.items[q.head]
	q.items[q.head] = parcel[T]{}
	q.head++
	if q.head > 1024 && q.head > len(q.items)/2 { // move up instead of growing for ever
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return p
}
