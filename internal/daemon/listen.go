package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amserver"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/nativein"
	"github.com/videoactivmail/vam/internal/portowner"
	"github.com/videoactivmail/vam/internal/stranger"
	"github.com/videoactivmail/vam/internal/userapi"
	"github.com/videoactivmail/vam/internal/web"
)

// strangerLogEvery bounds how often strangers of one kind make a line in the log.
const strangerLogEvery = time.Minute

// listen makes the server and binds its sockets.
func (d *Daemon) listen(ctx context.Context) error {
	c := d.o.Config
	reset, err := resetKey(c.DataDir)
	if err != nil {
		return vam.Wrap(vam.Unavailable, err, "the data folder %s cannot be written", c.DataDir)
	}
	clients := c.Limits.Clients
	d.server, err = amserver.New(amserver.Options{
		Handler: d.handler(), TLS: &tls.Config{GetCertificate: d.certs.GetCertificate}, Congestion: congestion(c.Transport.Congestion),
		WrapListener: func(ln net.Listener) net.Listener { return stranger.Wrap(ln, stranger.Options{}) },
		NonQUIC:      func(p []byte, from netip.AddrPort) { d.sighted(stranger.Datagram(p, from)) },
		Refused:      d.refused, ResetKey: reset, Log: d.log, Now: d.o.Now,
		Limits: amserver.ConnLimits{
			Connections: clients.Connections, PerAddress: clients.PerAddress, NewPerSecond: clients.NewPerSecond, Idle: clients.Idle.Duration,
		},
	})
	if err != nil {
		return err
	}
	d.onClose(d.server.Close)
	lc := amserver.ListenConfig(congestion(c.Transport.Congestion))
	for _, addr := range config.AddrPorts(c.Listen.TCP) {
		ln, err := anyFamily(addr, func(a string) (net.Listener, error) { return lc.Listen(ctx, "tcp", a) })
		if err != nil {
			return bindError(ctx, portowner.TCP, addr, err)
		}
		d.onClose(func() error { return ignoreClosed(ln.Close()) })
		d.tcp = append(d.tcp, ln)
	}
	for _, addr := range config.AddrPorts(c.Listen.UDP) {
		conn, err := anyFamily(addr, func(a string) (net.PacketConn, error) { return new(net.ListenConfig).ListenPacket(ctx, "udp", a) })
		if err != nil {
			return bindError(ctx, portowner.UDP, addr, err)
		}
		d.onClose(func() error { return ignoreClosed(conn.Close()) })
		d.udp = append(d.udp, conn)
	}
	if err := d.listenBrowsers(ctx); err != nil {
		return err
	}
	return d.listenOperator(ctx)
}

func (d *Daemon) listenOperator(ctx context.Context) error {
	c := d.o.Config
	if c.Metrics.Listen == "" {
		return nil
	}
	addr := config.AddrPorts([]string{c.Metrics.Listen})[0]
	ln, err := anyFamily(addr, func(a string) (net.Listener, error) { return new(net.ListenConfig).Listen(ctx, "tcp", a) })
	if err != nil {
		return bindError(ctx, portowner.TCP, addr, err)
	}
	d.onClose(func() error { return ignoreClosed(ln.Close()) })
	d.operator = ln
	return nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// anyFamily binds [::] as IPv4 alone where the machine has no IPv6.
func anyFamily[T any](addr netip.AddrPort, bind func(string) (T, error)) (T, error) {
	s, err := bind(addr.String())
	if err != nil && addr.Addr() == netip.IPv6Unspecified() && !errors.Is(err, syscall.EADDRINUSE) {
		if v4, err4 := bind(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()).String()); err4 == nil {
			return v4, nil
		}
	}
	return s, err
}

// bindError says which process has the port.
func bindError(ctx context.Context, network portowner.Network, addr netip.AddrPort, cause error) error {
	what := fmt.Sprintf("%s/%s", addr, network)
	switch {
	case errors.Is(cause, syscall.EADDRINUSE):
		return vam.Wrap(vam.Unavailable, cause, "port %s is taken by %s; stop that one, or choose another address in the configuration", what, holder(ctx, network, addr))
	case errors.Is(cause, syscall.EACCES):
		return vam.Wrap(vam.Denied, cause, "this user may not listen on %s; ports below 1024 need root or CAP_NET_BIND_SERVICE", what)
	case errors.Is(cause, syscall.EADDRNOTAVAIL):
		return vam.Wrap(vam.Unavailable, cause, "this machine has not the address of %s", what)
	}
	return vam.Wrap(vam.Unavailable, cause, "cannot listen on %s", what)
}

