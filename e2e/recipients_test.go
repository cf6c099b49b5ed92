package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/e2e/harness"
	"github.com/videoactivmail/vam/internal/userclient"
)

const noHold = "VAM_CONTACTS_HOLD_FIRST=false"

// TestRecipients sends one message to people at three domains in every way that they
// can be addressed. Each has it once, and nobody learns of the blind copies.
func TestRecipients(t *testing.T) {
	t.Parallel()
	p := setPair(t, harness.Options{Env: []string{noHold}}, harness.Options{Env: []string{noHold}})
	c := p.Add("c.test", harness.Options{Env: []string{noHold}})
	carol, frank := p.b.Account("carol"), p.b.Account("frank")
	dave, gina := c.Account("dave"), c.Account("gina")
	eve := p.a.Account("eve")
	sales := p.b.Alias("sales", carol)
	for _, s := range []*harness.Server{p.a, p.b, c} {
		s.Start()
	}
	at := func(local string, d vam.Domain) vam.Address { return vam.Address{Local: local, Domain: d} }
	d := harness.DraftTo(p.bob.Addr, at("carol+films", "b.test"), sales, at("postmaster", "b.test"), dave.Addr, eve.Addr)
	d.Bcc = []string{frank.Addr.String(), gina.Addr.String()}
	content := harness.Content(10, 1<<20+100)
	m := p.alice.Send(d, content)
	for _, r := range m.Recipients {
		p.alice.AwaitRecipient(m.ID, r.Address, vam.Stored)
	}
	if len(m.Recipients) != 8 {
		t.Errorf("the message has %d recipients, 8 are right", len(m.Recipients))
	}
	for _, u := range []*harness.User{p.bob, carol, frank, dave, gina, eve} {
		u.Holds(p.a.Domain, m.ID, content)
		letter, err := u.Client(harness.Patience).Mail(t.Context(), p.a.Domain, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, hidden := range []*harness.User{frank, gina} {
			if bytes.Contains(letter, []byte(hidden.Addr.Local)) {
				t.Errorf("the letter of %s shows the blind copy to %s", u.Addr, hidden.Addr)
			}
		}
	}
	if got := p.b.Metrics().MediaIn(); got != int64(len(content)) {
		t.Errorf("b.test pulled %d octets of media for its five recipients; %d are right", got, len(content))
	}
}

// TestUnreachable sends to domains that cannot be sent to, which is said before anything is
// uploaded.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	p.Zone("test") // names under it do not exist
	if err := p.Zone("mail.test").Addr("mail.test", 0, loopback4); err != nil {
		t.Fatal(err)
	}
	for domain, words := range map[vam.Domain]string{"nx.test": "spelling", "mail.test": "mail.test does not take video mail"} {
		_, err := p.alice.TrySend(harness.DraftTo(p.bob.Addr, vam.Address{Local: "x", Domain: domain}), []byte("never seen"))
		if vam.KindOf(err) != vam.NotVAM || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", domain, err)
		}
	}
	if inbox := p.bob.Inbox(); len(inbox) != 0 {
		t.Errorf("the other recipient has %v", inbox)
	}
}

// TestUndeliverable sends to people who do not exist, and to a domain of which nothing was
// known before: the author gets RFC 3464 reports in plain words.
func TestUndeliverable(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{})
	late := vam.Address{Local: "x", Domain: "late.test"}
	c := p.alice.Client(harness.Patience)
	id := vam.NewMessageID(time.Now())
	if _, err := c.Put(t.Context(), id, harness.DraftTo(late)); err != nil {
		t.Fatal(err)
	}
	p.Zone("test") // from now on it is known that names under it do not exist
	if _, err := c.Seal(t.Context(), id, sha256.Sum256(nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Send(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	nobody := vam.Address{Local: "nobody", Domain: "b.test"}
	for _, tc := range []struct {
		id     vam.MessageID
		to     vam.Address
		status string
		words  []string
	}{
		{p.alice.Send(harness.DraftTo(nobody), []byte("never seen")).ID, nobody, "5.1.1", []string{"no mailbox nobody@b.test"}},
		{id, late, "5.1.2", []string{"late.test", "spelling"}},
	} {
		r := p.alice.AwaitRecipient(tc.id, tc.to, vam.Rejected)
		if r.Code != tc.status {
			t.Errorf("%s was refused with %s, %s is right: %s", tc.to, r.Code, tc.status, r.Text)
		}
		for _, w := range tc.words {
			if !strings.Contains(r.Text, w) {
				t.Errorf("the words for %s do not say %q: %s", tc.to, w, r.Text)
			}
		}
		bounce := awaitBounce(t, p.alice, tc.to)
		if bounce.fields.Get("Action") != "failed" || bounce.fields.Get("Status") != tc.status {
			t.Errorf("the report on %s says %v", tc.to, bounce.fields)
		}
		if !strings.Contains(bounce.envelope.Get("Original-Envelope-Id"), string(tc.id)) {
			t.Errorf("the report on %s does not name the message: %v", tc.to, bounce.envelope)
		}
	}
}

// report is what is in an RFC 3464 report on one recipient.
type report struct {
	people           string
	envelope, fields textproto.MIMEHeader
}

// awaitBounce waits for a report on a recipient in the user's inbox and reads it with
// the standard library, not with what wrote it.
func awaitBounce(t *testing.T, u *harness.User, about vam.Address) report {
	t.Helper()
	c := u.Client(harness.Patience)
	return harness.Await(t, "a report on "+about.String(), func(ctx context.Context) (report, error) {
		page, err := c.Entries(ctx, userclient.List{Folder: "inbox"})
		if err != nil {
			return report{}, err
		}
		for _, e := range page.Entries {
			if !e.Bounce {
				continue
			}
			text, err := c.Mail(ctx, e.Origin, e.ID)
			if err != nil {
				return report{}, err
			}
			if r := readReport(t, text); strings.HasSuffix(r.fields.Get("Final-Recipient"), about.String()) {
				return r, nil
			}
		}
		return report{}, harness.ErrPending
	})
}

func readReport(t *testing.T, text []byte) (out report) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("a report cannot be read: %v\n%s", err, text)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("the type of a report is %q", m.Header.Get("Content-Type"))
	}
	if auto := m.Header.Get("Auto-Submitted"); auto != "auto-replied" {
		t.Errorf("a report has Auto-Submitted %q", auto)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	var kinds []string
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("a report cannot be read: %v\n%s", err, text)
		}
		body, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		kinds = append(kinds, kind)
		switch kind {
		case "text/plain":
			out.people = string(body)
		case "message/delivery-status":
			groups := textproto.NewReader(bufio.NewReader(bytes.NewReader(body)))
			out.envelope, err = groups.ReadMIMEHeader()
			if err != nil {
				t.Fatalf("the fields of a report: %v\n%s", err, body)
			}
			if out.fields, err = groups.ReadMIMEHeader(); err != nil && err != io.EOF {
				t.Fatalf("the fields of a report: %v\n%s", err, body)
			}
		}
	}
	if want := []string{"text/plain", "message/delivery-status", "text/rfc822-headers"}; !slices.Equal(kinds, want) {
		t.Errorf("a report has the parts %q, %q are right", kinds, want)
	}
	return out
}

