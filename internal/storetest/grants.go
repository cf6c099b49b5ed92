package storetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/message"
)

// Grants tests grant.Store.
func Grants(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Add":    testAddGrant,
		"Race":   testGrantRace,
		"Set":    testSetGrant,
		"List":   testGrants,
		"Revoke": testRevokeGrant,
		"Try":    testTry,
		"Play":   testPlay,
		"End":    testGrantEnd,
	})
}

// link is a fresh grant of an account with its secret.
func (w *world) link(a account.Account, k message.Key, rcpt string) (grant.Grant, grant.Secret) {
	w.Helper()
	id := grant.NewID()
	return grant.Grant{ID: id, Account: a.ID, Key: k, Rcpt: addr(w, rcpt), Created: w.now(), Expires: w.now().Add(time.Hour)},
		grant.Secret{Sum: sha256.Sum256(id[:]), Maker: 7}
}

// linked adds one.
func (w *world) linked(a account.Account, k message.Key, rcpt string) (grant.Grant, grant.Secret) {
	w.Helper()
	g, s := w.link(a, k, rcpt)
	_, _, added, err := w.Grants.AddGrant(w.Context(), g, s)
	if w.ok(err); !added {
		w.Fatal("the link was there already")
	}
	return g, s
}

// wantGrant looks a grant up by its token.
func (w *world) wantGrant(what string, s grant.Secret, want grant.Grant) {
	w.Helper()
	g, kept, err := w.Grants.GrantBySum(w.Context(), s.Sum)
	w.ok(err)
	w.equal(what, g, want)
	w.equal(what+": the secret", kept, s)
}

func testAddGrant(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k, other := w.draft(bob, "amy@away.example"), w.draft(bob, "amy@away.example")
	g, s := w.link(bob, k, "Amy@away.example")
	s.Lock = []byte("locked")
	g.Locked = true
	got1, kept, added, err := w.Grants.AddGrant(w.Context(), g, s)
	w.ok(err)
	w.equal("the added one", []any{got1, kept, added}, []any{g, s, true})
	w.stays(func() { w.wantGrant("the stored one", s, g) })

	second, secret := w.link(bob, k, "amy@AWAY.example")
	got1, kept, added, err = w.Grants.AddGrant(w.Context(), second, secret)
	w.ok(err)
	w.equal("a second one for the same recipient", []any{got1, kept, added}, []any{g, s, false})
	_, _, err = w.Grants.GrantBySum(w.Context(), secret.Sum)
	w.wantKind("the token of the one that was not added", err, vam.NotFound)

	for what, change := range map[string]func(*grant.Grant, *grant.Secret){
		"another recipient": func(g *grant.Grant, _ *grant.Secret) { g.Rcpt = addr(w, "eve@away.example") },
		"another message":   func(g *grant.Grant, _ *grant.Secret) { g.Key = other },
		"another account":   func(g *grant.Grant, _ *grant.Secret) { g.Account = ann.ID },
		"another key":       func(_ *grant.Grant, s *grant.Secret) { s.Maker = 8 },
		"without an end":    func(g *grant.Grant, s *grant.Secret) { g.Rcpt, g.Expires = addr(w, "x@away.example"), time.Time{} },
	} {
		g, s := w.link(bob, k, "amy@away.example")
		change(&g, &s)
		_, _, added, err := w.Grants.AddGrant(w.Context(), g, s)
		if err != nil || !added {
			w.Errorf("%s: %v, %v", what, added, err)
		}
		w.wantGrant(what, s, g)
	}

	g, s = w.link(bob, w.key(home), "amy@away.example")
	_, _, _, err = w.Grants.AddGrant(w.Context(), g, s)
	w.wantKind("a link to nothing", err, vam.NotFound)
	g, s = w.link(account.Account{ID: 99}, k, "zoe@away.example")
	_, _, added, err = w.Grants.AddGrant(w.Context(), g, s)
	w.wantKind("a link of nobody", err, vam.NotFound)
	if added {
		w.Error("it was added nevertheless")
	}
}

