package daemon

import (
	"context"
	"errors"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/telemetry"
)

// Run serves until ctx ends, then stops in order and closes everything: it takes
// nothing new, answers those who wait, lets requests and transfers end for the time of
// delivery.drain_within, and cuts the rest, which goes on after the next start. ready,
// if not nil, is called when the server answers. The error is that of a listener or a
// store that failed; a stop is none.
func (d *Daemon) Run(ctx context.Context, ready func()) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var serving errgroup.Group
	for _, ln := range d.tcp {
		serving.Go(func() error { defer stop(); return ignoreEnd(d.server.ServeTCP(ln)) })
	}
	for _, conn := range d.udp {
		serving.Go(func() error { defer stop(); return ignoreEnd(d.server.ServeUDP(conn)) })
	}
	for _, ln := range d.browsers {
		serving.Go(func() error { defer stop(); return d.serveBrowsers(ln) })
	}
	var work errgroup.Group
	// A server that goes on without one of them would take mail and not deliver it.
	for _, run := range []func(context.Context) error{d.jobs.Run, d.pulls.Run, d.retention.Run, d.playback.Run, d.watchCertificates} {
		work.Go(func() error { defer stop(); return run(ctx) })
	}
	operator := d.serveOperator()
	d.log.Info("serving", "domains", d.domains(), "tcp", d.o.Config.Listen.TCP, "udp", d.o.Config.Listen.UDP, "data", d.o.Config.DataDir)
	if ready != nil {
		ready()
	}

	var failure error
	select {
	case <-ctx.Done():
	case failure = <-d.failure:
	}
	d.log.Info("stopping", "within", d.o.Config.Delivery.DrainWithin)
	d.health.Drain()
	d.wind()
	stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.Config.Delivery.DrainWithin.Duration)
	defer cancel()
	var ending errgroup.Group
	for _, shutdown := range []func(context.Context) error{d.server.Shutdown, d.pages.Shutdown} {
		ending.Go(func() error { return shutdown(drain) })
	}
	if err := ending.Wait(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		d.log.Warn("connections did not end in order", "err", err)
	}
	failure = errors.Join(failure, serving.Wait(), work.Wait())
	if operator != nil {
		if err := operator.Stop(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			d.log.Warn("the metrics listener did not end in order", "err", err)
		}
	}
	failure = errors.Join(failure, d.Close())
	d.log.Info("stopped")
	return failure
}

func ignoreEnd(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// serveOperator starts the listener for metrics and health; nil when it is off.
func (d *Daemon) serveOperator() *telemetry.Server {
	d.health.Add("database", func(ctx context.Context) error {
		_, err := d.db.Queue().NextDue(ctx, nil, d.o.Now())
		return err
	})
	d.health.Add("disk", telemetry.DiskCheck(func() (vam.Bytes, error) { return d.blobs.Free(context.Background()) }, 1))
	d.health.Add("certificates", d.checkCertificates)
	d.metrics.Watch(d.gauges())
	if d.operator == nil {
		return nil
	}
	return telemetry.Serve(d.operator, telemetry.Handler(d.metrics.Gatherer(), d.health), d.log)
}

func (d *Daemon) checkCertificates(context.Context) error {
	var errs []error
	for _, s := range d.certs.Status() {
		if !s.NotAfter.IsZero() && s.NotAfter.Before(d.o.Now()) {
			errs = append(errs, s.Problem(d.o.Now()))
		}
	}
	return errors.Join(errs...)
}

func (d *Daemon) watchCertificates(ctx context.Context) error {
	d.certs.Watch(ctx, d.o.CertificatesEvery, d.certificate)
	return nil
}

// certificate reports a pair of files that changed.
func (d *Daemon) certificate(s certs.Status) {
	if s.Err != nil {
		d.log.Error("new certificate files cannot be used; the old certificate stays", "cert", s.Pair.Cert, "err", s.Err)
		return
	}
	d.log.Info("certificate loaded", "cert", s.Pair.Cert, "names", s.Names, "until", s.NotAfter)
}

// gaugeTimeout bounds what a scrape may cost.
const gaugeTimeout = 2 * time.Second

func (d *Daemon) gauges() telemetry.Gauges {
	depth := func() (jobs int64, oldest time.Time) {
		ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
		defer cancel()
		jobs, oldest, err := d.db.Queue().Depth(ctx, "offer")
		if err != nil {
			d.log.Warn("the queue cannot be counted", "err", err)
		}
		return jobs, oldest
	}
	working := func() (jobs int64, oldest time.Time) {
		ctx, cancel := context.WithTimeout(context.Background(), gaugeTimeout)
		defer cancel()
		for _, class := range []media.Class{media.Quick, media.Long} {
			n, since, err := d.playback.Depth(ctx, class)
			if err != nil {
				d.log.Warn("the work on recordings cannot be counted", "err", err)
			}
			if jobs += n; !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
				oldest = since
			}
		}
		return jobs, oldest
	}
	age := func(since time.Time) float64 {
		if since.IsZero() {
			return 0
		}
		return d.o.Now().Sub(since).Seconds()
	}
	return telemetry.Gauges{
		MediaJobs:   func() float64 { jobs, _ := working(); return float64(jobs) },
		MediaOldest: func() float64 { _, oldest := working(); return age(oldest) },
		QueueJobs:   func() float64 { jobs, _ := depth(); return float64(jobs) },
		QueueOldest: func() float64 { _, oldest := depth(); return age(oldest) },
		PullsOpen:   func() float64 { return float64(d.pullsOpen.Load()) },
		StoreFree: func() float64 {
			free, err := d.blobs.Free(context.Background())
			if err != nil {
				return 0
			}
			return float64(free)
		},
		Connections: func() float64 { return float64(d.server.Stats().Connections) },
		WireSent: func() float64 {
			sent, _ := d.peers.Stats()
			return float64(sent + d.server.Stats().Sent)
		},
		WireReceived: func() float64 {
			_, received := d.peers.Stats()
			return float64(received + d.server.Stats().Received)
		},
		CertificateEnd: func() float64 {
			end := time.Duration(0)
			for i, s := range d.certs.Status() {
				if left := s.NotAfter.Sub(d.o.Now()); i == 0 || left < end {
					end = left
				}
			}
			return end.Seconds()
		},
	}
}
