package delivery_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

// carrier answers for all other domains as it is told to.
type carrier struct {
	deliver func(a delivery.Attempt) ([]delivery.Update, error)
	poke    error

	mu     sync.Mutex
	bodies map[string][]string // by domain
	to     []string            // whom the attempts were for
	pokes  []string
}

func (c *carrier) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	body, err := a.Body(ctx)
	if err != nil {
		return nil, err
	}
	var to []string
	for _, r := range a.Offer.Recipients {
		to = append(to, r.Address.String())
	}
	c.mu.Lock()
	if c.bodies == nil {
		c.bodies = map[string][]string{}
	}
	c.bodies[string(a.Offer.Domain)] = append(c.bodies[string(a.Offer.Domain)], string(body))
	c.to = append(c.to, strings.Join(to, " "))
	c.mu.Unlock()
	return c.deliver(a)
}

func (c *carrier) Poke(_ context.Context, d vam.Domain, m message.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pokes = append(c.pokes, fmt.Sprintf("%s %s", d, m.State))
	return c.poke
}

// asked is whom the attempts since the last call were for.
func (c *carrier) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer func() { c.to = nil }()
	return c.to
}

// all answers the same for everybody.
func all(u delivery.Update) func(delivery.Attempt) ([]delivery.Update, error) {
	return func(a delivery.Attempt) ([]delivery.Update, error) {
		var out []delivery.Update
		for _, r := range a.Offer.Recipients {
			u.Address = r.Address
			out = append(out, u)
		}
		return out, nil
	}
}

func fails(err error) func(delivery.Attempt) ([]delivery.Update, error) {
	return func(delivery.Attempt) ([]delivery.Update, error) { return nil, err }
}

// desk is a server with an author.
type desk struct {
	*hosttest.Host
	alice account.Account
	net   *carrier
}

func newDesk(t *testing.T, o hosttest.Options) *desk {
	t.Helper()
	c := &carrier{deliver: all(delivery.Update{State: vam.Accepted})}
	o.Domains, o.Native = []vam.Domain{"a.example"}, c
	d := &desk{Host: hosttest.New(t, o), net: c}
	d.alice = d.Account("alice@a.example", 0)
	return d
}

// sent is a sealed message on its way.
func (d *desk) sent(t *testing.T, x submission.Draft) message.Key {
	t.Helper()
	k := d.draft(t, x)
	if _, err := d.Submission.Seal(t.Context(), d.alice, k, activmail.Sum{}); err != nil {
		t.Fatal(err)
	}
	d.send(t, k)
	return k
}

func (d *desk) send(t *testing.T, k message.Key) {
	t.Helper()
	if _, err := d.Submission.Send(t.Context(), d.alice, k); err != nil {
		t.Fatal(err)
	}
}

func (d *desk) draft(t *testing.T, x submission.Draft) message.Key {
	t.Helper()
	d.Clock.Advance(time.Millisecond)
	x.Kind, x.Subject = vam.Video, "The harbour"
	m, _, err := d.Submission.Put(t.Context(), d.alice, vam.NewMessageID(d.Clock.Now()), x)
	if err != nil {
		t.Fatal(err)
	}
	return m.Key
}

// part adds to the media of a message.
func (d *desk) part(t *testing.T, k message.Key, content []byte) {
	t.Helper()
	m, err := d.Messages.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	p := message.Piece{Sum: sha256.Sum256(content), Length: int64(len(content)), At: m.Head.MediaBytes}
	if _, err := d.Submission.Upload(t.Context(), d.alice, k, p, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	line, err := activmail.Record{Kind: activmail.RecordPart, Blob: p.Sum, Length: vam.Bytes(p.Length)}.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Submission.Append(t.Context(), d.alice, k, m.Head.Lines, [][]byte{line}); err != nil {
		t.Fatal(err)
	}
}

func to(t *testing.T, addresses ...string) (out []vam.Address) {
	t.Helper()
	for _, a := range addresses {
		out = append(out, hosttest.Address(t, a))
	}
	return out
}

// states is "address state code" of each recipient.
func (d *desk) states(t *testing.T, k message.Key) (out []string) {
	t.Helper()
	rcpts, err := d.Delivery.Recipients(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rcpts {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", r.Address, r.State, r.Code)))
	}
	slices.Sort(out)
	return out
}

// bounces are the reports in the author's mailbox, the oldest first.
func (d *desk) bounces(t *testing.T) (out [][]byte) {
	t.Helper()
	entries, err := d.DB.Mailboxes().Entries(t.Context(), d.alice.ID, mailbox.Filter{Folder: mailbox.Inbox, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range slices.Backward(entries) {
		if !e.Bounce {
			continue
		}
		text, err := d.Messages.Mail(t.Context(), message.Key{Origin: e.Origin, ID: e.ID})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

// report is a delivery status notification as programs read it (RFC 3464).
type report struct {
	header  mail.Header
	words   string
	message textproto.MIMEHeader
	rcpts   []string // "address action status"
	letter  textproto.MIMEHeader
}

func readReport(t *testing.T, raw []byte) report {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" {
		t.Fatalf("a report of type %s %v: %v", kind, params, err)
	}
	out := report{header: m.Header}
	parts := multipart.NewReader(m.Body, params["boundary"])
	read := func(want string) []byte {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatalf("no %s: %v", want, err)
		}
		if got := p.Header.Get("Content-Type"); !strings.HasPrefix(got, want) {
			t.Fatalf("a part of type %s, want %s", got, want)
		}
		body, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	out.words = string(read("text/plain"))
	groups := strings.Split(strings.TrimSpace(strings.ReplaceAll(string(read("message/delivery-status")), "\r\n", "\n")), "\n\n")
	for i, g := range groups {
		f := fields(t, g)
		if i == 0 {
			out.message = f
			continue
		}
		_, address, _ := strings.Cut(f.Get("Final-Recipient"), "; ")
		out.rcpts = append(out.rcpts, fmt.Sprintf("%s %s %s", address, f.Get("Action"), f.Get("Status")))
	}
	slices.Sort(out.rcpts)
	out.letter = fields(t, string(read("text/rfc822-headers")))
	if _, err := parts.NextPart(); err != io.EOF {
		t.Errorf("after the third part: %v", err)
	}
	return out
}

func fields(t *testing.T, group string) textproto.MIMEHeader {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(strings.TrimSpace(group) + "\n\n"))
	if err != nil {
		t.Fatalf("%q: %v", group, err)
	}
	return textproto.MIMEHeader(m.Header)
}

// jobs are those of a kind that wait.
func (d *desk) jobs(t *testing.T, kind queue.Kind) (out []queue.Job) {
	t.Helper()
	all, err := d.DB.Queue().Jobs(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range all {
		if j.Kind == kind {
			out = append(out, j)
		}
	}
	return out
}
