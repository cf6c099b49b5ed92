package amserver_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// Two thousand connections that do nothing, before their handshake or after it, keep
// nobody else waiting and leave nothing behind; goleak looks when the tests are over.
func TestCrowdOfIdleConnections(t *testing.T) {
	const crowd, perAddress, dialers = 2000, 250, 8
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Limits: amserver.ConnLimits{
		NewPerSecond: crowd, Handshake: time.Minute,
	}}})
	config := w.tls()
	config.NextProtos = []string{"h2"}
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1) // spares both ends most of the handshake
	next := make(chan int)
	var mu sync.Mutex
	var open []io.Closer
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	var dialling sync.WaitGroup
	for range dialers {
		dialling.Go(func() {
			for i := range next {
				d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/perAddress))}}
				c, err := d.Dial("tcp", w.peer.TCP.String())
				if err == nil && i%8 == 0 {
					c, err = sayHello(c, config)
				}
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				open = append(open, c)
				mu.Unlock()
			}
		})
	}
	for i := range crowd {
		next <- i
	}
	close(next)
	dialling.Wait()
	m, token := w.sealed(t, pattern(1000))
	for _, network := range []string{"tcp", "udp"} {
		got := w.client(t, network).do(t, ask{method: "GET", path: messagePath(m.ID, "/media"), token: token})
		got.want(t, http.StatusOK, "")
	}
	if n := w.peer.Server.Stats().Connections; n != crowd+2 {
		t.Errorf("%d connections are open, of %d", n, crowd+2)
	}
}

// sayHello makes the TLS handshake and says hello in HTTP/2.
func sayHello(raw net.Conn, config *tls.Config) (net.Conn, error) {
	c := tls.Client(raw, config)
	_, err := io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	if err == nil {
		_, err = c.Read(make([]byte, 9)) // the server's settings, and with them the ticket
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// The congestion control of TCP sockets is the one that was asked for, where the kernel
// has it; reno it always has.
func TestCongestion(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Congestion: "reno"}})
	if s := w.peer.Server.Stats(); s.Congestion != "" {
		t.Errorf("before the first connection it is %q", s.Congestion)
	}
	w.client(t, "tcp").do(t, ask{method: "GET", path: "/"})
	if s := w.peer.Server.Stats(); s.Congestion != "reno" && s.Congestion != "" {
		t.Errorf("it is %q", s.Congestion)
	}
}

// Without a wish it is BBR, where the kernel lets a program choose it (AM-11.8).
func TestCongestionByDefault(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	w.client(t, "tcp").do(t, ask{method: "GET", path: "/"})
	allowed, err := os.ReadFile("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
	if err != nil || !slices.Contains(strings.Fields(string(allowed)), "bbr") {
		t.Logf("this kernel does not offer BBR to programs (%s, %v): %q is in use", allowed, err, w.peer.Server.Stats().Congestion)
		return
	}
	if s := w.peer.Server.Stats(); s.Congestion != "bbr" {
		t.Errorf("it is %q", s.Congestion)
	}
}
