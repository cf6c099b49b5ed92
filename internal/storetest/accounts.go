package storetest

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
)

// Accounts tests account.Store.
func Accounts(t *testing.T, open Opener) {
	run(t, open, map[string]func(*world){
		"Create":       testCreateAccount,
		"CreateRace":   testCreateAccountRace,
		"List":         testListAccounts,
		"Quota":        testSetQuota,
		"Delete":       testDeleteAccount,
		"IDsOnce":      testAccountIDs,
		"Aliases":      testAliases,
		"Devices":      testDevices,
		"Standing":     testStanding,
		"KnowsDomain":  testKnowsDomain,
		"UnknownOwner": testUnknownOwner,
	})
}

func testCreateAccount(w *world) {
	zone := time.FixedZone("away", 5*3600)
	bob := account.Account{Address: addr(w, "Bob@home.example"), Name: "Bob", Quota: 5 * vam.GiB, Used: 7, Created: time.Date(2026, 1, 2, 3, 4, 5, 678_912_345, zone)}
	made := got(w.Accounts.CreateAccount(w.Context(), bob))(w)
	want := bob
	want.ID, want.Used, want.Created = made.ID, 0, bob.Created.Truncate(time.Microsecond)
	if made.ID == 0 {
		w.Error("the account has no id")
	}
	w.equal("the account as made", made, want)
	w.stays(func() {
		w.equal("by id", got(w.Accounts.AccountByID(w.Context(), made.ID))(w), want)
		w.equal("by address", got(w.Accounts.AccountByAddress(w.Context(), addr(w, "bOB@home.example")))(w), want)
	})
	_, err := w.Accounts.CreateAccount(w.Context(), account.Account{Address: addr(w, "bob@home.example"), Created: w.now()})
	w.wantKind("the same address in other letters", err, vam.Conflict)
	_, err = w.Accounts.AccountByAddress(w.Context(), addr(w, "bobby@home.example"))
	w.wantKind("an unknown address", err, vam.NotFound)
	_, err = w.Accounts.AccountByID(w.Context(), made.ID+1)
	w.wantKind("an unknown id", err, vam.NotFound)
}

func testCreateAccountRace(w *world) {
	a := account.Account{Address: addr(w, "bob@home.example"), Created: w.now()}
	made := w.together(8, func(int) (bool, error) {
		_, err := w.Accounts.CreateAccount(w.Context(), a)
		if err != nil && vam.KindOf(err) == vam.Conflict {
			return false, nil
		}
		return err == nil, err
	})
	if made != 1 {
		w.Errorf("%d of 8 made the same account", made)
	}
}

func testListAccounts(w *world) {
	var ids []int64
	for _, local := range []string{"zoe", "Bob", "alice", `"a b"`} {
		a := account.Account{Address: addr(w, local+"@home.example"), Created: w.now()}
		ids = append(ids, got(w.Accounts.CreateAccount(w.Context(), a))(w).ID)
	}
	other := got(w.Accounts.CreateAccount(w.Context(), account.Account{Address: addr(w, "early@other.example"), Created: w.now()}))(w)
	w.stays(func() {
		var order []string
		for _, a := range got(w.Accounts.Accounts(w.Context()))(w) {
			order = append(order, a.Address.String())
		}
		w.equal("order", order, []string{`"a b"@home.example`, "alice@home.example", "Bob@home.example", "early@other.example", "zoe@home.example"})
		oldest := got(w.Accounts.OldestAccount(w.Context(), home))(w)
		w.equal("the oldest account", oldest.ID, ids[0])
		w.equal("of the other domain", got(w.Accounts.OldestAccount(w.Context(), "other.example"))(w), other)
	})
	_, err := w.Accounts.OldestAccount(w.Context(), "example")
	w.wantKind("a domain without accounts", err, vam.NotFound)
}

func testSetQuota(w *world) {
	bob := w.account("bob")
	w.received(answer{bob, vam.Accepted})
	w.twice(func() error { return w.Accounts.SetQuota(w.Context(), bob.ID, announced/2) })
	w.stays(func() {
		a := got(w.Accounts.AccountByID(w.Context(), bob.ID))(w)
		if a.Quota != announced/2 || a.Used != announced {
			w.Errorf("quota %d and used %d, want %d and %d", a.Quota, a.Used, announced/2, announced)
		}
	})
	w.wantKind("the quota of nobody", w.Accounts.SetQuota(w.Context(), bob.ID+1, 1), vam.NotFound)
}

