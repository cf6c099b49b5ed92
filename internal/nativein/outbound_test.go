package nativein_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativein"
	"github.com/videoactivmail/vam/internal/submission"
)

// noted keeps the offers of a server instead of sending them.
type noted struct{ offers []*activmail.Offer }

func (n *noted) Deliver(ctx context.Context, a delivery.Attempt) ([]delivery.Update, error) {
	body, err := a.Body(ctx)
	if err != nil {
		return nil, err
	}
	o, err := activmail.ParseOffer(body, activmail.DefaultLimits())
	if err != nil {
		return nil, err
	}
	n.offers = append(n.offers, o)
	var out []delivery.Update
	for _, r := range a.Offer.Recipients {
		out = append(out, delivery.Update{Address: r.Address, State: vam.Accepted})
	}
	return out, nil
}

func (*noted) Poke(context.Context, vam.Domain, message.Message) error { return nil }

// origin is a server of a.example as others see it.
type origin struct {
	*hosttest.Host
	nativein.Outbound
	net   *noted
	alice account.Account
}

func newOrigin(t *testing.T) *origin {
	t.Helper()
	o := &origin{net: &noted{}}
	o.Host = hosttest.New(t, hosttest.Options{Domains: []vam.Domain{"a.example"}, Native: o.net})
	o.alice = o.Account("alice@a.example", 0)
	o.Outbound = nativein.Outbound{Messages: o.Host.Messages, Delivery: o.Host.Delivery, Places: new(nativein.Places)}
	return o
}

