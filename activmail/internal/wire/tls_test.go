package wire_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// configs are TLS configurations that trust each other.
func configs(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "wire.test"}, DNSNames: []string{"wire.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
	client = &tls.Config{RootCAs: roots, ServerName: "wire.test", MinVersion: tls.VersionTLS13, DynamicRecordSizingDisabled: true}
	return server, client
}

// tapped counts the writes to a connection.
type tapped struct {
	net.Conn
	writes atomic.Int64
}

func (c *tapped) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// pipe is a TCP connection on loopback.
func pipe(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled, err = net.Dial("tcp", ln.Addr().String())
	if err == nil {
		accepted, err = ln.Accept()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// ends are the two ends of a connection whose handshake is done.
type ends struct {
	client, server           *wire.Conn
	below                    *tapped // of the server
	clientCount, serverCount wire.Counter
}

func connect(t *testing.T) *ends {
	t.Helper()
	serverConfig, clientConfig := configs(t)
	dialled, accepted := pipe(t)
	e := &ends{below: &tapped{Conn: accepted}}
	var stack wire.TLS
	e.client = stack.Client(dialled, clientConfig, &e.clientCount)
	e.server = stack.Server(e.below, serverConfig, &e.serverCount)
	var handshaking sync.WaitGroup
	handshaking.Go(func() {
		if err := e.server.Handshake(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := e.client.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	handshaking.Wait()
	t.Cleanup(func() { e.client.Close(); e.server.Close() })
	return e
}

// Whatever is written in whatever pieces arrives, in order, and both ends count it.
func TestConnCarriesEveryOctet(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		e := connect(t)
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(16<<10-2, 16<<10+2), rapid.IntRange(0, 600<<10)), 1, 6).Draw(r, "sizes")
		var want bytes.Buffer
		for i, n := range sizes {
			want.Write(bytes.Repeat([]byte{byte(i + 1)}, n))
		}
		var sending sync.WaitGroup
		sending.Go(func() {
			defer e.server.Close()
			for i, n := range sizes {
				if got, err := e.server.Write(bytes.Repeat([]byte{byte(i + 1)}, n)); err != nil || got != n {
					t.Errorf("Write of %d: %d, %v", n, got, err)
				}
			}
		})
		got, err := io.ReadAll(e.client)
		sending.Wait()
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			r.Fatalf("%d octets of %d arrived: %v", len(got), want.Len(), err)
		}
		sent, _ := e.serverCount.Totals()
		_, received := e.clientCount.Totals()
		if sent != int64(want.Len()) || received != sent {
			r.Fatalf("counted %d sent and %d received of %d", sent, received, want.Len())
		}
		e.client.Close()
	})
}

// A large write is few system calls: sixteen records each, where crypto/tls makes one
// for every record.
func TestConnWritesRecordsTogether(t *testing.T) {
	e := connect(t)
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.CopyN(io.Discard, e.client, 1<<20) })
	before := e.below.writes.Load()
	if _, err := e.server.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	if n := e.below.writes.Load() - before; n > 5 {
		t.Errorf("1 MiB, 64 records, was written by %d system calls; at most 5 are wanted", n)
	}
}

// Writers that meet do not mix or lose their records.
func TestConnWritersMeet(t *testing.T) {
	e := connect(t)
	const writers, rounds, large = 4, 20, 40 << 10
	var writing sync.WaitGroup
	for i := range writers {
		writing.Go(func() {
			p := bytes.Repeat([]byte{byte(i)}, large)
			if i%2 == 0 {
				p = p[:100] // below one record: written without holding back
			}
			for range rounds {
				if _, err := e.server.Write(p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var counts [writers]int
	buf := make([]byte, 64<<10)
	for total := 0; total < rounds*2*(100+large); {
		n, err := e.client.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		total += n
		for _, b := range buf[:n] {
			counts[b]++
		}
	}
	writing.Wait()
	if want := [writers]int{100 * rounds, large * rounds, 100 * rounds, large * rounds}; counts != want {
		t.Errorf("octets by writer: %v, want %v", counts, want)
	}
}

// stuck is a connection whose writes block until it is closed, and which heeds no
// deadline while they do.
type stuck struct {
	net.Conn
	hold    atomic.Bool
	began   chan struct{}
	closed  chan struct{}
	closing sync.Once
}

func (c *stuck) Write(p []byte) (int, error) {
	if !c.hold.Load() {
		return c.Conn.Write(p)
	}
	close(c.began)
	<-c.closed
	return 0, net.ErrClosed
}

func (c *stuck) Close() error {
	c.closing.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// A peer that takes nothing holds up a write, and must not hold up the end.
func TestCloseOfAStuckConnection(t *testing.T) {
	serverConfig, clientConfig := configs(t)
	dialled, accepted := pipe(t)
	below := &stuck{Conn: accepted, began: make(chan struct{}), closed: make(chan struct{})}
	var stack wire.TLS
	server := stack.Server(below, serverConfig, nil)
	client := stack.Client(dialled, clientConfig, nil)
	var group sync.WaitGroup
	group.Go(func() { _ = client.Handshake(context.Background()) })
	if err := server.Handshake(t.Context()); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	below.hold.Store(true)
	group.Go(func() {
		if n, err := server.Write(make([]byte, 100<<10)); err == nil || n != 0 {
			t.Errorf("a write that was cut returned %d, %v", n, err)
		}
	})
	<-below.began
	if err := server.Close(); err != nil { // hangs when it waits for the write
		t.Error(err)
	}
	group.Wait()
}

// crypto/tls cannot be told to send these alerts from a callback.
func TestRefuseSendsTheAlert(t *testing.T) {
	for alert, text := range map[wire.Alert]string{
		wire.AlertNoApplicationProtocol: "no application protocol",
		wire.AlertProtocolVersion:       "protocol version not supported",
	} {
		serverConfig, clientConfig := configs(t)
		refusal := errors.New("refused here")
		serverConfig.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			wire.Refuse(hello.Conn, alert)
			return nil, refusal
		}
		dialled, accepted := pipe(t)
		var stack wire.TLS
		server := stack.Server(accepted, serverConfig, nil)
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := server.Handshake(context.Background()); !errors.Is(err, refusal) {
				t.Errorf("the server's error is %v", err)
			}
		})
		err := tls.Client(dialled, clientConfig).HandshakeContext(t.Context())
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(text)) {
			t.Errorf("the client's error is %v, want %q", err, text)
		}
		serving.Wait()
		accepted.Close()
		if rest, err := io.ReadAll(dialled); len(rest) > 0 {
			t.Errorf("after the alert came %x (%v)", rest, err)
		}
	}
}

// net/http takes a connection with this method for one on which it must negotiate.
func TestConnHidesTLS(t *testing.T) {
	var conn any = (*wire.Conn)(nil)
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		t.Error("wire.Conn has a ConnectionState method")
	}
	e := connect(t)
	if v := e.client.State().Version; v != tls.VersionTLS13 {
		t.Errorf("version %x", v)
	}
	if e.server.Raw() != net.Conn(e.below) {
		t.Error("Raw is not the connection below")
	}
}
