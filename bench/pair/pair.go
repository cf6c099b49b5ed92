package pair

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/config"
	"github.com/videoactivmail/vam/internal/dnszone"
)

// Pair is two running domains: A, where messages are sent from, and B.
type Pair struct {
	A, B *Domain

	dir string
	dns []*dnszone.Server
}

// Start makes both domains and starts them. Close it.
func Start(ctx context.Context, o Options) (_ *Pair, err error) {
	dir, err := os.MkdirTemp(o.Scratch, "pair-*")
	if err != nil {
		return nil, err
	}
	p := &Pair{dir: dir}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Close())
		}
	}()
	a, b, err := newPlaces(o.Path)
	if err != nil {
		return nil, err
	}
	p.A, p.B = p.domain(domainA, a, o), p.domain(domainB, b, o)
	ca, err := certs.NewCA(filepath.Join(dir, "ca"), nil)
	if err != nil {
		return nil, err
	}
	if err := p.A.init(ctx, ca, Sender); err != nil {
		return nil, err
	}
	if err := p.B.init(ctx, ca, Recipient, Second); err != nil {
		return nil, err
	}
	var g errgroup.Group
	for _, d := range []*Domain{p.A, p.B} {
		resolver, err := p.resolver(d.place)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(d.dir, config.FileName), []byte(d.settings(o, resolver)), 0o600); err != nil {
			return nil, err
		}
		g.Go(func() error { return d.Start(ctx) })
	}
	return p, g.Wait()
}

func (p *Pair) domain(name vam.Domain, pl *place, o Options) *Domain {
	return &Domain{
		Name: name, TCP: pl.links.tcp, UDP: pl.links.udp, place: pl, host: "vam." + string(name), dir: filepath.Join(p.dir, string(name)), program: o.Program,
		environ: append([]string{"SSL_CERT_FILE=" + filepath.Join(p.dir, "ca", certs.CAFile)}, o.Environ...),
	}
}

// resolver starts a DNS server that both domains are in, at a place.
func (p *Pair) resolver(pl *place) (netip.AddrPort, error) {
	var s *dnszone.Server
	err := pl.do(func() (err error) {
		s, err = dnszone.Listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0))
		return err
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	p.dns = append(p.dns, s)
	return s.Addr(), errors.Join(p.A.publish(s), p.B.publish(s))
}

// Close ends everything.
func (p *Pair) Close() error {
	var errs []error
	for _, d := range []*Domain{p.B, p.A} {
		if d != nil {
			errs = append(errs, d.Stop())
		}
	}
	for _, s := range p.dns {
		errs = append(errs, s.Close())
	}
	for _, d := range []*Domain{p.B, p.A} {
		if d != nil {
			errs = append(errs, d.place.close())
		}
	}
	return errors.Join(append(errs, os.RemoveAll(p.dir))...)
}
