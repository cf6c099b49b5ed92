package daemon

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// browserPair is a connection of a browser and its end at the server.
func browserPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := &limitedListener{Listener: inner, limit: newConnLimit(1, 1), refused: func() {}}
	t.Cleanup(func() { _ = ln.Close() })
	near, err = net.Dial("tcp", inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = near.Close() })
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return near, far
}

// A browser's connection takes little of an answer that it cannot send yet. Without the
// bound a player that looked at the end of a video waited until all of it had passed.
func TestLittleWaitsToBeSentToBrowsers(t *testing.T) {
	_, far := browserPair(t)
	raw, err := far.(*limitedConn).Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var got int
	var failed error
	if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	if got != browserUnsent {
		t.Errorf("%d octets may wait, want %d", got, browserUnsent)
	}
}

// What waits for a connection to take more is let go when it does, and at the deadline.
func TestWaitUntilBrowserReads(t *testing.T) {
	near, far := browserPair(t)
	conn := far.(*limitedConn)
	if err := conn.WaitWritable(); err != nil {
		t.Fatalf("an empty connection: %v", err)
	}
	// Filled until a write fails at its deadline: no time passes for the test but that.
	full := make([]byte, 64<<10)
	for {
		if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(full); err != nil {
			break
		}
	}
	if err := conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if err := conn.WaitWritable(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("a full connection: %v", err)
	}
	if err := conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- conn.WaitWritable() }()
	go func() { _, _ = io.Copy(io.Discard, near) }()
	if err := <-done; err != nil {
		t.Fatalf("a connection that is read: %v", err)
	}
}
