package userclient_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

const mib = 1 << 20

// send uploads data as alice under a fresh id.
func send(t *testing.T, s *server, data []byte) vam.MessageID {
	t.Helper()
	up := userclient.Upload{Client: s.client("alice"), ID: vam.NewMessageID(time.Now()), Draft: draft()}
	m, err := up.Send(t.Context(), bytes.NewReader(data), int64(len(data)))
	must(t, err)
	if m.Sent.IsZero() || m.Sealed.IsZero() || m.Bytes != int64(len(data)) {
		t.Fatalf("the message is %+v", m)
	}
	return up.ID
}

func TestSend(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for _, n := range []int{0, 1, mib - 1, mib, mib + 1, 3*mib + 17} {
		data := content(n)
		if got := s.arrives(send(t, s, data)); !bytes.Equal(got, data) {
			t.Errorf("%d octets arrive as %d others", n, len(got))
		}
	}
}

// TestEveryRequestTwice: a network that repeats every request changes nothing.
func TestEveryRequestTwice(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.middle.does(func(w http.ResponseWriter, _ *http.Request, forward func() *answer) bool {
		forward()
		forward().write(w)
		return true
	})
	data := content(3*mib + 3)
	id := send(t, s, data)
	if got := s.arrives(id); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	if box := s.box(); len(box) != 1 {
		t.Errorf("bob has %d messages", len(box))
	}
}

// TestLostAnswers: every request is done, and the answer of every first try is lost (AM-13.11).
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var tried atomic.Int64
	s.middle.does(func(w http.ResponseWriter, _ *http.Request, forward func() *answer) bool {
		res := forward()
		if tried.Add(1)%2 == 1 {
			panic(http.ErrAbortHandler)
		}
		res.write(w)
		return true
	})
	data := content(2*mib + 3)
	id := send(t, s, data)
	if got := s.arrives(id); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	s.middle.does(nil)
	if box := s.box(); len(box) != 1 {
		t.Errorf("bob has %d messages", len(box))
	}
}

// TestServerRestarts: a server that goes in the middle of an upload, and comes back, costs
// what was on the way, and no message.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const parts = 24
	var blobs atomic.Int64
	s.middle.does(func(_ http.ResponseWriter, r *http.Request, forward func() *answer) bool {
		if strings.Contains(r.URL.Path, "/b/") && blobs.Add(1) == parts/2 {
			s.end()
			s.start()
		}
		return false
	})
	data := content(parts * mib)
	if got := s.arrives(send(t, s, data)); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	if n := s.middle.twice(); n > 0 {
		t.Errorf("%d parts were sent although the server had them", n)
	}
}

// TestResume: an upload that was broken off goes on under its id, also over parts that no
// line of the log names yet.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	const parts = 20
	data := content(parts * mib)
	id := vam.NewMessageID(time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	var blobs atomic.Int64
	s.middle.does(func(w http.ResponseWriter, r *http.Request, forward func() *answer) bool {
		res := forward()
		if strings.Contains(r.URL.Path, "/b/") && blobs.Add(1) == parts/2 {
			cancel()
		}
		res.write(w)
		return true
	})
	first := userclient.Upload{Client: s.client("alice"), ID: id, Draft: draft()}
	_, err := first.Send(ctx, bytes.NewReader(data), int64(len(data)))
	if err == nil {
		t.Fatal("it was not broken off")
	}
	s.middle.does(nil)
	var progress []int64
	second := userclient.Upload{Client: s.client("alice"), ID: id, Draft: draft(), Progress: func(n int64) { progress = append(progress, n) }}
	_, err = second.Send(t.Context(), bytes.NewReader(data), int64(len(data)))
	must(t, err)
	if got := s.arrives(id); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	if n := s.middle.twice(); n > 0 {
		t.Errorf("%d parts were sent although the server had them", n)
	}
	if len(progress) != parts || progress[parts-1] != int64(len(data)) {
		t.Errorf("the progress was %v", progress)
	}

	// Once it is accepted, the same again is the same message, whatever its dates.
	third := second
	third.Draft.Expires = time.Now().Add(time.Hour)
	m, err := third.Send(t.Context(), bytes.NewReader(data), int64(len(data)))
	must(t, err)
	if m.ID != id || m.Sent.IsZero() {
		t.Errorf("the message is %+v", m)
	}
	if box := s.box(); len(box) != 1 {
		t.Errorf("bob has %d messages", len(box))
	}
}

