package amclient_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amclient"
)

// overTCP applies one handler to HTTP/2 and another to HTTP/3.
func overTCP(tcp, udp http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor == 2 {
			tcp(w, r)
		} else {
			udp(w, r)
		}
	}
}

// silent never answers.
func silent(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// patience is a client that waits for d and no longer.
func (w *world) patience(t *testing.T, mode amclient.Mode, d time.Duration) *amclient.Client {
	t.Helper()
	c, err := amclient.New(w.dialer, amclient.Options{Endpoints: w.a.Endpoints(), Key: w.b.Key, Mode: mode, Stall: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// A peer that takes a request over one network and stays silent is asked over the other,
// within the same call (AM-11.14).
func TestSilenceBeforeTheHeader(t *testing.T) {
	s := &stage{}
	w := newWorld(t, s.options())
	ten := []byte("0123456789")
	s.play(overTCP(silent, answering(206, ten, "Content-Range", "bytes 0-9/10")))
	c := w.patience(t, amclient.Auto, 100*time.Millisecond)
	m, err := c.Media(t.Context(), somebody(), 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if m.Network != amclient.UDP {
		t.Errorf("it was carried by %s", m.Network)
	}
	if n := c.Stats().Networks; n[amclient.TCP].Failures == 0 || n[amclient.UDP].Failures != 0 {
		t.Errorf("the networks are %+v", n)
	}
}

// An answer that falls silent is given up, and the rest comes over the other network;
// what had come is kept.
func TestSilenceWithinTheBody(t *testing.T) {
	s := &stage{}
	w := newWorld(t, s.options())
	content := randomBytes(4000)
	s.play(overTCP(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Range", "bytes 0-3999/4000")
		rw.Header().Set("Content-Length", "4000")
		rw.WriteHeader(http.StatusPartialContent)
		_, _ = rw.Write(content[:1000])
		_ = http.NewResponseController(rw).Flush()
		silent(rw, r)
	}, answering(206, content[1000:], "Content-Range", "bytes 1000-3999/4000")))
	c := w.patience(t, amclient.Auto, 100*time.Millisecond)
	var got []byte
	networks := []amclient.Network{}
	for i := 0; len(got) < len(content) && i < 3; i++ {
		m, err := c.Media(t.Context(), somebody(), vam.Bytes(len(got)), 4000)
		if err != nil {
			t.Fatal(err)
		}
		part, err := io.ReadAll(m)
		m.Close()
		got, networks = append(got, part...), append(networks, m.Network)
		if i == 0 {
			wantProblem(t, err, vam.Unavailable, "")
		} else if err != nil {
			t.Error(err)
		}
	}
	if string(got) != string(content) || len(networks) != 2 || networks[0] != amclient.TCP || networks[1] != amclient.UDP {
		t.Errorf("%d octets of %d over %v", len(got), len(content), networks)
	}
}

// Over one network alone silence is an error that may pass, and never a hang.
func TestSilenceOverOneNetwork(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s := &stage{}
		w := newWorld(t, s.options())
		s.play(silent)
		c := w.patience(t, mode, 30*time.Millisecond)
		_, err := c.Head(t.Context(), somebody())
		wantProblem(t, err, vam.Unavailable, "")

		other := amclient.TCP
		if mode == amclient.TCPOnly {
			other = amclient.UDP
		}
		if n := c.Stats().Networks; n[amclient.Network(mode)].Failures < 2 || n[other] != (amclient.NetworkStats{}) {
			t.Errorf("the networks are %+v", n)
		}
	})
}

// A request that asks the peer to wait is judged by the time it asked for.
func TestSilenceThatWasAskedFor(t *testing.T) {
	bothModes(t, func(t *testing.T, mode amclient.Mode) {
		s := &stage{}
		w := newWorld(t, s.options())
		answer, began := make(chan struct{}), make(chan struct{})
		s.play(func(rw http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Prefer") == "" {
				silent(rw, r)
				return
			}
			close(began)
			<-answer
			rw.WriteHeader(http.StatusNoContent)
		})
		c := w.patience(t, mode, 30*time.Millisecond)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if e, err := c.Entry(t.Context(), somebody(), 0, time.Second); err != nil || e.Line != nil {
				t.Errorf("the answer is %+v, %v", e, err)
			}
		})
		<-began
		// Another one is given up meanwhile, which takes longer than the patience.
		_, err := w.patience(t, mode, 30*time.Millisecond).Head(t.Context(), somebody())
		wantProblem(t, err, vam.Unavailable, "")
		close(answer)
		waiting.Wait()
	})
}

// A caller that gives up, and a client that is closed, end what is under way at once and
// hold nothing against the network.
func TestGivingUp(t *testing.T) {
	for name, end := range map[string]func(c *amclient.Client, cancel func()){
		"caller": func(_ *amclient.Client, cancel func()) { cancel() },
		"client": func(c *amclient.Client, _ func()) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bothModes(t, func(t *testing.T, mode amclient.Mode) {
				s := &stage{}
				w := newWorld(t, s.options())
				began := make(chan struct{}, 2)
				s.play(func(rw http.ResponseWriter, r *http.Request) {
					if r.URL.Path[len(r.URL.Path)-6:] == "/media" {
						rw.Header().Set("Content-Range", "bytes 0-999/1000")
						rw.WriteHeader(http.StatusPartialContent)
						_, _ = rw.Write([]byte("x"))
						_ = http.NewResponseController(rw).Flush()
					}
					began <- struct{}{}
					silent(rw, r)
				})
				c := w.patience(t, mode, time.Hour)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var asking sync.WaitGroup
				asking.Go(func() {
					_, err := c.Head(ctx, somebody())
					wantProblem(t, err, vam.Unavailable, "")
				})
				asking.Go(func() {
					m, err := c.Media(ctx, somebody(), 0, 1000)
					if err == nil { // otherwise the end overtook the header
						_, err = io.Copy(io.Discard, m)
						m.Close()
					}
					wantProblem(t, err, vam.Unavailable, "")
				})
				<-began
				<-began
				end(c, cancel)
				asking.Wait()
				if n := c.Stats().Networks[amclient.Network(mode)]; n.Failures != 0 {
					t.Errorf("the network is %+v", n)
				}
				if name == "client" {
					_, err := c.Head(t.Context(), somebody())
					wantProblem(t, err, vam.Unavailable, "")
				}
			})
		})
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no longer wanted"))
	_, c := onStage(t, amclient.Auto)
	if _, err := c.Head(ctx, somebody()); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("with a context that has ended: %v", err)
	}
}
