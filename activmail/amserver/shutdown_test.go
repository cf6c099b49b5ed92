package amserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// stubborn is content that blocks whatever becomes of its request, until it is released.
type stubborn struct{ reading, release chan struct{} }

func (s stubborn) ReadAt(p []byte, _ int64) (int, error) {
	s.reading <- struct{}{}
	<-s.release
	return len(p), nil
}

func (stubborn) Close() error { return nil }

// single is one connection that is not made anew.
func (w *world) single(t *testing.T, network string) (http.RoundTripper, io.Closer) {
	t.Helper()
	config := w.tls()
	if network == "tcp" {
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		c, err := transport.NewClientConn(t.Context(), "https", w.peer.TCP.String())
		if err != nil {
			t.Fatal(err)
		}
		return c, c
	}
	config.NextProtos = []string{"h3"}
	conn, err := quic.DialAddr(t.Context(), w.peer.UDP.String(), config, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := (&http3.Transport{}).NewClientConn(conn)
	return c, closeFunc(func() error { return c.CloseWithError(0x100, "") })
}

// A server that stops lets requests under way end and takes no new ones (AM-11.17).
func TestShutdown(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		s := stubborn{make(chan struct{}), make(chan struct{})}
		w := newWorld(t, withOutbound(&withdrawing{content: s, size: 100}, amserver.HandlerOptions{}))
		c := &client{network: network, base: "https://" + w.peer.ServerName}
		transport, conn := w.single(t, network)
		c.http = &http.Client{Transport: transport}
		var asking, stopping sync.WaitGroup
		asking.Go(func() {
			got := c.do(t, ask{method: "GET", path: messagePath(anyMessage, "/media"), token: activmail.NewPullToken()})
			if got.status != http.StatusOK || len(got.body) != 100 {
				t.Errorf("the request under way: %d with %d octets", got.status, len(got.body))
			}
		})
		<-s.reading
		stopping.Go(func() {
			if err := w.peer.Server.Shutdown(context.Background()); err != nil {
				t.Errorf("Shutdown: %v", err)
			}
		})
		for refused := false; !refused; { // it may not have begun to stop
			resp, err := c.http.Do(c.request(t, ask{method: "GET", path: "/"}))
			refused = err != nil || resp.StatusCode == http.StatusServiceUnavailable
			if err == nil {
				resp.Body.Close()
			}
		}
		close(s.release)
		asking.Wait()
		conn.Close()
		stopping.Wait()
	})
}

// One whose time is over closes what is left, and still waits for its handlers: what
// stands behind them is closed next.
func TestShutdownThatTakesTooLong(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		g := newGate()
		g.linger = 20 * time.Millisecond
		w := newWorld(t, withOutbound(g, amserver.HandlerOptions{}))
		c := w.client(t, network)
		var asking sync.WaitGroup
		asking.Go(func() {
			resp, err := c.http.Do(c.request(t, ask{method: "GET", path: messagePath(anyMessage, "/e/1"), token: activmail.NewPullToken(), header: prefer(25)}))
			if err == nil {
				_, err = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			if err == nil {
				t.Error("a request was answered after its server closed")
			}
		})
		<-g.began
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.peer.Server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		select {
		case <-g.ended:
		default:
			t.Error("Shutdown returned while a handler was running")
		}
		asking.Wait()
	})
}

// A server that is closed takes no listener, and closes those that it had, also one that
// came while it closed.
func TestServeAfterClose(t *testing.T) {
	for range 20 {
		w := newWorld(t, amtest.PeerOptions{})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		var serving sync.WaitGroup
		serving.Go(func() {
			if err := w.peer.Server.ServeTCP(ln); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("ServeTCP: %v", err)
			}
		})
		serving.Go(func() {
			if err := w.peer.Server.ServeUDP(socket); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("ServeUDP: %v", err)
			}
		})
		if err := w.peer.Server.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		serving.Wait()
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the listener is not closed: %v", err)
		}
		if _, _, err := socket.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("the socket is not closed: %v", err)
		}
	}
}

func TestNewNeedsHandlerAndTLS(t *testing.T) {
	if _, err := amserver.New(amserver.Options{}); err == nil {
		t.Error("a server without a handler was made")
	}
}
