package daemon

import (
	"net"
	"testing"
	"time"
)

// All listeners for browsers have one limit together, and a place that was left is free.
func TestBrowsersShareALimit(t *testing.T) {
	limit := newConnLimit(10, 2)
	refused := make(chan struct{}, 1)
	var lns []net.Listener
	accepted := make(chan net.Conn, 3)
	for range 2 {
		inner, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ln := &limitedListener{Listener: inner, limit: limit, refused: func() { refused <- struct{}{} }}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				t.Cleanup(func() { _ = conn.Close() })
				accepted <- conn
			}
		}()
		t.Cleanup(func() { _ = ln.Close(); <-done })
		lns = append(lns, ln)
	}
	dial := func(ln net.Listener) net.Conn {
		t.Helper()
		conn, err := net.DialTimeout("tcp", ln.Addr().String(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	dial(lns[0])
	first := <-accepted
	dial(lns[1])
	<-accepted
	dial(lns[0])
	<-refused // the third one of this address, wherever it comes in
	for range 2 {
		_ = first.Close() // twice is once
	}
	dial(lns[1])
	<-accepted
	dial(lns[1])
	<-refused
}
