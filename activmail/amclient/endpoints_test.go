package amclient_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// Endpoints are replaced while requests run: each request is answered, or told that there
// is no way, and nothing else happens.
func TestEndpointsThatChange(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	_, pull := w.fileMessage(t, randomBytes(1000))
	all := w.a.Endpoints()
	c, err := amclient.New(w.dialer, amclient.Options{Endpoints: all, Key: w.b.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var asking sync.WaitGroup
	for range 2 {
		asking.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Head(t.Context(), pull); err != nil && vam.KindOf(err) != vam.Unavailable {
					t.Errorf("Head: %v", err)
				}
				if m, err := c.Media(t.Context(), pull, 0, 0); err == nil {
					m.Close()
				} else if vam.KindOf(err) != vam.Unavailable {
					t.Errorf("Media: %v", err)
				}
			}
		})
	}
	for i := range 24 {
		if err := c.SetEndpoints([][]amclient.Endpoint{all, all[:1], nil, all[1:]}[i%4]); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Head(t.Context(), pull); err != nil && vam.KindOf(err) != vam.Unavailable {
			t.Error(err)
		}
	}
	cancel()
	asking.Wait()
	if err := c.SetEndpoints(all); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Head(t.Context(), pull); err != nil {
		t.Errorf("at the end: %v", err)
	}
}

// A peer that has moved is asked at its new place, though the connection to the old one
// is up; what was under way there goes on.
func TestPeerThatMoves(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		_, pull := w.fileMessage(t, randomBytes(3_000_000))
		c := w.client(t, w.b, w.a, mode)
		m, err := c.Media(t.Context(), pull, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Fatal(err)
		}
		if err := c.SetEndpoints(w.b.Endpoints()); err != nil {
			t.Fatal(err)
		}
		_, err = c.Head(t.Context(), pull)
		wantProblem(t, err, vam.Unauthenticated, "token-invalid") // b.test knows no such message
		if n, err := discard(m); n != 3_000_000 || err != nil {
			t.Errorf("the transfer under way: %d octets, %v", n, err)
		}
	})
}

func TestEndpointsThatAreNone(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	good := w.a.Endpoints()[0]
	c := w.client(t, w.b, w.a, amclient.Auto)
	for _, change := range []func(e *amclient.Endpoint){
		func(e *amclient.Endpoint) { e.Network = "sctp" },
		func(e *amclient.Endpoint) { e.Addrs = nil },
		func(e *amclient.Endpoint) { e.ServerName = "" },
		func(e *amclient.Endpoint) { e.ServerName = "a.test/x" },
		func(e *amclient.Endpoint) { e.ServerName = "a.test:443" },
		func(e *amclient.Endpoint) { e.ServerName = "a.test\r\nHost: b.test" },
	} {
		e := good
		change(&e)
		if err := c.SetEndpoints([]amclient.Endpoint{e}); vam.KindOf(err) != vam.Invalid {
			t.Errorf("%+v: %v", e, err)
		}
		if _, err := amclient.New(w.dialer, amclient.Options{Endpoints: []amclient.Endpoint{e}}); vam.KindOf(err) != vam.Invalid {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if _, err := amclient.New(w.dialer, amclient.Options{Endpoints: []amclient.Endpoint{good}, Mode: "carrier pigeon"}); vam.KindOf(err) != vam.Invalid {
		t.Errorf("an unknown mode: %v", err)
	}
}

// Addresses are tried in their order, each with a head start, and one that must not be
// dialled is not.
func TestSeveralAddresses(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		_, pull := w.fileMessage(t, randomBytes(10))
		endpoints := w.a.Endpoints()
		for i := range endpoints {
			port := endpoints[i].Addrs[0].Port()
			endpoints[i].Addrs = []netip.AddrPort{
				netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port),  // not allowed
				netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port), // the peer
			}
		}
		c, err := amclient.New(w.dialer, amclient.Options{Endpoints: endpoints, Key: w.b.Key, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Errorf("a private address before the right one: %v", err)
		}
		for i := range endpoints {
			endpoints[i].Addrs = endpoints[i].Addrs[:1]
		}
		private, err := amclient.New(w.dialer, amclient.Options{Endpoints: endpoints, Key: w.b.Key, Mode: mode})
		if err != nil {
			t.Fatal(err)
		}
		defer private.Close()
		_, err = private.Head(t.Context(), pull)
		wantProblem(t, err, vam.Denied, "policy")
	})
}