// TestRefused meets the limits of the recipient's side: no octet of media moves, and
// the words name the limit and who set it.
func TestRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{}, harness.Options{Env: []string{"VAM_LIMITS_MESSAGE=2MiB"}})
	carol := p.b.Account("carol")
	carol.Knows(p.alice)
	p.b.Quota(carol, vam.MiB)
	dora := p.b.Account("dora")
	if err := dora.Client(0).SetContact(t.Context(), p.alice.Addr, "blocked"); err != nil {
		t.Fatal(err)
	}
	before := p.b.Metrics().Wire()
	for _, tc := range []struct {
		what  string
		to    *harness.User
		size  int
		state vam.RecipientState
		code  string
		words []string
	}{
		{"too large for the peer", p.bob, 2<<20 + 1, vam.Rejected, "5.3.4", []string{"2 MiB", "b.test"}},
		// A full mailbox may have room tomorrow: it is tried again until the message's time is over.
		{"quota", carol, 1<<20 + 1, vam.Waiting, "4.2.2", []string{"carol@b.test", "full", "quota"}},
		{"blocked", dora, 10, vam.Rejected, "5.7.1", []string{"does not take messages from alice@a.test"}},
	} {
		m := p.alice.SendTo(harness.Content(11, tc.size), tc.to)
		r := p.alice.AwaitRecipient(m.ID, tc.to.Addr, tc.state)
		if r.Code != tc.code {
			t.Errorf("%s: refused with %s, %s is right: %s", tc.what, r.Code, tc.code, r.Text)
		}
		for _, w := range tc.words {
			if !strings.Contains(r.Text, w) {
				t.Errorf("%s: the words do not say %q: %s", tc.what, w, r.Text)
			}
		}
		if tc.state == vam.Rejected {
			if b := awaitBounce(t, p.alice, tc.to.Addr); !strings.Contains(b.people, tc.words[0]) {
				t.Errorf("%s: the report does not say %q:\n%s", tc.what, tc.words[0], b.people)
			}
		}
		if n := len(tc.to.Inbox()); n != 0 {
			t.Errorf("%s: the recipient has %d entries", tc.what, n)
		}
	}
	if got := p.a.Metrics().MediaOut() + p.b.Metrics().MediaIn(); got != 0 {
		t.Errorf("%d octets of media moved", got)
	}
	if got := p.b.Metrics().Wire() - before; got > 256<<10 {
		t.Errorf("%d octets moved to say no three times", got)
	}
	// What is refused leaves nothing behind that would be in the way of what is not.
	content := harness.Content(12, 1<<20)
	m := p.alice.SendTo(content, carol)
	carol.Holds(p.a.Domain, m.ID, content)
}

// TestSenderRefused meets the limits of one's own server, before anything is sent.
func TestSenderRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, harness.Options{Env: []string{"VAM_LIMITS_MESSAGE=4MiB"}}, harness.Options{})
	p.a.Quota(p.alice, vam.MiB)
	for _, tc := range []struct {
		what    string
		size    int
		kind    vam.ErrorKind
		problem string
	}{
		{"message", 4<<20 + 1, vam.TooLarge, "too-large"},
		{"quota", 1<<20 + 1, vam.OverQuota, "quota"},
	} {
		_, err := p.alice.TrySend(harness.DraftTo(p.bob.Addr), harness.Content(13, tc.size))
		if vam.KindOf(err) != tc.kind || !strings.Contains(vam.Public(err), "server") {
			t.Errorf("%s: %v, want %v with who set the limit", tc.what, err, tc.kind)
		}
	}
	if sent := p.alice.Server().Metrics().Sum("vam_offers_total"); sent != 0 {
		t.Errorf("%v offers were made", sent)
	}
	if e := p.alice.Inbox(); len(e) != 0 {
		t.Errorf("the inbox has %+v", e)
	}
}
