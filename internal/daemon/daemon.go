// Package daemon composes a running server: it is the one place where services meet
// the adapters that they are run with, and where the configuration is known.
package daemon

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/account"
	"github.com/videoactivmail/vam/internal/blob"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/delivery"
	"github.com/videoactivmail/vam/internal/discovery"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/message"
	"github.com/videoactivmail/vam/internal/nativeout"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/queue"
	"github.com/videoactivmail/vam/internal/reception"
	"github.com/videoactivmail/vam/internal/retention"
	"github.com/videoactivmail/vam/internal/sandbox"
	"github.com/videoactivmail/vam/internal/sqlite"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/telemetry"
	"github.com/videoactivmail/vam/internal/web"
)

// Options of Open. Config is complete, as config.Load returns it; the zero value of
// each other field has the default named.
type Options struct {
	Config config.Config
	// Version and Revision name the program in its metrics.
	Version, Revision string
	// Roots are the authorities that are trusted; nil is the system's.
	Roots *x509.CertPool
	Log   *slog.Logger     // discards
	Now   func() time.Time // time.Now
	// Sandbox is the proof that main began with sandbox.Main; without it nothing foreign is
	// run, and so nothing is made of recordings.
	Sandbox sandbox.Launcher
	// CertificatesEvery is how often the certificate files are looked at; the default of
	// package certs.
	CertificatesEvery time.Duration
}

// Daemon is one server with its data folder, listeners and queue. Nothing in it is
// global: two of them run in one process.
type Daemon struct {
	o       Options
	log     *slog.Logger
	limits  activmail.Limits
	keys    map[vam.Domain]keyring.Keys
	closers []func() error // in order of opening
	failure chan error     // of a store that needs a restart
	winding context.Context
	wind    context.CancelFunc // ends what only waits, when a stop begins

	db        *sqlite.DB
	blobs     blob.Store
	certs     *certs.Store
	finder    *discovery.Finder
	requests  *discovery.Keys
	texts     *discovery.Texts
	dialer    *amclient.Dialer
	peers     *nativeout.Peers
	gate      *gate
	metrics   *telemetry.Metrics
	health    *telemetry.Health
	throttle  *telemetry.Throttle
	pullsOpen atomic.Int64

	messages   *message.Service
	accounts   *account.Service
	submission *submission.Service
	delivery   *delivery.Service
	reception  *reception.Service
	retention  *retention.Service
	jobs       *queue.Runner
	pulls      *queue.Runner
	grants     *grant.Service
	playback   *playback.Service
	web        *web.Handler

	server   *amserver.Server
	tcp      []net.Listener
	udp      []net.PacketConn
	operator net.Listener // nil when metrics are switched off
	pages    *http.Server // of the listeners for browsers
	browsers []net.Listener
}

// Open claims the data folder, recovers what a crash left behind, and binds the
// listeners, so that whatever is wrong is known before anything is served. Close it,
// or Run it, which closes it.
//
// Errors: Conflict for a data folder in use, NotFound for missing keys or
// certificates, Unavailable for a port that is taken, with its holder.
func Open(ctx context.Context, o Options) (_ *Daemon, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Daemon{o: o, log: o.Log, limits: activmail.DefaultLimits(), keys: map[vam.Domain]keyring.Keys{}, failure: make(chan error, 2)}
	d.limits.Message = o.Config.Limits.Message
	d.winding, d.wind = context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()
	for _, step := range []func(context.Context) error{d.openStores, d.openIdentity, d.compose, d.composeWatch, d.recover, d.listen} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// onClose registers what Close undoes, last one first.
func (d *Daemon) onClose(f func() error) { d.closers = append(d.closers, f) }

// Close releases everything at once; what is under way is cut off and goes on after
// the next start. Closing twice is no error.
func (d *Daemon) Close() error {
	d.wind()
	var errs []error
	for len(d.closers) > 0 {
		last := len(d.closers) - 1
		f := d.closers[last]
		d.closers = d.closers[:last]
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// storeFailed is told once by each store that lost written data.
func (d *Daemon) storeFailed(cause error) {
	d.log.Error("the disk lost written data; stopping, so that nothing is promised that is not kept", "err", cause)
	d.failure <- vam.Wrap(vam.Unavailable, cause, "the disk lost written data; look at the disk, then start again: nothing that was accepted depends on it")
}

// owner names this process in leases of the queue.
func owner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "/" + strconv.Itoa(os.Getpid()) + "/" + blob.NewID().String()[:8]
}

// wake tells the queue's runners, and those who work on media, that there is work.
func (d *Daemon) wake() {
	d.jobs.Wake()
	d.pulls.Wake()
	d.playback.Wake()
}

// Accounts are the people of the server.
func (d *Daemon) Accounts() *account.Service { return d.accounts }

// Messages are the logs and media that the server holds.
func (d *Daemon) Messages() *message.Service { return d.messages }

// Playback is what is made of media, and what plays.
func (d *Daemon) Playback() *playback.Service { return d.playback }

// MediaOver is how many octets of media were pulled over a network.
func (d *Daemon) MediaOver(n amclient.Network) int64 { return d.peers.Media(n) }

// Wire is how many octets of HTTP this server's connections to its peers carried, in
// both directions, headers included, before TLS or QUIC framing.
func (d *Daemon) Wire() int64 {
	sent, received := d.peers.Stats()
	return sent + received
}
