package amclient

import (
	"crypto/tls"
	"net/netip"
	"strconv"
	"strings"

	"github.com/videoactivmail/vam"
)

// Network is what carries HTTP.
type Network string

// The networks of VAM/1 (AM-11.1).
const (
	TCP Network = "tcp" // HTTP/2 over TLS 1.3
	UDP Network = "udp" // HTTP/3 over QUIC
)

// Endpoint is one authenticated way to a peer, as discovery found it.
type Endpoint struct {
	Network Network
	// Addrs are dialled in order, each with a head start on the next (RFC 8305). All
	// have the port of the SRV record.
	Addrs []netip.AddrPort
	// ServerName is the name in SNI and in :authority: the target name, or the domain
	// itself under identity rule 4 (AM-2.6).
	ServerName string
	// Verify judges the certificate by the identity rule that applies. It runs on every
	// handshake, resumed ones included, in place of the ordinary check. nil is the
	// ordinary check of ServerName against the Roots of the Dialer.
	Verify func(tls.ConnectionState) error
}

// authority is the :authority of requests to e (AM-2.23).
func (e Endpoint) authority() string {
	port := e.Addrs[0].Port()
	if port == 443 {
		return e.ServerName
	}
	return e.ServerName + ":" + strconv.Itoa(int(port))
}

func (e Endpoint) validate() error {
	switch {
	case e.Network != TCP && e.Network != UDP:
		return vam.Errorf(vam.Invalid, "an endpoint has the network %q: tcp or udp is wanted", e.Network)
	case len(e.Addrs) == 0:
		return vam.Errorf(vam.Invalid, "the endpoint %q has no address", e.ServerName)
	case e.ServerName == "" || strings.ContainsAny(e.ServerName, "/:@ \r\n"):
		return vam.Errorf(vam.Invalid, "%q is not a server name", e.ServerName)
	}
	return nil
}
