package stranger_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/videoactivmail/vam/internal/stranger"
)

const sentence = "This port speaks VAM/1 (video-activmail) over TLS 1.3"

// checkAnswer asserts what AM-11.18 has for a kind: everything that came until the
// server closed.
func checkAnswer(t *testing.T, kind stranger.Kind, answer []byte) {
	t.Helper()
	switch kind {
	case stranger.HTTP, stranger.HTTP10:
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), nil)
		if err != nil {
			t.Errorf("%q: %v", answer, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusBadRequest || !resp.Close || !strings.HasPrefix(string(body), sentence) || strings.Count(string(body), "\n") != 1 {
			t.Errorf("%q", answer)
		}
	case stranger.HTTP2Clear:
		frames := http2.NewFramer(nil, bytes.NewReader(answer))
		if f, err := frames.ReadFrame(); err != nil || f.Header().Type != http2.FrameSettings {
			t.Errorf("%q: %v", answer, err)
		}
		f, err := frames.ReadFrame()
		bye, ok := f.(*http2.GoAwayFrame)
		if err != nil || !ok || bye.ErrCode != http2.ErrCodeInadequateSecurity || !strings.HasPrefix(string(bye.DebugData()), sentence) {
			t.Errorf("%v, %v", f, err)
		}
		if _, err := frames.ReadFrame(); !errors.Is(err, io.EOF) {
			t.Errorf("after GOAWAY: %v", err)
		}
	default:
		if len(answer) != 0 {
			t.Errorf("%s was answered: %q", kind, answer)
		}
	}
}

// converse says first, all at once or an octet at a time, returns what is answered, and
// closes c.
func converse(c net.Conn, first string, slowly bool) []byte {
	defer c.Close()
	if slowly {
		for i := range len(first) {
			if _, err := io.WriteString(c, first[i:i+1]); err != nil {
				break // enough was seen
			}
		}
	} else {
		_, _ = io.WriteString(c, first)
	}
	answer, _ := io.ReadAll(c) // ends with EOF, or with a reset where octets were not read
	return answer
}

func TestStrangersOverTCP(t *testing.T) {
	w := newWorld(t, stranger.Options{First: patience}, patience)
	for _, tc := range streams {
		certain := func() bool { _, certain := stranger.FromStream([]byte(tc.first)); return certain }()
		if tc.want == "" || !certain {
			continue
		}
		for mode, slowly := range map[string]bool{"at once": false, "by octets": true} {
			t.Run(tc.name+" "+mode, func(t *testing.T) {
				c := w.dial(t)
				answer := converse(c, tc.first, slowly)
				s := w.want(t, "tcp", c.LocalAddr(), tc.want)
				if !strings.HasPrefix(tc.first, string(s.Sample)) && tc.first[0] != 22 || len(s.Sample) == 0 || len(s.Sample) > 64 {
					t.Errorf("sample %q", s.Sample)
				}
				checkAnswer(t, tc.want, answer)
			})
		}
	}
	w.works(t)
}

