package main

import (
	"context"
	"os"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/race"
)

// measureAgain counts what crosses the path when the media are at the other server
// already.
func measureAgain(ctx context.Context, b *bench) error {
	size := b.size(64*vam.MiB, 16*vam.MiB)
	b.expect(size)
	p, err := b.start(ctx, pair.Options{Transport: "tcp", Path: pair.Path{Links: true}})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	file, err := b.fresh(size)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Path) }()
	alice, bob := p.A.User(pair.Sender), p.B.User(pair.Recipient)

	var first pair.Ref
	const (
		whole   = "the first time"
		other   = "to a second recipient at the same domain"
		resend  = "the same file to the same recipient, uploaded again"
		forward = "forwarded back by the recipient"
		both    = "one message to two recipients, more than to one"
	)
	kib := func(n octets, err error) (race.Sample, error) {
		return race.Sample{Value: n.below / float64(vam.KiB), Extra: map[string]float64{"HTTP KiB": n.http / float64(vam.KiB)}}, err
	}
	upload := func(ctx context.Context, to ...string) (octets, error) {
		id, err := prepare(ctx, alice, file, to...)
		if err != nil {
			return octets{}, err
		}
		return counted(ctx, p, p.A, len(to), func() (err error) {
			first, _, err = alice.Send(ctx, id)
			return err
		})
	}
	r := race.Race{
		Name: "again", Title: "Octets on the wire for media that are there already",
		Setting: "A file of " + size.String() + "; both directions, TLS included.",
		Unit:    "KiB", Smaller: true, Base: whole,
		Contestants: []race.Contestant{
			{Name: whole, Run: func(ctx context.Context) (race.Sample, error) { return kib(upload(ctx, pair.Recipient)) }},
			{Name: other, Run: func(ctx context.Context) (race.Sample, error) {
				id, err := alice.Again(ctx, first, pair.Second)
				if err != nil {
					return race.Sample{}, err
				}
				return kib(counted(ctx, p, p.A, 1, func() error {
					_, _, err := alice.Send(ctx, id)
					return err
				}))
			}},
			{Name: resend, Run: func(ctx context.Context) (race.Sample, error) { return kib(upload(ctx, pair.Recipient)) }},
			{Name: forward, Run: func(ctx context.Context) (race.Sample, error) {
				id, err := bob.Again(ctx, first, pair.Sender)
				if err != nil {
					return race.Sample{}, err
				}
				return kib(counted(ctx, p, p.B, 1, func() error {
					_, _, err := bob.Send(ctx, id)
					return err
				}))
			}},
			{Name: both, Note: "with media of its own", Run: func(ctx context.Context) (race.Sample, error) {
				one, err := b.quietTo(ctx, p, size, pair.Recipient)
				if err != nil {
					return race.Sample{}, err
				}
				two, err := b.quietTo(ctx, p, size, pair.Recipient, pair.Second)
				return kib(octets{two.http - one.http, two.below - one.below}, err)
			}},
		},
	}
	for _, name := range []string{other, resend, forward, both} {
		r.Goals = append(r.Goals, race.Goal{Name: name, Ratio: 64, AtMost: true})
	}
	return b.race(ctx, r, 1)
}
