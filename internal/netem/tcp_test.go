package netem_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/netem"
)

// chunk is more than a connection is handed at a time.
const chunk = 64 << 10

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serveTCP runs handle for each connection on address until the test ends.
func serveTCP(t *testing.T, address string, handle func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().String()
}

func echo(c *net.TCPConn) {
	_, _ = io.Copy(c, c)
	_ = c.CloseWrite()
}

func openTCP(t *testing.T, c netem.Config) *netem.TCPLink {
	t.Helper()
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	link, err := netem.OpenTCP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	return link
}

func dial(t *testing.T, link *netem.TCPLink) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", link.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func TestTCPCarriesEverything(t *testing.T) {
	// Between two loopback addresses, as two domains on one machine are.
	target := serveTCP(t, "127.0.0.2:0", echo)
	link := openTCP(t, netem.Config{Listen: "127.0.0.1:0", Target: target, Source: "127.0.0.3", Shapes: netem.Even(4*time.Millisecond, 200*vam.MiB)})
	c := dial(t, link)
	want := noise(3<<20 + 17)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%d of %d octets, %v", len(got), len(want), err)
	}
	s := link.Stats()
	if s.Carried != [2]int64{int64(len(want)), int64(len(want))} || s.Accepted != 1 || s.Cut != 0 {
		t.Fatalf("counters %+v", s)
	}
}

func TestTCPSource(t *testing.T) {
	from := make(chan net.Addr, 1)
	target := serveTCP(t, "127.0.0.1:0", func(c *net.TCPConn) { from <- c.RemoteAddr() })
	dial(t, openTCP(t, netem.Config{Target: target, Source: "127.0.0.9"}))
	if a := (<-from).(*net.TCPAddr); a.IP.String() != "127.0.0.9" {
		t.Fatalf("the target saw %v", a)
	}
	if _, err := netem.OpenTCP(netem.Config{Listen: "127.0.0.1:0", Target: target, Source: "nowhere"}); err == nil {
		t.Fatal("a source that is no address was taken")
	}
}

// A path is never faster than its delays: no upper bounds, the machine may be busy.
func TestTCPDelays(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", echo)
	const trip = 30 * time.Millisecond
	link := openTCP(t, netem.Config{Target: target, Shapes: netem.Even(trip, 0)})
	start := time.Now()
	c := dial(t, link)
	one := make([]byte, 1)
	for i := range 3 {
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatal(err)
		}
		// The first answer also pays for the three-way handshake.
		if took, least := time.Since(start), time.Duration(i+2)*trip; took < least {
			t.Fatalf("answer %d after %v, the path needs %v", i, took, least)
		}
	}
}

func TestTCPRateIsShared(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) })
	link := openTCP(t, netem.Config{Target: target, Shapes: netem.Even(0, 10*vam.MiB)})
	start := time.Now()
	var wg sync.WaitGroup
	for range 4 {
		c := dial(t, link)
		wg.Go(func() {
			_, _ = c.Write(make([]byte, 512<<10))
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
	}
	wg.Wait()
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Fatalf("2 MiB passed a link of 10 MiB/s in %v", took)
	}
}

// cutCase sends data through a link that is armed by arm and returns what the
// receiving side got and how its reading ended.
func cutCase(t *testing.T, d netem.Direction, data []byte, arm func(*netem.TCPLink)) (*netem.TCPLink, []byte, error) {
	t.Helper()
	type result struct {
		got []byte
		err error
	}
	done := make(chan result, 1)
	collect := func(c net.Conn) {
		b, err := io.ReadAll(c)
		done <- result{b, err}
	}
	send := func(c net.Conn) {
		_, _ = c.Write(data)
		_, _ = io.Copy(io.Discard, c) // stay until it is cut
	}
	atTarget, atClient := collect, send
	if d == netem.ToClient {
		// The target waits for a word: a reset must not meet a client that still
		// dials.
		atTarget = func(c net.Conn) { _, _ = c.Read(make([]byte, 1)); send(c) }
		atClient = func(c net.Conn) { _, _ = c.Write([]byte{1}); collect(c) }
	}
	target := serveTCP(t, "127.0.0.1:0", func(c *net.TCPConn) { atTarget(c) })
	link := openTCP(t, netem.Config{Target: target})
	arm(link)
	c := dial(t, link)
	go atClient(c)
	r := <-done
	return link, r.got, r.err
}

func TestCutAfterExactly(t *testing.T) {
	data := noise(300_000)
	for _, d := range netem.Directions() {
		for _, how := range []netem.Ending{netem.Fin, netem.Rst} {
			for _, n := range []int{0, 1, 2, 1459, 65535, 65536, 65537, 299_999, 300_000} {
				t.Run(fmt.Sprintf("%s/%d/%d", d, how, n), func(t *testing.T) {
					var fired <-chan struct{}
					link, got, err := cutCase(t, d, data, func(l *netem.TCPLink) { fired = l.CutAfter(d, int64(n), how) })
					if !bytes.Equal(got, data[:n]) {
						t.Fatalf("%d octets came out, want %d (%v)", len(got), n, err)
					}
					if how == netem.Rst && !errors.Is(err, syscall.ECONNRESET) {
						t.Fatalf("reading ended with %v, want a reset", err)
					}
					<-fired
					if s := link.Stats(); s.Carried[d] != int64(n) || s.Cut != 1 {
						t.Fatalf("counters %+v", s)
					}
				})
			}
		}
	}
}