// TestRealHTTPClientReadsTheSentence: also one that is still sending.
func TestRealHTTPClientReadsTheSentence(t *testing.T) {
	w := newWorld(t, stranger.Options{First: patience}, patience)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	for _, octets := range []int{0, 40 << 10} {
		resp, err := (&http.Client{Transport: transport}).Post("http://"+w.tcp.String()+"/", "text/plain", bytes.NewReader(make([]byte, octets)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.HasPrefix(string(body), sentence) {
			t.Errorf("%d %q, %v", resp.StatusCode, body, err)
		}
		w.want(t, "tcp", nil, stranger.HTTP)
	}
}

// TestNobodyIsReadForLong: a stranger who goes on sending is cut.
func TestNobodyIsReadForLong(t *testing.T) {
	w := newWorld(t, stranger.Options{First: patience}, patience)
	c := w.dial(t)
	_, err := io.WriteString(c, "PUT / HTTP/1.1\r\n")
	for block := make([]byte, 64<<10); err == nil; {
		_, err = c.Write(block)
	}
	w.want(t, "tcp", c.LocalAddr(), stranger.HTTP)
}

func TestSilenceOverTCP(t *testing.T) {
	w := newWorld(t, stranger.Options{First: 20 * time.Millisecond}, patience)
	c := w.dial(t)
	answer := converse(c, "", false)
	w.want(t, "tcp", c.LocalAddr(), stranger.Silence)
	checkAnswer(t, stranger.Silence, answer)
}

// recorder keeps what is read, which over TLS is the alert before it is understood.
type recorder struct {
	net.Conn
	got bytes.Buffer
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	r.got.Write(p[:n])
	return n, err
}

func TestStrangersOverTLS(t *testing.T) {
	w := newWorld(t, stranger.Options{First: patience}, patience)
	alert := func(description byte) []byte { return []byte{21, 3, 3, 0, 2, 2, description} }
	for _, tc := range []struct {
		name   string
		config *tls.Config
		want   stranger.Kind
		answer []byte
	}{
		{"TLS 1.2", &tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}, stranger.TLSOld, alert(70)},
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, stranger.TLSOld, alert(70)},
		{"no ALPN", &tls.Config{}, stranger.TLSNoALPN, alert(120)},
		{"HTTP/1.1 alone", &tls.Config{NextProtos: []string{"http/1.1"}}, stranger.TLSOtherALPN, alert(120)},
		{"the certificate is not liked", &tls.Config{NextProtos: []string{"h2"}, RootCAs: x509.NewCertPool()}, stranger.TLSRefused, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.config.RootCAs == nil {
				tc.config.RootCAs = w.roots
			}
			tc.config.ServerName = "127.0.0.1"
			raw := &recorder{Conn: w.dial(t)}
			if err := tls.Client(raw, tc.config).HandshakeContext(context.Background()); err == nil {
				t.Error("the handshake succeeded")
			}
			raw.Close()
			s := w.want(t, "tcp", raw.LocalAddr(), tc.want)
			if tc.answer != nil && !bytes.Equal(raw.got.Bytes(), tc.answer) {
				t.Errorf("answer %x", raw.got.Bytes())
			}
			if tc.want == stranger.TLSOtherALPN && (len(s.ALPN) != 1 || s.ALPN[0] != "http/1.1") {
				t.Errorf("%+v", s)
			}
		})
	}
	w.works(t)
}

func TestHandshakeThatIsCutOrStalls(t *testing.T) {
	begin := []byte{22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3}
	for kind, limit := range map[stranger.Kind]time.Duration{stranger.TLSBroken: patience, stranger.TLSStalled: 20 * time.Millisecond} {
		w := newWorld(t, stranger.Options{First: patience}, limit)
		c := w.dial(t)
		if _, err := c.Write(begin); err != nil {
			t.Fatal(err)
		}
		if kind == stranger.TLSBroken {
			c.Close()
		}
		w.want(t, "tcp", c.LocalAddr(), kind)
	}
}

// TestCrowd: thousands of strangers at once, many of whom say nothing, keep neither each
// other nor a client of VAM out, and leave nothing behind.
func TestCrowd(t *testing.T) {
	const each = 500
	w := newWorld(t, stranger.Options{First: patience}, patience)
	silent := make([]net.Conn, each)
	for i := range silent {
		silent[i] = w.dial(t)
	}
	talkers := map[stranger.Kind]string{
		stranger.SSH: "SSH-2.0-x\r\n", stranger.HTTP: "GET / HTTP/1.1\r\n\r\n", stranger.Random: "\x01\x02\x03",
	}
	var busy sync.WaitGroup
	slots := make(chan struct{}, 64)
	for kind, first := range talkers {
		for range each {
			slots <- struct{}{}
			busy.Go(func() {
				defer func() { <-slots }()
				c, err := net.Dial("tcp", w.tcp.String())
				if err != nil {
					t.Error(err)
					return
				}
				checkAnswer(t, kind, converse(c, first, false))
			})
		}
	}
	w.works(t)
	busy.Wait()
	w.works(t)
	count := make(map[stranger.Kind]int)
	for range len(talkers) * each {
		count[(<-w.seen).Kind]++
	}
	for _, c := range silent {
		c.Close()
	}
	for range each {
		count[(<-w.seen).Kind]++
	}
	for _, kind := range []stranger.Kind{stranger.SSH, stranger.HTTP, stranger.Random, stranger.HangUp} {
		if count[kind] != each {
			t.Errorf("%s: %d of %d", kind, count[kind], each)
		}
	}
}
