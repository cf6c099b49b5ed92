package netem_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/netem"
)

// openWire skips where a wire cannot be had, and fails loudly where the
// environment promises it.
func openWire(t testing.TB, c netem.WireConfig) *netem.Wire {
	t.Helper()
	w, err := netem.OpenWire(c)
	if err != nil {
		if os.Getenv("VAM_CI") == "1" {
			t.Fatalf("VAM_CI=1 promises root and /dev/net/tun: %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// wirePair is one TCP connection over w.
func wirePair(t testing.TB, w *netem.Wire) (client, target net.Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	l, err := w.Target.Listen(ctx, net.ListenConfig{}, "tcp", net.JoinHostPort(w.Target.Addr.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = w.Client.Dial(ctx, net.Dialer{}, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	target, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = target.Close()
	})
	return client, target
}

func TestWireCarriesTCPThroughLoss(t *testing.T) {
	bad := netem.Shape{Delay: 5 * time.Millisecond, Rate: netem.Megabits(200), Loss: 0.01}
	w := openWire(t, netem.WireConfig{Shapes: [2]netem.Shape{bad, bad}, Seed: 5})
	start := time.Now()
	client, target := wirePair(t, w)
	if took := time.Since(start); took < 10*time.Millisecond {
		t.Fatalf("a handshake over a round trip of 10 ms took %v", took)
	}
	want := noise(3 << 20)
	go func() {
		_, _ = target.Write(want)
		_ = target.Close()
	}()
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d octets, %v", len(got), len(want), err)
	}
	s := w.Stats(netem.ToClient)
	if s.Lost == 0 || s.OutBytes < int64(len(want)) {
		t.Fatalf("counters %+v", s)
	}
	if n, err := w.Overruns(); err != nil || n != 0 {
		t.Fatalf("the devices dropped %d packets, %v", n, err)
	}
}

func TestWireOutage(t *testing.T) {
	w := openWire(t, netem.WireConfig{})
	client, target := wirePair(t, w)
	w.Outage(true)
	if _, err := target.Write([]byte("late")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	_ = client.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := client.Read(b); err == nil {
		t.Fatalf("%d octets passed an outage", n)
	}
	w.Outage(false)
	_ = client.SetReadDeadline(time.Time{})
	if _, err := io.ReadFull(client, b); err != nil || string(b) != "late" {
		t.Fatalf("after the outage %q, %v", b, err)
	}
}

func TestWireRunsCommands(t *testing.T) {
	w := openWire(t, netem.WireConfig{})
	cmd := exec.Command("cat", "/proc/net/dev")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := w.Target.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "wire0") {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if dev, _ := os.ReadFile("/proc/net/dev"); bytes.Contains(dev, []byte("wire0")) {
		t.Fatal("the device is visible outside of the namespace")
	}
}

func TestWireRefusesGiants(t *testing.T) {
	if _, err := netem.OpenWire(netem.WireConfig{MTU: 65536}); err == nil {
		t.Fatal("an MTU of 65536 was taken")
	}
}

func BenchmarkWire(b *testing.B) {
	for _, rate := range []float64{100, 500, 0} {
		b.Run(netem.Megabits(rate).String(), func(b *testing.B) {
			w := openWire(b, netem.WireConfig{Shapes: netem.Even(10*time.Millisecond, netem.Megabits(rate))})
			client, target := wirePair(b, w)
			b.SetBytes(1 << 20)
			go func() {
				piece := make([]byte, 1<<20)
				for range b.N {
					if _, err := target.Write(piece); err != nil {
						return
					}
				}
			}()
			if _, err := io.CopyN(io.Discard, client, int64(b.N)<<20); err != nil {
				b.Fatal(err)
			}
			if n, err := w.Overruns(); err != nil || n != 0 {
				b.Errorf("the devices dropped %d packets, %v", n, err)
			}
			b.Logf("%+v", w.Stats(netem.ToClient))
		})
	}
}
