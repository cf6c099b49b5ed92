package daemon

import (
	"context"
	"errors"
	"strings"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/dnsresolver"
	"github.com/videoactivmail/vam/internal/mailauth"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativeout"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/retention"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/telemetry"
	"github.com/videoactivmail/vam/internal/wellknown"
)

// compose makes the services and gives each what it needs of the others.
func (d *Daemon) compose(context.Context) error {
	d.metrics = telemetry.NewMetrics(d.o.Version, d.o.Revision)
	d.health = telemetry.NewHealth()
	d.throttle = telemetry.NewThrottle(d.log, strangerLogEvery, d.o.Now)
	if err := d.composeNetwork(); err != nil {
		return err
	}
	c := d.o.Config
	d.accounts = account.New(d.db.Accounts(), account.Options{
		Domains: d.domains(), Role: d.role(), Quota: c.Limits.Quota, Now: d.o.Now,
	})
	d.gate = newGate(c.Limits, d.accounts.Store(), d.metrics, d.o.Now)
	d.messages = message.New(d.db.Messages(), d.blobs, message.Options{Limits: d.limits, Now: d.o.Now, Log: d.log})
	d.onClose(d.messages.Close)
	post := &post{accounts: d.accounts, keys: d.keys, verifier: mailauth.Verifier{DNS: d.texts, Now: d.o.Now}, now: d.o.Now}
	d.reception = reception.New(d.db.Receptions(), reception.Options{
		Messages: d.messages, Accounts: d.accounts, Mails: post, Peers: meteredPeers{d.peers, d.metrics, d.messages, d.o.Now},
		LocalReceipt: func(ctx context.Context, from vam.Domain, k message.Key, r activmail.Receipt) (bool, error) {
			return d.delivery.Receipt(ctx, from, k, r)
		},
		Admit: d.gate.offer, Grew: d.gate.grew, Wake: d.wake, HoldFirst: c.Contacts.HoldFirst, HoldFor: c.Contacts.Hold.Duration, MaxSize: c.Limits.Message,
		Free: d.blobs.Free, Lanes: c.Transport.Connections, Now: d.o.Now, Log: d.log,
	})
	d.delivery = delivery.New(meteredDeliveries{d.db.Deliveries(), d.metrics}, delivery.Options{
		Messages: d.messages, Hosts: d.accounts.Hosts, Local: reception.Local{Service: d.reception},
		Native: meteredCarrier{d.peers, d.metrics}, Reports: post, Enqueue: d.db.Queue().Enqueue, Limits: d.limits, Now: d.o.Now, Log: d.log,
	})
	d.submission = submission.New(d.db.Submissions(), submission.Options{
		Messages: d.messages, Accounts: d.accounts, Mailbox: d.db.Mailboxes(), Letters: post, Wake: d.wake, Horizon: c.Delivery.DeliverBy.Duration,
		MaxRcpts: c.Limits.Senders.Recipients, MaxLive: c.Limits.Live.Duration, Admit: d.gate.send, Free: d.blobs.Free, Reach: d.reach, Now: d.o.Now, Log: d.log,
	})
	d.retention = retention.New(retention.Options{
		Store: d.db.Retention(), Blobs: d.blobs, Drafts: d.db.Submissions(), Live: d.submission, Holds: d.reception, Offers: d.db.Receptions(),
		Forget: d.messages.Forget, Now: d.o.Now, Log: d.log,
	})
	d.composeQueue()
	return nil
}

// reach is submission.Options.Reach: what discovery and the policy of a domain say.
func (d *Daemon) reach(ctx context.Context, to vam.Domain, size vam.Bytes) error {
	found, err := d.finder.Lookup(ctx, to)
	if err != nil {
		return err
	}
	return found.Policy.Accepts(to, true, size)
}

func (d *Daemon) composeQueue() {
	c, store := d.o.Config, d.db.Queue()
	o := queue.Options{
		Owner: owner(), Workers: c.Delivery.Parallel, PerDomain: c.Delivery.PerDomain, Grace: c.Delivery.DrainWithin.Duration, Now: d.o.Now, Log: d.log,
	}
	d.jobs = queue.NewRunner(store, map[queue.Kind]queue.Handler{
		queue.Offer: d.delivery.Offer, queue.Hold: d.delivery.Hold, queue.Poke: d.delivery.Poke, queue.Receipt: d.reception.Receipt,
	}, o)
	o.PerDomain = c.Limits.Peers.Parallel
	d.pulls = queue.NewRunner(store, map[queue.Kind]queue.Handler{queue.Pull: d.pull, queue.Digest: d.reception.Digest}, o)
}