// sent offers a message of so many parts to bob@b.example, with a poster before them, and
// returns what opens it.
func (o *origin) sent(t *testing.T, parts int, seal bool, x submission.Draft) (message.Key, amserver.Pull) {
	t.Helper()
	o.Clock.Advance(time.Millisecond)
	x.To, x.Kind, x.Name, x.Type = []vam.Address{hosttest.Address(t, "bob@b.example")}, vam.Video, "a.mp4", "video/mp4"
	m, _, err := o.Submission.Put(t.Context(), o.alice, vam.NewMessageID(o.Clock.Now()), x)
	if err != nil {
		t.Fatal(err)
	}
	k := m.Key
	o.add(t, k, activmail.Record{Kind: activmail.RecordPoster, ContentType: "image/jpeg"}, []byte("a picture"))
	for n := range parts {
		o.add(t, k, activmail.Record{Kind: activmail.RecordPart}, part(n))
	}
	if seal {
		if _, err := o.Submission.Seal(t.Context(), o.alice, k, activmail.Sum{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Submission.Send(t.Context(), o.alice, k); err != nil {
		t.Fatal(err)
	}
	o.Work(t.Context())
	offer := o.net.offers[len(o.net.offers)-1]
	return k, amserver.Pull{MessageID: k.ID, Token: offer.Token}
}

func part(n int) []byte { return hosttest.Pattern(1000, byte(n+1)) }

func (o *origin) add(t *testing.T, k message.Key, r activmail.Record, content []byte) {
	t.Helper()
	m, err := o.Host.Messages.Get(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	p := message.Piece{Sum: sha256.Sum256(content), Length: int64(len(content)), At: -1}
	if _, err := o.Submission.Upload(t.Context(), o.alice, k, p, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	r.Blob, r.Length = p.Sum, vam.Bytes(p.Length)
	line, err := r.MarshalLine()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Submission.Append(t.Context(), o.alice, k, m.Head.Lines, [][]byte{line}); err != nil {
		t.Fatal(err)
	}
}

func (o *origin) revoke(t *testing.T, k message.Key) {
	t.Helper()
	if _, err := o.Submission.Revoke(t.Context(), o.alice, k); err != nil {
		t.Fatal(err)
	}
}

// all asks for everything, and returns the errors.
func (o *origin) all(t *testing.T, pull amserver.Pull) map[string]error {
	t.Helper()
	ctx, out := t.Context(), map[string]error{}
	_, out["head"] = o.Head(ctx, pull)
	var log amserver.Log
	if log, out["log"] = o.Log(ctx, pull, 0, 0); log.Lines != nil {
		_ = log.Lines.Close()
	}
	var e amserver.Entry
	if e, out["entry"] = o.Entry(ctx, pull, 1, 0); e.Blob != nil {
		_ = e.Blob.Close()
	}
	var m amserver.Media
	if m, out["media"] = o.Media(ctx, pull); m.Content != nil {
		_ = m.Content.Close()
	}
	var b amserver.Blob
	if b, out["blob"] = o.Blob(ctx, pull, sha256.Sum256([]byte("a picture"))); b.Content != nil {
		_ = b.Content.Close()
	}
	_, out["proof"] = o.Proof(ctx, pull, amserver.ProofRequest{From: 1, Size: 2})
	return out
}

func read(t *testing.T, c amserver.Content, size vam.Bytes) string {
	t.Helper()
	defer c.Close()
	b, err := io.ReadAll(io.NewSectionReader(c, 0, int64(size)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestOutbound(t *testing.T) {
	o := newOrigin(t)
	k, pull := o.sent(t, 3, true, submission.Draft{})
	ctx, media := t.Context(), string(part(0))+string(part(1))+string(part(2))
	h, err := o.Head(ctx, pull)
	if err != nil || h.State != vam.Sealed || h.LogSize != 5 || h.Size != 3000 || h.Origin != "a.example" || h.ContentType != "video/mp4" {
		t.Errorf("head %+v, %v", h, err)
	}
	for from := range int64(5) {
		log, err := o.Log(ctx, pull, from, time.Hour) // there is something: nothing is waited for
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(log.Lines)
		if n := strings.Count(string(text), "\n"); err != nil || int64(n) != 5-from || log.Size != 5 || log.Ended {
			t.Errorf("from %d on there are %d lines of %d: %v", from, n, log.Size, err)
		}
		m, _ := o.Host.Messages.Get(ctx, k)
		if cp, err := activmail.OpenCheckpoint(log.Checkpoint, k.Origin, k.ID, m.PublicKey); err != nil || cp.Size != 5 {
			t.Errorf("a checkpoint over %d: %v", cp.Size, err)
		}
		_ = log.Lines.Close()
	}
	for n, want := range []string{"a picture", string(part(0)), string(part(1)), string(part(2)), ""} {
		e, err := o.Entry(ctx, pull, int64(n), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if m, _ := o.Host.Messages.Get(ctx, k); want != "" && read(t, e.Blob, e.Length) != want || want == "" && e.Blob != nil || m.PublicKey == nil {
			t.Errorf("entry %d is %+v", n, e)
		} else if cp, err := activmail.OpenCheckpoint(e.Checkpoint, k.Origin, k.ID, m.PublicKey); err != nil || cp.Size < int64(n)+1 {
			t.Errorf("entry %d has a checkpoint over %d: %v", n, cp.Size, err)
		}
	}
	m, err := o.Media(ctx, pull)
	if err != nil || !m.Complete || read(t, m.Content, m.Size) != media {
		t.Errorf("media %+v, %v", m, err)
	}
	for want, kind := range map[string]string{"a picture": "image/jpeg", string(part(1)): ""} {
		b, err := o.Blob(ctx, pull, sha256.Sum256([]byte(want)))
		if err != nil || b.ContentType != kind || read(t, b.Content, b.Size) != want {
			t.Errorf("blob %+v, %v", b, err)
		}
	}
	if _, err := o.Blob(ctx, pull, activmail.Sum{1}); vam.KindOf(err) != vam.NotFound {
		t.Errorf("a blob of nobody: %v", err)
	}
	// Of another message, which is here too.
	other, _ := o.sent(t, 1, true, submission.Draft{})
	if _, _, err := o.Host.Messages.FindBlob(ctx, other, sha256.Sum256(part(2))); vam.KindOf(err) != vam.NotFound {
		t.Errorf("a part of another message: %v", err)
	}
	for op, err := range o.all(t, amserver.Pull{MessageID: other.ID, Token: pull.Token}) {
		if vam.KindOf(err) != vam.Unauthenticated || activmail.ProblemFor(err).Name != "token-invalid" {
			t.Errorf("%s of another message: %v", op, err)
		}
	}
	for op, err := range o.all(t, amserver.Pull{MessageID: k.ID, Token: activmail.NewPullToken()}) {
		if vam.KindOf(err) != vam.Unauthenticated {
			t.Errorf("%s with a made-up token: %v", op, err)
		}
	}
	var pos *activmail.PositionError
	if _, err := o.Proof(ctx, pull, amserver.ProofRequest{From: 1, Size: 6}); !errors.As(err, &pos) || pos.Size != 5 {
		t.Errorf("a proof beyond the log: %v", err)
	}
	if p, err := o.Proof(ctx, pull, amserver.ProofRequest{Inclusion: true, Leaf: 3, Size: 5}); err != nil || len(p.Hashes) == 0 {
		t.Errorf("%v, %v", p, err)
	}
}

// After its end a message has its log, and nothing else (AM-7.19).
func TestOutboundAfterTheEnd(t *testing.T) {
	o := newOrigin(t)
	revoked, pull := o.sent(t, 2, true, submission.Draft{})
	o.revoke(t, revoked)
	_, lapsed := o.sent(t, 2, true, submission.Draft{Expires: o.Clock.Now().Add(time.Hour)})
	o.Clock.Advance(2 * time.Hour)
	for problem, pull := range map[string]amserver.Pull{"revoked": pull, "expired": lapsed} {
		for op, err := range o.all(t, pull) {
			if op == "log" {
				if err != nil {
					t.Errorf("the log of what is %s: %v", problem, err)
				}
				continue
			}
			if vam.KindOf(err) != vam.Gone || activmail.ProblemFor(err).Name != problem {
				t.Errorf("%s of what is %s: %v", op, problem, err)
			}
		}
	}
	// The record of the end can be read as an entry.
	e, err := o.Entry(t.Context(), pull, 4, time.Hour)
	if err != nil || !strings.Contains(string(e.Line), `"revoke"`) || !e.Ended {
		t.Errorf("%s, %v", e.Line, err)
	}
	for _, from := range []int64{5, 6} { // nothing can follow: nothing is waited for
		if log, err := o.Log(t.Context(), pull, from, time.Hour); err != nil || !log.Ended || log.Lines != nil || log.Size != 5 {
			t.Errorf("from %d on: %+v, %v", from, log, err)
		}
	}
	if e, err := o.Entry(t.Context(), pull, 5, time.Hour); err != nil || !e.Ended || e.Line != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// Who waits at the live edge is woken by what comes, by the end of their patience, and by
// the end of the server.
func TestOutboundWaits(t *testing.T) { synctest.Test(t, testOutboundWaits) }

func testOutboundWaits(t *testing.T) {
	stopping, stop := context.WithCancel(t.Context())
	o := newOrigin(t)
	o.Stopping = stopping
	k, pull := o.sent(t, 1, false, submission.Draft{})
	for _, wait := range []time.Duration{0, time.Millisecond} {
		if log, err := o.Log(t.Context(), pull, 2, wait); err != nil || log.Lines != nil || log.Ended || log.Size != 2 {
			t.Errorf("%+v, %v", log, err)
		}
		if e, err := o.Entry(t.Context(), pull, 3, wait); err != nil || e.Line != nil || e.Ended {
			t.Errorf("%+v, %v", e, err)
		}
	}
	if log, err := o.Log(t.Context(), pull, 3, time.Hour); err != nil || log.Size != 2 { // it is wrong already
		t.Errorf("%+v, %v", log, err)
	}
	waits := func(ctx context.Context, n int64) chan string {
		got := make(chan string, 2)
		go func() {
			e, err := o.Entry(ctx, pull, n, time.Hour)
			if e.Blob != nil {
				_ = e.Blob.Close()
				m, _ := o.Host.Messages.Get(ctx, k)
				if cp, err := activmail.OpenCheckpoint(e.Checkpoint, k.Origin, k.ID, m.PublicKey); err != nil || cp.Size != n+1 {
					t.Errorf("the newest line under a checkpoint over %d: %v", cp.Size, err)
				}
			}
			got <- fmt.Sprintf("entry %t %v", e.Line != nil, vam.KindOf(err))
		}()
		go func() {
			log, err := o.Log(ctx, pull, n, time.Hour)
			got <- fmt.Sprintf("log %t %v", log.Lines != nil, vam.KindOf(err))
		}()
		synctest.Wait()
		return got
	}
	want := func(what string, got chan string, line bool, err error) {
		t.Helper()
		for range 2 {
			if s := <-got; !strings.HasSuffix(s, fmt.Sprintf(" %t %v", line, vam.KindOf(err))) {
				t.Errorf("%s: %s", what, s)
			}
		}
	}
	got := waits(t.Context(), 2)
	o.add(t, k, activmail.Record{Kind: activmail.RecordPart}, part(1))
	want("a line", got, true, nil)
	ctx, cancel := context.WithCancel(t.Context())
	got = waits(ctx, 3)
	cancel()
	want("nobody waits", got, false, vam.Errorf(vam.Unavailable, ""))
	got = waits(t.Context(), 3)
	stop()
	want("the server stops", got, false, nil)
}

// An answer under way ends when the message is taken back (AM-7.20).
func TestOutboundIsCut(t *testing.T) {
	o := newOrigin(t)
	k, pull := o.sent(t, 2, true, submission.Draft{})
	m, err := o.Media(t.Context(), pull)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Content.Close()
	e, err := o.Entry(t.Context(), pull, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Blob.Close()
	b, err := o.Blob(t.Context(), pull, sha256.Sum256([]byte("a picture")))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Content.Close()
	all := []<-chan struct{}{m.Withdrawn, e.Withdrawn, b.Withdrawn}
	for _, gone := range all {
		select {
		case <-gone:
			t.Error("cut for no reason")
		default:
		}
	}
	o.revoke(t, k)
	for _, gone := range all {
		<-gone
	}
}

// Receipts and tokens are for the domain that was offered the message.
func TestOutboundSigned(t *testing.T) {
	o := newOrigin(t)
	k, pull := o.sent(t, 1, true, submission.Draft{})
	offer := o.net.offers[0].ID
	as := func(d vam.Domain) activmail.VerifiedRequest { return activmail.VerifiedRequest{Domain: d} }
	receipt := func(d vam.Domain, to string, mid vam.MessageID) (bool, vam.ErrorKind) {
		fresh, err := o.PutReceipt(t.Context(), amserver.ReceiptRequest{
			MessageID: mid, Signed: as(d), Receipt: activmail.Receipt{Recipient: hosttest.Address(t, to), Event: activmail.EventStored, At: o.Clock.Now()},
		})
		return fresh, vam.KindOf(err)
	}
	nothing := vam.NewMessageID(o.Clock.Now())
	for _, tt := range []struct {
		d     vam.Domain
		to    string
		mid   vam.MessageID
		fresh bool
		kind  vam.ErrorKind
	}{
		{"c.example", "bob@c.example", k.ID, false, vam.NotFound},
		{"c.example", "bob@b.example", k.ID, false, vam.NotFound},
		{"b.example", "eve@b.example", k.ID, false, vam.NotFound},
		{"b.example", "bob@b.example", nothing, false, vam.NotFound},
		{"b.example", "bob@b.example", k.ID, true, vam.KindOf(nil)},
		{"b.example", "bob@b.example", k.ID, false, vam.KindOf(nil)},
	} {
		if fresh, kind := receipt(tt.d, tt.to, tt.mid); fresh != tt.fresh || kind != tt.kind {
			t.Errorf("%+v: %t %v", tt, fresh, kind)
		}
	}
	if _, err := o.RenewToken(t.Context(), amserver.RenewRequest{MessageID: k.ID, Offer: offer, Signed: as("c.example")}); err == nil {
		t.Error("a token for somebody else")
	}
	if _, err := o.RenewToken(t.Context(), amserver.RenewRequest{MessageID: k.ID, Offer: nothing, Signed: as("b.example")}); vam.KindOf(err) != vam.Denied {
		t.Errorf("a token for no offer: %v", err)
	}
	grant, err := o.RenewToken(t.Context(), amserver.RenewRequest{MessageID: k.ID, Offer: offer, Signed: as("b.example")})
	if err != nil || grant.Token == pull.Token {
		t.Fatal(err)
	}
	for op, err := range o.all(t, amserver.Pull{MessageID: k.ID, Token: grant.Token}) {
		if err != nil {
			t.Errorf("%s with the new token: %v", op, err)
		}
	}
}
