package amserver_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/activmail/amtest"
)

// frames is a client that writes HTTP/2 frames by hand. One goroutine reads.
type frames struct {
	*http2.Framer
	conn *tls.Conn
}

// frames connects and sends preface and settings.
func (w *world) frames(t *testing.T) *frames {
	t.Helper()
	config := w.tls()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", w.peer.TCP.String(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	f := &frames{http2.NewFramer(conn, conn), conn}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

// block is a header block of a request.
func (w *world) block(method, path string, extra ...string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	fields := append([]string{":method", method, ":scheme", "https", ":authority", w.peer.ServerName, ":path", path}, extra...)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

// until reads frames until stop says so or the connection ends; it answers settings.
func (f *frames) until(t *testing.T, stop func(http2.Frame) bool) error {
	t.Helper()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		if s, ok := frame.(*http2.SettingsFrame); ok && !s.IsAck() {
			if err := f.WriteSettingsAck(); err != nil {
				return err
			}
		}
		if stop(frame) {
			return nil
		}
	}
}

// status reads the status of the answer on a stream.
func (f *frames) status(t *testing.T, stream uint32) (string, error) {
	t.Helper()
	status := ""
	err := f.until(t, func(frame http2.Frame) bool {
		h, ok := frame.(*http2.HeadersFrame)
		if !ok || h.StreamID != stream {
			return false
		}
		decoder := hpack.NewDecoder(4096, func(field hpack.HeaderField) {
			if field.Name == ":status" {
				status = field.Value
			}
		})
		_, _ = decoder.Write(h.HeaderBlockFragment())
		return true
	})
	return status, err
}

// AM-11.6 and AM-11.7: what a server announces.
func TestSettings(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	f := w.frames(t)
	settings := map[http2.SettingID]uint32{}
	window := uint32(65535)
	err := f.until(t, func(frame http2.Frame) bool {
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			_ = frame.ForeachSetting(func(s http2.Setting) error { settings[s.ID] = s.Val; return nil })
		case *http2.WindowUpdateFrame:
			window += frame.Increment
			return true
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	if settings[http2.SettingInitialWindowSize] < 8<<20 || window < 16<<20 || settings[http2.SettingMaxFrameSize] <= 16<<10 ||
		settings[http2.SettingMaxConcurrentStreams] < 100 {
		t.Errorf("settings %v, window of the connection %d", settings, window)
	}
	if n := settings[http2.SettingMaxHeaderListSize]; n < 16<<10 || n > 64<<10 { // AM-10.15
		t.Errorf("header sections of %d octets are taken", n)
	}
}

// A header section is bounded in octets (AM-10.15): what is too large is 431, and one
// that does not end ends the connection.
func TestHeaderFlood(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	value := string(bytes.Repeat([]byte("x"), 8<<10))
	large := w.block("GET", "/", "a", value, "b", value, "c", value, "d", value, "e", value, "f", value)
	f := w.frames(t)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: large, EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	if status, err := f.status(t, 1); status != "431" {
		t.Errorf("a header section of 48 KiB was answered %q, %v", status, err)
	}
	// The connection is still of use.
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: w.block("GET", "/"), EndStream: true, EndHeaders: true}); err != nil {
		t.Fatal(err)
	}
	if status, err := f.status(t, 3); status != "404" {
		t.Errorf("after that a request was answered %q, %v", status, err)
	}

	f = w.frames(t)
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: w.block("GET", "/"), EndStream: true}); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	writing.Go(func() {
		fragment := w.block("GET", "/", "a", value)
		for range 10_000 {
			if err := f.WriteContinuation(1, false, fragment); err != nil {
				return
			}
		}
		t.Error("80 MiB of header were taken")
	})
	_, _ = io.Copy(io.Discard, f.conn) // until the server closes
	f.conn.Close()
	writing.Wait()
}