// composeNetwork makes the ways to DNS and to other domains.
func (d *Daemon) composeNetwork() error {
	c := d.o.Config
	resolver, err := dnsresolver.New(dnsresolver.Options{Servers: c.DNS.Resolvers(), Timeout: c.DNS.Timeout.Duration})
	if err != nil {
		return err
	}
	guard, err := discovery.NewGuard(c.Network.AllowPrivate...)
	if err != nil {
		return err
	}
	d.texts = discovery.NewTexts(resolver, d.o.Now)
	d.requests = discovery.NewKeys(discovery.KeysOptions{Resolver: resolver, Now: d.o.Now, Allow: func(ctx context.Context, _ string) error { return d.gate.keyLookup(ctx) }})
	d.finder = discovery.New(discovery.Options{
		Resolver: resolver, Guard: guard, Roots: d.o.Roots, Now: d.o.Now,
		Policies: wellknown.New(wellknown.Options{Resolver: resolver, Guard: guard, Roots: d.o.Roots}),
	})
	d.dialer = amclient.NewDialer(amclient.DialerOptions{
		Allow: guard.Check, Roots: d.o.Roots, Congestion: congestion(c.Transport.Congestion),
	})
	d.onClose(d.dialer.Close)
	d.peers = nativeout.New(nativeout.Options{
		Finder: d.finder, Dialer: d.dialer, Mode: amclient.Mode(c.Transport.Prefer), Limits: d.limits,
		Lanes: c.Transport.Connections, Now: d.o.Now, Log: d.log,
		Key: func(as vam.Domain) (activmail.RequestKey, error) {
			k, ok := d.keys[as]
			if !ok {
				return activmail.RequestKey{}, vam.Errorf(vam.Internal, "%s is not a domain of this server", as)
			}
			return k.Request, nil
		},
	})
	d.onClose(d.peers.Close)
	return nil
}

// congestion turns the word of the configuration into that of the transports.
func congestion(word string) string {
	switch word {
	case "auto":
		return ""
	case "system":
		return "kernel"
	}
	return word
}

func (d *Daemon) domains() []vam.Domain {
	out := make([]vam.Domain, 0, len(d.o.Config.Domains))
	for _, domain := range d.o.Config.Domains {
		out = append(out, domain.Name)
	}
	return out
}

// role is who gets postmaster's mail: the administrator, when that is a person here.
func (d *Daemon) role() vam.Address {
	admin, err := vam.ParseAddress(d.o.Config.Admin)
	if err != nil || d.keys[admin.Domain].Domain == "" {
		return vam.Address{}
	}
	switch strings.ToLower(admin.Local) {
	case "postmaster", "abuse":
		return vam.Address{}
	}
	return admin
}

// pull is the queue's handler of pulls: within the day's allowance of the domain, and
// counted. A stop waits for a transfer that has an end, and not for a recording that is
// still being made.
func (d *Daemon) pull(ctx context.Context, j queue.Job) error {
	d.pullsOpen.Add(1)
	defer d.pullsOpen.Add(-1)
	if k, err := message.ParseKey(j.Key); err == nil {
		if m, err := d.messages.Get(ctx, k); err == nil && !m.Complete {
			if err := d.gate.pull(k, max(m.Announced, vam.Bytes(m.Head.MediaBytes))); err != nil {
				return err
			}
			if m.Head.SealedAt.IsZero() {
				live, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				defer context.AfterFunc(d.winding, func() { cancel(queue.ErrStopped) })()
				ctx = live
			}
		}
	}
	err := d.reception.Pull(ctx, j)
	result := "done"
	switch {
	case err != nil && errors.Is(context.Cause(ctx), queue.ErrStopped):
		result, err = "cut", queue.ErrStopped
	case err != nil && (vam.KindOf(err).Temporary() || errors.Is(err, context.Canceled)):
		result = "cut"
	case err != nil && !errors.Is(err, queue.ErrNotReached):
		result = "refused"
	}
	d.metrics.Pulls.WithLabelValues(result).Inc()
	return err
}
