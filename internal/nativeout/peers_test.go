package nativeout_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativeout"
	"github.com/videoactivmail/vam/internal/reception"
)

// What an answer means for a recipient, also when it is of a later time than the offer
// (AM-6.7, AM-6.10).
func TestUpdate(t *testing.T) {
	bob := hosttest.Address(t, "bob@b.example")
	for answer, want := range map[activmail.RecipientAnswer]vam.RecipientState{
		{State: activmail.AnswerAccepted}:                vam.Accepted,
		{State: activmail.AnswerStored}:                  vam.Accepted,
		{State: activmail.AnswerPlayed}:                  vam.Accepted,
		{State: activmail.AnswerHeld}:                    vam.Held,
		{State: activmail.AnswerPending}:                 vam.Waiting,
		{State: activmail.AnswerRejected, Code: "5.1.1"}: vam.Rejected,
		{State: activmail.AnswerRejected, Code: "4.2.2"}: vam.Waiting,
		{State: activmail.AnswerDeclined}:                vam.Declined,
		{State: activmail.AnswerLapsed}:                  vam.Lapsed,
		{State: activmail.AnswerFailed, Code: "5.6.0"}:   vam.Failed,
		{State: activmail.AnswerWithdrawn}:               vam.Withdrawn,
		{State: "deferred"}:                              vam.Waiting,
	} {
		u := nativeout.Update(bob, answer)
		if u.State != want || u.Address != bob || u.Code != answer.Code {
			t.Errorf("%+v is %+v, want %s", answer, u, want)
		}
		if u.State == vam.Waiting && answer.Code == "" && u.Text == "" {
			t.Errorf("%+v: nobody is told why they wait", answer)
		}
	}
}

// nowhere is a port that nobody listens on.
func nowhere(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// everything does each kind of request towards a domain once.
func everything(t *testing.T, p *nativeout.Peers, d vam.Domain) map[string]error {
	t.Helper()
	ctx, k := t.Context(), message.Key{Origin: d, ID: vam.NewMessageID(time.Now())}
	bob := vam.Address{Local: "bob", Domain: d}
	own := message.Key{Origin: "a.example", ID: k.ID}
	out := map[string]error{}
	_, out["offer"] = p.Deliver(ctx, delivery.Attempt{
		Offer: delivery.Offer{ID: vam.NewMessageID(time.Now()), Key: own, Domain: d, Recipients: []delivery.Recipient{{Address: bob}}},
		Body:  func(context.Context) ([]byte, error) { return []byte("{}"), nil },
	})
	out["poke"] = p.Poke(ctx, d, message.Message{Key: own, Head: message.Head{Checkpoint: []byte("x")}})
	_, _, out["renew"] = p.RenewToken(ctx, "a.example", k, k.ID)
	out["receipt"] = p.PutReceipt(ctx, "a.example", k, activmail.Receipt{Recipient: hosttest.Address(t, "alice@a.example"), Event: activmail.EventStored, At: time.Now().UTC().Truncate(time.Second)})
	var o reception.Origin
	if o, out["origin"] = p.Origin(ctx, "a.example", k, activmail.NewPullToken()); o == nil {
		return out
	}
	defer o.Close()
	_, out["log"] = o.Log(ctx, 0, 0, func([]byte) error { return nil })
	_, _, _, out["entry"] = o.Entry(ctx, 0, 0)
	var body io.ReadCloser
	if body, out["media"] = o.Media(ctx, 0, 10); body != nil {
		_ = body.Close()
	}
	_, out["blob"] = o.Blob(ctx, activmail.Sum{1}, 10)
	return out
}

// A peer that cannot be reached is looked for anew at the next attempt, whatever it was
// asked.
func TestSuspect(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.TCPOnly, "a.example")
	w.move("b.example", nowhere(t), netip.AddrPort{})
	for op, err := range everything(t, p, "b.example") {
		if op == "origin" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || vam.KindOf(err) != vam.Unavailable {
			t.Errorf("%s: %v", op, err)
		}
	}
	if got := w.forgotten(); len(got) != 8 || slices.ContainsFunc(got, func(d vam.Domain) bool { return d != "b.example" }) {
		t.Errorf("%v was forgotten", got)
	}
	// So is one that says that it is not the domain's server any more; another refusal is
	// no reason.
	for name, problem := range map[string]bool{"not-our-domain": true, "policy": false, "busy": true} {
		tcp, udp := w.serve(t, "b.example", http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			activmail.ProblemFor(vam.Errorf(vam.Denied, "no").WithProblem(name)).WriteTo(out)
		}))
		w.move("b.example", tcp, udp)
		everything(t, p, "b.example")
		if got := w.forgotten(); (len(got) > 0) != problem {
			t.Errorf("after %s %v was forgotten", name, got)
		}
	}
}

