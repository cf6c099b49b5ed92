package netem

import (
	"io"
	"net"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

const (
	chunkSize     = 64 << 10
	copyBelow     = chunkSize / 8 // a smaller chunk is copied instead of keeping the buffer
	receiveBuffer = 512 << 10
	sendBuffer    = 128 << 10 // octets in it count as carried
	// drainFor bounds how long a cut waits until the receiver's system has
	// acknowledged what was granted before.
	drainFor = 2 * time.Second
)

// relay is one connection through a TCPLink.
type relay struct {
	link  *TCPLink
	conns [2]*net.TCPConn // by the direction that writes to it
	done  chan struct{}
	once  sync.Once
	// opened is when a real path would have carried the three-way handshake. The
	// kernel on the near side answers it at once; the first octets wait instead.
	opened time.Time
	// trip is the round trip at that moment.
	trip time.Duration
}

func newRelay(t *TCPLink, client, target *net.TCPConn, accepted time.Time) *relay {
	for _, c := range [...]*net.TCPConn{client, target} {
		// The link's own queue is what holds octets back, not a buffer that the
		// system grows to tens of megabytes in front of it.
		_ = c.SetReadBuffer(t.within(receiveBuffer))
		_ = c.SetWriteBuffer(t.within(sendBuffer))
	}
	trip := t.lanes[ToTarget].shape().Delay + t.lanes[ToClient].shape().Delay
	return &relay{
		link:   t,
		conns:  [2]*net.TCPConn{ToTarget: target, ToClient: client},
		done:   make(chan struct{}),
		opened: accepted.Add(trip),
		trip:   trip,
	}
}

// within is a buffer of the system, no larger than a queue that was asked for: a small
// queue behind a large buffer would be a large one.
func (t *TCPLink) within(buffer int) int {
	for _, l := range t.lanes {
		if q := int(l.shape().Queue); q > 0 {
			buffer = min(buffer, q)
		}
	}
	return buffer
}

// run forwards both ways until both have ended.
func (r *relay) run() {
	var wg sync.WaitGroup
	for _, d := range Directions() {
		queue := make(chan chunk, queueLength(r.link.lanes[d].shape()))
		wg.Go(func() { r.read(d, queue) })
		wg.Go(func() { r.write(d, queue) })
	}
	wg.Wait()
	r.end(Fin)
}

// end closes both sides once and reports whether this call did it.
func (r *relay) end(how Ending) bool {
	first := false
	r.once.Do(func() {
		first = true
		close(r.done)
		for _, c := range r.conns {
			if how == Rst {
				_ = c.SetLinger(0)
			}
			_ = c.Close()
		}
	})
	return first
}

// chunk is a piece of a stream on its way. A nil data is the end of the stream.
type chunk struct {
	data   []byte
	pooled *[chunkSize]byte // where data lies, nil when it is a copy
	at     time.Time
}

// chunkPool keeps buffers of chunkSize.
type chunkPool struct{ pool sync.Pool }

func (p *chunkPool) get() *[chunkSize]byte {
	if b, ok := p.pool.Get().(*[chunkSize]byte); ok {
		return b
	}
	return new([chunkSize]byte)
}

func (p *chunkPool) put(b *[chunkSize]byte) {
	if b != nil {
		p.pool.Put(b)
	}
}

// queueLength is the number of chunks that may be on the way in one direction.
func queueLength(s Shape) int {
	return int(max(s.streamQueue()/vam.Bytes(readSize(s.Rate)), 4))
}

// readSize keeps a chunk to five milliseconds of the wire, so that a slow link
// trickles instead of pulsing.
func readSize(rate vam.Bytes) int {
	if rate == 0 {
		return chunkSize
	}
	return int(min(max(rate/200, 512), chunkSize))
}

// read takes octets from one side and puts them on the way.
func (r *relay) read(d Direction, queue chan<- chunk) {
	defer close(queue)
	from, l := r.conns[1-d], r.link.lanes[d]
	earliest := r.opened.Add(l.shape().Delay)
	if d == ToClient {
		earliest = r.opened.Add(r.trip) // the answer to the first octets, or a greeting
	}
	buf := r.link.buffers.get()
	for {
		n, err := from.Read(buf[:readSize(l.shape().Rate)])
		now := time.Now()
		if n > 0 {
			c := chunk{at: latest(l.pass(now, n), earliest)}
			if n < copyBelow {
				c.data = append([]byte(nil), buf[:n]...)
			} else {
				c.data, c.pooled = buf[:n], buf
				buf = r.link.buffers.get()
			}
			select {
			case queue <- c:
			case <-r.done:
				return
			}
		}
		if err == io.EOF {
			select {
			case queue <- chunk{at: latest(l.pass(now, 0), earliest)}:
			case <-r.done:
			}
			return
		}
		if err != nil {
			r.end(Rst)
			return
		}
	}
}

// write hands over what has arrived.
func (r *relay) write(d Direction, queue <-chan chunk) {
	to, l := r.conns[d], r.link.lanes[d]
	timer := time.NewTimer(0)
	defer timer.Stop()
	var carried int64
	for c := range queue {
		if !r.until(c.at, timer) || !l.flow(r.done) {
			return
		}
		if c.data == nil {
			_ = to.CloseWrite()
			return
		}
		for data := c.data; len(data) > 0; {
			n, ok := r.hand(d, data, &carried)
			if !ok {
				return
			}
			data = data[n:]
		}
		r.link.buffers.put(c.pooled)
	}
}

// hand writes as much of data as the link's faults allow; false ends the relay.
func (r *relay) hand(d Direction, data []byte, carried *int64) (int, bool) {
	l := r.link.lanes[d]
	v := l.grant(len(data), *carried)
	if v.wait != nil {
		select {
		case <-v.wait:
			return 0, true
		case <-r.done:
			return 0, false
		}
	}
	l.carry(v.n) // before the receiver can see them
	n, err := r.conns[d].Write(data[:v.n])
	l.carry(n - v.n)
	*carried += int64(n)
	switch {
	case v.cut != nil:
		r.drain(d)
		r.link.Cut(v.cut.how)
		l.disarm(v.cut)
		return n, false
	case v.each != nil:
		r.drain(d)
		if r.end(v.each.how) {
			r.link.countCut()
		}
		return n, false
	case err != nil:
		r.end(Rst)
		return n, false
	}
	return n, true
}

// drain waits until the receiver's system has what was written: a reset would
// otherwise overtake it, and so would a close with unread octets on this side.
func (r *relay) drain(d Direction) {
	for end := time.Now().Add(drainFor); unacknowledged(r.conns[d]) > 0 && time.Now().Before(end); {
		time.Sleep(100 * time.Microsecond)
	}
}

// until waits for a moment; false is that the relay ended first.
func (r *relay) until(at time.Time, timer *time.Timer) bool {
	wait := time.Until(at)
	if wait <= 0 {
		return true
	}
	timer.Reset(wait)
	select {
	case <-timer.C:
		return true
	case <-r.done:
		return false
	}
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