// counting counts requests under way.
type counting struct {
	amserver.Outbound
	began, release chan struct{}
}

func (c counting) Entry(context.Context, amserver.Pull, int64, time.Duration) (amserver.Entry, error) {
	c.began <- struct{}{}
	<-c.release
	return amserver.Entry{}, nil
}

// Requests that wait do not keep others from being sent: where a connection has as many
// as a peer takes at least, a further one is made (AM-11.6).
func TestManyWaitingRequests(t *testing.T) {
	t.Parallel()
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		const waits = 260 // of 250 that one connection of this peer takes
		backend := counting{began: make(chan struct{}), release: make(chan struct{})}
		w := newWorld(t, amtest.PeerOptions{Wrap: func(http.Handler) http.Handler {
			return amserver.NewHandler(amserver.HandlerOptions{Outbound: backend, WaitsPerToken: waits})
		}})
		c := w.client(t, w.b, w.a, mode)
		pull := somebody()
		var waiting sync.WaitGroup
		for range waits {
			waiting.Go(func() {
				if _, err := c.Entry(t.Context(), pull, 1, 25*time.Second); err != nil {
					t.Error(err)
				}
			})
			<-backend.began // hangs when it is not sent
		}
		if n := w.a.Server.Stats().Connections; n < 2 || n > 4 {
			t.Errorf("%d requests took %d connections", waits, n)
		}
		close(backend.release)
		waiting.Wait()
	})
}

// Media takes its own connections, one for each transfer up to the number of lanes, and
// all are closed when they are idle.
func TestLanesAndIdleness(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		w := newWorld(t, amtest.PeerOptions{})
		_, pull := w.fileMessage(t, randomBytes(100_000))
		c, err := amclient.New(w.dialer, amclient.Options{Endpoints: w.a.Endpoints(), Key: w.b.Key, Mode: mode, Lanes: 3, Idle: 60 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var open []*amclient.Media
		for range 5 {
			m, err := c.Media(t.Context(), pull, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, m)
		}
		if n := w.a.Server.Stats().Connections; n != 3 {
			t.Errorf("five transfers took %d connections, of 3", n)
		}
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Fatal(err)
		}
		for _, m := range open {
			if n, err := discard(m); n != 100_000 || err != nil {
				t.Errorf("%d octets, %v", n, err)
			}
			m.Close()
		}
		for w.a.Server.Stats().Connections > 0 { // hangs when one is kept
			if err := t.Context().Err(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if _, err := c.Head(t.Context(), pull); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
}

// The second network of a request is tried a moment after the first; that it is gone by
// then is no more than an error.
func TestEndpointThatGoesBeforeItsTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, amtest.PeerOptions{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	endpoints := w.a.Endpoints()
	endpoints[0].Addrs = []netip.AddrPort{netip.MustParseAddrPort(ln.Addr().String())}
	dialer := amclient.NewDialer(amclient.DialerOptions{
		Roots: w.network.Roots, Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8")), HandshakeTimeout: 500 * time.Millisecond,
	})
	defer dialer.Close()
	c, err := amclient.New(dialer, amclient.Options{Endpoints: endpoints, Key: w.b.Key})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var asking sync.WaitGroup
	asking.Go(func() {
		_, err := c.Head(t.Context(), somebody())
		wantProblem(t, err, vam.Unavailable, "")
	})
	conn, err := ln.Accept() // TCP is being tried, and gets no answer
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := c.SetEndpoints(endpoints[:1]); err != nil {
		t.Fatal(err)
	}
	asking.Wait()
	if n := c.Stats().Networks; n[amclient.TCP].Failures == 0 || n[amclient.UDP].Failures != 0 {
		t.Errorf("the networks are %+v", n)
	}
}
