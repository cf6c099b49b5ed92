package daemon_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/userwire"
)

// tls is how a program of the world speaks to the node.
func (n *node) tls(protocols ...string) *tls.Config {
	return &tls.Config{RootCAs: n.ca.Pool(), ServerName: n.account.Domain.String(), NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// TestStrangers: who is not VAM is ended, counted by what it looks like, and logged once a
// minute for each kind, with how many there were.
func TestStrangers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clock := newClock()
	n := w.node("a.test", "alice", func(n *node) { n.options.Now = clock.now }).start()
	raw := func(text string) func() {
		return func() {
			conn, err := net.Dial("tcp", n.listen)
			must(t, err)
			defer conn.Close()
			_, err = io.WriteString(conn, text)
			must(t, err)
			_, _ = io.Copy(io.Discard, conn) // until it is ended
		}
	}
	shake := func(c *tls.Config) func() {
		return func() {
			if conn, err := tls.Dial("tcp", n.listen, c); err == nil {
				_, _ = conn.Read(make([]byte, 1)) // the server's alert may come after our part
				_ = conn.Close()
			}
		}
	}
	old := n.tls("h2")
	old.MaxVersion = tls.VersionTLS12
	for kind, knock := range map[string]func(){
		"http":           raw("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"),
		"ssh":            raw("SSH-2.0-OpenSSH_9.6\r\n"),
		"smtp":           raw("EHLO scanner.test\r\n"),
		"tls-no-alpn":    shake(n.tls()),
		"tls-other-alpn": shake(n.tls("http/1.1")),
		"tls-old":        shake(old),
	} {
		for range 3 {
			knock()
		}
		eventually(t, kind, func() bool { return n.metric("vam_strangers_total", `kind="`+kind+`"`) == 3 })
	}
	udp, err := net.Dial("udp", n.listen)
	must(t, err)
	defer udp.Close()
	before := n.metric("vam_strangers_total")
	_, err = udp.Write([]byte("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07version\x04bind\x00\x00\x10\x00\x03"))
	must(t, err)
	eventually(t, "a datagram", func() bool { return n.metric("vam_strangers_total") == before+1 })

	const line = "stranger on the port"
	if got := n.log.count(line); got != 7 {
		t.Errorf("%d lines for seven kinds", got)
	}
	clock.advance(2 * time.Minute)
	raw("SSH-2.0-Go\r\n")()
	eventually(t, "the next line", func() bool { return n.log.count(line) == 8 })
	if !strings.Contains(n.log.String(), "suppressed=2") {
		t.Error("the line does not say how many were left out")
	}
	// And those who belong here get through.
	_, err = n.client().Me(t.Context())
	must(t, err)
}

// TestConnectionLimit: too many connections of one address are refused, counted and logged
// as that, and those that are there stay.
func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node("a.test", "alice", func(n *node) { n.options.Config.Limits.Clients.PerAddress = 2 }).start()
	c := n.client()
	_, err := c.Me(t.Context())
	must(t, err)
	second, err := tls.Dial("tcp", n.listen, n.tls("h2"))
	must(t, err)
	defer second.Close()
	eventually(t, "a refusal", func() bool {
		if third, err := tls.Dial("tcp", n.listen, n.tls("h2")); err == nil {
			_ = third.Close()
		}
		return n.metric("vam_limited_total", `limit="limits.clients"`) > 0
	})
	if n.log.count("connection refused") != 1 {
		t.Errorf("%d lines", n.log.count("connection refused"))
	}
	_, err = c.Me(t.Context())
	must(t, err)
	if got := n.metric("vam_connections"); got < 2 {
		t.Errorf("%v connections", got)
	}
}

// TestHold: a first message from a stranger is held, and a domain of strangers may write to
// so many people only; what it may not yet waits at its own server.
func TestHold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.node("a.test", "alice").start()
	b := w.node("b.test", "bob", func(n *node) {
		n.options.Config.Limits.Strangers.Offers = config.Rate{Events: 1, Per: time.Hour, Burst: 1}
	}).start()
	first := a.send([]byte("first"), b)
	a.settles(first, vam.Held)
	second := a.send([]byte("second"), b)
	m := a.settles(second, vam.Waiting)
	if text := m.Recipients[0].Text; !strings.Contains(text, "this server's limit") {
		t.Errorf("the reason is %q", text)
	}
	if b.metric("vam_limited_total", `limit="limits.strangers.offers"`) == 0 {
		t.Error("the refusal is not counted")
	}
	// Once bob knows alice, her domain is none of strangers, and her next try gets in.
	must(t, b.client().Accept(t.Context(), "a.test", first))
	a.settles(first, vam.Stored)
	if got := b.metric("vam_media_bytes_total", `direction="in"`); got != float64(len("first")) {
		t.Errorf("%v octets of media", got)
	}
	var e userwire.Entry
	e, err := b.client().Entry(t.Context(), "a.test", first)
	must(t, err)
	if e.State != "stored" {
		t.Errorf("%+v", e)
	}
}
