package e2e_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amtest"
	"github.com/videoactivmail/vam/e2e/harness"
)

// canary listens where nobody may come, and counts who does.
type canary struct {
	addr    netip.AddrPort
	visited atomic.Int64
}

func newCanary(t *testing.T, addr string) *canary {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{addr: netip.MustParseAddrPort(ln.Addr().String())}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			c.visited.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	return c
}

// TestPrivateAddresses points a server at addresses that are not public: by the records
// of a domain that somebody writes to, and by a redirect to a store. Nobody comes there.
func TestPrivateAddresses(t *testing.T) {
	t.Parallel()
	w := harness.New(t, &plain)
	evil := w.Evil("evil.test")
	inner := newCanary(t, "127.253.1.1:1398") // below 127/8, and not among those that b.test may dial
	b := w.Add("b.test", harness.Options{Allow: []string{evil.Addr.Addr().String() + "/32"}, Env: []string{noHold}})
	bob := b.Account("bob")
	b.Start()

	zone := w.Zone("inner.test")
	for name, addr := range map[string]string{"inner.test": "127.253.1.1", "six.test": "::1", "mapped.test": "::ffff:127.253.1.1"} {
		z := w.Zone(vam.Domain(name))
		a := netip.MustParseAddr(addr)
		for _, err := range []error{
			z.SRV("_video-activmail._tcp."+name, 0, 1, 1, inner.addr.Port(), "host."+name),
			z.SRV("_video-activmail._udp."+name, 0, 1, 1, inner.addr.Port(), "host."+name),
			z.Addr("host."+name, 0, a),
		} {
			if err != nil && name != "mapped.test" { // which is no address for DNS
				t.Fatal(err)
			}
		}
	}
	_ = zone
	for _, to := range []vam.Domain{"inner.test", "six.test"} {
		m := bob.Send(harness.DraftTo(vam.Address{Local: "x", Domain: to}), []byte("come in"))
		r := bob.AwaitRecipient(m.ID, vam.Address{Local: "x", Domain: to}, vam.Waiting, vam.Rejected)
		says(t, string(to), r.Text, "address")
	}

	// A poster is fetched by its name, and that may be redirected.
	m := evil.Live()
	if _, err := m.Append(activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, harness.Content(70, 3000)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.AppendFile("", harness.Content(71, 5000)), m.Seal()); err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 100)
	evil.Misbehave(m.ID, func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
		if !strings.Contains(r.URL.Path, "/b/") {
			return false
		}
		http.Redirect(w, r, "https://"+inner.addr.String()+"/poster.jpg", http.StatusTemporaryRedirect)
		select {
		case asked <- struct{}{}:
		default:
		}
		return true
	})
	o := evil.Offer(m, bob)
	if _, err := evil.Put(b, o, evil.Bytes(o), nil); err != nil {
		t.Fatal(err)
	}
	<-asked
	harness.Await(t, "the redirect was given up", func(context.Context) (bool, error) {
		if b.Metrics()[`vam_pulls_total{result="cut"}`]+b.Metrics()[`vam_pulls_total{result="refused"}`] == 0 {
			return false, harness.ErrPending
		}
		return true, nil
	})
	if n := inner.visited.Load(); n != 0 {
		t.Errorf("somebody came to an address that is not public, %d times", n)
	}
}

// TestForeignRequests asks an honest origin for what others were offered, and tells it
// what became of it.
func TestForeignRequests(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	content := harness.Content(72, 100_000)
	m := s.alice.SendTo(content, s.bob)
	s.bob.Holds(s.a.Domain, m.ID, content)
	mine := s.alice.Send(harness.DraftTo(vam.Address{Local: "mallory", Domain: s.evil.Domain}), content)
	s.alice.AwaitRecipient(mine.ID, vam.Address{Local: "mallory", Domain: s.evil.Domain}, vam.Accepted)

	c := s.evil.Client(s.a, nil)
	defer func() { _ = c.Close() }()
	for what, ask := range map[string]func() error{
		"a token for what was offered to others": func() error { _, err := c.RenewToken(t.Context(), m.ID, vam.NewMessageID(time.Now())); return err },
		"a token of one's own message for another offer": func() error {
			_, err := c.RenewToken(t.Context(), mine.ID, vam.NewMessageID(time.Now()))
			return err
		},
		"the media with a made up token": func() error {
			_, err := c.Media(t.Context(), amclient.Pull{MessageID: m.ID, Token: activmail.NewPullToken()}, 0, 1000)
			return err
		},
		"a receipt for somebody else": func() error {
			return c.PutReceipt(t.Context(), m.ID, receipt(s.bob.Addr, activmail.EventDeclined))
		},
		"a receipt for somebody else's recipient of one's own message": func() error {
			return c.PutReceipt(t.Context(), mine.ID, receipt(s.bob.Addr, activmail.EventDeclined))
		},
		"a poke about somebody else's message": func() error { return c.Poke(t.Context(), s.a.Domain, m.ID, nil) },
	} {
		if err := ask(); err == nil || vam.KindOf(err) == vam.Internal {
			t.Errorf("%s: %v", what, err)
		}
	}
	if r := s.alice.Message(m.ID).Recipients[0]; !r.State.Arrived() {
		t.Errorf("bob is %s after forged receipts", r.State)
	}
	s.honest()
}

