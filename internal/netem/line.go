package netem

import (
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// PacketStats counts the packets of one direction since the link was opened.
type PacketStats struct {
	// In and InBytes count what came to the link, Out and OutBytes what left it,
	// doubles included.
	In, InBytes, Out, OutBytes int64
	// Lost is by chance or on demand, Full by a full queue, Outage while the link
	// was down; Doubled came out twice.
	Lost, Full, Outage, Doubled int64
	// Failed is what the system would not take at the far end.
	Failed int64
}

const (
	// quantum is how long a packet that is due may wait for others: one wake-up then
	// serves several.
	quantum = 150 * time.Microsecond
	// maxBatch is how many packets are read or delivered at once.
	maxBatch = 64
)

// line is one direction of a packet link: a Shaper, what is on the way, and one
// goroutine that delivers it.
type line[T any] struct {
	pool    *packetPool
	deliver func([]parcel[T]) (failed int) // does not keep its argument
	wake    chan struct{}

	mu      sync.Mutex
	shaper  *Shaper
	waiting parcels[T]
	inside  vam.Bytes
	down    bool
	drop    int64 // the next so many packets are lost
	stats   PacketStats
}

func newLine[T any](shape Shape, seed uint64, pool *packetPool, deliver func([]parcel[T]) int) *line[T] {
	return &line[T]{pool: pool, deliver: deliver, shaper: NewShaper(shape, seed), wake: make(chan struct{}, 1)}
}

// put takes a packet and owns it.
func (l *line[T]) put(now time.Time, k *packet, to T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, copies := l.judge(now, k)
	if copies == 0 {
		l.pool.put(k)
		return
	}
	if copies == 2 {
		l.stats.Doubled++
		l.add(parcel[T]{at: at, packet: l.pool.twin(k), to: to})
	}
	l.add(parcel[T]{at: at, packet: k, to: to})
}

// judge counts a packet and says what becomes of it.
func (l *line[T]) judge(now time.Time, k *packet) (at time.Time, copies int) {
	l.stats.In++
	l.stats.InBytes += int64(len(k.data))
	if l.down {
		l.stats.Outage++
		return now, 0
	}
	if l.drop > 0 {
		l.drop--
		l.stats.Lost++
		return now, 0
	}
	f := l.shaper.Admit(now, len(k.data))
	switch {
	case f.Full || l.inside+vam.Bytes(len(k.data)) > unlimitedQueue:
		l.stats.Full++
		return now, 0
	case f.Copies == 0:
		l.stats.Lost++
	}
	return f.At, f.Copies
}

func (l *line[T]) add(p parcel[T]) {
	l.inside += vam.Bytes(len(p.data))
	if l.waiting.add(p) {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// run delivers until done.
func (l *line[T]) run(done <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []parcel[T]
	for {
		var wait time.Duration
		due, wait = l.due(time.Now(), due[:0])
		if len(due) > 0 {
			l.finish(due, l.deliver(due))
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-l.wake:
		case <-done:
			return
		}
	}
}

// due moves what has arrived to batch; where that is nothing, it returns how long
// to wait.
func (l *line[T]) due(now time.Time, batch []parcel[T]) ([]parcel[T], time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.waiting.len() > 0 && len(batch) < maxBatch && !l.waiting.first().at.After(now) {
		p := l.waiting.pop()
		l.inside -= vam.Bytes(len(p.data))
		batch = append(batch, p)
	}
	if len(batch) > 0 || l.waiting.len() == 0 {
		return batch, time.Hour
	}
	return batch, l.waiting.first().at.Sub(now) + quantum
}

// finish counts what was delivered and gives its memory back.
func (l *line[T]) finish(batch []parcel[T], failed int) {
	l.mu.Lock()
	l.stats.Out += int64(len(batch) - failed)
	l.stats.Failed += int64(failed)
	for _, p := range batch {
		l.stats.OutBytes += int64(len(p.data))
	}
	l.mu.Unlock()
	for i := range batch {
		l.pool.put(batch[i].packet)
		batch[i] = parcel[T]{}
	}
}

func (l *line[T]) setShape(s Shape) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shaper.SetShape(s)
}

// outage turns the line off or on. What is on the way when it goes off is lost.
func (l *line[T]) outage(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	if down {
		l.stats.Outage += int64(l.waiting.len())
		l.waiting, l.inside = parcels[T]{}, 0
		l.shaper.Clear()
	}
}

func (l *line[T]) dropNext(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop = n
}

func (l *line[T]) counters() PacketStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}
