package userclient_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// recording is a live upload that a test writes into.
type recording struct {
	*io.PipeWriter
	id   vam.MessageID
	done chan struct{}
	m    userwire.Message
	err  error
	got  chan int64 // progress
}

func record(ctx context.Context, s *server) *recording {
	r, w := io.Pipe()
	rec := &recording{PipeWriter: w, id: vam.NewMessageID(time.Now()), done: make(chan struct{}), got: make(chan int64, 1000)}
	up := userclient.Upload{Client: s.client("alice"), ID: rec.id, Draft: draft(), Progress: func(n int64) { rec.got <- n }}
	go func() { defer close(rec.done); rec.m, rec.err = up.Live(ctx, r) }()
	s.t.Cleanup(func() { _ = r.Close(); <-rec.done })
	return rec
}

// until waits for the server to have n octets.
func (r *recording) until(t *testing.T, n int64) {
	t.Helper()
	for {
		select {
		case got := <-r.got:
			if got == n {
				return
			}
		case <-r.done:
			t.Fatalf("it ended: %v", r.err)
		}
	}
}

// TestLive: what is written is there, for the recipient too, before the next is written.
func TestLive(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rec := record(t.Context(), s)
	data := content(300_000)
	var sent int64
	var body io.ReadCloser
	for _, n := range []int{10, 100_000, 1} {
		_, err := rec.Write(data[sent : sent+int64(n)])
		must(t, err)
		sent += int64(n)
		rec.until(t, sent)
		if body == nil {
			body = follow(t, s, rec.id)
			defer body.Close()
		}
		part := make([]byte, n)
		_, err = io.ReadFull(body, part)
		must(t, err)
		if !bytes.Equal(part, data[sent-int64(n):sent]) {
			t.Fatal("other octets arrive")
		}
	}
	must(t, rec.Close())
	<-rec.done
	must(t, rec.err)
	if rec.m.Bytes != sent || rec.m.Sealed.IsZero() {
		t.Errorf("the message is %+v", rec.m)
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) != 0 {
		t.Errorf("%d more octets, %v", len(rest), err)
	}
	if got := s.arrives(rec.id); !bytes.Equal(got, data[:sent]) {
		t.Error("it arrives as something else")
	}
}

// follow reads the message as bob, as soon as he has it; not through the middle, which
// waits for the end of answers.
func follow(t *testing.T, s *server, id vam.MessageID) io.ReadCloser {
	t.Helper()
	bob := s.client("bob", func(o *userclient.Options) { o.Address = s.conf.Listen.TCP[0] })
	for {
		body, _, err := bob.Media(t.Context(), "a.test", id, 0)
		if err == nil {
			return body
		}
		if vam.KindOf(err) != vam.NotFound {
			t.Fatal(err)
		}
	}
}

// TestLiveGrowsItsParts: while the server is slow, what comes is collected, so that a slow
// path is as fast as its bandwidth; no part is longer than a part may be.
func TestLiveGrowsItsParts(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var mu sync.Mutex
	var sizes []int64
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.middle.does(func(_ http.ResponseWriter, r *http.Request, _ func() *answer) bool {
		if strings.Contains(r.URL.Path, "/b/") {
			mu.Lock()
			sizes = append(sizes, r.ContentLength)
			mu.Unlock()
			once.Do(func() { close(entered); <-release })
		}
		return false
	})
	rec := record(t.Context(), s)
	data := content(5 * mib)
	_, err := rec.Write(data[:1000])
	must(t, err)
	<-entered
	letGo := sync.OnceFunc(func() { close(release) })
	defer time.AfterFunc(10*time.Second, letGo).Stop() // a failure must not hang
	// All of this is taken although the first part is still on its way, and for longer than
	// a part collects on a quick path.
	const pieces = 40
	for at := 1000; at < mib; at += mib / pieces {
		_, err = rec.Write(data[at:min(at+mib/pieces, mib)])
		must(t, err)
		time.Sleep(10 * time.Millisecond)
	}
	letGo()
	_, err = rec.Write(data[mib:])
	must(t, err)
	must(t, rec.Close())
	<-rec.done
	must(t, rec.err)
	if got := s.arrives(rec.id); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
	mu.Lock()
	defer mu.Unlock()
	if sizes[0] != 1000 || sizes[1] < mib-1000 {
		t.Errorf("the parts have %v octets", sizes)
	}
	for _, n := range sizes {
		if n > 4*mib {
			t.Errorf("a part has %d octets", n)
		}
	}
}

// TestLiveStops: the end of the context ends the recording, which is sealed with what came
// before, and what the recorder still brings as it stops too.
func TestLiveStops(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	rec := record(ctx, s)
	data := content(20_000)
	_, err := rec.Write(data[:10_000])
	must(t, err)
	rec.until(t, 10_000)
	cancel()
	_, err = rec.Write(data[10_000:])
	must(t, err)
	must(t, rec.Close())
	<-rec.done
	must(t, rec.err)
	if got := s.arrives(rec.id); !bytes.Equal(got, data) {
		t.Errorf("%d octets arrive", len(got))
	}
}

// TestLiveStopsWithoutEnd: a recorder that does not end is left alone after a while.
func TestLiveStopsWithoutEnd(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	rec := record(ctx, s)
	_, err := rec.Write(content(10_000))
	must(t, err)
	rec.until(t, 10_000)
	cancel()
	<-rec.done
	must(t, rec.err)
	if got := s.arrives(rec.id); len(got) != 10_000 {
		t.Errorf("%d octets arrive", len(got))
	}
}

// TestLiveBreaks: a recording that cannot be read on keeps what came, and is not passed
// off as complete.
func TestLiveBreaks(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rec := record(t.Context(), s)
	_, err := rec.Write(content(10_000))
	must(t, err)
	must(t, rec.CloseWithError(errBroken))
	<-rec.done
	wantKind(t, rec.err, vam.Unavailable)
	if !errors.Is(rec.err, errBroken) {
		t.Errorf("the error is %v", rec.err)
	}
	m, err := s.client("alice").Message(t.Context(), rec.id)
	must(t, err)
	if m.Bytes != 10_000 || !m.Sealed.IsZero() {
		t.Errorf("the message is %+v", m)
	}
}

// TestLiveThroughLostAnswers: a recording survives requests whose answers are lost.
func TestLiveThroughLostAnswers(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	var n atomic.Int64
	s.middle.does(func(w http.ResponseWriter, _ *http.Request, forward func() *answer) bool {
		res := forward()
		if n.Add(1)%3 == 1 {
			panic(http.ErrAbortHandler)
		}
		res.write(w)
		return true
	})
	rec := record(t.Context(), s)
	data := content(60_000)
	for at := 0; at < len(data); at += 20_000 {
		_, err := rec.Write(data[at : at+20_000])
		must(t, err)
		rec.until(t, int64(at+20_000))
	}
	must(t, rec.Close())
	<-rec.done
	must(t, rec.err)
	s.middle.does(nil)
	if got := s.arrives(rec.id); !bytes.Equal(got, data) {
		t.Error("it arrives as something else")
	}
}

// TestLiveNothing: a recording that brings nothing is an empty message.
func TestLiveNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	rec := record(t.Context(), s)
	must(t, rec.Close())
	<-rec.done
	must(t, rec.err)
	if got := s.arrives(rec.id); len(got) != 0 {
		t.Errorf("%d octets arrive", len(got))
	}
}
