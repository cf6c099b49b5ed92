package userclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/userclient"
)

func issue(t *testing.T, s *server) tls.Certificate {
	t.Helper()
	cert, err := s.ca.Issue(certs.Leaf{DNSNames: []string{"a.test"}})
	must(t, err)
	return cert
}

// TestCertificates: a server that does not prove who it is gets no token, and is not asked
// again.
func TestCertificates(t *testing.T) {
	ca, err := certs.NewCA("", nil)
	must(t, err)
	stranger, err := certs.NewCA("", nil)
	must(t, err)
	leaf := func(ca *certs.CA, l certs.Leaf) tls.Certificate {
		cert, err := ca.Issue(l)
		must(t, err)
		return cert
	}
	past := time.Now().Add(-time.Hour)
	for name, cert := range map[string]tls.Certificate{
		"unknown authority": leaf(stranger, certs.Leaf{DNSNames: []string{"a.test"}}),
		"another name":      leaf(ca, certs.Leaf{DNSNames: []string{"b.test"}}),
		"expired":           leaf(ca, certs.Leaf{DNSNames: []string{"a.test"}, NotBefore: past.Add(-time.Hour), NotAfter: past}),
	} {
		t.Run(name, func(t *testing.T) {
			var requests, retries atomic.Int64
			addr := serveTLS(t, cert, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
			c := userclient.New(userclient.Options{
				Address: addr, ServerName: "a.test", Token: activmail.NewDeviceToken(), Roots: ca.Pool(), Patience: time.Hour,
				Retrying: func(error, time.Duration) { retries.Add(1) },
			})
			defer c.Close()
			_, err := c.Me(t.Context())
			wantKind(t, err, vam.Denied)
			if !strings.Contains(err.Error(), "does not prove that it is a.test") {
				t.Errorf("the error is %q", err)
			}
			if requests.Load()+retries.Load() != 0 {
				t.Error("it was asked, or tried again")
			}
		})
	}
}

// answering runs a client against handler inside a bubble of synctest.
func answering(t *testing.T, patience time.Duration, handler http.HandlerFunc, f func(t *testing.T, c *userclient.Client, retried *[]time.Duration)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca, err := certs.NewCA("", nil)
		must(t, err)
		cert, err := ca.Issue(certs.Leaf{DNSNames: []string{"a.test"}})
		must(t, err)
		ln := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		protocols := new(http.Protocols)
		protocols.SetHTTP2(true)
		srv := &http.Server{
			Handler: handler, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0),
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		}
		go func() { _ = srv.ServeTLS(ln, "", "") }()
		var retried []time.Duration
		c := userclient.New(userclient.Options{
			Address: "a.test:1398", Token: activmail.NewDeviceToken(), Roots: ca.Pool(), Patience: patience, Dial: ln.dial,
			Retrying: func(_ error, after time.Duration) { retried = append(retried, after) },
		})
		f(t, c, &retried)
		_ = c.Close()
		_ = srv.Close()
		synctest.Wait()
	})
}

// pipeListener hands out the other ends of what was dialled.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.closed); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func problem(w http.ResponseWriter, err error) { activmail.ProblemFor(err).WriteTo(w) }

// TestPatience: a temporary failure is tried again as long as the patience lasts, at the
// pace that the server names; any other is told at once.
func TestPatience(t *testing.T) {
	calls := 0
	busy := vam.Errorf(vam.Busy, "slow down").WithRetry(7 * time.Second)
	answering(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls <= 3 {
			problem(w, busy)
			return
		}
		_, _ = w.Write([]byte(`{"address":"alice@a.test"}`))
	}, func(t *testing.T, c *userclient.Client, retried *[]time.Duration) {
		start := time.Now()
		me, err := c.Me(t.Context())
		if err != nil || me.Address.String() != "alice@a.test" {
			t.Errorf("%v, %v", me, err)
		}
		if took := time.Since(start); took != 21*time.Second || len(*retried) != 3 {
			t.Errorf("it took %v with %v", took, *retried)
		}
	})

	calls = 0
	answering(t, 20*time.Second, func(w http.ResponseWriter, _ *http.Request) { calls++; problem(w, busy) }, func(t *testing.T, c *userclient.Client, _ *[]time.Duration) {
		start := time.Now()
		_, err := c.Me(t.Context())
		if vam.KindOf(err) != vam.Busy || time.Since(start) > 20*time.Second || calls != 3 {
			t.Errorf("%v after %v and %d calls", err, time.Since(start), calls)
		}
	})

	for _, kind := range []vam.ErrorKind{vam.Invalid, vam.Unauthenticated, vam.Denied, vam.NotFound, vam.Gone, vam.Conflict, vam.TooLarge, vam.OverQuota, vam.Corrupt} {
		calls = 0
		answering(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) { calls++; problem(w, vam.Errorf(kind, "no")) }, func(t *testing.T, c *userclient.Client, _ *[]time.Duration) {
			_, err := c.Me(t.Context())
			if vam.KindOf(err) != kind || calls != 1 {
				t.Errorf("%v: %v (%v) after %d calls", kind, err, vam.KindOf(err), calls)
			}
		})
	}
}

// TestNobodyThere: a server that is away is waited for, and that is told; with the end of
// the context it is over at once.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []error
		dials := 0
		c := userclient.New(userclient.Options{
			Address: "a.test:1398", Token: activmail.NewDeviceToken(), Patience: 30 * time.Second,
			Retrying: func(err error, _ time.Duration) { told = append(told, err) },
			Dial:     func(context.Context, string, string) (net.Conn, error) { dials++; return nil, errors.New("refused") },
		})
		defer c.Close()
		start := time.Now()
		_, err := c.Me(t.Context())
		wantKind(t, err, vam.Unavailable)
		if took := time.Since(start); took > 30*time.Second || took < 20*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(told) == 0 || len(told) != dials-1 {
			t.Errorf("%d of %d dials were told", len(told), dials)
		}

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start = time.Now()
		if _, err := c.Me(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestForeignAnswers: what is no vam server is called that.
func TestForeignAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   vam.ErrorKind
	}{
		"a web page":    {200, "<html>", vam.Unavailable},
		"an error page": {404, "<html>not here", vam.NotFound},
		"a redirect":    {302, "", vam.Unavailable},
		"too much":      {200, `{"name":"` + strings.Repeat("x", 17<<20) + `"}`, vam.TooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			answering(t, 0, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://elsewhere.test/")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}, func(t *testing.T, client *userclient.Client, _ *[]time.Duration) {
				if _, err := client.Me(t.Context()); err == nil || vam.KindOf(err) != c.kind {
					t.Errorf("%v (%v)", err, vam.KindOf(err))
				}
			})
		})
	}
}

// TestAnswerBreaksOff: an answer that ends early is asked for again.
func TestAnswerBreaksOff(t *testing.T) {
	calls := 0
	answering(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"address":"ali`))
		if calls++; calls == 1 {
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write([]byte(`ce@a.test"}`))
	}, func(t *testing.T, c *userclient.Client, _ *[]time.Duration) {
		me, err := c.Me(t.Context())
		if err != nil || me.Address.String() != "alice@a.test" || calls != 2 {
			t.Errorf("%v, %v after %d calls", me, err, calls)
		}
	})
}
