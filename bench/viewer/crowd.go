package viewer

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is viewers that watch one file slowly, each over a connection of its own: they
// ask for the whole and read at their rate, so that the server always has more to say.
// Close it.
type Crowd struct {
	site   Site
	path   string
	rate   int
	buffer int
	read   atomic.Int64

	cancel context.CancelFunc
	wg     sync.WaitGroup
	mu     sync.Mutex
	err    error
}

// sips is how often in a second a slow viewer reads.
const sips = 2

// Gather opens n viewers of path who read rate octets a second each, and returns when
// every one of them has its first octets. They go on until Close or the end of ctx.
func Gather(ctx context.Context, site Site, path string, n, rate int) (*Crowd, error) {
	// The kernel's buffer at a viewer is that of a slow line: no more than it reads in a
	// second or two.
	c := &Crowd{site: site, path: path, rate: rate, buffer: rate}
	ctx, c.cancel = context.WithCancel(ctx)
	if err := c.open(ctx, n); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Crowd) open(ctx context.Context, n int) error {
	const atOnce = 16 // handshakes under way
	var (
		slots = make(chan struct{}, atOnce)
		first sync.WaitGroup
	)
	for range n {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		first.Add(1)
		begun := sync.OnceFunc(func() { <-slots; first.Done() })
		c.wg.Go(func() {
			defer begun() // when it is known why this one does not watch
			if err := c.watch(ctx, begun); err != nil && ctx.Err() == nil {
				c.mu.Lock()
				c.err = err
				c.mu.Unlock()
			}
		})
	}
	first.Wait()
	return c.Err()
}

// Err is what ended a viewer, nil while all of them watch.
func (c *Crowd) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Read is how many octets all of them have read.
func (c *Crowd) Read() int64 { return c.read.Load() }

// Close ends every viewer.
func (c *Crowd) Close() {
	c.cancel()
	c.wg.Wait()
}

// watch is one viewer.
func (c *Crowd) watch(ctx context.Context, begun func()) error {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", c.site.Addr.String())
	if err != nil {
		return err
	}
	defer func() { _ = raw.Close() }()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	if err := raw.(*net.TCPConn).SetReadBuffer(c.buffer); err != nil {
		return err
	}
	if c.site.Protocol == H2 {
		return c.watchH2(ctx, raw, begun)
	}
	conf := c.site.config()
	conf.NextProtos = []string{"http/1.1"}
	conn := tls.Client(raw, conf)
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nRange: bytes=0-\r\n\r\n", c.path, c.site.Host); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(conn, 4<<10), nil)
	if err != nil {
		return err
	}
	return c.sip(ctx, res, begun)
}

func (c *Crowd) watchH2(ctx context.Context, raw net.Conn, begun func()) error {
	var p http.Protocols
	p.SetHTTP2(true)
	t := &http.Transport{
		TLSClientConfig: c.site.config(), Protocols: &p, DisableCompression: true,
		// A window of what a slow viewer takes.
		HTTP2:       &http.HTTP2Config{MaxReceiveBufferPerConnection: 256 << 10, MaxReceiveBufferPerStream: max(64<<10, c.buffer)},
		DialContext: func(context.Context, string, string) (net.Conn, error) { return raw, nil },
	}
	defer t.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.site.Host+c.path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", "bytes=0-")
	res, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	return c.sip(ctx, res, begun)
}

// sip reads at the rate, some of it at a time.
func (c *Crowd) sip(ctx context.Context, res *http.Response, begun func()) error {
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusPartialContent {
		return fmt.Errorf("a viewer was answered %s", res.Status)
	}
	buf := make([]byte, 4<<10)
	next := time.NewTicker(time.Second / sips)
	defer next.Stop()
	for {
		for left := c.rate / sips; left > 0; {
			n, err := res.Body.Read(buf[:min(left, len(buf))])
			c.read.Add(int64(n))
			left -= n
			if err == io.EOF {
				return fmt.Errorf("a viewer was at the end too early")
			}
			if err != nil {
				return err
			}
		}
		begun()
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}