func testDeleteAccount(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	alias, token := addr(w, "robert@home.example"), activmail.Sum(sha256.Sum256([]byte("bob")))
	w.ok(w.Accounts.AddAlias(w.Context(), alias, bob.ID))
	got(w.Accounts.AddDevice(w.Context(), account.Device{Account: bob.ID, Created: w.now()}, token))(w)
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "amy@away.example"), account.Known, w.now()))
	k := w.received(answer{bob, vam.Accepted}, answer{eve, vam.Accepted})
	d := w.draft(bob, "amy@away.example")

	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	w.stays(func() {
		_, err := w.Accounts.AccountByID(w.Context(), bob.ID)
		w.wantKind("the account", err, vam.NotFound)
		_, err = w.Accounts.AccountByAddress(w.Context(), alias)
		w.wantKind("its alias", err, vam.NotFound)
		_, _, err = w.Accounts.DeviceByToken(w.Context(), token)
		w.wantKind("its device", err, vam.NotFound)
		_, err = w.Mailboxes.Entry(w.Context(), bob.ID, k.Origin, k.ID)
		w.wantKind("its entry", err, vam.NotFound)
		w.equal("contacts", got(w.Accounts.Contacts(w.Context(), bob.ID))(w), []account.Contact(nil))
		w.wantEntry(eve, k, "arriving")
		w.equal("the message", w.message(k).State, vam.Live)
		if _, owner, err := w.Submissions.Draft(w.Context(), d); err != nil || owner == bob.ID {
			w.Errorf("the draft belongs to %d, %v", owner, err)
		}
	})
	w.wantKind("deleting again", w.Accounts.DeleteAccount(w.Context(), bob.ID), vam.NotFound)
	w.ok(w.Accounts.AddAlias(w.Context(), alias, eve.ID)) // free again
}

// What a former account owned must not fall to the next one.
func testAccountIDs(w *world) {
	bob := w.account("bob")
	d := got(w.Accounts.AddDevice(w.Context(), account.Device{Account: bob.ID}, activmail.Sum{1}))(w)
	w.ok(w.Accounts.DeleteAccount(w.Context(), bob.ID))
	w.stays(func() {})
	eve := w.account("eve")
	if eve.ID == bob.ID {
		w.Errorf("the id %d was used again", eve.ID)
	}
	if e := got(w.Accounts.AddDevice(w.Context(), account.Device{Account: eve.ID}, activmail.Sum{2}))(w); e.ID == d.ID {
		w.Errorf("the id %d of a device was used again", e.ID)
	}
}

func testAliases(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	zed, rob := addr(w, "Zed@home.example"), addr(w, "rob@home.example")
	w.ok(w.Accounts.AddAlias(w.Context(), zed, bob.ID))
	w.ok(w.Accounts.AddAlias(w.Context(), rob, bob.ID))
	for what, err := range map[string]error{
		"an alias again":            w.Accounts.AddAlias(w.Context(), zed, bob.ID),
		"an alias for another":      w.Accounts.AddAlias(w.Context(), addr(w, "zed@home.example"), eve.ID),
		"the address of an account": w.Accounts.AddAlias(w.Context(), addr(w, "EVE@home.example"), bob.ID),
	} {
		w.wantKind(what, err, vam.Conflict)
	}
	_, err := w.Accounts.CreateAccount(w.Context(), account.Account{Address: addr(w, "ROB@home.example"), Created: w.now()})
	w.wantKind("an account at an alias", err, vam.Conflict)
	w.stays(func() {
		w.equal("by alias", got(w.Accounts.AccountByAddress(w.Context(), addr(w, "zEd@home.example")))(w).ID, bob.ID)
		w.equal("aliases", got(w.Accounts.Aliases(w.Context(), bob.ID))(w), []vam.Address{rob, zed})
		w.equal("of the other", got(w.Accounts.Aliases(w.Context(), eve.ID))(w), []vam.Address(nil))
	})
	w.ok(w.Accounts.RemoveAlias(w.Context(), addr(w, "ZED@home.example")))
	w.wantKind("removing it again", w.Accounts.RemoveAlias(w.Context(), zed), vam.NotFound)
	_, err = w.Accounts.AccountByAddress(w.Context(), zed)
	w.wantKind("a removed alias", err, vam.NotFound)
}

