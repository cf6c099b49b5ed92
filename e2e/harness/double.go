package harness

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
)

// Doubler stands in front of a server, with a certificate for its name, and sends it
// every request twice: the first answer is lost, the second one goes to whoever asked.
// It is safe for concurrent use.
type Doubler struct {
	Addr netip.AddrPort

	backend *http.Transport
	mu      sync.Mutex
	seen    map[string]int
}

// Double puts a Doubler in front of a server until the end of the test. Other servers
// meet it when it is in DNS: s.Publish(map[string]uint16{"tcp": d.Addr.Port()}).
func (s *Server) Double() *Doubler {
	s.w.T.Helper()
	cert, err := s.w.CA.Issue(certs.Leaf{DNSNames: []string{s.Domain.String(), s.Config.Hostname}, SRV: []vam.Domain{s.Domain}})
	s.w.must(err)
	ln, err := net.Listen("tcp", netip.AddrPortFrom(s.Addr.Addr(), 0).String())
	s.w.must(err)
	d := &Doubler{
		Addr: netip.MustParseAddrPort(ln.Addr().String()), backend: s.HTTP2().Transport.(*http.Transport), seen: map[string]int{},
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	server := &http.Server{
		Handler: d, Protocols: protocols, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13},
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.ServeTLS(ln, "", "") })
	s.w.T.Cleanup(func() {
		_ = server.Close()
		serving.Wait()
	})
	return d
}

// Seen counts the requests by method and path, with {} for names that were minted.
func (d *Doubler) Seen() map[string]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.seen)
}

var minted = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{64}|/e/[0-9]+|[a-z+]+(%40|@)[a-z.]+|/rcpt/[^/]+`)

// ServeHTTP sends r twice.
func (d *Doubler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 32<<20))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	d.mu.Lock()
	d.seen[fmt.Sprintf("%s %s", r.Method, minted.ReplaceAllString(r.URL.EscapedPath(), "{}"))]++
	d.mu.Unlock()
	// The first one goes on even when whoever asked has gone: its answer is lost anyway.
	if first, err := d.send(context.WithoutCancel(r.Context()), r, body); err == nil {
		_, _ = io.Copy(io.Discard, first.Body)
		_ = first.Body.Close()
	}
	second, err := d.send(r.Context(), r, body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer second.Body.Close()
	maps.Copy(w.Header(), second.Header)
	w.WriteHeader(second.StatusCode)
	flush := http.NewResponseController(w)
	for buf := make([]byte, 64<<10); ; {
		n, err := second.Body.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = flush.Flush()
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func (d *Doubler) send(ctx context.Context, r *http.Request, body []byte) (*http.Response, error) {
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "https", r.Host
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if len(body) == 0 {
		out.Body = http.NoBody
	}
	return d.backend.RoundTrip(out)
}
