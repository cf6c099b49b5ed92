package stranger_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam/internal/stranger"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pipes is a listener whose connections are pipes: their deadlines follow the clock of
// synctest.
type pipes struct{ next chan net.Conn }

func (p pipes) Accept() (net.Conn, error) { return <-p.next, nil }
func (p pipes) Close() error              { return nil }
func (p pipes) Addr() net.Addr            { return &net.TCPAddr{} }

// pair is a client and what Wrap makes of its connection.
func pair(t *testing.T, o stranger.Options) (client, server net.Conn) {
	t.Helper()
	client, below := net.Pipe()
	next := make(chan net.Conn, 1)
	next <- below
	server, err := stranger.Wrap(pipes{next}, o).Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func kindOf(err error) stranger.Kind {
	var e *stranger.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Kind
}

// TestTimeToTheFirstOctets: who says too little is judged by what there is when the
// time is over, measured from the first read.
func TestTimeToTheFirstOctets(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    stranger.Options
		say  func(c net.Conn)
		want stranger.Kind
		at   time.Duration
	}{
		{"silence", stranger.Options{}, func(net.Conn) {}, stranger.Silence, 5 * time.Second},
		{"silence, less patience", stranger.Options{First: time.Second}, func(net.Conn) {}, stranger.Silence, time.Second},
		{"nothing and gone", stranger.Options{}, func(c net.Conn) { c.Close() }, stranger.HangUp, 0},
		{"a beginning", stranger.Options{}, func(c net.Conn) { io.WriteString(c, "SSH") }, stranger.Random, 5 * time.Second},
		{"an octet each second", stranger.Options{}, func(c net.Conn) {
			for _, b := range []byte("GET /index.html") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		}, stranger.HTTP, 6 * time.Second}, // the answer finds nobody who reads
		{"a beginning and gone", stranger.Options{}, func(c net.Conn) { io.WriteString(c, "SS"); c.Close() }, stranger.Random, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := pair(t, tc.o)
				go tc.say(client)
				start := time.Now()
				_, err := server.Read(make([]byte, 512))
				if kindOf(err) != tc.want || time.Since(start) != tc.at {
					t.Errorf("%v after %v, want %q after %v", err, time.Since(start), tc.want, tc.at)
				}
				if n, again := server.Read(make([]byte, 512)); n != 0 || !errors.Is(again, err) {
					t.Errorf("a second read: %d, %v", n, again)
				}
				if _, err := server.Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("the connection is open: %v", err)
				}
			})
		})
	}
}

// TestEveryOctetAlone: over a pipe each octet is a read of its own, which TCP does not
// promise.
func TestEveryOctetAlone(t *testing.T) {
	for _, tc := range streams {
		t.Run(tc.name, func(t *testing.T) {
			client, server := pair(t, stranger.Options{First: patience})
			var both sync.WaitGroup
			both.Go(func() { io.Copy(io.Discard, client) })
			both.Go(func() {
				for _, b := range []byte(tc.first) {
					if _, err := client.Write([]byte{b}); err != nil {
						return
					}
				}
				client.Close()
			})
			n, err := server.Read(make([]byte, 512))
			if kindOf(err) != tc.want || (n > 0) != (tc.want == "") {
				t.Errorf("%d, %v; want %q", n, err, tc.want)
			}
			server.Close()
			both.Wait()
		})
	}
}

// TestDeadlinesOfTheServerCount: the limit of the first octets neither hides an earlier
// deadline of the server nor outlives them.
func TestDeadlinesOfTheServerCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := pair(t, stranger.Options{})
		start := time.Now()
		server.SetReadDeadline(start.Add(time.Second))
		_, err := server.Read(make([]byte, 8))
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() || kindOf(err) != "" || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		server.SetDeadline(start.Add(time.Minute))
		go client.Write([]byte{22, 3, 1})
		if n, err := server.Read(make([]byte, 8)); n != 3 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if _, err = server.Read(make([]byte, 8)); kindOf(err) != "" || time.Since(start) != time.Minute {
			t.Errorf("after TLS began: %v after %v", err, time.Since(start))
		}
		// Without one it waits for as long as it takes.
		server.SetReadDeadline(time.Time{})
		go func() { time.Sleep(time.Hour); client.Write([]byte{1}) }()
		if n, err := server.Read(make([]byte, 8)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// TestLaterDeadlineDoesNotLengthenTheWait: whoever sets a deadline while the first
// octets are waited for cannot give a silent client more time.
func TestLaterDeadlineDoesNotLengthenTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, server := pair(t, stranger.Options{})
		start := time.Now()
		go func() { time.Sleep(time.Second); server.SetDeadline(start.Add(time.Hour)) }()
		if _, err := server.Read(make([]byte, 8)); kindOf(err) != stranger.Silence || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestClosingIsNoSighting: a server that stops has not seen a stranger.
func TestClosingIsNoSighting(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	wrapped := stranger.Wrap(ln, stranger.Options{})
	defer wrapped.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := wrapped.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { _, err := server.Read(make([]byte, 8)); ended <- err }()
	server.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) || kindOf(err) != "" {
		t.Errorf("%v", err)
	}
	wrapped.Close()
	if _, err := wrapped.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
}

// TestTLSPassesUntouched: reads give what came, in the caller's buffer and without an
// allocation, and the connection below can be had.
func TestTLSPassesUntouched(t *testing.T) {
	client, server := pair(t, stranger.Options{})
	if _, ok := server.(interface{ NetConn() net.Conn }); !ok {
		t.Error("there is no NetConn")
	}
	want := append([]byte{22, 3, 1}, bytes.Repeat([]byte("GET / HTTP/1.0\r\n"), 100)...)
	go func() {
		client.Write(want[:1]) // one octet is enough
		client.Write(want[1:])
		client.Close()
	}()
	var got []byte
	buf := make([]byte, 700)
	for {
		n, err := server.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d octets of %d, changed", len(got), len(want))
	}
}

// TestNothingIsReadByAnEmptyRead: it decides nothing either.
func TestNothingIsReadByAnEmptyRead(t *testing.T) {
	client, server := pair(t, stranger.Options{})
	go client.Write([]byte{22})
	if n, err := server.Read(nil); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := server.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}
