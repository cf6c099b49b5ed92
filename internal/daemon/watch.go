package daemon

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/ffmpeg"
	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/keyring"
	"github.com/videoactivmail/vam/internal/localblob"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/playback"
	"github.com/videoactivmail/vam/internal/portowner"
	"github.com/videoactivmail/vam/internal/sandbox"
	"github.com/videoactivmail/vam/internal/web"
)

// scratchFolder is where jobs put what lasts as long as they do, in the data folder: on
// the disk that has room for media.
const scratchFolder = "scratch"

// composeWatch makes what lets people without an account watch a message, and what is
// made of media so that they can.
func (d *Daemon) composeWatch(ctx context.Context) error {
	c := d.o.Config
	key, err := secret(c.DataDir, "links", 32)
	if err != nil {
		return err
	}
	d.grants, err = grant.New(d.db.Grants(), grant.Options{
		Key: key, Messages: d.messages, Entries: d.db.Mailboxes(), For: c.Web.LinkFor.Duration, Now: d.o.Now,
	})
	if err != nil {
		return err
	}
	o := playback.Options{
		Messages: d.messages, Blobs: d.blobs, Owner: owner(), Quick: c.Media.Quick, Long: c.Media.Long, Now: d.o.Now, Log: d.log,
	}
	o.Maker, o.Missing, err = d.maker(ctx)
	if err != nil {
		return err
	}
	scratch, err := localblob.OpenScratch(filepath.Join(c.DataDir, scratchFolder))
	if err != nil {
		return vam.Wrap(vam.KindOf(err), err, "the data folder %s cannot be used", c.DataDir)
	}
	d.onClose(scratch.Close)
	o.Scratch = scratch
	d.playback = playback.New(d.db.Playback(), o)
	base, err := url.Parse(c.Web.URL)
	if err != nil {
		return vam.Wrap(vam.Invalid, err, "web.url is no URL")
	}
	d.web, err = web.New(web.Options{
		Grants: d.grants, Playback: d.playback, Messages: d.messages, Entries: d.db.Mailboxes(), Host: base.Hostname(), URL: c.Web.URL,
		Stopping: d.winding, Now: d.o.Now, Log: d.log,
	})
	return err
}

// maker is ffmpeg in its sandbox. Without one the reason is given, and said in the log: the
// server runs, and originals play.
func (d *Daemon) maker(ctx context.Context) (playback.Maker, media.Reason, error) {
	tool, err := OpenMaker(ctx, d.o.Config.Media, d.o.Sandbox)
	if err == nil {
		d.log.Info("recordings are worked on", "ffmpeg", tool.Version(), "confined", tool.Box().Confined())
		return maker{tool, d.metrics.MediaWork}, "", nil
	}
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	reason := media.ReasonOf(err)
	if reason == "" {
		reason = media.NoFFmpeg
	}
	d.log.Warn("nothing is made of recordings; originals play as they are", "reason", reason, "err", err)
	return nil, reason, nil
}

// maker lets ffmpeg work for package playback, which does not know it, and counts what
// it does.
type maker struct {
	*ffmpeg.Tool
	count *prometheus.CounterVec
}

// Probe implements playback.Maker.
func (m maker) Probe(ctx context.Context, path string) (media.Info, error) {
	info, err := m.Tool.Probe(ctx, path)
	m.counted(ctx, media.Probe, err)
	return info, err
}

func (m maker) counted(ctx context.Context, k media.WorkKind, err error) {
	result := "done"
	switch {
	case err != nil && ctx.Err() != nil:
		return // it is done another time
	case err != nil && vam.KindOf(err).Temporary():
		result = "failed"
	case err != nil:
		result = "refused"
	}
	m.count.WithLabelValues(string(k), result).Inc()
}

// Make implements playback.Maker.
func (m maker) Make(ctx context.Context, w media.Work, info media.Info, path, dir string, progress func(float64)) ([]playback.File, error) {
	files, err := m.Tool.Make(ctx, w, info, path, dir, progress)
	m.counted(ctx, w.Kind, err)
	out := make([]playback.File, len(files))
	for i, f := range files {
		out[i] = playback.File{Name: f.Name, Type: f.Type, Width: f.Width, Height: f.Height}
	}
	return out, err
}

// OpenMaker opens ffmpeg in a sandbox as the configuration says. The error has the
// media.Reason for which nothing can be made.
func OpenMaker(ctx context.Context, c config.Media, l sandbox.Launcher) (*ffmpeg.Tool, error) {
	o := ffmpeg.Options{FFmpeg: c.FFmpeg, FFprobe: c.FFprobe}
	if err := o.Find(); err != nil { // which costs no process
		return nil, err
	}
	box, err := sandbox.New(ctx, sandbox.Options{Launcher: l, AllowUnconfined: c.Unconfined})
	if err != nil {
		return nil, media.Refuse(media.NoSandbox, err)
	}
	o.Box = box
	return ffmpeg.Open(ctx, o)
}

// linkURL is the link that has a token.
func (d *Daemon) linkURL(token string) string { return d.o.Config.Web.URL + web.Path(token) }

// secret is random octets that are kept in the key folder; they are made when they are
// not there. Whoever loses them loses what was made with them, and nothing else.
func secret(dataDir, name string, size int) ([]byte, error) {
	path := filepath.Join(dataDir, keyring.Folder, name)
	key, err := os.ReadFile(path)
	if err == nil && len(key) == size {
		return key, nil
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, vam.Wrap(fileKind(err), err, "the key %s cannot be read", path)
	}
	key = make([]byte, size)
	_, _ = rand.Read(key)
	if err := writeDurably(path, key); err != nil {
		return nil, vam.Wrap(fileKind(err), err, "the key %s cannot be written", path)
	}
	return key, nil
}

func writeDurably(path string, data []byte) error {
	f, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Bounds of a browser's connection. What is written has no bound of its own: the pages
// see to it that who reads slowly is let go when nothing moves.
const (
	browserHeader  = 10 * time.Second
	browserRequest = 30 * time.Second // with its body, which is small
	browserOctets  = 16 << 10         // of a request's header
)

// listenBrowsers binds the listeners for browsers.
func (d *Daemon) listenBrowsers(ctx context.Context) error {
	clients := d.o.Config.Limits.Clients
	limit := newConnLimit(clients.Connections, clients.PerAddress)
	lc := amserver.ListenConfig(congestion(d.o.Config.Transport.Congestion)) // who watches is far away, too
	for _, addr := range config.AddrPorts(d.o.Config.Web.Listen) {
		ln, err := anyFamily(addr, func(a string) (net.Listener, error) { return lc.Listen(ctx, "tcp", a) })
		if err != nil {
			return bindError(ctx, portowner.TCP, addr, err)
		}
		d.onClose(func() error { return ignoreClosed(ln.Close()) })
		d.browsers = append(d.browsers, d.limitBrowsers(ln, limit))
	}
	d.pages = &http.Server{
		Handler:           countRequests(d.web, d.metrics.Requests, "watch"),
		TLSConfig:         &tls.Config{GetCertificate: d.certs.GetCertificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}},
		ReadHeaderTimeout: browserHeader, ReadTimeout: browserRequest, IdleTimeout: clients.Idle.Duration, MaxHeaderBytes: browserOctets,
		ConnContext: web.ConnContext, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
	}
	d.onClose(d.pages.Close)
	return nil
}

// serveBrowsers answers browsers on one listener until the server stops.
func (d *Daemon) serveBrowsers(ln net.Listener) error {
	return ignoreEnd(d.pages.Serve(newShakenListener(ln, d.pages.TLSConfig, browserHeader)))
}
