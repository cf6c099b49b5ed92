package amclient_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// benchSize is what one iteration moves.
const benchSize = 256 << 20

// BenchmarkBulk moves media from memory into a sink, by ours and by the bare transport
// below it: "sink" hashes, writes a file and syncs it, "drop" reads only. Compare within
// one run:
//
//	go test -run '^$' -bench Bulk -benchtime 4x ./activmail/amclient
func BenchmarkBulk(b *testing.B) {
	source := &pattern{block: randomBytes(8 << 20)}
	ways := []struct {
		name string
		open func(b *testing.B, source *pattern) func(b *testing.B, into io.Writer)
	}{
		{"tcp/bare-tls", bareTLS},
		{"tcp/vam", func(b *testing.B, s *pattern) func(*testing.B, io.Writer) { return vamMedia(b, s, amclient.TCPOnly, 1) }},
		{"tcp/vam-4", func(b *testing.B, s *pattern) func(*testing.B, io.Writer) { return vamMedia(b, s, amclient.TCPOnly, 4) }},
		{"udp/bare-quic", bareQUIC},
		{"udp/vam", func(b *testing.B, s *pattern) func(*testing.B, io.Writer) { return vamMedia(b, s, amclient.UDPOnly, 1) }},
		{"udp/vam-4", func(b *testing.B, s *pattern) func(*testing.B, io.Writer) { return vamMedia(b, s, amclient.UDPOnly, 4) }},
	}
	for _, sink := range []string{"sink", "drop"} {
		for _, way := range ways {
			b.Run(sink+"/"+way.name, func(b *testing.B) {
				transfer := way.open(b, source)
				b.SetBytes(benchSize)
				b.ResetTimer()
				for i := range b.N {
					into := io.Writer(dropper{})
					if sink == "sink" {
						into = newSink(b, i)
					}
					transfer(b, into)
					if s, ok := into.(*fileSink); ok {
						s.finish(b)
					}
				}
			})
		}
	}
}

// pattern is content without end.
type pattern struct{ block []byte }

func (p *pattern) ReadAt(buf []byte, offset int64) (int, error) {
	for n := 0; n < len(buf); {
		n += copy(buf[n:], p.block[(offset+int64(n))%int64(len(p.block)):])
	}
	return len(buf), nil
}

func (p *pattern) Close() error { return nil }

// fileSink is where a careful receiver puts bytes.
type fileSink struct {
	mu   sync.Mutex
	hash hash.Hash
	file *os.File
}

func newSink(b *testing.B, i int) *fileSink {
	f, err := os.Create(filepath.Join(b.TempDir(), strconv.Itoa(i)))
	if err != nil {
		b.Fatal(err)
	}
	return &fileSink{hash: sha256.New(), file: f}
}

func (s *fileSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hash.Write(p)
	return s.file.Write(p)
}

func (s *fileSink) finish(b *testing.B) {
	if err := s.file.Sync(); err != nil {
		b.Fatal(err)
	}
	s.hash.Sum(nil)
	_ = s.file.Close()
	_ = os.Remove(s.file.Name())
}

type dropper struct{}

func (dropper) Write(p []byte) (int, error) { return len(p), nil }

func copyAll(b *testing.B, into io.Writer, from io.Reader, want int64) {
	n, err := io.CopyBuffer(into, struct{ io.Reader }{from}, make([]byte, 1<<20))
	if err != nil || n != want {
		b.Errorf("%d octets of %d: %v", n, want, err)
	}
}

// bareTLS is a copy over one TLS 1.3 connection that is there already.
func bareTLS(b *testing.B, source *pattern) func(*testing.B, io.Writer) {
	n, err := amtest.NewNetwork()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := n.Certificate("bare.test")
	if err != nil {
		b.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	if err != nil {
		b.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf, ask := make([]byte, 1<<20), make([]byte, 1)
		for {
			if _, err := io.ReadFull(c, ask); err != nil {
				return
			}
			for off := int64(0); off < benchSize; off += int64(len(buf)) {
				_, _ = source.ReadAt(buf, off)
				if _, err := c.Write(buf); err != nil {
					return
				}
			}
		}
	})
	c, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: n.Roots, ServerName: "bare.test"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); ln.Close(); serving.Wait() })
	return func(b *testing.B, into io.Writer) {
		if _, err := c.Write([]byte{1}); err != nil {
			b.Fatal(err)
		}
		copyAll(b, into, io.LimitReader(c, benchSize), benchSize)
	}
}

// bareQUIC is a GET by quic-go as it comes, over one connection.
func bareQUIC(b *testing.B, source *pattern) func(*testing.B, io.Writer) {
	n, err := amtest.NewNetwork()
	if err != nil {
		b.Fatal(err)
	}
	cert, err := n.Certificate("bare.test")
	if err != nil {
		b.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	server := &http3.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(benchSize))
			buf := make([]byte, 1<<20)
			for off := int64(0); off < benchSize; off += int64(len(buf)) {
				_, _ = source.ReadAt(buf, off)
				if _, err := w.Write(buf); err != nil {
					return
				}
			}
		}),
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(socket) })
	transport := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: n.Roots, ServerName: "bare.test"},
		QUICConfig:      &quic.Config{},
	}
	b.Cleanup(func() { transport.Close(); server.Close(); socket.Close(); serving.Wait() })
	url := fmt.Sprintf("https://%s/", socket.LocalAddr())
	return func(b *testing.B, into io.Writer) {
		resp, err := (&http.Client{Transport: transport}).Get(url)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		copyAll(b, into, resp.Body, benchSize)
	}
}

// onlyMedia is an origin of one message without log.
type onlyMedia struct {
	amserver.Outbound
	source *pattern
	size   vam.Bytes
}

func (o onlyMedia) Media(context.Context, amserver.Pull) (amserver.Media, error) {
	return amserver.Media{Content: o.source, Size: o.size, Complete: true, ETag: "x"}, nil
}

// vamMedia pulls through client and server, in as many ranges at a time.
func vamMedia(b *testing.B, source *pattern, mode amclient.Mode, parallel int64) func(*testing.B, io.Writer) {
	n, err := amtest.NewNetwork()
	if err != nil {
		b.Fatal(err)
	}
	peer, err := n.Start("a.test", amtest.PeerOptions{
		Wrap: func(http.Handler) http.Handler {
			return amserver.NewHandler(amserver.HandlerOptions{Outbound: onlyMedia{source: source, size: benchSize}})
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	dialer := n.NewDialer()
	c, err := amclient.New(dialer, amclient.Options{Endpoints: peer.Endpoints(), Mode: mode})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Close(); dialer.Close(); peer.Close() })
	pull := amclient.Pull{MessageID: "0193a0c0-0000-7000-8000-000000000000", Token: activmail.NewPullToken()}
	get := func(b *testing.B, into io.Writer, from, to int64) {
		m, err := c.Media(b.Context(), pull, vam.Bytes(from), vam.Bytes(to))
		if err != nil {
			b.Error(err)
			return
		}
		defer m.Close()
		copyAll(b, into, m, to-from)
	}
	return func(b *testing.B, into io.Writer) {
		if parallel == 1 {
			get(b, into, 0, benchSize)
			return
		}
		const piece = 16 << 20
		next := make(chan int64)
		var pulling sync.WaitGroup
		for range parallel {
			pulling.Go(func() {
				for from := range next {
					get(b, into, from, min(from+piece, benchSize))
				}
			})
		}
		for from := int64(0); from < benchSize; from += piece {
			next <- from
		}
		close(next)
		pulling.Wait()
	}
}
