package account_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/sqlite"
)

// desk is an account service over a real store.
type desk struct {
	*testing.T
	*account.Service
	now time.Time
}

func newDesk(t *testing.T, o account.Options) *desk {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "vam.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	d := &desk{T: t, now: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)}
	if o.Domains == nil {
		o.Domains = []vam.Domain{"a.example", "b.example"}
	}
	o.Now = func() time.Time { return d.now }
	d.Service = account.New(db.Accounts(), o)
	return d
}

func (d *desk) addr(s string) vam.Address {
	d.Helper()
	a, err := vam.ParseAddress(s)
	if err != nil {
		d.Fatal(err)
	}
	return a
}

func (d *desk) create(s string) account.Account {
	d.Helper()
	a, err := d.Create(d.Context(), d.addr(s), "")
	if err != nil {
		d.Fatal(err)
	}
	return a
}

func (d *desk) alias(s string, a account.Account) {
	d.Helper()
	if err := d.AddAlias(d.Context(), d.addr(s), a.ID); err != nil {
		d.Fatal(err)
	}
}

func wantKind(t *testing.T, what string, err error, kind vam.ErrorKind, problem string) {
	t.Helper()
	var e *vam.Error
	if err == nil || vam.KindOf(err) != kind || errors.As(err, &e) && e.Problem != problem {
		t.Errorf("%s: %v, want kind %s with problem %q", what, err, kind, problem)
	}
}

func TestCreate(t *testing.T) {
	d := newDesk(t, account.Options{Quota: 5 * vam.GiB})
	a, err := d.Create(t.Context(), d.addr("Alice@a.example"), "Alice")
	if err != nil || a.Address.String() != "Alice@a.example" || a.Name != "Alice" || a.Quota != 5*vam.GiB || !a.Created.Equal(d.now) {
		t.Errorf("the account is %+v, %v", a, err)
	}
	for address, kind := range map[string]vam.ErrorKind{
		"alice@A.example": vam.Conflict,
		"bob@c.example":   vam.Invalid,
		"bob+x@a.example": vam.Invalid,
		"bob+@a.example":  vam.Invalid,
	} {
		_, err := d.Create(t.Context(), d.addr(address), "")
		wantKind(t, address, err, kind, "")
		if kind == vam.Invalid {
			wantKind(t, "the alias "+address, d.AddAlias(t.Context(), d.addr(address), a.ID), kind, "")
		}
	}
	if _, err := d.Create(t.Context(), d.addr("+x@a.example"), ""); err != nil {
		t.Errorf("a name that begins with a plus: %v", err)
	}
	wantKind(t, "an alias of nobody", d.AddAlias(t.Context(), d.addr("x@a.example"), 77), vam.NotFound, "")
}

func TestRoom(t *testing.T) {
	for _, tt := range []struct {
		a       account.Account
		room    vam.Bytes
		limited bool
	}{
		{account.Account{Used: 5}, 0, false},
		{account.Account{Quota: 10}, 10, true},
		{account.Account{Quota: 10, Used: 7}, 3, true},
		{account.Account{Quota: 10, Used: 70}, 0, true},
	} {
		if room, limited := tt.a.Room(); room != tt.room || limited != tt.limited {
			t.Errorf("%+v has room for %d (limited %v), want %d (%v)", tt.a, room, limited, tt.room, tt.limited)
		}
	}
}

func TestResolve(t *testing.T) {
	d := newDesk(t, account.Options{})
	d.create("first@a.example")
	alice := d.create("alice@a.example")
	d.alias("al@a.example", alice)
	d.alias("al@b.example", alice)
	d.alias("abuse@b.example", alice)
	for address, want := range map[string]string{
		"alice@a.example":            "alice@a.example",
		"ALICE@a.example":            "alice@a.example",
		"alice+news@a.example":       "alice@a.example",
		"alice+a+b@a.example":        "alice@a.example",
		"alice+@a.example":           "alice@a.example",
		"Al+x@b.example":             "alice@a.example",
		"postmaster@a.example":       "first@a.example",
		"Postmaster@a.example":       "first@a.example",
		"abuse+log@a.example":        "first@a.example",
		"abuse@b.example":            "alice@a.example",
		"postmaster@b.example":       "", // b.example has nobody of its own
		"alicex@a.example":           "",
		"+alice@a.example":           "",
		"alice@b.example":            "",
		`"alice "@a.example`:         "",
		"webmaster@a.example":        "",
		"postmaster.x@a.example":     "",
		"first@a.example":            "first@a.example",
		"first+postmaster@a.example": "first@a.example",
	} {
		got, err := d.Resolve(t.Context(), d.addr(address))
		if want == "" {
			wantKind(t, address, err, vam.NotFound, "no-such-recipient")
			continue
		}
		if err != nil || got.Address.String() != want {
			t.Errorf("%s is %s, %v, want %s", address, got.Address, err, want)
		}
	}
	_, err := d.Resolve(t.Context(), d.addr("alice@c.example"))
	wantKind(t, "a domain that is not hosted", err, vam.NotFound, "not-our-domain")
	if !d.Hosts("a.example") || d.Hosts("c.example") || d.Hosts("example") {
		t.Error("the hosted domains are not those of the options")
	}
}