func testGrantRace(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	ids := make([]grant.ID, 8)
	added := w.together(len(ids), func(i int) (bool, error) {
		g, s := w.link(bob, k, "amy@away.example")
		got, _, added, err := w.Grants.AddGrant(w.Context(), g, s)
		ids[i] = got.ID
		return added, err
	})
	if added != 1 || len(slices.Compact(ids)) != 1 {
		w.Errorf("%d links were added: %v", added, ids)
	}
}

func testSetGrant(w *world) {
	bob := w.account("bob")
	k := w.draft(bob, "amy@away.example")
	g, s := w.linked(bob, k, "amy@away.example")
	for _, lock := range [][]byte{[]byte("one"), []byte("two"), nil, {}, nil, []byte("three")} {
		w.pass(time.Hour)
		g.Expires = w.now()
		if lock != nil { // else it stays
			s.Lock, g.Locked = lock, len(lock) > 0
		}
		if !g.Locked {
			s.Lock = nil
		}
		w.twice(func() error { return w.Grants.SetGrant(w.Context(), g.ID, g.Expires, lock) })
		w.stays(func() { w.wantGrant("the changed one", s, g) })
	}
	w.wantKind("changing nothing", w.Grants.SetGrant(w.Context(), grant.NewID(), w.now(), nil), vam.NotFound)
}

func testGrants(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k, other := w.draft(bob, "amy@away.example"), w.draft(bob, "amy@away.example")
	var want []grant.Grant
	for i := range 5 {
		w.pass(time.Second)
		g, _ := w.linked(bob, k, fmt.Sprintf("a%d@away.example", 9-i))
		want = append(want, g)
	}
	w.linked(ann, k, "amy@away.example")
	w.linked(bob, other, "amy@away.example")
	revoked := got(w.Grants.Revoke(w.Context(), bob.ID, want[2].ID, w.now()))(w)
	want[2].Revoked = w.now()
	w.equal("the revoked one", revoked, want[2])
	w.stays(func() { w.equal("links", got(w.Grants.Grants(w.Context(), bob.ID, k))(w), want) })
	w.equal("of nothing", len(got(w.Grants.Grants(w.Context(), bob.ID, w.key(home)))(w)), 0)
}

func testRevokeGrant(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.draft(bob, "amy@away.example")
	g, s := w.linked(bob, k, "amy@away.example")
	_, err := w.Grants.Revoke(w.Context(), ann.ID, g.ID, w.now())
	w.wantKind("somebody else's", err, vam.NotFound)
	_, err = w.Grants.Revoke(w.Context(), bob.ID, grant.NewID(), w.now())
	w.wantKind("none", err, vam.NotFound)
	g.Revoked = w.now()
	for range 2 {
		w.equal("revoked", got(w.Grants.Revoke(w.Context(), bob.ID, g.ID, w.now()))(w), g)
		w.pass(time.Minute)
	}
	w.stays(func() { w.wantGrant("the revoked one", s, g) })
	again, secret := w.linked(bob, k, "amy@away.example")
	w.wantGrant("one after it", secret, again)
	w.wantGrant("the revoked one still", s, g)
}

