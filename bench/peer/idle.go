package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// ServeIdle is a bare Go server for HTTP/2 (network tcp) or HTTP/3 by quic-go (udp)
// on a free port of loopback, with the settings of the libraries and a handler that
// answers nothing. It prints its address on out and ends with in or ctx. It is run in
// a process of its own, so that its memory is known.
func ServeIdle(ctx context.Context, network string, in io.Reader, out io.Writer) error {
	id, err := newIdentity()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, in)
		stop()
	}()
	t := Loopback("")
	nothing := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	if network == "udp" {
		pc, err := t.ListenPacket(ctx)
		if err != nil {
			return err
		}
		server := &http3.Server{TLSConfig: id.server(http3.NextProtoH3), Handler: nothing, QUICConfig: &quic.Config{MaxIdleTimeout: 3 * time.Minute}}
		defer context.AfterFunc(ctx, func() { _ = server.Close() })()
		if _, err := fmt.Fprintln(out, pc.LocalAddr()); err != nil {
			return err
		}
		return ended(errors.Join(server.Serve(pc), pc.Close()))
	}
	l, err := t.Listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{TLSConfig: id.server(), Handler: nothing, ReadHeaderTimeout: time.Minute}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if _, err := fmt.Fprintln(out, l.Addr()); err != nil {
		return err
	}
	return ended(server.ServeTLS(l, "", ""))
}

func ended(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// IdleServer is a running process of ServeIdle.
type IdleServer struct {
	// Addr is where it listens, Pid its process.
	Addr string
	Pid  int

	proc *process
	in   io.Closer
}

// StartIdle starts cmd, a program that calls ServeIdle with its standard input and
// output, and waits for its address. The caller stops it.
func StartIdle(ctx context.Context, cmd *exec.Cmd) (*IdleServer, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p, err := startProcess(cmd, (*exec.Cmd).Start)
	if err != nil {
		return nil, err
	}
	s := &IdleServer{Pid: cmd.Process.Pid, proc: p, in: in}
	err = p.until(ctx, func() bool {
		if !strings.Contains(p.output.String(), ":") {
			return false
		}
		s.Addr = p.output.String()
		return true
	})
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop ends the process.
func (s *IdleServer) Stop() {
	_ = s.in.Close()
	s.proc.stop()
}

// Crowd is a set of idle connections, each with one request behind it. Close it.
type Crowd struct {
	network, addr, host string
	tls                 *tls.Config
	quic                *quic.Transport // shared socket over UDP

	mu   sync.Mutex
	idle []io.Closer
}

// idleClient closes one connection.
type idleClient func() error

func (f idleClient) Close() error { return f() }

// NewCrowd prepares connections over network, tcp or udp, to a server at addr that
// is called host; config may be nil, then its certificate is not checked.
func NewCrowd(ctx context.Context, network, addr, host string, config *tls.Config) (*Crowd, error) {
	if config == nil {
		config = &tls.Config{InsecureSkipVerify: true}
	}
	c := &Crowd{network: network, addr: addr, host: host, tls: config.Clone()}
	c.tls.NextProtos = nil // the libraries know
	if network == "udp" {
		pc, err := Loopback("").ClientPacket(ctx)
		if err != nil {
			return nil, err
		}
		c.quic = &quic.Transport{Conn: pc}
		c.tls.NextProtos = []string{http3.NextProtoH3}
		c.idle = append(c.idle, pc, c.quic)
	}
	return c, nil
}

// Grow opens n more connections and makes one request on each.
func (c *Crowd) Grow(ctx context.Context, n int) error {
	return InParallel(ctx, n, 8, func(ctx context.Context, next func() (int, bool)) error {
		for {
			if _, ok := next(); !ok {
				return nil
			}
			rt, closer := c.client()
			c.mu.Lock()
			c.idle = append(c.idle, closer)
			c.mu.Unlock()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.host+"/none", nil)
			if err != nil {
				return err
			}
			res, err := rt.RoundTrip(req)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, res.Body)
			if err := errors.Join(err, res.Body.Close()); err != nil {
				return err
			}
		}
	})
}

// client makes an HTTP client for one connection.
func (c *Crowd) client() (http.RoundTripper, io.Closer) {
	if c.network == "udp" {
		rt := &http3.Transport{
			TLSClientConfig: c.tls,
			QUICConfig:      &quic.Config{KeepAlivePeriod: 10 * time.Second, MaxIdleTimeout: 3 * time.Minute},
			Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
				at, err := net.ResolveUDPAddr("udp", c.addr)
				if err != nil {
					return nil, err
				}
				return c.quic.Dial(ctx, at, tc, qc)
			},
		}
		return rt, rt
	}
	var h2 http.Protocols
	h2.SetHTTP2(true)
	rt := &http.Transport{
		TLSClientConfig: c.tls.Clone(), // a transport changes what it is given
		Protocols:       &h2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", c.addr)
		},
	}
	return rt, idleClient(func() error { rt.CloseIdleConnections(); return nil })
}

// Close ends every connection.
func (c *Crowd) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for i := len(c.idle) - 1; i >= 0; i-- { // the shared socket last
		errs = append(errs, c.idle[i].Close())
	}
	c.idle = nil
	return errors.Join(errs...)
}
