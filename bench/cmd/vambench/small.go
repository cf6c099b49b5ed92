package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

// measureSmall sends many small messages at once.
func measureSmall(ctx context.Context, b *bench) error {
	const sessions, size = 20, 100 * vam.KiB
	n := int(b.size(3000, 600))
	b.expect(vam.Bytes(n) * size)
	p, err := b.start(ctx, pair.Options{Transport: "tcp"})
	if err != nil {
		return err
	}
	defer func() { _ = p.Close() }()
	track := peer.Loopback(b.congestion)
	const (
		mails    = "Postfix, mails of 2 KiB of text"
		attached = "Postfix, mails with 100 KiB attached"
		ours     = "vam, messages with 100 KiB of media"
	)
	postfix := func(size vam.Bytes, attached bool) func(context.Context) (race.Sample, error) {
		return func(ctx context.Context) (race.Sample, error) {
			f, err := peer.StartPostfix(ctx, track, b.scratch)
			if err != nil {
				return race.Sample{}, err
			}
			defer f.Stop()
			b.settle()
			burst, err := f.Burst(ctx, n, sessions, size, attached)
			return perSecond(burst), err
		}
	}
	r := race.Race{
		Name: "small", Title: "Small messages accepted, durable",
		Setting: fmt.Sprintf("%d messages, %d at a time over connections that stay open, accepted while deliveries run on the same machine; the second figure is until all are in the mailbox, for vam that of another server.", n, sessions),
		Unit:    "messages/s", Base: mails,
		Contestants: []race.Contestant{
			{Name: ours, Congestion: b.congestion, Note: "one request each, signed, delivered to another server over TCP and verified there", Run: func(ctx context.Context) (race.Sample, error) {
				burst, err := b.burst(ctx, p, n, sessions, size)
				return perSecond(burst), err
			}},
			{Name: mails, Congestion: b.congestion, Note: "pipelined; plain SMTP into a maildir on the same server", Run: postfix(2*vam.KiB, false)},
			{Name: attached, Congestion: b.congestion, Note: "pipelined; plain SMTP into a maildir on the same server", Run: postfix(size, true)},
		},
		Goals: []race.Goal{{Name: ours, Of: mails, Ratio: 1}, {Name: ours, Of: attached, Ratio: 1}},
	}
	return b.race(ctx, r, min(b.runs, 3))
}

func perSecond(b peer.Burst) race.Sample {
	if b.Messages == 0 {
		return race.Sample{}
	}
	n := float64(b.Messages)
	return race.Sample{Value: n / b.Accepted, Extra: map[string]float64{"delivered/s": n / b.Delivered}}
}

// burst sends n different messages of size octets.
func (b *bench) burst(ctx context.Context, p *pair.Pair, n, sessions int, size vam.Bytes) (peer.Burst, error) {
	was, err := p.A.Metrics(ctx)
	if err != nil {
		return peer.Burst{}, err
	}
	b.seed++
	noise := rand.NewChaCha8([32]byte{b.seed, 1})
	contents := make([][]byte, n)
	for i := range contents {
		contents[i] = make([]byte, size)
		_, _ = noise.Read(contents[i])
	}
	b.settle()
	alice := p.A.User(pair.Sender)
	start := time.Now()
	err = peer.InParallel(ctx, n, sessions, func(ctx context.Context, next func() (int, bool)) error {
		for {
			i, ok := next()
			if !ok {
				return nil
			}
			if _, err := alice.SendWhole(ctx, contents[i], pair.Recipient); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return peer.Burst{}, err
	}
	out := peer.Burst{Messages: n, Bytes: size, Accepted: time.Since(start).Seconds()}
	if err := delivered(ctx, p.A, was.Sum(deliveries)+float64(n)); err != nil {
		return out, err
	}
	out.Delivered = time.Since(start).Seconds()
	return out, nil
}