func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	alice := s.client("alice")
	data := content(3 * mib)
	try := func(r readerAt, verify func() error) (vam.MessageID, error) {
		up := userclient.Upload{Client: alice, ID: vam.NewMessageID(time.Now()), Draft: draft(), Verify: verify}
		_, err := up.Send(t.Context(), r, int64(len(data)))
		return up.ID, err
	}
	unsent := func(id vam.MessageID) {
		t.Helper()
		m, err := alice.Message(t.Context(), id)
		must(t, err)
		if !m.Sent.IsZero() || !m.Sealed.IsZero() {
			t.Errorf("the message is %+v", m)
		}
	}
	id, err := try(bytes.NewReader(data[:2*mib+5]).ReadAt, nil)
	wantKind(t, err, vam.Conflict)
	unsent(id)
	id, err = try(func(p []byte, off int64) (int, error) {
		if off > mib {
			return 0, errBroken
		}
		return bytes.NewReader(data).ReadAt(p, off)
	}, nil)
	wantKind(t, err, vam.Unavailable)
	unsent(id)
	id, err = try(bytes.NewReader(data).ReadAt, func() error { return vam.Errorf(vam.Conflict, "changed") })
	wantKind(t, err, vam.Conflict)
	unsent(id)

	// Another content under the same id, as when a file was replaced and its times kept:
	// the hash of the whole tells.
	other := content(3*mib + 1)[1:]
	up := userclient.Upload{Client: alice, ID: id, Draft: draft()}
	_, err = up.Send(t.Context(), bytes.NewReader(other), int64(len(other)))
	wantKind(t, err, vam.Corrupt)
	unsent(id)
	must(t, alice.Discard(t.Context(), id))
	if box := s.box(); len(box) != 0 {
		t.Errorf("bob has %d messages", len(box))
	}
}

// TestForward: media of another message goes out again without an octet of it.
func TestForward(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	data := content(2 * mib)
	id := send(t, s, data)
	s.arrives(id)
	before := s.middle.blobBytes()
	d := draft()
	d.MediaOf = "a.test/" + string(id)
	up := userclient.Upload{Client: s.client("alice"), ID: vam.NewMessageID(time.Now()), Draft: d}
	m, err := up.Send(t.Context(), nil, int64(len(data)))
	must(t, err)
	if got := s.arrives(m.ID); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	if s.middle.blobBytes() != before {
		t.Error("octets were uploaded")
	}
}

// TestEarlyAnswers: a server that answers before it has read a part makes no two
// goroutines use one buffer; the race detector looks.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var lines atomic.Int64
	addr := serveTLS(t, issue(t, s), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasSuffix(r.URL.Path, "/log"):
			_, _ = w.Write([]byte(`{"log_lines":64}`))
			lines.Add(1)
		case strings.HasSuffix(r.URL.Path, "/send"):
			_, _ = w.Write([]byte(`{"sent":"2026-01-01T00:00:00Z"}`))
		default:
			_, _ = w.Write([]byte(`{}`))
		}
	}))
	slow := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, address)
		return slowConn{c}, err
	}
	up := userclient.Upload{Client: s.client("alice", func(o *userclient.Options) { o.Address, o.Dial = addr, slow }), ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{}}
	data := content(12 * mib)
	_, err := up.Send(t.Context(), bytes.NewReader(data), int64(len(data)))
	must(t, err)
	if lines.Load() == 0 {
		t.Error("no line was appended")
	}
}

// slowConn is a path on which an answer overtakes the end of its request.
type slowConn struct{ net.Conn }

func (c slowConn) Write(p []byte) (int, error) {
	time.Sleep(time.Millisecond)
	return c.Conn.Write(p)
}