func testDevices(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	add := func(a account.Account, label string) account.Device {
		d := account.Device{Account: a.ID, Label: label, Created: w.now()}
		made := got(w.Accounts.AddDevice(w.Context(), d, sha256.Sum256([]byte(label))))(w)
		d.ID = made.ID
		w.equal("the device as made", made, d)
		return made
	}
	phone, laptop, hers := add(bob, "phone"), add(bob, "laptop"), add(eve, "hers")
	w.pass(time.Hour)
	w.twice(func() error { return w.Accounts.TouchDevice(w.Context(), phone.ID, w.now()) })
	phone.LastUsed = w.now()
	_, err := w.Accounts.AddDevice(w.Context(), account.Device{Account: eve.ID}, sha256.Sum256([]byte("phone")))
	w.wantKind("a token that is there", err, vam.Conflict)
	w.stays(func() {
		d, a, err := w.Accounts.DeviceByToken(w.Context(), sha256.Sum256([]byte("phone")))
		w.ok(err)
		w.equal("the device", d, phone)
		w.equal("its account", a, bob)
		w.equal("devices", got(w.Accounts.Devices(w.Context(), bob.ID))(w), []account.Device{phone, laptop})
	})
	_, _, err = w.Accounts.DeviceByToken(w.Context(), activmail.Sum{})
	w.wantKind("an unknown token", err, vam.NotFound)
	w.wantKind("somebody else's device", w.Accounts.RemoveDevice(w.Context(), bob.ID, hers.ID), vam.NotFound)
	w.ok(w.Accounts.RemoveDevice(w.Context(), bob.ID, phone.ID))
	w.wantKind("removing it again", w.Accounts.RemoveDevice(w.Context(), bob.ID, phone.ID), vam.NotFound)
	w.wantKind("touching it", w.Accounts.TouchDevice(w.Context(), phone.ID, w.now()), vam.NotFound)
	_, _, err = w.Accounts.DeviceByToken(w.Context(), sha256.Sum256([]byte("phone")))
	w.wantKind("the token of a removed device", err, vam.NotFound)
}

func testStanding(w *world) {
	bob, eve := w.account("bob"), w.account("eve")
	amy, zed := addr(w, "Amy@away.example"), addr(w, "zed@away.example")
	set := func(peer vam.Address, s account.Standing) {
		w.Helper()
		w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, peer, s, w.now()))
	}
	first := w.now()
	set(zed, account.Blocked)
	set(amy, account.Known)
	w.pass(time.Hour)
	set(addr(w, "AMY@away.example"), account.Known)
	w.stays(func() {
		w.equal("standing", got(w.Accounts.Standing(w.Context(), bob.ID, addr(w, "aMy@away.example")))(w), account.Known)
		w.equal("of another account", got(w.Accounts.Standing(w.Context(), eve.ID, amy))(w), account.Unknown)
		w.equal("contacts", got(w.Accounts.Contacts(w.Context(), bob.ID))(w),
			[]account.Contact{{Address: amy, Standing: account.Known, Since: first}, {Address: zed, Standing: account.Blocked, Since: first}})
	})
	set(amy, account.Blocked)
	set(zed, account.Unknown)
	set(zed, account.Unknown)
	w.stays(func() {
		w.equal("contacts after", got(w.Accounts.Contacts(w.Context(), bob.ID))(w),
			[]account.Contact{{Address: amy, Standing: account.Blocked, Since: w.now()}})
		w.equal("standing", got(w.Accounts.Standing(w.Context(), bob.ID, zed))(w), account.Unknown)
	})
}

func testKnowsDomain(w *world) {
	bob := w.account("bob")
	knows := func(d vam.Domain, want bool) {
		w.Helper()
		if yes := got(w.Accounts.KnowsDomain(w.Context(), d))(w); yes != want {
			w.Errorf("%s is known: %v, want %v", d, yes, want)
		}
	}
	knows(away, false)
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "amy@away.example"), account.Blocked, w.now()))
	knows(away, false)
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "ann@away.example"), account.Known, w.now()))
	w.stays(func() { knows(away, true) })
	knows("sub.away.example", false)
	w.ok(w.Accounts.SetStanding(w.Context(), bob.ID, addr(w, "ann@away.example"), account.Blocked, w.now()))
	knows(away, false)
	w.sent(bob, "carl@third.example")
	knows("third.example", true)
}

func testUnknownOwner(w *world) {
	_, device := w.Accounts.AddDevice(w.Context(), account.Device{Account: 77}, activmail.Sum{1})
	for what, err := range map[string]error{
		"an alias":   w.Accounts.AddAlias(w.Context(), addr(w, "x@home.example"), 77),
		"a device":   device,
		"a standing": w.Accounts.SetStanding(w.Context(), 77, addr(w, "x@away.example"), account.Known, w.now()),
	} {
		w.wantKind(what+" of nobody", err, vam.NotFound)
	}
}
