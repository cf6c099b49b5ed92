package nativein_test

import (
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/hosttest"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativein"
)

// TestOfferForAnotherDomain is AM-6.3.
func TestOfferForAnotherDomain(t *testing.T) {
	zone := new(mailauthtest.Zone)
	h := hosttest.New(t, hosttest.Options{Zone: zone})
	h.Account("bob@b.example", 0)
	in := nativein.Inbound{Reception: h.Reception, Hosts: h.Accounts.Hosts}
	r := hosttest.NewRecording(t, "a.example", h.Clock.Now())
	r.Seal()
	signer := mailauthtest.Signer(t, zone, "a.example")
	put := func(to string) error {
		o := r.Offer(signer, h.Clock.Now(), r.Size(), hosttest.Address(t, to))
		body, err := o.Marshal(activmail.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		_, err = in.PutOffer(t.Context(), amserver.OfferRequest{Offer: o, Body: body})
		return err
	}
	if p := activmail.ProblemFor(put("bob@c.example")); p.Status != 421 || p.Name != "not-our-domain" {
		t.Errorf("the answer is %+v", p)
	}
	if err := put("bob@b.example"); err != nil {
		t.Error(err)
	}
}

// TestPokes is AM-6.31 and AM-10.26: a limit of pokes is asked with the message's name.
func TestPokes(t *testing.T) {
	h := hosttest.New(t, hosttest.Options{})
	r := hosttest.NewRecording(t, "a.example", h.Clock.Now())
	var asked message.Key
	refuse := false
	in := nativein.Inbound{Reception: h.Reception, Pokes: func(k message.Key) error {
		asked = k
		if refuse {
			return vam.Errorf(vam.Busy, "too often").WithProblem("rate")
		}
		return nil
	}}
	poke := func() vam.ErrorKind {
		return vam.KindOf(in.Poke(t.Context(), amserver.PokeRequest{Origin: "a.example", MessageID: r.Key.ID}))
	}
	if kind := poke(); kind != vam.NotFound || asked != r.Key {
		t.Errorf("a poke of what is not known is %v, asked for %s", kind, asked)
	}
	h.Follower(r)
	refuse = true
	if kind := poke(); kind != vam.Busy {
		t.Errorf("a poke beyond the limit is %v", kind)
	}
}