// A configured role account takes the roles of all domains; when it is gone, the
// oldest account does, for a domain without a postmaster breaks RFC 5321.
func TestRoleAccount(t *testing.T) {
	d := newDesk(t, account.Options{Role: vam.Address{Local: "admin", Domain: "b.example"}})
	d.create("first@a.example")
	role := func(address, want string) {
		t.Helper()
		if got, err := d.Resolve(t.Context(), d.addr(address)); err != nil || got.Address.String() != want {
			t.Errorf("%s is %s, %v, want %s", address, got.Address, err, want)
		}
	}
	role("postmaster@a.example", "first@a.example")
	admin := d.create("admin@b.example")
	role("postmaster@a.example", "admin@b.example")
	role("abuse@b.example", "admin@b.example")
	d.create("postmaster@a.example")
	role("postmaster@a.example", "postmaster@a.example")
	role("abuse@a.example", "admin@b.example")
	if err := d.Store().DeleteAccount(t.Context(), admin.ID); err != nil {
		t.Fatal(err)
	}
	role("abuse@a.example", "first@a.example")
	_, err := d.Resolve(t.Context(), d.addr("postmaster@b.example"))
	wantKind(t, "a domain without accounts", err, vam.NotFound, "no-such-recipient")
}

func TestMayWriteAs(t *testing.T) {
	d := newDesk(t, account.Options{})
	alice, bob := d.create("alice@a.example"), d.create("bob@a.example")
	d.alias("al@b.example", alice)
	for address, want := range map[string]bool{
		"alice@a.example":      true,
		"ALICE@a.example":      true,
		"alice+tag@a.example":  true,
		"al@b.example":         true,
		"al+tag@b.example":     true,
		"bob@a.example":        false,
		"bob+alice@a.example":  false,
		"alice@b.example":      false,
		"alice@c.example":      false,
		"nobody@a.example":     false,
		"postmaster@a.example": false, // it reads what comes there, which is not the same
	} {
		if may, err := d.MayWriteAs(t.Context(), alice, d.addr(address)); err != nil || may != want {
			t.Errorf("alice may write as %s: %v, %v, want %v", address, may, err, want)
		}
	}
	if may, _ := d.MayWriteAs(t.Context(), bob, d.addr("al@b.example")); may {
		t.Error("bob may write as alice's alias")
	}
}

func TestDevices(t *testing.T) {
	d := newDesk(t, account.Options{})
	alice, bob := d.create("alice@a.example"), d.create("bob@a.example")
	phone, device, err := d.NewDevice(t.Context(), alice.ID, "phone")
	if err != nil || device.Label != "phone" || device.Account != alice.ID || !device.Created.Equal(d.now) || !device.LastUsed.IsZero() {
		t.Fatalf("the device is %+v, %v", device, err)
	}
	laptop, _, err := d.NewDevice(t.Context(), bob.ID, "laptop")
	if err != nil || laptop == phone {
		t.Fatalf("the second token: %v", err)
	}
	for token, want := range map[activmail.Token]account.Account{phone: alice, laptop: bob} {
		if got, err := d.Authenticate(t.Context(), string(token)); err != nil || got != want {
			t.Errorf("the token opens %+v, %v, want %+v", got, err, want)
		}
	}
	for what, secret := range map[string]string{
		"nothing": "", "a word": "password", "a pull token": string(activmail.NewPullToken()), "a token of nobody": string(activmail.NewDeviceToken()),
		"a token with more": string(phone) + "x", "a token with less": string(phone[:len(phone)-1]), "another character": string(phone[:3]) + other(phone[3]) + string(phone[4:]),
	} {
		_, err := d.Authenticate(t.Context(), secret)
		wantKind(t, what, err, vam.Unauthenticated, "token-invalid")
	}
	if err := d.Store().RemoveDevice(t.Context(), alice.ID, device.ID); err != nil {
		t.Fatal(err)
	}
	_, err = d.Authenticate(t.Context(), string(phone))
	wantKind(t, "the token of a removed device", err, vam.Unauthenticated, "token-invalid")
	if err := d.Store().DeleteAccount(t.Context(), bob.ID); err != nil {
		t.Fatal(err)
	}
	_, err = d.Authenticate(t.Context(), string(laptop))
	wantKind(t, "the token of a deleted account", err, vam.Unauthenticated, "token-invalid")
	_, _, err = d.NewDevice(t.Context(), bob.ID, "x")
	wantKind(t, "a device of nobody", err, vam.NotFound, "")
}

