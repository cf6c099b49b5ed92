package e2e_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/dnszone"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/sqlite"
	"github.com/videoactivmail/vam/internal/userwire"
)

// says fails the test unless text has all of words.
func says(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: it does not say %q: %s", what, w, text)
		}
	}
}

// TestSecondServer starts another server on a data folder in use, and one on ports in
// use.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	w := harness.New(t, &plain)
	a := w.Add("a.test", harness.Options{})
	a.Start()
	r := a.Run("serve")
	if r.Code != 73 {
		t.Errorf("on a data folder in use it ended with %d, 73 is right", r.Code)
	}
	says(t, "a data folder in use", r.Err, a.Dir)

	for _, network := range []string{"tcp", "udp"} {
		b := w.Add(vam.Domain(network+".test"), harness.Options{})
		var holder interface{ Close() error }
		var err error
		if network == "tcp" {
			holder, err = net.Listen("tcp", b.Addr.String())
		} else {
			holder, err = net.ListenPacket("udp", b.Addr.String())
		}
		if err != nil {
			t.Fatal(err)
		}
		r := b.Run("serve")
		if r.Code != 69 {
			t.Errorf("on a %s port in use it ended with %d, 69 is right", network, r.Code)
		}
		says(t, "a port in use", r.Err, b.Addr.String()+"/"+network, "e2e.test", "choose another address")
		if err := holder.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCertificates meets certificates that are not the peer's, or not any more. Nothing
// is sent to who cannot prove who it is; with a good one the message goes at once, and
// that takes no restart.
func TestCertificates(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{}, harness.Options{Env: []string{noHold}})
	p.a.Start()
	stranger, err := certs.NewCA("", nil)
	if err != nil {
		t.Fatal(err)
	}
	pair := certs.Pair{Cert: p.b.Config.Domains[0].TLS.Cert, Key: p.b.Config.Domains[0].TLS.Key}
	content := harness.Content(56, 100_000)
	m := p.alice.SendTo(content, p.bob) // to nobody who listens, at first
	attempts := p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Waiting).Attempts
	for _, tc := range []struct {
		what  string
		issue func() error
		words []string
	}{
		{"expired", func() error {
			p.b.Certificate(certs.Leaf{NotBefore: time.Now().AddDate(0, 0, -30), NotAfter: time.Now().Add(-time.Hour)})
			return nil
		}, []string{"certificate", "expired"}},
		{"another name", func() error { p.b.Certificate(certs.Leaf{DNSNames: []string{"elsewhere.test"}}); return nil }, []string{"certificate", "b.test"}},
		{"unknown authority", func() error {
			return stranger.IssueFiles(pair, certs.Leaf{DNSNames: []string{"b.test", "vam.b.test"}, SRV: []vam.Domain{"b.test"}})
		}, []string{"certificate"}},
	} {
		if err := tc.issue(); err != nil {
			t.Fatal(err)
		}
		p.b.Start()
		p.wake()
		r := harness.Await(t, tc.what+": another attempt", func(context.Context) (userwire.Recipient, error) {
			r := p.alice.Message(m.ID).Recipients[0]
			if r.Attempts == attempts {
				return r, harness.ErrPending
			}
			return r, nil
		})
		attempts = r.Attempts
		if r.State != vam.Waiting {
			t.Errorf("%s: the recipient is %s", tc.what, r.State)
		}
		says(t, tc.what, r.Text, tc.words...)
		if got := p.b.Metrics().Sum("vam_offers_total"); got != 0 {
			t.Errorf("%s: %v offers were made to it", tc.what, got)
		}
		if tc.what != "unknown authority" {
			p.b.Stop()
		}
	}
	p.b.Certificate(certs.Leaf{})
	harness.Await(t, "the new certificate is taken up", func(context.Context) (bool, error) {
		if !strings.Contains(p.b.Log(), "certificate loaded") {
			return false, harness.ErrPending
		}
		return true, nil
	})
	p.wake()
	p.bob.Holds(p.a.Domain, m.ID, content)
}

// TestPeerBack lets a domain be away for so long that the next attempt is an hour away.
// When it says anything, what waits for it goes at once.
func TestPeerBack(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{Env: []string{noHold}}, harness.Options{Env: []string{noHold}})
	p.a.Database(func(ctx context.Context, db *sqlite.DB) error {
		for i := range 8 {
			at := time.Now().Add(time.Duration(i-8) * 2 * time.Hour)
			if _, err := db.Queue().Fail(ctx, p.b.Domain, queue.Failure{At: at, Reason: "it was away"}); err != nil {
				return err
			}
		}
		_, err := db.Queue().Fail(ctx, p.b.Domain, queue.Failure{At: time.Now(), Reason: "it was away"})
		return err
	})
	p.a.Start()
	content := harness.Content(57, 50_000)
	m := p.alice.SendTo(content, p.bob)
	p.b.Start()
	back := p.bob.SendTo([]byte("here I am"), p.alice)
	p.alice.AwaitStored(p.b.Domain, back.ID)
	p.bob.Holds(p.a.Domain, m.ID, content)
}

