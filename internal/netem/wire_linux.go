package netem

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/videoactivmail/vam/internal/netns"
)

// wireDevice is the name of the TUN device in each namespace of a Wire.
const wireDevice = "wire0"

// WireConfig describes a Wire. Shapes[ToTarget] is from Client to Target.
type WireConfig struct {
	Shapes [2]Shape
	Seed   uint64
	// MTU is the largest packet in octets; 0 is 1500.
	MTU int
}

// WireEnd is one namespace of a Wire. Its loopback device is up and its own.
type WireEnd struct {
	*netns.Namespace
	// Addr is the end's address on the wire.
	Addr netip.Addr

	tun *os.File
}

// Wire joins two network namespaces. Whatever IPv4 packet one kernel sends to the
// other passes through this process, which delays it, limits the rate, and drops,
// doubles or reorders it by chance. TCP and its congestion control therefore see
// the path from end to end, as they would a real one.
//
// A Wire is for Linux and needs root. It carries one packet per system call, about
// 1 Gbit/s on one core; what the device itself had to drop is in Overruns.
type Wire struct {
	Client, Target WireEnd

	pool  packetPool
	lines [2]*line[struct{}]
	done  context.CancelFunc
	wg    sync.WaitGroup
}

// OpenWire makes the namespaces and carries packets until Close.
func OpenWire(c WireConfig) (w *Wire, err error) {
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.MTU > maxPacket {
		return nil, fmt.Errorf("netem: an MTU of %d is over %d", c.MTU, maxPacket)
	}
	w = &Wire{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("netem: wire: %w", err), w.Close())
			w = nil
		}
	}()
	for end, address := range map[*WireEnd]string{&w.Client: "10.98.0.1/24", &w.Target: "10.98.0.2/24"} {
		if err := end.open(netip.MustParsePrefix(address), c.MTU); err != nil {
			return w, err
		}
	}
	ctx, done := context.WithCancel(context.Background())
	w.done = done
	for d, end := range [2][2]*WireEnd{ToTarget: {&w.Client, &w.Target}, ToClient: {&w.Target, &w.Client}} {
		from, to := end[0].tun, end[1].tun
		w.lines[d] = newLine(c.Shapes[d], c.Seed+uint64(d), &w.pool, func(ps []parcel[struct{}]) int { return writeTUN(to, ps) })
		w.wg.Go(func() { w.lines[d].run(ctx.Done()) })
		w.wg.Go(func() { w.read(from, w.lines[d]) })
	}
	return w, nil
}

// open makes the namespace and its device.
func (e *WireEnd) open(prefix netip.Prefix, mtu int) (err error) {
	if e.Namespace, err = netns.New(); err != nil {
		return err
	}
	// Without IPv6 the kernel sends nothing on its own account.
	if err := e.Sysctl("ipv6.conf.default.disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := e.Do(func() error { e.tun, err = openTUN(wireDevice); return err }); err != nil {
		return err
	}
	e.Addr = prefix.Addr()
	return errors.Join(
		e.SetAddress(wireDevice, prefix),
		e.SetMTU(wireDevice, mtu),
		e.SetTxQueue(wireDevice, 20_000),
		e.SetUp(wireDevice),
	)
}

// openTUN makes a device in the calling thread's namespace.
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a TUN device: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// Close stops carrying and removes devices and namespaces. Processes that were
// started inside end the namespace with them.
func (w *Wire) Close() error {
	if w.done != nil {
		w.done()
	}
	var errs []error
	for _, e := range []*WireEnd{&w.Client, &w.Target} {
		if e.tun != nil {
			errs = append(errs, e.tun.Close())
		}
	}
	w.wg.Wait()
	for _, e := range []*WireEnd{&w.Client, &w.Target} {
		if e.Namespace != nil {
			errs = append(errs, e.Namespace.Close())
		}
		*e = WireEnd{}
	}
	return errors.Join(errs...)
}

// Stats returns the counters of a direction.
func (w *Wire) Stats(d Direction) PacketStats { return w.lines[d].counters() }

// SetShape changes a direction for what enters it from now on.
func (w *Wire) SetShape(d Direction, s Shape) { w.lines[d].setShape(s) }

// Outage loses everything in both directions until it is turned off again, what is
// on the way included.
func (w *Wire) Outage(on bool) {
	for _, l := range w.lines {
		l.outage(on)
	}
}

// Overruns is how many packets the two devices dropped because this process did
// not take them in time: loss that no Shape asked for. A measurement in which it
// has grown says nothing.
func (w *Wire) Overruns() (int64, error) {
	var sum int64
	for _, e := range []*WireEnd{&w.Client, &w.Target} {
		err := e.Do(func() error {
			n, err := txDropped(wireDevice)
			sum += n
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return sum, nil
}

// txDropped reads a device's counter in the calling thread's namespace (proc(5)).
func txDropped(device string) (int64, error) {
	b, err := os.ReadFile("/proc/thread-self/net/dev")
	if err != nil {
		return 0, err
	}
	for row := range strings.Lines(string(b)) {
		name, counters, ok := strings.Cut(row, ":")
		if f := strings.Fields(counters); ok && strings.TrimSpace(name) == device && len(f) >= 16 {
			return strconv.ParseInt(f[11], 10, 64) // 8 of receiving, then bytes, packets, errs, drop
		}
	}
	return 0, fmt.Errorf("no device %s", device)
}

func (w *Wire) read(from *os.File, l *line[struct{}]) {
	for {
		k := w.pool.get()
		n, err := from.Read(k.room[:])
		if err != nil {
			return // closed
		}
		k.data = k.room[:n]
		l.put(time.Now(), k, struct{}{})
	}
}

// writeTUN hands packets to a kernel; EINVAL, EIO and the like are its verdict on
// one packet.
func writeTUN(to *os.File, ps []parcel[struct{}]) (failed int) {
	for _, p := range ps {
		var errno syscall.Errno
		if _, err := to.Write(p.data); errors.As(err, &errno) || errors.Is(err, os.ErrClosed) {
			failed++
		}
	}
	return failed
}
