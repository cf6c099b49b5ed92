package main

import (
	"context"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/pair"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/race"
)

// measureTransfer sends one large file over loopback.
func measureTransfer(ctx context.Context, b *bench) error {
	size := b.size(vam.GiB, 256*vam.MiB)
	b.expect(size)
	file, err := b.file(size)
	if err != nil {
		return err
	}
	tcp, err := b.start(ctx, pair.Options{Transport: "tcp"})
	if err != nil {
		return err
	}
	defer func() { _ = tcp.Close() }()
	udp, err := b.start(ctx, pair.Options{Transport: "udp"})
	if err != nil {
		return err
	}
	defer func() { _ = udp.Close() }()

	track := peer.Loopback(b.congestion)
	r := race.Race{
		Name: "transfer", Title: "One file of " + size.String() + " between two domains",
		Setting: "Loopback, everything on one machine; what is sent lies in the page cache, the receiver writes it to disk.",
		Unit:    "MB/s", Base: bareTLSDisk,
		Contestants: []race.Contestant{
			b.contestant(vamTCP, b.congestion, tcp, size),
			{
				Name: bareTLSDisk, Congestion: b.congestion, Note: "one connection; SHA-256 and fsync at the receiver",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.TLSCopy(ctx, track, file, b.scratch, true))
				},
			},
			{
				Name: bareTLS, Congestion: b.congestion, Note: "one connection; neither hashed nor synced",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.TLSCopy(ctx, track, file, b.scratch, false))
				},
			},
			b.contestant(vamUDP, quicCongestion, udp, size),
			{
				Name: bareQUIC, Congestion: quicCongestion, Note: "one HTTP/3 connection; SHA-256 and fsync at the receiver",
				Run: func(ctx context.Context) (race.Sample, error) {
					return bare(peer.QUICGet(ctx, track, file, b.scratch, true))
				},
			},
			b.nginx(track, file),
			b.tusd(track, file, rate),
			b.postfix(track, file, rate),
		},
		Goals: []race.Goal{
			{Name: vamTCP, Of: bareTLSDisk, Ratio: 0.8},
			{Name: vamTCP, Of: bareTLS, Ratio: 0.7},
			{Name: vamUDP, Of: bareQUIC, Ratio: 0.9},
			{Name: vamTCP, Of: attachment, Ratio: 4},
		},
	}
	return b.race(ctx, r, b.runs)
}

// nginx serves a file to one curl.
func (b *bench) nginx(track *peer.Track, file peer.File) race.Contestant {
	return race.Contestant{
		Name: nginxCurl, Congestion: track.Congestion, Note: "HTTPS GET to disk; neither hashed nor synced",
		Run: func(ctx context.Context) (race.Sample, error) {
			n, err := peer.StartNginx(ctx, track, file, b.scratch)
			if err != nil {
				return race.Sample{}, err
			}
			defer n.Stop()
			b.settle()
			return rate(n.Curl(ctx, b.scratch))
		},
	}
}

// value is what counts of a transfer.
type value func(peer.Transfer, error) (race.Sample, error)

// tusd takes an upload.
func (b *bench) tusd(track *peer.Track, file peer.File, of value) race.Contestant {
	return race.Contestant{
		Name: tusdUpload, Congestion: track.Congestion, Note: "one POST and one PATCH; neither hashed nor synced",
		Run: func(ctx context.Context) (race.Sample, error) {
			u, err := peer.StartTusd(ctx, track, b.root+"/bench/tusd", b.scratch)
			if err != nil {
				return race.Sample{}, err
			}
			defer u.Stop()
			b.settle()
			return of(u.Upload(ctx, file))
		},
	}
}

// postfix takes a mail into a mailbox.
func (b *bench) postfix(track *peer.Track, file peer.File, of value) race.Contestant {
	return race.Contestant{
		Name: attachment, Congestion: track.Congestion, Note: "plain SMTP into a maildir; durable, not hashed, no TLS", Rounds: 2,
		Run: func(ctx context.Context) (race.Sample, error) {
			p, err := peer.StartPostfix(ctx, track, b.scratch)
			if err != nil {
				return race.Sample{}, err
			}
			defer p.Stop()
			b.settle()
			return of(p.Attach(ctx, file))
		},
	}
}
