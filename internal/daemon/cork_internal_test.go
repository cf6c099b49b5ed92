package daemon

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam/internal/certs"
)

// writesConn notes each write that reaches it.
type writesConn struct {
	net.Conn
	mu     sync.Mutex
	writes [][]byte
}

func (c *writesConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	c.writes = append(c.writes, bytes.Clone(p))
	c.mu.Unlock()
	if c.Conn == nil {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *writesConn) wrote() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []string
	for _, p := range c.writes {
		out = append(out, string(p))
	}
	return out
}

func write(t *testing.T, c net.Conn, pieces ...string) {
	t.Helper()
	for _, p := range pieces {
		if n, err := io.WriteString(c, p); n != len(p) || err != nil {
			t.Fatal(n, err)
		}
	}
}

func wantWrites(t *testing.T, c *writesConn, want ...string) {
	t.Helper()
	got := c.wrote()
	if len(got) != len(want) {
		t.Fatalf("%d writes, want %d", len(got), len(want))
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("write %d has %d octets, want %d", i, len(got[i]), len(want[i]))
		}
	}
}

// What is written between Cork and Uncork goes out together, up to what a buffer holds.
func TestCork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &writesConn{}
		c := &corkConn{Conn: below, buffers: &corkBuffers{}, patience: corkTime}
		write(t, c, "a")
		wantWrites(t, below, "a")
		for range 2 { // of two streams
			c.Cork(0)
		}
		write(t, c, "b", "c")
		wantWrites(t, below, "a")
		if err := c.Uncork(); err != nil {
			t.Fatal(err)
		}
		wantWrites(t, below, "a", "bc")
		write(t, c, "d")
		wantWrites(t, below, "a", "bc")
		big, bigger := string(make([]byte, corkOctets)), string(make([]byte, corkOctets+1))
		write(t, c, big, "e", bigger)
		wantWrites(t, below, "a", "bc", "d", big, "e", bigger)
		if err := c.Uncork(); err != nil {
			t.Fatal(err)
		}
		write(t, c, "f")
		wantWrites(t, below, "a", "bc", "d", big, "e", bigger, "f")
	})
}

// What nobody releases goes out by itself, with what follows until it is corked anew.
func TestCorkIsNotForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		below := &writesConn{}
		c := &corkConn{Conn: below, buffers: &corkBuffers{}, patience: corkTime}
		want := []string{}
		for range 2 {
			c.Cork(0)
			write(t, c, "a", "b")
			time.Sleep(corkTime)
			synctest.Wait()
			want = append(want, "ab")
			wantWrites(t, below, want...)
			write(t, c, "c")
			want = append(want, "c")
			wantWrites(t, below, want...)
			if err := c.Uncork(); err != nil {
				t.Fatal(err)
			}
			wantWrites(t, below, want...)
		}
	})
}

// A peer who takes nothing ends the connection, and nothing is written behind the hole.
func TestCorkOfWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &corkConn{Conn: far, buffers: &corkBuffers{}, patience: corkTime}
		c.Cork(time.Minute)
		write(t, c, "a")
		if err := c.Uncork(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if n, err := c.Write([]byte("b")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(n, err)
		}
		if _, err := near.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
	})
}

// The deadline of Cork does not outlive it.
func TestCorkLeavesNoDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := &corkConn{Conn: far, buffers: &corkBuffers{}, patience: corkTime}
		go func() { _, _ = io.Copy(io.Discard, near) }()
		c.Cork(time.Minute)
		write(t, c, "a")
		if err := c.Uncork(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		write(t, c, "b")
		_ = far.Close()
	})
}

// Over both protocols a body comes as it was sent in few writes, to a client whose window
// is smaller than what is corked too.
func TestCorkBelowHTTP(t *testing.T) {
	ca, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(certs.Leaf{DNSNames: []string{"localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	const step, steps, records = 64 << 10, 16, 4 // of 16 KiB in a step
	body := bytes.Repeat([]byte("0123456789abcdef"), step*steps/16)
	for _, c := range []struct {
		name     string
		h2       bool
		window   int
		patience time.Duration
		most     int // writes
	}{
		{"HTTP/1.1", false, 0, time.Hour, steps * 3 / 2},
		{"HTTP/2", true, 4 << 20, time.Hour, steps * 3 / 2},
		{"HTTP/2 with a small window", true, 24 << 10, corkTime, len(body)},
	} {
		t.Run(c.name, func(t *testing.T) {
			inner, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			conf := &tls.Config{Certificates: []tls.Certificate{leaf}, MinVersion: tls.VersionTLS13, NextProtos: []string{"h2", "http/1.1"}}
			below := make(chan *writesConn, 1)
			ln := newShakenListener(corkedListener{inner, below, c.patience}, conf, time.Minute)
			type key struct{}
			srv := &http.Server{
				TLSConfig: conf, ErrorLog: log.New(io.Discard, "", 0),
				ConnContext: func(ctx context.Context, c net.Conn) context.Context {
					return context.WithValue(ctx, key{}, c.(*tls.Conn).NetConn())
				},
				Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					conn := r.Context().Value(key{}).(*corkConn)
					for i := range steps {
						conn.Cork(0)
						_, _ = w.Write(body[i*step : (i+1)*step])
						_ = conn.Uncork()
					}
				}),
			}
			done := make(chan error, 1)
			go func() { done <- srv.Serve(ln) }()
			t.Cleanup(func() { _ = srv.Close(); <-done })
			var p http.Protocols
			p.SetHTTP1(!c.h2)
			p.SetHTTP2(c.h2)
			rt := &http.Transport{
				TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: ca.Pool(), ServerName: "localhost"},
				Protocols:       &p, HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: c.window},
			}
			defer rt.CloseIdleConnections()
			res, err := (&http.Client{Transport: rt}).Get("https://" + inner.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%d octets, %v, want %d", len(got), err, len(body))
			}
			if n := len((<-below).wrote()); n > c.most {
				t.Errorf("%d writes, want no more than %d for %d records", n, c.most, steps*records)
			}
		})
	}
}

// corkedListener tells which connection is below one that can be corked.
type corkedListener struct {
	net.Listener
	below    chan<- *writesConn
	patience time.Duration
}

func (l corkedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &writesConn{Conn: c}
	l.below <- w
	return &corkConn{Conn: w, buffers: &corkBuffers{}, patience: l.patience}, nil
}
