package netem

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
)

// socketBuffer is asked for on each socket of a link, in octets.
const socketBuffer = 8 << 20

// UDPLink forwards datagrams of up to 9,216 octets with a Shape in each direction.
// Every client address has a socket of its own towards the target, as behind a
// NAT, until Close. All methods are safe for concurrent use.
type UDPLink struct {
	target *net.UDPAddr
	source net.IP
	front  *net.UDPConn
	pool   packetPool
	lines  [2]*line[*flow]
	done   chan struct{}
	wg     sync.WaitGroup

	mu     sync.Mutex
	flows  map[netip.AddrPort]*flow
	closed bool
}

// flow is one client of a UDPLink.
type flow struct {
	client *net.UDPAddr

	mu sync.Mutex
	up *net.UDPConn // to the target
}

func (f *flow) socket() *net.UDPConn {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.up
}

// OpenUDP listens and forwards until Close.
func OpenUDP(c Config) (*UDPLink, error) {
	link := &UDPLink{flows: make(map[netip.AddrPort]*flow), done: make(chan struct{})}
	if c.Source != "" {
		if link.source = net.ParseIP(c.Source); link.source == nil {
			return nil, fmt.Errorf("netem: source %q is not an IP address", c.Source)
		}
	}
	var err error
	if link.target, err = net.ResolveUDPAddr("udp", c.Target); err != nil {
		return nil, fmt.Errorf("netem: target: %w", err)
	}
	here, err := net.ResolveUDPAddr("udp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("netem: %w", err)
	}
	if link.front, err = net.ListenUDP("udp", here); err != nil {
		return nil, fmt.Errorf("netem: %w", err)
	}
	deepen(link.front, socketBuffer)
	out := batchWriter(link.front)
	link.lines[ToTarget] = newLine(c.Shapes[ToTarget], c.Seed, &link.pool, forwardUp)
	link.lines[ToClient] = newLine(c.Shapes[ToClient], c.Seed+1, &link.pool, func(ps []parcel[*flow]) int {
		return out(ps, func(f *flow) net.Addr { return f.client })
	})
	for _, l := range link.lines {
		link.wg.Go(func() { l.run(link.done) })
	}
	link.wg.Go(func() { link.readClients() })
	return link, nil
}

// Addr is where the link listens.
func (u *UDPLink) Addr() net.Addr { return u.front.LocalAddr() }

// Close stops forwarding, closes every socket and waits.
func (u *UDPLink) Close() error {
	u.mu.Lock()
	if u.closed {
		u.mu.Unlock()
		return nil
	}
	u.closed = true
	err := u.front.Close()
	for _, f := range u.flows {
		err = errors.Join(err, f.socket().Close())
	}
	u.mu.Unlock()
	close(u.done)
	u.wg.Wait()
	return err
}

// Stats returns the counters of a direction.
func (u *UDPLink) Stats(d Direction) PacketStats { return u.lines[d].counters() }

// SetShape changes a direction for what enters it from now on.
func (u *UDPLink) SetShape(d Direction, s Shape) { u.lines[d].setShape(s) }

// Outage loses everything in both directions until it is turned off again, what is
// on the way included.
func (u *UDPLink) Outage(on bool) {
	for _, l := range u.lines {
		l.outage(on)
	}
}

// DropNext loses the next n datagrams of a direction.
func (u *UDPLink) DropNext(d Direction, n int64) { u.lines[d].dropNext(n) }

// Rebind gives every client a new port towards the target, as a NAT does that has
// forgotten them. What the target sends to the old ports is lost.
func (u *UDPLink) Rebind() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return errors.New("netem: the link is closed")
	}
	for _, f := range u.flows {
		fresh, err := u.dial()
		if err != nil {
			return err
		}
		f.mu.Lock()
		old := f.up
		f.up = fresh
		f.mu.Unlock()
		u.wg.Go(func() { u.readTarget(f, fresh) })
		if err := old.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (u *UDPLink) dial() (*net.UDPConn, error) {
	var from *net.UDPAddr
	if u.source != nil {
		from = &net.UDPAddr{IP: u.source}
	}
	c, err := net.DialUDP("udp", from, u.target)
	if err != nil {
		return nil, fmt.Errorf("netem: %w", err)
	}
	deepen(c, socketBuffer)
	return c, nil
}

// flowOf returns the flow of a client, a new one for a new client; nil when the
// link is closed or no socket is to be had.
func (u *UDPLink) flowOf(a net.Addr) *flow {
	client, ok := a.(*net.UDPAddr)
	if !ok {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	key := client.AddrPort()
	if f, ok := u.flows[key]; ok {
		return f
	}
	if u.closed {
		return nil
	}
	c, err := u.dial()
	if err != nil {
		return nil
	}
	f := &flow{client: client, up: c}
	u.flows[key] = f
	u.wg.Go(func() { u.readTarget(f, c) })
	return f
}

func (u *UDPLink) readClients() {
	readBatches(u.front, &u.pool, func(now time.Time, k *packet, from net.Addr) {
		if f := u.flowOf(from); f != nil {
			u.lines[ToTarget].put(now, k, f)
			return
		}
		u.pool.put(k)
	})
}

func (u *UDPLink) readTarget(f *flow, c *net.UDPConn) {
	readBatches(c, &u.pool, func(now time.Time, k *packet, _ net.Addr) {
		u.lines[ToClient].put(now, k, f)
	})
}

// forwardUp delivers runs of one flow together.
func forwardUp(ps []parcel[*flow]) (failed int) {
	for len(ps) > 0 {
		n := 1
		for n < len(ps) && ps[n].to == ps[0].to {
			n++
		}
		failed += batchWriter(ps[0].to.socket())(ps[:n], func(*flow) net.Addr { return nil })
		ps = ps[n:]
	}
	return failed
}

// readBatches calls got, which owns the packet, until the socket is closed.
func readBatches(c *net.UDPConn, pool *packetPool, got func(time.Time, *packet, net.Addr)) {
	pc := ipv4.NewPacketConn(c) // its batches serve IPv6 sockets as well
	packets := make([]*packet, maxBatch)
	messages := make([]ipv4.Message, maxBatch)
	for {
		for i := range messages {
			if packets[i] == nil {
				packets[i] = pool.get()
				messages[i].Buffers = [][]byte{packets[i].room[:]}
			}
		}
		n, err := pc.ReadBatch(messages, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		now := time.Now()
		for i := range max(n, 0) { // other errors report an earlier datagram (ICMP)
			k := packets[i]
			packets[i] = nil
			k.data = k.room[:messages[i].N]
			got(now, k, messages[i].Addr)
		}
	}
}

// batchWriter returns a function that sends parcels in few system calls and
// returns how many the system would not take.
func batchWriter(c *net.UDPConn) func([]parcel[*flow], func(*flow) net.Addr) int {
	pc := ipv4.NewPacketConn(c)
	return func(ps []parcel[*flow], addr func(*flow) net.Addr) (failed int) {
		messages := make([]ipv4.Message, len(ps))
		for i, p := range ps {
			messages[i] = ipv4.Message{Buffers: [][]byte{p.data}, Addr: addr(p.to)}
		}
		for len(messages) > 0 {
			n, err := pc.WriteBatch(messages, 0)
			if errors.Is(err, net.ErrClosed) {
				return failed + len(messages)
			}
			if err != nil || n <= 0 { // the first one is at fault
				failed++
				n = 1
			}
			messages = messages[n:]
		}
		return failed
	}
}
