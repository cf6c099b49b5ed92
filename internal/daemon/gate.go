package daemon

import (
	"context"
	"math"
	"net/netip"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/admission"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// gate holds the rate limits of the configuration: how much one account, one domain
// and one network may ask of this server in a while.
type gate struct {
	limits   config.Limits
	contacts contacts
	metrics  *telemetry.Metrics

	sent, offers, recipients, known, pulled, begun, lookups, pokes, receipts *admission.Buckets
}

// contacts says whether a domain is one that somebody here writes with.
type contacts interface {
	KnowsDomain(ctx context.Context, d vam.Domain) (bool, error)
}

func newGate(l config.Limits, c contacts, m *telemetry.Metrics, now func() time.Time) *gate {
	return &gate{
		limits: l, contacts: c, metrics: m,
		sent:       admission.NewBuckets("messages", now),
		offers:     admission.NewBuckets("offers", now),
		recipients: admission.NewBuckets("recipients of a domain that nobody here knows", now),
		known:      admission.NewBuckets("repetitions", now),
		pulled:     admission.NewBuckets("KiB of media", now),
		begun:      admission.NewBuckets("messages", now),
		pokes:      admission.NewBuckets("pokes", now),
		receipts:   admission.NewBuckets("receipts of one recipient", now),
		lookups:    admission.NewBuckets("keys that are not known", now),
	}
}

func rateOf(r config.Rate) admission.Rate {
	return admission.Rate{Events: r.Events, Per: r.Per, Burst: r.Burst}
}

// refused counts a refusal under the key of its limit.
func (g *gate) refused(key string, err error) error {
	if err != nil {
		g.metrics.Limited.WithLabelValues(key).Inc()
	}
	return err
}

// send is asked for each message that an account sends.
func (g *gate) send(a account.Account) error {
	return g.refused("limits.senders.messages", g.sent.Take(a.Address.Key(), rateOf(g.limits.Senders.Messages), 1))
}

// offer is asked for each offer that was not answered before. A recipient that a
// stranger's domain wrote to in the last hour already costs it nothing (AM-10.24, AM-10.25).
func (g *gate) offer(ctx context.Context, o *activmail.Offer) error {
	known, err := g.contacts.KnowsDomain(ctx, o.Origin)
	if err != nil {
		return err
	}
	key := o.Origin.String()
	if known {
		return g.refused("limits.peers.offers", g.offers.Take(key, rateOf(g.limits.Peers.Offers), 1))
	}
	if err := g.refused("limits.strangers.offers", g.offers.Take(key, rateOf(g.limits.Strangers.Offers), 1)); err != nil {
		return err
	}
	var fresh []string
	limit := rateOf(g.limits.Strangers.Recipients)
	for _, a := range o.Envelope.To {
		if pair := key + " " + a.Key(); g.known.Full(pair) {
			fresh = append(fresh, pair)
		}
	}
	if err := g.refused("limits.strangers.recipients", g.recipients.Take(key, limit, len(fresh))); err != nil {
		return err // and whom it asked for is as fresh as before
	}
	for _, pair := range fresh {
		_ = g.known.Take(pair, admission.Rate{Events: 1, Per: limit.Per, Burst: 1}, 1)
	}
	return nil
}

// pull is asked before a message of size octets is fetched, at each attempt. The first one
// of a day takes all of it, so that a bad network costs a domain nothing; a message that is
// larger than a day's allowance takes the whole allowance.
func (g *gate) pull(k message.Key, size vam.Bytes) error {
	const day = 24 * time.Hour
	allowed := kibibytes(g.limits.Peers.PullDay)
	if allowed == 0 || !g.begun.Full(k.String()) {
		return nil
	}
	rate := admission.Rate{Events: allowed, Per: day, Burst: allowed}
	if err := g.refused("limits.peers.pull_day", g.pulled.Take(k.Origin.String(), rate, min(kibibytes(size), allowed))); err != nil {
		return err
	}
	return g.begun.Take(k.String(), admission.Rate{Events: 1, Per: day, Burst: 1}, 1)
}

// grew is asked when a message that is fetched turns out to be longer by octets than pull
// was told. When the rest has to wait, the message begins anew with all of its size.
func (g *gate) grew(k message.Key, octets vam.Bytes) error {
	allowed := kibibytes(g.limits.Peers.PullDay)
	if allowed == 0 {
		return nil
	}
	rate := admission.Rate{Events: allowed, Per: 24 * time.Hour, Burst: allowed}
	err := g.pulled.Take(k.Origin.String(), rate, min(kibibytes(octets), allowed))
	if err != nil {
		g.begun.Forget(k.String())
	}
	return g.refused("limits.peers.pull_day", err)
}

// kibibytes is a size in whole KiB, so that a day's allowance fits into an int on every
// machine.
func kibibytes(n vam.Bytes) int {
	return int(min((n+vam.KiB-1)/vam.KiB, math.MaxInt))
}

// poke is asked for each poke of a message (AM-10.26).
func (g *gate) poke(k message.Key) error {
	return g.refused("pokes", g.pokes.Take(k.String(), admission.Rate{Events: 10, Per: time.Minute, Burst: 10}, 1))
}

// receipt is asked for each receipt of a recipient (AM-10.29): eight events there are, and
// each may be told again.
func (g *gate) receipt(k message.Key, rcpt vam.Address) error {
	return g.refused("receipts", g.receipts.Take(k.String()+" "+rcpt.Key(), admission.Rate{Events: 20, Per: time.Hour, Burst: 20}, 1))
}

// keyLookup is asked before DNS is asked for a request key that is not remembered
// (AM-3.14, AM-10.27).
func (g *gate) keyLookup(ctx context.Context) error {
	remote, ok := ctx.Value(remoteKey{}).(netip.Addr)
	if !ok {
		return nil
	}
	return g.refused("key-lookups", g.lookups.Take(admission.Network(remote), admission.Rate{Events: 60, Per: time.Minute, Burst: 60}, 1))
}

// remoteKey is the context key of the address that a request came from.
type remoteKey struct{}