// The last use is noted once a day, so that reading mail writes nothing.
func TestLastUsed(t *testing.T) {
	d := newDesk(t, account.Options{})
	alice := d.create("alice@a.example")
	token, _, err := d.NewDevice(t.Context(), alice.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	begun := d.now
	for _, step := range []struct {
		after, want time.Duration
	}{{0, 0}, {time.Hour, 0}, {24 * time.Hour, 0}, {24*time.Hour + time.Second, 24*time.Hour + time.Second}, {47 * time.Hour, 24*time.Hour + time.Second}} {
		d.now = begun.Add(step.after)
		if _, err := d.Authenticate(t.Context(), string(token)); err != nil {
			t.Fatal(err)
		}
		devices, err := d.Store().Devices(t.Context(), alice.ID)
		if err != nil || !devices[0].LastUsed.Equal(begun.Add(step.want)) {
			t.Errorf("after %v it was last used at %v (%v), want %v", step.after, devices[0].LastUsed, err, begun.Add(step.want))
		}
	}
}

// broken is a store with some methods out of order.
type broken struct {
	account.Store
	read, write error
}

func (b broken) AccountByAddress(ctx context.Context, a vam.Address) (account.Account, error) {
	if b.read != nil {
		return account.Account{}, b.read
	}
	return b.Store.AccountByAddress(ctx, a)
}

func (b broken) DeviceByToken(ctx context.Context, token activmail.Sum) (account.Device, account.Account, error) {
	if b.read != nil {
		return account.Device{}, account.Account{}, b.read
	}
	return b.Store.DeviceByToken(ctx, token)
}

func (b broken) TouchDevice(ctx context.Context, id int64, at time.Time) error {
	if b.write != nil {
		return b.write
	}
	return b.Store.TouchDevice(ctx, id, at)
}

// A store that cannot be read right now says nothing about anybody: whoever asks is
// told to come back, never that there is no such mailbox.
func TestStoreFails(t *testing.T) {
	d := newDesk(t, account.Options{})
	alice := d.create("alice@a.example")
	token, _, err := d.NewDevice(t.Context(), alice.ID, "phone")
	if err != nil {
		t.Fatal(err)
	}
	down := fmt.Errorf("reading: %w", vam.Errorf(vam.Busy, "in use"))
	s := account.New(broken{Store: d.Store(), read: down}, account.Options{Domains: []vam.Domain{"a.example"}})
	_, resolve := s.Resolve(t.Context(), d.addr("alice+x@a.example"))
	_, role := s.Resolve(t.Context(), d.addr("postmaster@a.example"))
	_, write := s.MayWriteAs(t.Context(), alice, alice.Address)
	_, login := s.Authenticate(t.Context(), string(token))
	for what, err := range map[string]error{"resolving": resolve, "a role": role, "writing as": write, "signing in": login} {
		if vam.KindOf(err) != vam.Busy || err == nil {
			t.Errorf("%s: %v, want kind %s", what, err, vam.Busy)
		}
	}
	// A full disk keeps nobody from signing in, to delete something.
	s = account.New(broken{Store: d.Store(), write: vam.Errorf(vam.OverQuota, "full")}, account.Options{Domains: []vam.Domain{"a.example"}})
	if got, err := s.Authenticate(t.Context(), string(token)); err != nil || got != alice {
		t.Errorf("signing in on a full disk: %+v, %v", got, err)
	}
}

// other is a character of the alphabet of tokens that is not c.
func other(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}