// holder names the process that has the address itself, or every address.
func holder(ctx context.Context, network portowner.Network, addr netip.AddrPort) string {
	sockets, err := portowner.System().Find(ctx, network, addr.Port())
	if err != nil {
		return fmt.Sprintf("another process (%s shows it)", portowner.Command(addr.Port()))
	}
	for _, s := range sockets {
		same := s.Local.Addr().Unmap() == addr.Addr().Unmap() || s.Local.Addr().IsUnspecified() || addr.Addr().IsUnspecified()
		if same && len(s.Processes) > 0 {
			return s.Processes[0].String()
		}
	}
	return fmt.Sprintf("a process that this user may not see (as root, %s shows it)", portowner.Command(addr.Port()))
}

// handler answers peers, the server's own users, told apart by the form of their token,
// and browsers, by the path.
func (d *Daemon) handler() http.Handler {
	peers := amserver.NewHandler(amserver.HandlerOptions{
		Inbound:  meteredInbound{nativein.Inbound{Reception: d.reception, Hosts: d.accounts.Hosts, Pokes: d.gate.poke}, d.metrics, d.heard},
		Outbound: meteredOutbound{nativein.Outbound{Messages: d.messages, Delivery: d.delivery, Places: new(nativein.Places), Stopping: d.winding, Receipts: d.gate.receipt}, d.metrics.MediaBytes.WithLabelValues("out"), d.heard},
		Keys:     d.requests.Lookup, Authority: d.authority(), Limits: d.limits, Failed: d.failed, Now: d.o.Now,
	})
	users := userapi.New(userapi.Options{
		Accounts: d.accounts, Messages: d.messages, Submission: d.submission, Delivery: d.delivery, Reception: d.reception,
		Mailbox: d.db.Mailboxes(), Links: d.grants, LinkURL: d.linkURL, Stopping: d.winding, Now: d.o.Now, Log: d.log,
	})
	toPeers, toUsers := countRequests(peers, d.metrics.Requests, "peer"), countRequests(users, d.metrics.Requests, "user")
	toBrowsers := countRequests(d.web, d.metrics.Requests, "watch")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if userapi.Takes(r) {
			toUsers.ServeHTTP(w, r)
			return
		}
		if web.Takes(r) {
			toBrowsers.ServeHTTP(w, r)
			return
		}
		if remote, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), remoteKey{}, remote.Addr()))
		}
		toPeers.ServeHTTP(w, r)
	})
}

// authority reports whether a host name is one of this server's own.
func (d *Daemon) authority() func(string) bool {
	own := map[string]bool{strings.ToLower(d.o.Config.Hostname): true}
	for _, domain := range d.o.Config.Domains {
		own[domain.Name.String()] = true
		own[strings.ToLower(domain.Hostname)] = true
	}
	return func(host string) bool { return own[host] }
}

// heard is called when a request of a domain was verified: if this server had given up
// on reaching it for a while, its jobs are due now.
func (d *Daemon) heard(ctx context.Context, from vam.Domain) {
	ctx = context.WithoutCancel(ctx) // it is back, whether it waits for this answer or not
	dest, err := d.db.Queue().Destination(ctx, from)
	if err == nil && dest.Failures == 0 {
		return
	}
	if err == nil {
		err = d.db.Queue().Reached(ctx, from, d.o.Now())
	}
	if err != nil {
		d.log.Warn("a domain is back, and its waiting jobs were not moved", "domain", from, "err", err)
		return
	}
	d.wake()
}

// failed logs what peers were refused.
func (d *Daemon) failed(ctx context.Context, f amserver.Failure) {
	level := slog.LevelDebug
	switch vam.KindOf(f.Err) {
	case vam.Internal:
		if f.Status != 0 { // without one the answer had begun, and whoever read it went away
			level = slog.LevelError
		}
	case vam.Corrupt:
		switch f.Operation {
		case "put-offer", "poke", "receipt": // what a peer sent does not fit; what is here does
		default:
			level = slog.LevelError
		}
	}
	d.log.Log(ctx, level, "request failed", "operation", f.Operation, "remote", f.Remote, "status", f.Status, "err", f.Err)
}

// refused counts a connection that ended before its first request.
func (d *Daemon) refused(r amserver.Refusal) {
	if s, ok := stranger.Handshake(r.Network, r.Remote, r.Err, r.Versions, r.ALPN); ok {
		d.sighted(s)
		return
	}
	if r.Err != nil {
		return // no limit was met: this server stops
	}
	d.metrics.Limited.WithLabelValues("limits.clients").Inc()
	d.throttle.Log(context.Background(), slog.LevelInfo, "refused "+r.Network, "connection refused", slog.String("reason", r.Reason), slog.Any("remote", r.Remote))
}

func (d *Daemon) sighted(s stranger.Sighting) {
	d.metrics.Strangers.WithLabelValues(string(s.Kind)).Inc()
	d.throttle.Log(context.Background(), slog.LevelInfo, "stranger "+string(s.Kind), "stranger on the port", slog.String("looks", s.String()))
}
