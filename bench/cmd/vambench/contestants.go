package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

// The names of contestants; goals refer to them.
const (
	vamTCP      = "vam over TCP"
	vamUDP      = "vam over UDP"
	bareTLS     = "bare TLS"
	bareTLSDisk = "bare TLS, hashed and synced"
	bareQUIC    = "bare quic-go GET, hashed and synced"
	nginxCurl   = "nginx and one curl"
	tusdUpload  = "tusd over TLS"
	attachment  = "Postfix, base64 attachment"
	theLink     = "the link itself"
)

// quicCongestion is what quic-go has; it cannot be chosen.
const quicCongestion = "quic-go's Reno"

// rate is a sample in 10^6 octets a second.
func rate(t peer.Transfer, err error) (race.Sample, error) {
	if err != nil {
		return race.Sample{}, err
	}
	return race.Sample{Value: t.Rate()}, nil
}

// bare is rate for a peer of which both sides are in this process.
func bare(t peer.Transfer, err error) (race.Sample, error) {
	s, err := rate(t, err)
	s.Extra = map[string]float64{"CPU s": t.CPU}
	return s, err
}

// sent is what one transfer between two domains took.
type sent struct {
	peer.Transfer
	m   pair.Ref
	cpu [2]float64 // seconds, of A and of B
}

// transfer sends one fresh file from A to B and measures from the answer that
// accepted it until it is verified and durable in the recipient's mailbox. The upload
// to A comes before and is not measured.
func (b *bench) transfer(ctx context.Context, p *pair.Pair, size vam.Bytes) (sent, error) {
	file, err := b.fresh(size)
	if err != nil {
		return sent{}, err
	}
	defer func() { _ = os.Remove(file.Path) }()
	alice, bob := p.A.User(pair.Sender), p.B.User(pair.Recipient)
	id, err := prepare(ctx, alice, file, pair.Recipient)
	if err != nil {
		return sent{}, err
	}
	b.settle()
	before, err := cpu(p)
	if err != nil {
		return sent{}, err
	}
	m, start, err := alice.Send(ctx, id)
	if err != nil {
		return sent{}, err
	}
	stored, err := bob.Stored(ctx, m)
	if err != nil {
		return sent{}, fmt.Errorf("%w\n%s\n%s", err, p.A.Output(), p.B.Output())
	}
	after, err := cpu(p)
	if err != nil {
		return sent{}, err
	}
	out := sent{Transfer: peer.Transfer{Seconds: stored.Sub(start).Seconds(), Bytes: size}, m: m}
	for i := range out.cpu {
		out.cpu[i] = after[i] - before[i]
	}
	if err := bob.Check(ctx, m, file.SHA256); err != nil {
		return out, err
	}
	_, err = alice.Delivered(ctx, m)
	return out, errors.Join(err, bob.Delete(ctx, m), alice.Delete(ctx, m))
}

// cpu is what both servers have used.
func cpu(p *pair.Pair) (out [2]float64, err error) {
	for i, d := range []*pair.Domain{p.A, p.B} {
		if out[i], err = d.CPU(); err != nil {
			return out, err
		}
	}
	return out, nil
}

// prepare uploads a file.
func prepare(ctx context.Context, u *pair.User, file peer.File, to ...string) (vam.MessageID, error) {
	f, err := os.Open(file.Path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	return u.Prepare(ctx, f, file.Size, to...)
}

// contestant is p's transfer as a row.
func (b *bench) contestant(name, congestion string, p *pair.Pair, size vam.Bytes) race.Contestant {
	return race.Contestant{
		Name: name, Congestion: congestion,
		Note: "two servers; from send accepted to verified and durable",
		Run: func(ctx context.Context) (race.Sample, error) {
			t, err := b.transfer(ctx, p, size)
			if err != nil {
				return race.Sample{}, err
			}
			return race.Sample{Value: t.Rate(), Extra: map[string]float64{"sender CPU s": t.cpu[0], "recipient CPU s": t.cpu[1]}}, nil
		},
	}
}