// TestPeerDown says in words that a person understands that a server is not there, and
// delivers when it is.
func TestPeerDown(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{}, harness.Options{Env: []string{noHold}})
	p.a.Start()
	content := harness.Content(58, 50_000)
	m := p.alice.SendTo(content, p.bob)
	r := p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Waiting)
	if r.Next.Before(r.Changed) || !strings.HasPrefix(r.Code, "4.") {
		t.Errorf("a recipient whose server is down: %+v", r)
	}
	says(t, "a server that is down", r.Text, "b.test does not answer")
	p.b.Start()
	p.bob.Holds(p.a.Domain, m.ID, content) // after the pause of the first attempts
}

// TestDNSGone takes the answers of DNS away from either side for a while.
func TestDNSGone(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	fail := func(name, kind string, f dnszone.Failure) {
		t.Helper()
		if err := p.DNS.Fail(name, kind, f); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		what, name, kind string
		failure          dnszone.Failure
	}{
		{"no key of the author's domain", "v1._domainkey.a.test", "TXT", dnszone.ServFail},
		{"no service record", "_video-activmail._tcp.b.test", "SRV", dnszone.ServFail},
		{"nothing at all", "", "", dnszone.Refuse},
	} {
		// A new pair of eyes: what a server knows already it does not ask for.
		p.a.Stop()
		p.b.Stop()
		p.a.Start()
		p.b.Start()
		fail(tc.name, tc.kind, tc.failure)
		content := []byte(tc.what)
		m := p.alice.SendTo(content, p.bob)
		r := p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Waiting)
		says(t, tc.what, r.Text, "DNS")
		fail(tc.name, tc.kind, dnszone.Answer)
		p.wake()
		p.bob.Holds(p.a.Domain, m.ID, content)
	}
}

// TestClockSkew sets the author's clock. Within a minute nothing happens; a clock that
// is further ahead, or behind by more than a signature is good for, is refused in words
// that name it.
func TestClockSkew(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		skew time.Duration
		good bool
	}{{45 * time.Second, true}, {-45 * time.Second, true}, {5 * time.Minute, false}, {-10 * time.Minute, false}} {
		t.Run(tc.skew.String(), func(t *testing.T) {
			t.Parallel()
			w := harness.New(t, &plain)
			p := &pair{World: w}
			p.a = w.Add("a.test", harness.Options{Now: func() time.Time { return time.Now().Add(tc.skew) }})
			p.b = w.Add("b.test", harness.Options{})
			p.alice, p.bob = p.a.Account("alice"), p.b.Account("bob")
			p.a.Open()
			p.b.Open()
			p.befriend()
			content := []byte("what time is it?")
			m := p.alice.SendTo(content, p.bob)
			if tc.good {
				p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Stored)
				p.bob.Holds(p.a.Domain, m.ID, content)
				return
			}
			r := p.alice.AwaitRecipient(m.ID, p.bob.Addr, vam.Waiting, vam.Rejected)
			says(t, "a wrong clock", r.Text, "clock")
			if n := len(p.bob.Inbox()); n != 0 {
				t.Errorf("bob has %d messages", n)
			}
		})
	}
}

// TestStopDrains stops the author's server in order while its message is being pulled:
// what runs is finished first.
func TestStopDrains(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{Links: true}, harness.Options{Env: []string{"VAM_TRANSPORT_PREFER=tcp"}})
	p.a.TCP.SetShape(netem.ToClient, netem.Shape{Rate: 6 * vam.MiB, Queue: 64 * vam.KiB})
	content := harness.Content(59, 8<<20)
	m := p.alice.SendTo(content, p.bob)
	p.bob.AwaitEntry("several requests are under way", p.a.Domain, m.ID, func(e userwire.Entry) bool { return e.Available > 2<<20 })
	p.a.Stop()
	p.a.Start()
	p.wake()
	p.bob.Holds(p.a.Domain, m.ID, content)
	// Of a request that is cut, part of a megabyte comes again.
	if got := p.b.Metrics().MediaIn(); got > int64(len(content))+256<<10 {
		t.Errorf("%d octets were pulled for %d", got, len(content))
	}
}
