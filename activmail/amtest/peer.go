package amtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail"
	"github.com/videoactivmail/vam/activmail/amclient"
	"github.com/videoactivmail/vam/activmail/amserver"
)

// Network is a small world of peers: a certificate authority and the request keys that
// DNS would have. It is safe for concurrent use.
type Network struct {
	Roots *x509.CertPool

	ca    *x509.Certificate
	caKey *ecdsa.PrivateKey
	mu    sync.Mutex
	keys  map[string]ed25519.PublicKey
}

// NewNetwork makes a world without peers.
func NewNetwork() (*Network, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "amtest"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	n := &Network{Roots: x509.NewCertPool(), ca: ca, caKey: key, keys: make(map[string]ed25519.PublicKey)}
	n.Roots.AddCert(ca)
	return n, nil
}

// Certificate makes a certificate for a name.
func (n *Network) Certificate(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.ca, &key.PublicKey, n.caKey)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// RequestKey makes a request key for a domain and publishes it.
func (n *Network) RequestKey(domain vam.Domain) (*activmail.RequestKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	key := &activmail.RequestKey{ID: activmail.RequestKeyName("v1", domain), Private: private}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.keys[key.ID] = public
	return key, nil
}

// Lookup is the activmail.KeyLookup of the world.
func (n *Network) Lookup(_ context.Context, keyid string) (ed25519.PublicKey, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key, ok := n.keys[keyid]
	if !ok {
		return nil, vam.Errorf(vam.Unauthenticated, "there is no key %q", keyid).WithProblem("key-not-found")
	}
	return key, nil
}

// PeerOptions change a peer; the zero value is right for most tests.
type PeerOptions struct {
	// Handler and Server are taken as they are, except for what makes the peer: backends,
	// keys, handler and certificate.
	Handler amserver.HandlerOptions
	Server  amserver.Options
	// WrapTCP, if not nil, puts something before the TCP listener, such as a slow link.
	WrapTCP func(net.Listener) net.Listener
	// Wrap, if not nil, puts something before the handler.
	Wrap func(http.Handler) http.Handler
}

// Peer is a domain on loopback: an Origin and an Inbox that a real server answers for,
// over TCP and UDP.
type Peer struct {
	Domain vam.Domain
	Origin *Origin
	Inbox  *Inbox
	Key    *activmail.RequestKey
	Server *amserver.Server
	// TCP and UDP are where it listens; both have the name ServerName.
	TCP, UDP   netip.AddrPort
	ServerName string

	serving sync.WaitGroup
}

// Start runs a peer until Close.
func (n *Network) Start(domain vam.Domain, options PeerOptions) (*Peer, error) {
	key, err := n.RequestKey(domain)
	if err != nil {
		return nil, err
	}
	p := &Peer{
		Domain: domain, Origin: NewOrigin(domain), Inbox: NewInbox(domain), Key: key,
		ServerName: "vam." + string(domain),
	}
	cert, err := n.Certificate(p.ServerName)
	if err != nil {
		return nil, err
	}
	h := options.Handler
	h.Inbound, h.Outbound, h.Keys = p.Inbox, p.Origin, n.Lookup
	s := options.Server
	s.Handler = amserver.NewHandler(h)
	if options.Wrap != nil {
		s.Handler = options.Wrap(s.Handler)
	}
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	if p.Server, err = amserver.New(s); err != nil {
		return nil, err
	}
	return p, p.listen(options.WrapTCP)
}

func (p *Peer) listen(wrap func(net.Listener) net.Listener) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	p.TCP = ln.Addr().(*net.TCPAddr).AddrPort()
	p.UDP = socket.LocalAddr().(*net.UDPAddr).AddrPort()
	if wrap != nil {
		ln = wrap(ln)
	}
	p.serving.Go(func() { _ = p.Server.ServeTCP(ln) })
	p.serving.Go(func() { _ = p.Server.ServeUDP(socket) })
	return nil
}

// Endpoints are the ways to the peer, TCP first.
func (p *Peer) Endpoints() []amclient.Endpoint {
	return []amclient.Endpoint{
		{Network: amclient.TCP, Addrs: []netip.AddrPort{p.TCP}, ServerName: p.ServerName},
		{Network: amclient.UDP, Addrs: []netip.AddrPort{p.UDP}, ServerName: p.ServerName},
	}
}

// Close ends the server at once.
func (p *Peer) Close() error {
	err := p.Server.Close()
	p.serving.Wait()
	return err
}

// NewDialer makes a Dialer that trusts the world's certificates and may dial loopback.
func (n *Network) NewDialer() *amclient.Dialer {
	return amclient.NewDialer(amclient.DialerOptions{
		Roots: n.Roots,
		Allow: amclient.AllowNetworks(netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")),
	})
}