// Many guesses at the same time are many tries.
func testTry(w *world) {
	bob := w.account("bob")
	g, _ := w.linked(bob, w.draft(bob, "amy@away.example"), "amy@away.example")
	try := func() error { return w.Grants.Try(w.Context(), g.ID, w.now()) }
	free := 0
	for grant.Pause(free+1) == 0 {
		free++
	}
	passed := w.together(3*free, func(int) (bool, error) {
		err := try()
		if vam.KindOf(err) == vam.Busy && err != nil {
			return false, nil
		}
		return err == nil, err
	})
	if passed != free+1 {
		w.Errorf("%d tries at the same time were let through, want %d", passed, free+1)
	}
	for n := free + 1; n < free+10; n++ {
		w.pass(grant.Pause(n) - time.Second)
		w.stays(func() {})
		err := try()
		w.wantKind(fmt.Sprintf("a second before the end of pause %d", n), err, vam.Busy)
		if e, ok := err.(*vam.Error); !ok || e.RetryAfter != time.Second {
			w.Errorf("it is worth another try after %v", err)
		}
		w.pass(time.Second)
		w.ok(try())
	}
	w.pass(-24 * time.Hour)
	w.wantKind("with a clock that was set back", try(), vam.Busy)
	w.ok(w.Grants.Solved(w.Context(), g.ID))
	for range free + 1 {
		w.ok(try())
	}
	w.wantKind("after as many again", try(), vam.Busy)
	w.ok(w.Grants.SetGrant(w.Context(), g.ID, g.Expires, []byte("another password")))
	w.ok(try())
	w.wantKind("no link", w.Grants.Try(w.Context(), grant.NewID(), w.now()), vam.NotFound)
	w.wantKind("none solved", w.Grants.Solved(w.Context(), grant.NewID()), vam.NotFound)
}

func testPlay(w *world) {
	bob := w.account("bob")
	g, s := w.linked(bob, w.draft(bob, "amy@away.example"), "amy@away.example")
	play := func(session string, upTo float64) {
		w.Helper()
		w.pass(time.Second)
		w.twice(func() error {
			return w.Grants.SavePlay(w.Context(), g.ID, grant.Play{Session: session, At: w.now(), UpTo: upTo})
		})
		g.LastPlay = w.now()
	}
	play("a", 0.25)
	g.Plays, g.Watched = 1, 0.25
	w.stays(func() { w.wantGrant("after the first report", s, g) })
	play("a", 0.5)
	play("b", 0.125)
	g.Plays, g.Watched = 2, 0.5
	w.stays(func() { w.wantGrant("after two sessions", s, g) })
	late := g.LastPlay
	w.ok(w.Grants.SavePlay(w.Context(), g.ID, grant.Play{Session: "a", At: late.Add(-time.Hour), UpTo: 0.25}))
	w.wantGrant("after a late report", s, g)
	for i := range grant.MaxPlays {
		w.ok(w.Grants.SavePlay(w.Context(), g.ID, grant.Play{Session: fmt.Sprint(i), At: late, UpTo: 0.25}))
	}
	g.Plays = grant.MaxPlays
	w.wantGrant("after as many as are told apart", s, g)
	play("one more", 1)
	play("a", 0.5)
	g.Watched = 1
	w.stays(func() { w.wantGrant("after one more", s, g) })
	w.wantKind("no link", w.Grants.SavePlay(w.Context(), grant.NewID(), grant.Play{Session: "a", At: late}), vam.NotFound)
}

// A link goes with its account and with the last that is known of its message.
func testGrantEnd(w *world) {
	bob, ann := w.account("bob"), w.account("ann")
	k := w.received(answer{ann, vam.Accepted})
	_, mine := w.linked(bob, k, "amy@away.example")
	_, hers := w.linked(ann, k, "amy@away.example")
	w.ok(w.Grants.SavePlay(w.Context(), got(w.Grants.Grants(w.Context(), bob.ID, k))(w)[0].ID, grant.Play{Session: "a", At: w.now()}))
	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	_, _, err := w.Grants.GrantBySum(w.Context(), mine.Sum)
	w.wantKind("the link of an account that was deleted", err, vam.NotFound)
	w.delete(ann, k)
	w.detach(10)
	_, _, err = w.Grants.GrantBySum(w.Context(), hers.Sum)
	w.ok(err)
	w.pass(time.Second)
	got(w.Receptions.Forget(w.Context(), w.now(), 10))(w)
	w.equal("messages dropped", got(w.Retention.DropMessages(w.Context(), w.now(), 10))(w), 1)
	_, _, err = w.Grants.GrantBySum(w.Context(), hers.Sum)
	w.wantKind("the link of a message that is forgotten", err, vam.NotFound)
}
