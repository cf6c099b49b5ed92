package netem_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/netem"
)

// A shape that is changed counts for what enters from then on.
func TestShaperChanges(t *testing.T) {
	s := netem.NewShaper(netem.Shape{Rate: 1000, Queue: 1 << 20}, 1)
	if f := s.Admit(epoch, 1000); !f.At.Equal(epoch.Add(time.Second)) {
		t.Fatalf("%+v", f)
	}
	s.SetShape(netem.Shape{Rate: 2000, Delay: time.Minute, Queue: 1 << 20})
	// It waits for what is on the wire already.
	if f := s.Admit(epoch, 1000); !f.At.Equal(epoch.Add(1500*time.Millisecond + time.Minute)) {
		t.Fatalf("%+v", f)
	}
	s.Clear()
	if f := s.Admit(epoch, 1000); !f.At.Equal(epoch.Add(500*time.Millisecond + time.Minute)) {
		t.Fatalf("after clearing: %+v", f)
	}
	s.SetShape(netem.Shape{})
	if f := s.Admit(epoch, 1000); !f.At.Equal(epoch) {
		t.Fatalf("without a shape: %+v", f)
	}
}

// roundTrip is how long an octet takes there and back.
func roundTrip(t *testing.T, c net.Conn) time.Duration {
	t.Helper()
	start := time.Now()
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(start)
}

// Connections that are up feel the change too. Only lower bounds: the machine may be
// busy.
func TestTCPShapeChanges(t *testing.T) {
	link := openTCP(t, netem.Config{Target: serveTCP(t, "127.0.0.1:0", echo)})
	c := dial(t, link)
	roundTrip(t, c)
	for _, d := range netem.Directions() {
		link.SetShape(d, netem.Shape{Delay: 30 * time.Millisecond})
		if took := roundTrip(t, c); took < 30*time.Millisecond {
			t.Errorf("30 ms %s took %v", d, took)
		}
	}
	if took := roundTrip(t, c); took < 60*time.Millisecond {
		t.Errorf("60 ms took %v", took)
	}
	if s := link.Stats(); s.Total() != 8 {
		t.Errorf("%+v", s)
	}
}

func TestUDPShapeChanges(t *testing.T) {
	link := openUDP(t, netem.Config{Target: serveUDP(t, nil)})
	c := dialUDP(t, link)
	send := func(n uint32) {
		if _, err := c.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() uint32 {
		b := make([]byte, 4)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
		return binary.BigEndian.Uint32(b)
	}
	for i, d := range netem.Directions() {
		lost, next := uint32(2*i), uint32(2*i+1)
		before := link.Stats(d).Lost
		link.SetShape(d, netem.Shape{Loss: 1})
		send(lost)
		for link.Stats(d).Lost == before { // a shape counts for what enters after it
			time.Sleep(time.Millisecond)
		}
		link.SetShape(d, netem.Shape{})
		send(next)
		if got := receive(); got != next {
			t.Errorf("%s: datagram %d came", d, got)
		}
	}
}