func TestCutEachConnection(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", func(c *net.TCPConn) { _, _ = c.Write(noise(5000)); _, _ = io.Copy(io.Discard, c) })
	link := openTCP(t, netem.Config{Target: target})
	link.CutEach(netem.ToClient, 1000, netem.Fin)
	for range 3 {
		if got, _ := io.ReadAll(dial(t, link)); len(got) != 1000 {
			t.Fatalf("%d octets, want 1000", len(got))
		}
	}
	link.CutEach(netem.ToClient, -1, netem.Fin)
	if _, err := io.ReadFull(dial(t, link), make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
}

// A link-wide cut takes every connection, happens once, and never lets more pass.
func TestCutTakesAllConnectionsOnce(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", func(c *net.TCPConn) {
		for {
			if _, err := c.Write(make([]byte, 1000)); err != nil {
				return
			}
		}
	})
	link := openTCP(t, netem.Config{Target: target, Shapes: netem.Even(0, 5*vam.MiB)})
	var conns []*net.TCPConn
	for range 5 {
		c := dial(t, link)
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	link.Stall() // nothing passes between the reading of the counter and the arming
	before := link.Stats().Carried[netem.ToClient]
	fired := link.CutAfter(netem.ToClient, 100_000, netem.Rst)
	link.Resume()
	var wg sync.WaitGroup
	for _, c := range conns {
		wg.Go(func() { _, _ = io.Copy(io.Discard, c) })
	}
	wg.Wait()
	<-fired
	s := link.Stats()
	if passed := s.Carried[netem.ToClient] - before; passed > 100_000+5*chunk || s.Cut != 5 {
		t.Fatalf("%d octets passed a cut at 100000; counters %+v", passed, s)
	}
	if _, err := io.ReadFull(dial(t, link), make([]byte, 200_000)); err != nil {
		t.Fatalf("the connection after the cut: %v", err)
	}
}

func TestStallAndResume(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", echo)
	link := openTCP(t, netem.Config{Target: target})
	c := dial(t, link)
	b := make([]byte, 3)
	ask := func(s string) {
		t.Helper()
		if _, err := c.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	ask("abc")
	if _, err := io.ReadFull(c, b); err != nil {
		t.Fatal(err)
	}
	for _, ds := range [][]netem.Direction{nil, {netem.ToTarget}, {netem.ToClient}} {
		link.Stall(ds...)
		before := link.Stats().Carried
		ask("def")
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		if n, err := c.Read(b); err == nil {
			t.Fatalf("%d octets passed a stalled link", n)
		}
		if len(ds) == 0 && link.Stats().Carried != before {
			t.Fatal("a link that is stalled both ways carried octets")
		}
		_ = c.SetReadDeadline(time.Time{})
		link.Resume()
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "def" {
			t.Fatalf("after resuming %q, %v", b, err)
		}
	}
}

func TestRefuseResetAndCut(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", echo)
	link := openTCP(t, netem.Config{Target: target})
	up := dial(t, link)
	if _, err := up.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(up, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}

	if err := errors.Join(link.Refuse(), link.Refuse()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", link.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatalf("dialling a link that refuses: %v", err)
	}
	if err := errors.Join(link.Accept(), link.Accept()); err != nil {
		t.Fatal(err)
	}

	link.ResetNew(true)
	wantReset(t, link)
	link.ResetNew(false)

	link.Cut(netem.Rst)
	if _, err := up.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("the old connection ended with %v, want a reset", err)
	}
	if _, err := dial(t, link).Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
}

func TestTargetAwayResetsTheClient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	wantReset(t, openTCP(t, netem.Config{Target: l.Addr().String()}))
}

// wantReset dials and wants the connection to be reset; that may be so fast that
// the dialling itself reports it.
func wantReset(t *testing.T, link *netem.TCPLink) {
	t.Helper()
	c, err := net.Dial("tcp", link.Addr().String())
	if err == nil {
		_, err = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("a new connection ended with %v, want a reset", err)
	}
}

func TestCloseEndsConnectionsInAnyState(t *testing.T) {
	target := serveTCP(t, "127.0.0.1:0", echo)
	link := openTCP(t, netem.Config{Target: target, Shapes: netem.Even(time.Hour, 1000)})
	for range 5 {
		c := dial(t, link)
		if _, err := c.Write(noise(100_000)); err != nil {
			t.Fatal(err)
		}
	}
	link.Stall()
	if err := errors.Join(link.Close(), link.Close()); err != nil {
		t.Fatal(err)
	}
	if err := link.Accept(); err == nil {
		t.Fatal("a closed link listens again")
	}
}

func BenchmarkTCPLink(b *testing.B) {
	for name, shape := range map[string][2]netem.Shape{"bare": {}, "25ms": netem.Even(50*time.Millisecond, 0)} {
		b.Run(name, func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			link, err := netem.OpenTCP(netem.Config{Listen: "127.0.0.1:0", Target: l.Addr().String(), Shapes: shape})
			if err != nil {
				b.Fatal(err)
			}
			defer link.Close()
			c, err := net.Dial("tcp", link.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			in, err := l.Accept()
			if err != nil {
				b.Fatal(err)
			}
			defer in.Close()
			piece := noise(1 << 20)
			b.SetBytes(int64(len(piece)))
			go func() {
				for range b.N {
					if _, err := c.Write(piece); err != nil {
						return
					}
				}
			}()
			if _, err := io.CopyN(struct{ io.Writer }{io.Discard}, in, int64(b.N)*int64(len(piece))); err != nil {
				b.Fatal(err)
			}
		})
	}
}
