package daemon_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestTwoServers: two of them in one process know nothing of each other but what they say
// to each other, over both transports.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"tcp", "udp"} {
		t.Run(transport, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			force := func(n *node) { n.options.Config.Transport.Prefer = transport }
			a, b := w.node("a.test", "alice", force).start(), w.node("b.test", "bob", force).start()
			b.knows(a)
			data := content(3_000_000)
			id := a.send(data, b)
			a.settles(id, vam.Stored)
			b.has("a.test", id, data)
			b.send([]byte("thanks"), a)
			eventually(t, "an answer", func() bool {
				box, err := a.client().Entries(t.Context(), userclient.List{State: "stored"})
				must(t, err)
				return len(box.Entries) == 1
			})
		})
	}
}

// linked is two servers of which b reaches a through a link, over TCP.
func linked(t *testing.T, drain time.Duration) (a, b *node, link *netem.TCPLink) {
	t.Helper()
	w := newWorld(t)
	force := func(n *node) {
		n.options.Config.Transport.Prefer = "tcp"
		n.options.Config.Transport.Connections = 1 // each may hold some megabytes on its way
		n.options.Config.Delivery.DrainWithin = config.Duration{Duration: drain}
	}
	a, b = w.node("a.test", "alice", force), w.node("b.test", "bob", force)
	link, err := netem.OpenTCP(netem.Config{Listen: "127.0.0.1:0", Target: a.listen})
	must(t, err)
	t.Cleanup(func() { _ = link.Close() })
	w.publish(a.setup, link.Addr().String())
	a.start()
	b.start()
	b.knows(a)
	return a, b, link
}

// stalled sends data and returns when its transfer has all but come to a stop in the middle,
// with more of it left at a than fits into the buffers on the way. A trickle goes on: what
// is silent, a puller gives up by itself.
func stalled(t *testing.T, a, b *node, link *netem.TCPLink, size vam.Bytes) (vam.MessageID, []byte) {
	t.Helper()
	data := content(int(size))
	link.SetShape(netem.ToClient, netem.Shape{Rate: 2 * vam.MiB})
	id := a.send(data, b)
	bob := b.client()
	eventually(t, "the transfer is under way", func() bool {
		e, err := bob.Entry(t.Context(), "a.test", id)
		if vam.KindOf(err) == vam.NotFound && err != nil {
			return false
		}
		must(t, err)
		return e.Available > int64(2*vam.MiB) // past the beginning and the end, which come first and are short
	})
	link.SetShape(netem.ToClient, netem.Shape{Rate: 128 * vam.KiB})
	e, err := bob.Entry(t.Context(), "a.test", id)
	must(t, err)
	if e.State != "arriving" {
		t.Fatalf("the transfer was too quick: it is %s", e.State)
	}
	return id, data
}

// TestStopDrains: a stop lets what runs end, if it ends in time: at the origin the requests,
// at the recipient's server whole transfers. Nobody new gets in meanwhile.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"origin", "recipient"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			a, b, link := linked(t, 5*time.Minute)
			stops, size := a, 24*vam.MiB
			if side == "recipient" {
				stops = b
			}
			id, data := stalled(t, a, b, link, size)
			over := stops.signal()
			eventually(t, "the server says that it stops", func() bool {
				code, text := stops.get("/readyz")
				return code == http.StatusServiceUnavailable && strings.Contains(text, "stopping")
			})
			if code, _ := stops.get("/healthz"); code != http.StatusOK {
				t.Error("it does not live while it drains")
			}
			eventually(t, "the port is closed", func() bool {
				conn, err := net.Dial("tcp", stops.listen)
				if err == nil {
					_ = conn.Close()
				}
				return err != nil
			})
			select {
			case err := <-over:
				t.Fatalf("the server did not wait: %v", err)
			case <-time.After(2 * time.Second): // longer than idle connections take
			}
			link.SetShape(netem.ToClient, netem.Shape{})
			must(t, <-over)
			stops.start()
			a.settles(id, vam.Stored)
			b.has("a.test", id, data)
			if again := b.metric("vam_resumed_bytes_total"); again > 0 && side == "recipient" {
				t.Errorf("%v octets are of an earlier transfer: it was cut", again)
			}
			// A request that is cut leaves part of a megabyte that is sent again.
			if sent := b.metric("vam_wire_received_bytes_total"); sent > float64(size+256*vam.KiB) {
				t.Errorf("%v octets came for %v of media: requests were cut", sent, size)
			}
		})
	}
}

// TestStopCuts: what does not end in time is cut, and goes on after the next start, from
// where it was.
func TestStopCuts(t *testing.T) {
	t.Parallel()
	a, b, link := linked(t, time.Second)
	id, data := stalled(t, a, b, link, 14*vam.MiB)
	must(t, <-a.signal())
	link.SetShape(netem.ToClient, netem.Shape{})
	link.Cut(netem.Rst)
	a.start()
	a.settles(id, vam.Stored)
	b.has("a.test", id, data)
	if n := b.metric("vam_resumed_bytes_total"); n <= 0 || n >= float64(len(data)) {
		t.Errorf("%v octets were not fetched again", n)
	}
}