func TestUnknownDomains(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.Auto, "a.example")
	for op, err := range everything(t, p, "c.example") {
		if vam.KindOf(err) != vam.NotVAM {
			t.Errorf("%s: %v", op, err)
		}
	}
	w.move("b.example", nowhere(t), netip.AddrPort{})
	if _, err := p.Origin(t.Context(), "other.example", message.Key{Origin: "b.example"}, ""); err == nil {
		t.Error("a request in the name of a domain without a key")
	}
}

// A policy is kept before anything is said (AM-2.14).
func TestPolicy(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.Auto, "a.example")
	asked := 0
	tcp, udp := w.serve(t, "b.example", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	w.move("b.example", tcp, udp)
	w.known["b.example"].Policy = &activmail.Policy{Message: 100}
	offer := delivery.Offer{Key: message.Key{Origin: "a.example"}, Domain: "b.example"}
	for kind, m := range map[vam.ErrorKind]message.Message{
		vam.Denied:   {},
		vam.TooLarge: {Head: message.Head{SealedAt: time.Now(), MediaBytes: 101}},
	} {
		if _, err := p.Deliver(t.Context(), delivery.Attempt{Offer: offer, Message: m}); vam.KindOf(err) != kind {
			t.Errorf("%v, want %v", err, kind)
		}
	}
	if asked != 0 {
		t.Error("the peer was asked all the same")
	}
}

// What is known of peers is bounded, and those in use stay.
func TestManyPeers(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.Auto, "a.example")
	tcp, udp := w.serve(t, "d0.example", http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusNoContent) }))
	var inUse []reception.Origin
	for i := range nativeout.MaxPeers + 50 {
		d := vam.Domain(fmt.Sprintf("d%d.example", i))
		w.move(d, tcp, udp)
		o, err := p.Origin(t.Context(), "a.example", message.Key{Origin: d}, "")
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			inUse = append(inUse, o)
			continue
		}
		for range 2 { // twice is once
			if err := o.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := p.Len(); n != nativeout.MaxPeers {
		t.Errorf("%d peers are kept", n)
	}
	for _, o := range inUse {
		if _, err := o.Log(t.Context(), 0, 0, nil); err != nil {
			t.Errorf("a peer in use: %v", err)
		}
		_ = o.Close()
	}
}

// A domain that moved is followed as soon as DNS says so.
func TestMove(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.Auto, "a.example")
	k := message.Key{Origin: "b.example", ID: vam.NewMessageID(time.Now())}
	for n := range 3 {
		asked := make(chan struct{}, 10)
		tcp, udp := w.serve(t, "b.example", http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
			asked <- struct{}{}
			out.WriteHeader(http.StatusNoContent)
		}))
		w.move("b.example", tcp, udp)
		o, err := p.Origin(t.Context(), "a.example", k, activmail.NewPullToken())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Log(t.Context(), 0, 0, nil); err != nil || len(asked) != 1 {
			t.Errorf("server %d: %v, %d requests", n, err, len(asked))
		}
		_ = o.Close()
	}
	if n := p.Len(); n != 1 {
		t.Errorf("%d peers are kept", n)
	}
}

// A log that ends where we stand is no error, and one that ends elsewhere is.
func TestLogPosition(t *testing.T) {
	w := newWorld(t)
	p := w.peers(t, amclient.Auto, "a.example")
	tcp, udp := w.serve(t, "b.example", http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		err := vam.Wrap(vam.Conflict, &activmail.PositionError{Size: 7}, "the log has 7 lines").WithProblem("log-position")
		activmail.ProblemFor(err).WriteTo(out)
	}))
	w.move("b.example", tcp, udp)
	o, err := p.Origin(t.Context(), "a.example", message.Key{Origin: "b.example", ID: vam.NewMessageID(time.Now())}, activmail.NewPullToken())
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	for from, fine := range map[int64]bool{6: false, 7: true, 8: false} {
		if cp, err := o.Log(t.Context(), from, 0, nil); (err == nil) != fine || cp != nil {
			t.Errorf("from %d on: %v", from, err)
		}
	}
}
