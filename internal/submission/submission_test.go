package submission_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailbox"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/submission"
)

func wantKind(t *testing.T, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	var e *vam.Error
	if !errors.As(err, &e) || e.Kind != kind || problem != "" && e.Problem != problem {
		t.Fatalf("got %v, want %s %s", err, kind, problem)
	}
}

// desk is a server with two of its people.
type desk struct {
	*hosttest.Host
	alice, bob account.Account
}

func newDesk(t *testing.T, o hosttest.Options) *desk {
	t.Helper()
	o.Domains = append(o.Domains, "b.example", "other.example")
	h := hosttest.New(t, o)
	return &desk{Host: h, alice: h.Account("alice@b.example", 0), bob: h.Account("bob@b.example", 0)}
}

func to(t *testing.T, addresses ...string) (out []vam.Address) {
	t.Helper()
	for _, a := range addresses {
		out = append(out, hosttest.Address(t, a))
	}
	return out
}

func (d *desk) id() vam.MessageID {
	d.Clock.Advance(time.Millisecond)
	return vam.NewMessageID(d.Clock.Now())
}

func (d *desk) put(t *testing.T, acct account.Account, id vam.MessageID, x submission.Draft) message.Message {
	t.Helper()
	m, _, err := d.Submission.Put(t.Context(), acct, id, x)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// file uploads and appends a file as one part.
func (d *desk) file(t *testing.T, acct account.Account, k message.Key, content []byte) message.Message {
	t.Helper()
	p := message.Piece{Sum: sha256.Sum256(content), Length: int64(len(content)), At: 0}
	if _, err := d.Submission.Upload(t.Context(), acct, k, p, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	m, err := d.Submission.Append(t.Context(), acct, k, 0, [][]byte{part(content)})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func part(content []byte) []byte {
	return record(activmail.Record{Kind: activmail.RecordPart}, content)
}

func record(r activmail.Record, content []byte) []byte {
	if r.HasBlob() {
		r.Blob, r.Length = sha256.Sum256(content), vam.Bytes(len(content))
	}
	line, err := r.MarshalLine()
	if err != nil {
		panic(err)
	}
	return line
}

// sent is a whole message on its way.
func (d *desk) sent(t *testing.T, acct account.Account, x submission.Draft, content []byte) message.Message {
	t.Helper()
	m := d.put(t, acct, d.id(), x)
	d.file(t, acct, m.Key, content)
	if _, err := d.Submission.Seal(t.Context(), acct, m.Key, activmail.Sum{}); err != nil {
		t.Fatal(err)
	}
	m, err := d.Submission.Send(t.Context(), acct, m.Key)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestPut is AM-13.3, AM-13.4.
func TestPut(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	id := d.id()
	x := submission.Draft{To: to(t, "bob@c.example"), Subject: "One", Kind: vam.Video, Size: 100}
	m, created, err := d.Submission.Put(t.Context(), d.alice, id, x)
	if err != nil || !created || m.State != vam.Draft || m.Author != d.alice.Address || m.Subject != "One" {
		t.Fatalf("%+v, %v, %v", m, created, err)
	}
	x.Subject = "Two"
	for range 2 {
		if m, created, err = d.Submission.Put(t.Context(), d.alice, id, x); err != nil || created || m.Subject != "Two" {
			t.Fatalf("%q, %v, %v", m.Subject, created, err)
		}
	}
	if used := d.Refresh(d.alice).Used; used != 100 {
		t.Errorf("%d octets are charged, want what is announced", used)
	}
	_, _, err = d.Submission.Put(t.Context(), d.bob, id, x)
	wantKind(t, err, vam.Conflict, "id-taken")
	k, _, err := d.Submission.Find(t.Context(), d.alice, id)
	if err != nil || k != m.Key {
		t.Errorf("%v, %v", k, err)
	}
	_, _, err = d.Submission.Find(t.Context(), d.bob, id)
	wantKind(t, err, vam.NotFound, "")
}

// TestPutRefuses is AM-10.18.
func TestPutRefuses(t *testing.T) {
	limits := activmail.DefaultLimits()
	limits.Message = 1000
	d := newDesk(t, hosttest.Options{Limits: limits, MaxRcpts: 3})
	now := d.Clock.Now()
	for name, tt := range map[string]struct {
		change func(*submission.Draft)
		kind   vam.ErrorKind
	}{
		"nobody":            {func(x *submission.Draft) { x.To = nil }, vam.Invalid},
		"too many":          {func(x *submission.Draft) { x.Bcc = to(t, "a@c.example", "b@c.example", "c@c.example") }, vam.Invalid},
		"another's address": {func(x *submission.Draft) { x.From = d.bob.Address }, vam.Denied},
		"another domain":    {func(x *submission.Draft) { x.From = hosttest.Address(t, "alice@c.example") }, vam.Denied},
		"no kind":           {func(x *submission.Draft) { x.Kind = "film" }, vam.Invalid},
		"long text":         {func(x *submission.Draft) { x.Text = strings.Repeat("x", submission.MaxText+1) }, vam.TooLarge},
		"no text":           {func(x *submission.Draft) { x.Text = "\xff" }, vam.Invalid},
		"two lines":         {func(x *submission.Draft) { x.Subject = "a\r\nBcc: eve@c.example" }, vam.Invalid},
		"long subject":      {func(x *submission.Draft) { x.Subject = strings.Repeat("x", 999) }, vam.Invalid},
		"too large":         {func(x *submission.Draft) { x.Size = 1001 }, vam.TooLarge},
		"no media type":     {func(x *submission.Draft) { x.Type = "video" }, vam.Invalid},
		"over already":      {func(x *submission.Draft) { x.DeliverBy = now }, vam.Invalid},
		"in two months":     {func(x *submission.Draft) { x.DeliverBy = now.AddDate(0, 2, 0) }, vam.Invalid},
		"never shown":       {func(x *submission.Draft) { x.NotBefore, x.DeliverBy = now.Add(2*time.Hour), now.Add(time.Hour) }, vam.Invalid},
		"in two years":      {func(x *submission.Draft) { x.NotBefore = now.AddDate(2, 0, 0) }, vam.Invalid},
		"expired":           {func(x *submission.Draft) { x.Expires = now.Add(-time.Second) }, vam.Invalid},
		"nothing to send":   {func(x *submission.Draft) { x.MediaOf = message.Key{Origin: "b.example", ID: d.id()} }, vam.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			x := submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File}
			tt.change(&x)
			id := d.id()
			_, _, err := d.Submission.Put(t.Context(), d.alice, id, x)
			wantKind(t, err, tt.kind, "")
			if _, _, err := d.Submission.Find(t.Context(), d.alice, id); vam.KindOf(err) != vam.NotFound {
				t.Errorf("something was kept: %v", err)
			}
		})
	}
}

// A crash between the commits of a draft leaves an id that its author can still use.
func TestPutAfterACrash(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	k := d.Draft() // the row alone
	x := submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File}
	if m := d.put(t, d.alice, k.ID, x); m.Key != k {
		t.Errorf("%v", m.Key)
	}
}

func TestAliases(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	alias := hosttest.Address(t, "al@other.example")
	if err := d.Accounts.AddAlias(t.Context(), alias, d.alice.ID); err != nil {
		t.Fatal(err)
	}
	id := d.id()
	x := submission.Draft{From: alias, To: to(t, "bob@c.example"), Kind: vam.File}
	m := d.put(t, d.alice, id, x)
	if m.Origin != "other.example" {
		t.Errorf("origin %s", m.Origin)
	}
	if k, _, err := d.Submission.Find(t.Context(), d.alice, id); err != nil || k != m.Key {
		t.Errorf("%v, %v", k, err)
	}
	x.From = vam.Address{}
	_, _, err := d.Submission.Put(t.Context(), d.alice, id, x) // the same id elsewhere
	wantKind(t, err, vam.Conflict, "id-taken")
	x.From = hosttest.Address(t, "alice+films@b.example")
	if m := d.put(t, d.alice, d.id(), x); m.Author != x.From {
		t.Errorf("author %v", m.Author)
	}
}

// TestReach is the other half of AM-13.16: what is known of the recipients' domains is said
// before anything is uploaded, and a repetition of what was sent is no new question.
func TestReach(t *testing.T) {
	var asked sync.Map
	gone := false
	d := newDesk(t, hosttest.Options{Reach: func(_ context.Context, to vam.Domain, size vam.Bytes) error {
		asked.Store(to, true)
		switch {
		case to == "mail.example" || gone:
			return vam.Errorf(vam.NotVAM, "%s does not take video mail", to)
		case to == "small.example" && size > 1000:
			return vam.Errorf(vam.TooLarge, "%s takes at most 1000 octets", to).WithProblem("too-large")
		case to == "down.example":
			return vam.Errorf(vam.Unavailable, "DNS does not answer")
		}
		return nil
	}})
	for name, c := range map[string]struct {
		to, bcc string
		size    vam.Bytes
		kind    vam.ErrorKind
	}{
		"not VAM":               {"bob@mail.example", "carol@c.example", 10, vam.NotVAM},
		"not VAM, blind copy":   {"carol@c.example", "bob@mail.example", 10, vam.NotVAM},
		"too large for one":     {"carol@c.example", "bob@small.example", 1001, vam.TooLarge},
		"the size is not known": {"carol@c.example", "bob@small.example", 0, vam.Internal},
		"fits":                  {"carol@c.example", "bob@small.example", 1000, vam.Internal},
		"cannot be told now":    {"carol@c.example", "bob@down.example", 10, vam.Internal},
	} {
		_, _, err := d.Submission.Put(t.Context(), d.alice, d.id(), submission.Draft{To: to(t, c.to, "bob@b.example"), Bcc: to(t, c.bcc), Kind: vam.File, Size: c.size})
		switch {
		case c.kind == vam.Internal && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.kind != vam.Internal && vam.KindOf(err) != c.kind:
			t.Errorf("%s: got %v, want %s", name, err, c.kind)
		}
	}
	if _, here := asked.Load(vam.Domain("b.example")); here {
		t.Error("this server's own domain was asked about")
	}
	id, x := d.id(), submission.Draft{To: to(t, "carol@c.example"), Kind: vam.File, Size: 4}
	k := d.put(t, d.alice, id, x).Key
	d.file(t, d.alice, k, []byte("film"))
	if _, err := d.Submission.Send(t.Context(), d.alice, k); err != nil {
		t.Fatal(err)
	}
	gone = true
	d.put(t, d.alice, id, x)
}

// TestQuota is AM-13.16.
func TestQuota(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	carol := d.Account("carol@b.example", 1000)
	x := submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File, Size: 1001}
	_, _, err := d.Submission.Put(t.Context(), carol, d.id(), x)
	wantKind(t, err, vam.OverQuota, "quota")

	// A file of exactly the quota fits, whatever is repeated.
	x.Size = 1000
	id := d.id()
	k := d.put(t, carol, id, x).Key
	carol = d.Refresh(carol)
	d.put(t, carol, id, x)
	one, two := hosttest.Pattern(500, 1), hosttest.Pattern(500, 2)
	upload := func(at int64, content []byte) error {
		p := message.Piece{Sum: sha256.Sum256(content), Length: int64(len(content)), At: at}
		_, err := d.Submission.Upload(t.Context(), carol, k, p, bytes.NewReader(content))
		return err
	}
	for range 2 {
		for i, content := range [][]byte{one, two} {
			if err := upload(int64(500*i), content); err != nil {
				t.Fatal(err)
			}
		}
	}
	wantKind(t, upload(-1, []byte("x")), vam.OverQuota, "quota")
	if _, err := d.Submission.Append(t.Context(), carol, k, 0, [][]byte{part(one), part(two)}); err != nil {
		t.Fatal(err)
	}
	d.put(t, carol, id, x)
	wantKind(t, upload(1000, []byte("x")), vam.OverQuota, "quota")
	_, err = d.Submission.Append(t.Context(), carol, k, 2, [][]byte{part(one)}) // its bytes are here
	wantKind(t, err, vam.OverQuota, "quota")
	if used := d.Refresh(carol).Used; used != 1000 {
		t.Errorf("%d octets used", used)
	}

	// A second message has no room, also when it does not say how large it will be.
	x.Size = 0
	k = d.put(t, carol, d.id(), x).Key
	wantKind(t, upload(0, []byte("x")), vam.OverQuota, "quota")

	// What the account was when a long request began does not count.
	dave := d.Account("dave@b.example", 1000)
	k = d.put(t, dave, d.id(), x).Key
	for i := range 10 {
		carol = dave // as it was at the start
		if err := upload(int64(100*i), hosttest.Pattern(100, byte(10+i))); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, upload(1000, []byte("x")), vam.OverQuota, "quota")
}