// TestStopLetsFollowersGo: those who wait for a message to go on, servers and people, do not
// hold up a stop, and find it where it was afterwards.
func TestStopLetsFollowersGo(t *testing.T) {
	t.Parallel()
	const drain = 10 * time.Minute
	a, b, _ := linked(t, drain)
	r, recorder := io.Pipe()
	up := userclient.Upload{Client: a.client(), ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{To: []string{"bob@b.test"}, Kind: "video"}}
	type ended struct {
		m   userwire.Message
		err error
	}
	done := make(chan ended, 1)
	go func() { m, err := up.Live(context.WithoutCancel(t.Context()), r); done <- ended{m, err} }()
	data := content(50_000)
	_, err := recorder.Write(data[:20_000])
	must(t, err)
	bob := b.client()
	var body io.ReadCloser
	eventually(t, "bob sees the beginning", func() bool {
		var err error
		body, _, err = bob.Media(t.Context(), "a.test", up.ID, 0)
		return err == nil
	})
	_, err = io.ReadFull(body, make([]byte, 20_000))
	must(t, err)

	begun := time.Now()
	must(t, <-b.signal())
	if _, err := body.Read(make([]byte, 1)); vam.KindOf(err) != vam.Unavailable || err == io.EOF {
		t.Errorf("the reader got %v; a short file must not look whole", err)
	}
	must(t, body.Close())
	b.start()
	must(t, <-a.signal())
	a.start()
	if took := time.Since(begun); took > drain/4 {
		t.Errorf("the two stops took %v", took)
	}

	_, err = recorder.Write(data[20_000:])
	must(t, err)
	must(t, recorder.Close())
	if e := <-done; e.err != nil || e.m.Bytes != int64(len(data)) {
		t.Errorf("%v, %+v", e.err, e.m)
	}
	a.settles(up.ID, vam.Stored)
	b.has("a.test", up.ID, data)
}

// TestCertificateIsReplaced: new files are shown to the next connection.
func TestCertificateIsReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node("a.test", "alice", func(n *node) { n.options.CertificatesEvery = 5 * time.Millisecond }).start()
	serial := func() string {
		conn, err := tls.Dial("tcp", n.listen, &tls.Config{ServerName: "a.test", RootCAs: w.ca.Pool(), NextProtos: []string{"h2"}})
		must(t, err)
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	before := serial()
	d := n.setup.Config.Domains[0]
	pair := certs.Pair{Cert: d.TLS.Cert, Key: d.TLS.Key}

	// Files that cannot be used change nothing, and are complained about.
	good, err := os.ReadFile(pair.Cert)
	must(t, err)
	must(t, os.WriteFile(pair.Cert, []byte("junk"), 0o600))
	eventually(t, "a complaint", func() bool { return n.log.count("new certificate files cannot be used") > 0 })
	if got := serial(); got != before {
		t.Error("junk is shown")
	}
	must(t, os.WriteFile(pair.Cert, good, 0o600))

	must(t, w.ca.IssueFiles(pair, certs.Leaf{DNSNames: []string{"a.test", "vam.a.test"}, SRV: []vam.Domain{"a.test"}}))
	eventually(t, "the new certificate", func() bool { return serial() != before })
	if n.log.count("certificate loaded") == 0 {
		t.Error("the log does not say so")
	}
}

// TestHealth: the operator is told what is wrong, on a listener of its own.
func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var later time.Duration
	clock := func() time.Time { return time.Now().Add(later) }
	n := w.node("a.test", "alice", func(n *node) { n.options.Now = clock })
	later = 400 * 24 * time.Hour // its certificate is over
	n.start()
	if code, _ := n.get("/healthz"); code != 200 {
		t.Errorf("a server that lives says %d", code)
	}
	code, text := n.get("/readyz")
	if code != 503 || !strings.Contains(text, "certificates") {
		t.Errorf("with an expired certificate: %d %s", code, text)
	}
	n.end()
	later = 0
	n.start()
	if code, text := n.get("/readyz"); code != 200 {
		t.Errorf("a server that is well says %d %s", code, text)
	}
	if code, _ := n.get("/nothing"); code != 404 {
		t.Errorf("an unknown path says %d", code)
	}
	// The operator's listener is no way in.
	conn, err := net.Dial("tcp", n.listen)
	must(t, err)
	must(t, conn.Close())
	if _, err := os.Stat(filepath.Join(n.setup.Config.DataDir, "vam.lock")); err != nil {
		t.Error(err)
	}
}
