// Package hosttest has the services of one mail server over the real stores in a
// temporary folder, and what other domains are to it, for the tests of the services and
// of the doors that stand before them.
package hosttest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/mailauth/mailauthtest"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/sqlite"
	"github.com/videoactivmail/vam/internal/submission"
)

// Clock is a clock that moves when it is told to.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// Now is the time of the clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Options of New; the zero value is a server for b.example that holds nothing.
type Options struct {
	Domains  []vam.Domain
	Limits   activmail.Limits
	Native   delivery.Carrier
	Peers    reception.Peers
	Zone     *mailauthtest.Zone // the DNS of all servers that meet
	Clock    *Clock             // the same for all of them; nil is one that stands at the present time
	Hold     bool
	MaxSize  vam.Bytes
	MaxRcpts int
	MaxLive  time.Duration
	Free     func(context.Context) (vam.Bytes, error)
	Grew     func(message.Key, vam.Bytes) error
	Reach    func(context.Context, vam.Domain, vam.Bytes) error
	Lanes    int
	Chunk    vam.Bytes
}

// Host is one server.
type Host struct {
	Dir   string
	Clock *Clock
	Post  *Post

	DB         *sqlite.DB
	Blobs      *localblob.Store
	Accounts   *account.Service
	Messages   *message.Service
	Submission *submission.Service
	Delivery   *delivery.Service
	Reception  *reception.Service
	Grants     *grant.Service

	t testing.TB
	o Options
}

// New makes a server in a folder of its own. It is closed with the test.
func New(t testing.TB, o Options) *Host {
	t.Helper()
	if len(o.Domains) == 0 {
		o.Domains = []vam.Domain{"b.example"}
	}
	if o.Clock == nil {
		o.Clock = &Clock{at: time.Now().UTC().Truncate(time.Millisecond)}
	}
	if o.Limits == (activmail.Limits{}) {
		o.Limits = activmail.DefaultLimits()
	}
	if o.Zone == nil {
		o.Zone = new(mailauthtest.Zone)
	}
	h := &Host{Dir: folder(t), Clock: o.Clock, t: t, o: o}
	h.open()
	t.Cleanup(h.Close)
	return h
}

func (h *Host) open() {
	h.t.Helper()
	var err error
	if h.DB, err = sqlite.Open(context.Background(), filepath.Join(h.Dir, "vam.db"), sqlite.Options{Now: h.Clock.Now}); err != nil {
		h.t.Fatal(err)
	}
	if h.Blobs, err = localblob.Open(h.Dir, localblob.Options{Reserve: -1}); err != nil {
		h.t.Fatal(err)
	}
	o, now := h.o, h.Clock.Now
	h.Accounts = account.New(h.DB.Accounts(), account.Options{Domains: o.Domains, Now: now})
	h.Messages = message.New(h.DB.Messages(), h.Blobs, message.Options{Limits: o.Limits, Now: now})
	if h.Post == nil {
		h.Post = newPost(h.t, o.Zone, o.Domains, now)
	}
	h.Post.accounts = h.Accounts
	h.Reception = reception.New(h.DB.Receptions(), reception.Options{
		Messages: h.Messages, Accounts: h.Accounts, Mails: h.Post, Peers: o.Peers,
		LocalReceipt: func(ctx context.Context, from vam.Domain, k message.Key, r activmail.Receipt) (bool, error) {
			return h.Delivery.Receipt(ctx, from, k, r)
		},
		HoldFirst: o.Hold, MaxSize: o.MaxSize, Free: o.Free, Grew: o.Grew, Lanes: o.Lanes, Chunk: o.Chunk, Now: now,
	})
	h.Delivery = delivery.New(h.DB.Deliveries(), delivery.Options{
		Messages: h.Messages, Hosts: h.Accounts.Hosts, Local: reception.Local{Service: h.Reception}, Native: o.Native,
		Reports: h.Post, Enqueue: h.DB.Queue().Enqueue, Limits: o.Limits, Now: now,
	})
	h.Submission = submission.New(h.DB.Submissions(), submission.Options{
		Messages: h.Messages, Accounts: h.Accounts, Mailbox: h.DB.Mailboxes(), Letters: h.Post, MaxRcpts: o.MaxRcpts, MaxLive: o.MaxLive, Free: o.Free, Reach: o.Reach, Now: now,
	})
	h.Grants, err = grant.New(h.DB.Grants(), grant.Options{Key: make([]byte, 32), Messages: h.Messages, Entries: h.DB.Mailboxes(), Now: now})
	if err != nil {
		h.t.Fatal(err)
	}
}

// Close closes everything that is open.
func (h *Host) Close() {
	if h.Messages == nil {
		return
	}
	for _, c := range []interface{ Close() error }{h.Messages, h.Blobs, h.DB} {
		if err := c.Close(); err != nil {
			h.t.Errorf("close: %v", err)
		}
	}
	h.Messages = nil
}

// Reopen is a stop and a start.
func (h *Host) Reopen() {
	h.t.Helper()
	h.Close()
	h.open()
}

// Account makes an account with a quota; 0 is none.
func (h *Host) Account(address string, quota vam.Bytes) account.Account {
	h.t.Helper()
	a, err := h.Accounts.Create(context.Background(), Address(h.t, address), "")
	if err != nil {
		h.t.Fatal(err)
	}
	if quota > 0 {
		if err := h.DB.Accounts().SetQuota(context.Background(), a.ID, quota); err != nil {
			h.t.Fatal(err)
		}
	}
	return h.Refresh(a)
}

// Refresh reads an account as it stands.
func (h *Host) Refresh(a account.Account) account.Account {
	h.t.Helper()
	a, err := h.DB.Accounts().AccountByID(context.Background(), a.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return a
}

// Token makes a device token for an account.
func (h *Host) Token(a account.Account) activmail.Token {
	h.t.Helper()
	token, _, err := h.Accounts.NewDevice(context.Background(), a.ID, "test")
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// Draft makes a message of the first domain that belongs to nobody yet.
func (h *Host) Draft() message.Key {
	h.t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	now := h.Clock.Now()
	k := message.Key{Origin: h.o.Domains[0], ID: vam.NewMessageID(now)}
	if _, _, err := h.DB.Messages().CreateMessage(context.Background(), message.Message{
		Key: k, State: vam.Draft, Kind: vam.File, Author: vam.Address{Local: "alice", Domain: k.Origin}, PublicKey: pub, Created: now,
		Head: message.Head{State: vam.Draft},
	}, priv); err != nil {
		h.t.Fatal(err)
	}
	return k
}

// Address reads an address.
func Address(t testing.TB, s string) vam.Address {
	t.Helper()
	a, err := vam.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