func TestDiskFull(t *testing.T) {
	free := vam.Bytes(100)
	d := newDesk(t, hosttest.Options{Free: func(context.Context) (vam.Bytes, error) { return free, nil }})
	x := submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File, Size: 101}
	_, _, err := d.Submission.Put(t.Context(), d.alice, d.id(), x)
	wantKind(t, err, vam.OverQuota, "disk-full")
	x.Size = 100
	id := d.id()
	k := d.put(t, d.alice, id, x).Key
	content := hosttest.Pattern(100, 1)
	p := message.Piece{Sum: sha256.Sum256(content), Length: 100}
	if _, err := d.Submission.Upload(t.Context(), d.alice, k, p, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	free = 0
	d.put(t, d.alice, id, x) // what is here needs no more room
	if _, err := d.Submission.Upload(t.Context(), d.alice, k, p, bytes.NewReader(content)); err != nil {
		t.Errorf("a repeated upload: %v", err)
	}
	p.Sum = sha256.Sum256(hosttest.Pattern(100, 2))
	_, err = d.Submission.Upload(t.Context(), d.alice, k, p, bytes.NewReader(hosttest.Pattern(100, 2)))
	wantKind(t, err, vam.OverQuota, "disk-full")
}

// TestOthersMessages is AM-13.2.
func TestOthersMessages(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	m := d.sent(t, d.alice, submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File}, []byte("private"))
	content := []byte("evil")
	p := message.Piece{Sum: sha256.Sum256(content), Length: 4}
	for name, f := range map[string]func() error{
		"upload": func() error {
			_, err := d.Submission.Upload(t.Context(), d.bob, m.Key, p, bytes.NewReader(content))
			return err
		},
		"missing": func() error {
			_, err := d.Submission.Missing(t.Context(), d.bob, m.Key, []message.Piece{p})
			return err
		},
		"append":  func() error { _, err := d.Submission.Append(t.Context(), d.bob, m.Key, 0, nil); return err },
		"seal":    func() error { _, err := d.Submission.Seal(t.Context(), d.bob, m.Key, activmail.Sum{}); return err },
		"send":    func() error { _, err := d.Submission.Send(t.Context(), d.bob, m.Key); return err },
		"revoke":  func() error { _, err := d.Submission.Revoke(t.Context(), d.bob, m.Key); return err },
		"discard": func() error { return d.Submission.Discard(t.Context(), d.bob, m.Key) },
		"forward": func() error {
			_, _, err := d.Submission.Put(t.Context(), d.bob, d.id(), submission.Draft{To: to(t, "eve@c.example"), Kind: vam.File, MediaOf: m.Key})
			return err
		},
	} {
		if err := f(); vam.KindOf(err) != vam.NotFound {
			t.Errorf("%s: %v, want NotFound", name, err)
		}
	}
}

