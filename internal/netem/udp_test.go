package netem_test

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/netem"
)

// serveUDP sends every datagram back and tells seen who sent it.
func serveUDP(t *testing.T, seen func(net.Addr)) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if seen != nil {
				seen(from)
			}
			_, _ = c.WriteTo(b[:n], from)
		}
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c.LocalAddr().String()
}

func openUDP(t *testing.T, c netem.Config) *netem.UDPLink {
	t.Helper()
	c.Listen = "127.0.0.1:0"
	link, err := netem.OpenUDP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(link.Close(), link.Close()); err != nil {
			t.Error(err)
		}
	})
	return link
}

func dialUDP(t *testing.T, link *netem.UDPLink) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", link.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// collect numbers n datagrams, sends them and returns the numbers that come back
// before a silence of patience. A few hundred fit into the socket buffers of any
// system, so that only the link loses some.
func collect(t *testing.T, c net.Conn, n int, patience time.Duration) []int {
	t.Helper()
	for i := range n {
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	b := make([]byte, 16)
	for len(got) < 2*n {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		m, err := c.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil || m != 4 {
			t.Fatalf("%d octets, %v", m, err)
		}
		got = append(got, int(binary.BigEndian.Uint32(b)))
	}
	return got
}

const patience = 300 * time.Millisecond

func TestUDPPassesInOrder(t *testing.T) {
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil), Shapes: netem.Even(20*time.Millisecond, netem.Megabits(100))})
	start := time.Now()
	got := collect(t, dialUDP(t, link), 200, patience)
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Fatalf("a round trip of 20 ms took %v", took)
	}
	if len(got) != 200 {
		t.Fatalf("%d of 200 datagrams came back", len(got))
	}
	for i, n := range got {
		if i != n {
			t.Fatalf("datagram %d came as number %d", n, i)
		}
	}
	if s := link.Stats(netem.ToTarget); s.In != 200 || s.Out != 200 || s.InBytes != 800 || s.OutBytes != 800 {
		t.Fatalf("counters %+v", s)
	}
}

func TestUDPLosesDoublesAndReorders(t *testing.T) {
	bad := netem.Shape{Loss: 0.2, Duplicate: 0.1, Reorder: 0.1, ReorderBy: 20 * time.Millisecond}
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil), Shapes: [2]netem.Shape{netem.ToTarget: bad}, Seed: 3})
	got := collect(t, dialUDP(t, link), 200, patience)
	s := link.Stats(netem.ToTarget)
	if s.Lost == 0 || s.Doubled == 0 || s.Out != 200-s.Lost+s.Doubled || int(s.Out) != len(got) {
		t.Fatalf("%d datagrams came back, counters %+v", len(got), s)
	}
	late := 0
	for i := 1; i < len(got); i++ {
		if got[i] < got[i-1] {
			late++
		}
	}
	if late == 0 {
		t.Fatal("nothing was reordered")
	}
	again := openUDP(t, netem.Config{Target: serveUDP(t, nil), Shapes: [2]netem.Shape{netem.ToTarget: bad}, Seed: 3})
	collect(t, dialUDP(t, again), 200, patience)
	if r := again.Stats(netem.ToTarget); r.Lost != s.Lost || r.Doubled != s.Doubled {
		t.Fatalf("the same seed decided otherwise: %+v and %+v", s, r)
	}
}

func TestUDPOutageAndDropNext(t *testing.T) {
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil)})
	c := dialUDP(t, link)
	link.Outage(true)
	if got := collect(t, c, 10, 50*time.Millisecond); len(got) != 0 {
		t.Fatalf("%v passed an outage", got)
	}
	link.Outage(false)
	link.DropNext(netem.ToTarget, 3)
	if got := collect(t, c, 5, patience); len(got) != 2 || got[0] != 3 {
		t.Fatalf("%v passed, want 3 and 4", got)
	}
	if s := link.Stats(netem.ToTarget); s.Outage != 10 || s.Lost != 3 {
		t.Fatalf("counters %+v", s)
	}
}

func TestUDPOutageTakesWhatIsOnTheWay(t *testing.T) {
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil), Shapes: netem.Even(time.Hour, 0)})
	c := dialUDP(t, link)
	for range 4 {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for link.Stats(netem.ToTarget).In < 4 {
		time.Sleep(time.Millisecond)
	}
	link.Outage(true)
	if s := link.Stats(netem.ToTarget); s.Outage != 4 {
		t.Fatalf("counters %+v", s)
	}
}

func TestUDPRebindChangesThePortOnly(t *testing.T) {
	from := make(chan net.Addr, 10)
	target := serveUDP(t, func(a net.Addr) { from <- a })
	link := openUDP(t, netem.Config{Target: target, Source: "127.0.0.5"})
	c := dialUDP(t, link)
	if len(collect(t, c, 1, patience)) != 1 {
		t.Fatal("nothing came back")
	}
	first := (<-from).(*net.UDPAddr)
	if err := link.Rebind(); err != nil {
		t.Fatal(err)
	}
	if len(collect(t, c, 1, patience)) != 1 {
		t.Fatal("nothing came back after rebinding")
	}
	second := (<-from).(*net.UDPAddr)
	if first.Port == second.Port || first.IP.String() != "127.0.0.5" || !first.IP.Equal(second.IP) {
		t.Fatalf("the target saw %v, then %v", first, second)
	}
}

func TestUDPSeparatesClients(t *testing.T) {
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil), Shapes: netem.Even(10*time.Millisecond, 0)})
	a, b := dialUDP(t, link), dialUDP(t, link)
	b16 := make([]byte, 16)
	for _, s := range []struct {
		c    net.Conn
		text string
	}{{a, "for a"}, {b, "for b"}} {
		if _, err := s.c.Write([]byte(s.text)); err != nil {
			t.Fatal(err)
		}
	}
	for c, want := range map[net.Conn]string{a: "for a", b: "for b"} {
		n, err := c.Read(b16)
		if err != nil || string(b16[:n]) != want {
			t.Fatalf("got %q, %v; want %q", b16[:n], err, want)
		}
	}
}

func TestUDPTargetAway(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	link := openUDP(t, netem.Config{Target: c.LocalAddr().String()})
	if got := collect(t, dialUDP(t, link), 20, 50*time.Millisecond); len(got) != 0 {
		t.Fatalf("%v came back from nowhere", got)
	}
}