func receipt(to vam.Address, event activmail.ReceiptEvent) activmail.Receipt {
	return activmail.Receipt{Recipient: to, Event: event, At: time.Now().UTC().Truncate(time.Second)}
}

// TestGrowing offers a little and then goes on for ever: what is stored is bounded by
// what the server takes (AM-6.16).
func TestGrowing(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{Env: []string{"VAM_LIMITS_MESSAGE=8MiB"}})
	m := s.evil.Live()
	o := s.evil.Offer(m, s.bob)
	if _, err := s.evil.Put(s.b, o, s.evil.Bytes(o), nil); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var growing sync.WaitGroup
	growing.Go(func() { grow(t, m, stop) })
	harness.Await(t, "the recording is given up", func(context.Context) (bool, error) {
		for _, r := range m.Receipts() {
			if r.Event == activmail.EventFailed {
				if r.Code != "5.3.4" || !strings.Contains(r.Text, "8 MiB") {
					t.Errorf("the receipt says %+v", r)
				}
				return true, nil
			}
		}
		return false, harness.ErrPending
	})
	close(stop)
	growing.Wait()
	if got := s.b.Metrics().MediaIn(); got > 10<<20 {
		t.Errorf("%d octets were pulled, 8 MiB is the limit", got)
	}
	s.bob.AwaitEntry("it failed", s.evil.Domain, m.ID, harness.InState("failed"))
	s.honest()
}

// TestGrowingMailbox is the same for the quota of a mailbox.
func TestGrowingMailbox(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	carol := s.b.Account("carol")
	s.b.Quota(carol, 2*vam.MiB)
	m := s.evil.Live()
	o := s.evil.Offer(m, carol)
	if _, err := s.evil.Put(s.b, o, s.evil.Bytes(o), nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.AppendFile("", harness.Content(74, 6<<20)), m.Seal()); err != nil {
		t.Fatal(err)
	}
	carol.AwaitEntry("the recording ends", s.evil.Domain, m.ID, harness.InState("failed"))
	harness.Await(t, "its origin is told", func(context.Context) (bool, error) {
		for _, r := range m.Receipts() {
			if r.Event == activmail.EventFailed && r.Code == "4.2.2" && strings.Contains(r.Text, "2 MiB") {
				return true, nil
			}
		}
		return false, harness.ErrPending
	})
	me, err := carol.Client(harness.Patience).Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if me.Used > me.Quota {
		t.Errorf("a mailbox of %d octets holds %d", me.Quota, me.Used)
	}
	s.honest()
}

// grow appends to a recording until stop.
func grow(t *testing.T, m *amtest.Message, stop <-chan struct{}) {
	for i := uint64(0); ; i++ {
		if _, err := m.Append(activmail.Record{Kind: activmail.RecordPart}, harness.Content(i, 256<<10)); err != nil {
			t.Error(err)
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestIdleConnections opens thousands of connections that say nothing or little, from
// many addresses, and sends a message meanwhile.
func TestIdleConnections(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{Env: []string{"VAM_LIMITS_CLIENTS_NEW_PER_SECOND=100000"}})
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	secure := &tls.Config{RootCAs: s.Roots(), ServerName: "b.test", NextProtos: []string{"h2"}}
	total := pick(1500, 5000)
	for i := range total {
		from := net.TCPAddr{IP: net.IPv4(127, 254, byte(1+i/200), 1)}
		c, err := (&net.Dialer{LocalAddr: &from}).DialContext(t.Context(), "tcp", s.b.Addr.String())
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		conns = append(conns, c)
		switch i % 3 {
		case 0: // silence
		case 1: // the beginning of a hello
			_, _ = c.Write([]byte{22, 3, 1, 0, 200, 1, 0})
		case 2: // a session without a request
			tc := tls.Client(c, secure)
			if i%30 == 2 { // a handshake costs as much here as there
				if err := tc.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	s.honest()
	if open := s.b.Metrics()["vam_connections"]; open < float64(total)/10 {
		t.Errorf("only %v connections were open; the test does not test what it says", open)
	}
	if r := s.b.Resident(); r > int64(pick(600, 900))<<20 {
		t.Errorf("the server occupies %d MiB", r>>20)
	}
}

// TestSlowReaders asks an honest origin for its media many times over and reads none of
// it, while others pull.
func TestSlowReaders(t *testing.T) {
	t.Parallel()
	s := newSiege(t, harness.Options{})
	mallory := vam.Address{Local: "mallory", Domain: s.evil.Domain}
	offers := make(chan *activmail.Offer, 1)
	s.evil.Inbox.Arrived = func(o *activmail.Offer) { offers <- o }
	content := harness.Content(73, 64<<20)
	m := s.alice.Send(harness.DraftTo(mallory), content)
	o := <-offers
	var open []io.Closer
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	before := s.a.Resident()
	refused := 0
	for i := range 40 {
		client := s.a.HTTP2()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.a.URL("/m/%s/media", m.ID), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+string(o.Token))
		res, err := client.Do(req)
		if err != nil {
			t.Fatalf("reader %d: %v", i, err)
		}
		open = append(open, res.Body)
		if res.StatusCode != http.StatusOK {
			refused++
		}
	}
	if refused == 40 {
		t.Error("all readers were refused; the test does not test what it says")
	}
	s.honest()
	if grown := s.a.Resident() - before; grown > 300<<20 {
		t.Errorf("40 slow readers cost %d MiB", grown>>20)
	}
}