// TestSend is AM-6.24, AM-8.14, AM-13.12.
func TestSend(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	x := submission.Draft{
		To: to(t, "bob@c.example", "Bob@c.example", "carol@d.example", "dan@c.example"), Bcc: to(t, "eve@c.example", "dan@c.example", "fay@c.example"),
		Subject: "The harbour", Kind: vam.Video, Name: "clip.mp4", Type: "video/mp4",
	}
	content := hosttest.Pattern(100, 1)
	m := d.sent(t, d.alice, x, content)
	if m.State != vam.Sealed || m.SentAt.IsZero() {
		t.Fatalf("%+v", m)
	}
	again, err := d.Submission.Send(t.Context(), d.alice, m.Key)
	if err != nil || !cmp.Equal(again, m) {
		t.Errorf("the second send: %v, %s", err, cmp.Diff(m, again))
	}
	rcpts, err := d.Delivery.Recipients(t.Context(), m.Key)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	groups := map[vam.MessageID][]string{}
	for _, r := range rcpts {
		name := r.Address.String()
		if r.Hidden {
			name += " hidden"
		}
		got = append(got, name)
		groups[r.Offer] = append(groups[r.Offer], name)
		if r.State != vam.Queued {
			t.Errorf("%s is %s", r.Address, r.State)
		}
	}
	if want := []string{"bob@c.example", "dan@c.example", "carol@d.example", "eve@c.example hidden", "fay@c.example hidden"}; !cmp.Equal(got, want) {
		t.Errorf("recipients %v, want %v", got, want)
	}
	if len(groups) != 4 {
		t.Errorf("offers %v: one for each domain and one for each hidden recipient", groups)
	}
	jobs, err := d.DB.Queue().Jobs(t.Context(), "", 100)
	if err != nil || len(jobs) != 4 {
		t.Errorf("%d jobs, %v", len(jobs), err)
	}
	letter, err := d.Messages.Mail(t.Context(), m.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, hidden := range []string{"eve@", "fay@", "Bcc"} {
		if bytes.Contains(letter, []byte(hidden)) {
			t.Errorf("the letter names %q", hidden)
		}
	}
	parsed, err := mail.ReadMessage(bytes.NewReader(letter))
	if err != nil {
		t.Fatal(err)
	}
	h, err := activmail.ParseMessageHeader(parsed.Header.Get("VAM-Message"))
	if err != nil || !h.Sealed || h.Bytes != 100 || h.Checkpoint != (activmail.Checkpoint{Size: m.Head.Lines, Root: m.Head.Root}) {
		t.Errorf("header %+v, %v", h, err)
	}
	for _, a := range append(x.To, x.Bcc...) {
		if st, err := d.DB.Accounts().Standing(t.Context(), d.alice.ID, a); err != nil || st != account.Known {
			t.Errorf("%s is %q to the author, %v", a, st, err)
		}
	}
	x.Subject = "Another"
	_, _, err = d.Submission.Put(t.Context(), d.alice, m.ID, x)
	wantKind(t, err, vam.Conflict, "sent")
	wantKind(t, d.Submission.Discard(t.Context(), d.alice, m.Key), vam.Conflict, "sent")
}

// TestSendLive is AM-10.23.
func TestSendLive(t *testing.T) {
	d := newDesk(t, hosttest.Options{MaxLive: time.Hour})
	m := d.put(t, d.alice, d.id(), submission.Draft{To: to(t, "bob@c.example"), Kind: vam.Video})
	m, err := d.Submission.Send(t.Context(), d.alice, m.Key)
	if err != nil || m.State != vam.Live {
		t.Fatalf("%+v, %v", m, err)
	}
	content := hosttest.Pattern(100, 1)
	m = d.file(t, d.alice, m.Key, content)
	if m.State != vam.Live || m.Head.Lines != 1 {
		t.Errorf("%+v", m)
	}
	d.Clock.Advance(time.Hour + time.Second)
	_, err = d.Submission.Append(t.Context(), d.alice, m.Key, 1, [][]byte{part(content)})
	wantKind(t, err, vam.TooLarge, "too-large")
	m, err = d.Submission.Seal(t.Context(), d.alice, m.Key, sha256.Sum256(content))
	if err != nil || m.State != vam.Sealed || !m.Complete {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestSealOverdue(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(100, 1)
	var keys []message.Key
	for range 3 {
		m := d.put(t, d.alice, d.id(), submission.Draft{To: to(t, "bob@c.example"), Kind: vam.Video, Name: "clip.mp4"})
		if _, err := d.Submission.Send(t.Context(), d.alice, m.Key); err != nil {
			t.Fatal(err)
		}
		d.file(t, d.alice, m.Key, content)
		keys = append(keys, m.Key)
	}
	if n, err := d.Submission.SealOverdue(t.Context(), 10); n != 0 || err != nil {
		t.Fatalf("before its time: %d, %v", n, err)
	}
	d.Clock.Advance(4*24*time.Hour + time.Minute)
	// One that cannot be sealed does not keep the others, nor does a batch of them.
	first, err := d.Messages.Get(t.Context(), keys[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Blobs.Remove(t.Context(), first.Media); err != nil {
		t.Fatal(err)
	}
	d.Reopen()
	if n, err := d.Submission.SealOverdue(t.Context(), 1); n != 3 || err == nil {
		t.Fatalf("%d, %v", n, err)
	}
	for i, k := range keys {
		m, err := d.Messages.Get(t.Context(), k)
		if err != nil {
			t.Fatal(err)
		}
		seal, err := d.Messages.SealRecord(t.Context(), m)
		if i == 0 {
			if m.State != vam.Live {
				t.Errorf("a recording without media is %s", m.State)
			}
		} else if err != nil || seal.Why != "cut" || seal.Name != "clip.mp4" || m.State != vam.Sealed {
			t.Errorf("seal %+v, %v, %s", seal, err, m.State)
		}
	}
}

func TestSendRefuses(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	m := d.put(t, d.alice, d.id(), submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File, DeliverBy: d.Clock.Now().Add(time.Hour)})
	d.Clock.Advance(2 * time.Hour)
	_, err := d.Submission.Send(t.Context(), d.alice, m.Key)
	wantKind(t, err, vam.Invalid, "")
	if m, err = d.Messages.Get(t.Context(), m.Key); err != nil || !m.SentAt.IsZero() {
		t.Errorf("%+v, %v", m, err)
	}
	if jobs, err := d.DB.Queue().Jobs(t.Context(), "", 100); err != nil || len(jobs) != 0 {
		t.Errorf("jobs %v, %v", jobs, err)
	}
}

func TestNotBefore(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	at := d.Clock.Now().Add(48 * time.Hour).Truncate(time.Second)
	d.sent(t, d.alice, submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File, NotBefore: at}, []byte("later"))
	jobs, err := d.DB.Queue().Jobs(t.Context(), "", 100)
	if err != nil || len(jobs) != 1 || !jobs[0].NextAt.Equal(at) || !jobs[0].Deadline.Equal(at.Add(4*24*time.Hour)) {
		t.Errorf("%+v, %v", jobs, err)
	}
}

// TestAppendRefuses is AM-4.18, AM-13.10.
func TestAppendRefuses(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	m := d.put(t, d.alice, d.id(), submission.Draft{To: to(t, "bob@c.example"), Kind: vam.File})
	content := []byte("some")
	at := d.Clock.Now().Truncate(time.Second)
	for name, line := range map[string][]byte{
		"seal":    record(activmail.Record{Kind: activmail.RecordSeal, SHA256: sha256.Sum256(nil)}, nil),
		"expire":  record(activmail.Record{Kind: activmail.RecordExpire, At: at}, nil),
		"revoke":  record(activmail.Record{Kind: activmail.RecordRevoke, At: at}, nil),
		"unknown": []byte(`{"k":"note"}`),
	} {
		_, err := d.Submission.Append(t.Context(), d.alice, m.Key, 0, [][]byte{line})
		if vam.KindOf(err) != vam.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.file(t, d.alice, m.Key, content)
	if _, err := d.Submission.Seal(t.Context(), d.alice, m.Key, activmail.Sum{}); err != nil {
		t.Fatal(err)
	}
	text := record(activmail.Record{Kind: activmail.RecordText, ContentType: "text/vtt", Lang: "en"}, content)
	_, err := d.Submission.Append(t.Context(), d.alice, m.Key, 2, [][]byte{text})
	wantKind(t, err, vam.Conflict, "sealed")
	_, err = d.Submission.Append(t.Context(), d.alice, m.Key, 1, [][]byte{text})
	wantKind(t, err, vam.Conflict, "log-position")
}

// TestRevokeAndDiscard is AM-8.15, AM-13.14.
func TestRevokeAndDiscard(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	x := submission.Draft{To: to(t, "bob@c.example", "carol@d.example"), Kind: vam.File}
	draft := d.put(t, d.alice, d.id(), x)
	_, err := d.Submission.Revoke(t.Context(), d.alice, draft.Key)
	wantKind(t, err, vam.Conflict, "")
	if err := d.Submission.Discard(t.Context(), d.alice, draft.Key); err != nil {
		t.Fatal(err)
	}
	wantKind(t, d.Submission.Discard(t.Context(), d.alice, draft.Key), vam.NotFound, "")
	if _, err := d.Messages.Get(t.Context(), draft.Key); vam.KindOf(err) != vam.NotFound {
		t.Errorf("the row is there: %v", err)
	}
	if used := d.Refresh(d.alice).Used; used != 0 {
		t.Errorf("%d octets are charged for nothing", used)
	}

	m := d.sent(t, d.alice, x, []byte("regretted"))
	for range 2 {
		if m, err = d.Submission.Revoke(t.Context(), d.alice, m.Key); err != nil || m.State != vam.Revoked {
			t.Fatalf("%+v, %v", m, err)
		}
	}
	rcpts, err := d.Delivery.Recipients(t.Context(), m.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rcpts {
		if r.State != vam.Withdrawn {
			t.Errorf("%s is %s", r.Address, r.State)
		}
	}
	// Its jobs find nothing left to do, and nobody is asked.
	jobs, err := d.DB.Queue().Jobs(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if j.Kind == queue.Offer {
			if err := d.Delivery.Offer(t.Context(), j); !errors.Is(err, queue.ErrNotReached) {
				t.Errorf("job %s: %v", j.Key, err)
			}
		}
	}
	if m, err = d.Submission.Send(t.Context(), d.alice, m.Key); err != nil || m.State != vam.Revoked {
		t.Errorf("sending it again: %s, %v", m.State, err)
	}
}

func TestForward(t *testing.T) {
	d := newDesk(t, hosttest.Options{})
	content := hosttest.Pattern(1000, 1)
	src := d.sent(t, d.alice, submission.Draft{To: to(t, "bob@b.example"), Kind: vam.Video, Name: "clip.mp4"}, content)
	d.deliver(t)
	e, err := d.DB.Mailboxes().Entry(t.Context(), d.bob.ID, src.Origin, src.ID)
	if err != nil || e.State != mailbox.Stored {
		t.Fatalf("%+v, %v", e, err)
	}
	id := d.id()
	x := submission.Draft{To: to(t, "eve@c.example"), Kind: vam.Video, MediaOf: src.Key}
	m := d.put(t, d.bob, id, x)
	if m.State != vam.Sealed || !m.Complete || m.Head.Digest != src.Head.Digest {
		t.Fatalf("%+v", m)
	}
	if m = d.put(t, d.bob, id, x); m.Head.Lines != 2 {
		t.Errorf("again: %d lines", m.Head.Lines)
	}
	if used := d.Refresh(d.bob).Used; used != 2000 {
		t.Errorf("bob's mailbox is charged %d, want both", used)
	}
	if m, err = d.Submission.Send(t.Context(), d.bob, m.Key); err != nil || m.SentAt.IsZero() {
		t.Fatalf("%+v, %v", m, err)
	}
	x.MediaOf = message.Key{}
	_, _, err = d.Submission.Put(t.Context(), d.bob, id, x)
	wantKind(t, err, vam.Conflict, "sealed")

	poor := d.Account("poor@b.example", 1500)
	src2 := d.sent(t, d.alice, submission.Draft{To: to(t, "poor@b.example"), Kind: vam.Video}, content)
	d.deliver(t)
	_, _, err = d.Submission.Put(t.Context(), poor, d.id(), submission.Draft{To: to(t, "eve@c.example"), Kind: vam.Video, MediaOf: src2.Key})
	wantKind(t, err, vam.OverQuota, "quota")
	if err := d.DB.Mailboxes().DeleteEntry(t.Context(), poor.ID, src2.Origin, src2.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = d.Submission.Put(t.Context(), poor, d.id(), submission.Draft{To: to(t, "eve@c.example"), Kind: vam.Video, MediaOf: src2.Key})
	wantKind(t, err, vam.NotFound, "") // deleted is not had
}

// deliver works the jobs for this server's own people.
func (d *desk) deliver(t *testing.T) {
	t.Helper()
	jobs, err := d.DB.Queue().Jobs(t.Context(), "b.example", 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if j.Kind == queue.Offer {
			if err := d.Delivery.Offer(t.Context(), j); err != nil && !errors.Is(err, queue.ErrNotReached) {
				t.Fatal(err)
			}
		}
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"clip.mp4":               "clip.mp4",
		"":                       "",
		".":                      "",
		"..":                     "",
		"../../etc/passwd":       "passwd",
		`C:\films\clip.mp4`:      "clip.mp4",
		"a/b/":                   "b",
		".\x01.":                 "",
		"evil\u202e4pm.exe":      "evil4pm.exe",
		"two\r\nlines":           "twolines",
		"Grüße 🎬.mp4":            "Grüße 🎬.mp4",
		"\xff\xfe.mp4":           "_.mp4",
		strings.Repeat("é", 200): strings.Repeat("é", 127),
		" spaced .mp4":           " spaced .mp4",
		"con\u0000.mp4":          "con.mp4",
		strings.Repeat("x", 255): strings.Repeat("x", 255),
	} {
		if got := submission.CleanName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// Whatever a name is, what it becomes can stand in a seal or is nothing.
func FuzzCleanName(f *testing.F) {
	for _, s := range []string{"clip.mp4", "../x", `a\b`, "\u202e", "\xff", ".\x7f.", "\u2028"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := submission.CleanName(s)
		if name == "" {
			return
		}
		line, err := activmail.Record{Kind: activmail.RecordSeal, SHA256: sha256.Sum256(nil), Name: name}.MarshalLine()
		if err != nil {
			t.Fatalf("%q became %q: %v", s, name, err)
		}
		if r, err := activmail.ParseRecord(line, activmail.DefaultLimits()); err != nil || r.Name != name {
			t.Fatalf("%q is read as %q, %v", name, r.Name, err)
		}
		if again := submission.CleanName(name); again != name {
			t.Fatalf("%q is cleaned to %q", name, again)
		}
	})
}