// A header section that does not end within its time ends its connection (AM-11.16), and
// a body may take longer.
func TestHeaderThatDoesNotEnd(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{Server: amserver.Options{Limits: amserver.ConnLimits{Handshake: 600 * time.Millisecond}}})
	block := w.block("PUT", offerPath(), "content-type", activmail.OfferType, "signature", "vam=::", "signature-input", "vam=()", "content-length", "2")
	slow := w.frames(t)
	if err := errors.Join(
		slow.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true}),
		slow.WriteData(1, false, []byte("{")),
	); err != nil {
		t.Fatal(err)
	}
	var ending sync.WaitGroup
	for name, begin := range map[string]func(f *frames) error{
		"without its continuation": func(f *frames) error {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
		},
		"with continuations": func(f *frames) error {
			return errors.Join(f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:5]}), f.WriteContinuation(1, false, block[5:9]))
		},
		"within its frame": func(f *frames) error { // 5 of 100 octets
			_, err := f.conn.Write([]byte{0, 0, 100, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders), 0, 0, 0, 1, 1, 2, 3, 4, 5})
			return err
		},
		"within the header of its frame": func(f *frames) error {
			_, err := f.conn.Write([]byte{0, 0, 100})
			return err
		},
	} {
		f := w.frames(t)
		if err := begin(f); err != nil {
			t.Fatal(err)
		}
		ending.Go(func() {
			if n, err := io.Copy(io.Discard, f.conn); n == 0 { // ends when the server closes
				t.Errorf("%s: nothing came, then %v", name, err)
			}
		})
	}
	ending.Wait()
	// By now the body has taken longer than that.
	if err := slow.WriteData(1, true, []byte("}")); err != nil {
		t.Fatal(err)
	}
	if status, err := slow.status(t, 1); status != "401" {
		t.Errorf("a slow body was answered %q, %v", status, err)
	}
}

// What speaks h2 by its ALPN and something else then is closed.
func TestOtherProtocolInside(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	for _, hello := range []string{"GET / HTTP/1.1\r\nHost: vam.a.test\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "\x16\x03\x01\x00\x00 and more than a preface has"} {
		config := w.tls()
		config.NextProtos = []string{"h2"}
		conn, err := tls.Dial("tcp", w.peer.TCP.String(), config)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, hello)
		got, _ := io.ReadAll(conn)
		if bytes.Contains(got, []byte("HTTP/1")) {
			t.Errorf("%q was answered %q", hello, got)
		}
		conn.Close()
	}
}

// The rapid reset budget (CVE-2023-44487): a client that abandons request after request
// loses its connection, and one that lets them be answered does not.
func TestAbandonedRequests(t *testing.T) {
	bothNetworks(t, func(t *testing.T, network string) {
		g := &remoteGate{gate: newGate(), seen: map[string]int{}}
		options := withOutbound(g, amserver.HandlerOptions{Waits: 1000, WaitsPerToken: 1000})
		options.Server.Limits = amserver.ConnLimits{Resets: 1} // so 10 at once
		options.Server.Now = func() time.Time { return time.Unix(1e9, 0) }
		w := newWorld(t, options)
		honest, rapid := w.client(t, network), w.client(t, network)
		token := activmail.NewPullToken()
		for range 100 {
			honest.do(t, ask{method: "GET", path: messagePath(anyMessage, "/e/1"), token: token}).want(t, http.StatusNoContent, "")
		}
		if n := g.connections(); n != 1 {
			t.Errorf("100 honest requests took %d connections", n)
		}
		for range 30 {
			g.abandon(t, rapid, token)
		}
		if n := g.connections(); n < 3 {
			t.Errorf("30 abandoned requests, and 10 are allowed for a connection: there were %d connections with the honest one", n)
		}
		honest.do(t, ask{method: "GET", path: messagePath(anyMessage, "/e/1"), token: token}).want(t, http.StatusNoContent, "")
	})
}

// Over HTTP/3 a header section is bounded too: quic-go refuses it on either end.
func TestHeaderFloodOverUDP(t *testing.T) {
	w := newWorld(t, amtest.PeerOptions{})
	c := w.client(t, "udp")
	req := c.request(t, ask{method: "GET", path: "/", header: http.Header{"A": {string(bytes.Repeat([]byte("~"), 40<<10))}}})
	if resp, err := c.http.Do(req); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a header section of 40 KiB was answered %d", resp.StatusCode)
		}
	}
	c.do(t, ask{method: "GET", path: "/"}).want(t, http.StatusNotFound, "not-found")
}
