package stranger

import "slices"

// A Kind is what a stranger looked like. The set is small and fixed, so that it can be
// the label of a metric and the key of a limit of log lines. "" is no stranger.
type Kind string

// Kinds of TCP connections, by their first octets.
const (
	HTTP          Kind = "http"           // HTTP/1.1 or later in clear text
	HTTP10        Kind = "http1.0"        // HTTP/1.0 or older, which is mostly scanners
	HTTP2Clear    Kind = "http2-clear"    // HTTP/2 with prior knowledge and without TLS
	SSH           Kind = "ssh"            // RFC 4253 section 4.2
	SMTP          Kind = "smtp"           // RFC 5321, a client that does not wait for a greeting
	RDP           Kind = "rdp"            // X.224 connection request in a TPKT (RFC 1006)
	SMB           Kind = "smb"            // Windows file sharing, over TCP without NetBIOS
	SOCKS         Kind = "socks"          // SOCKS 4 or 5 (RFC 1928): somebody looks for an open proxy
	RTSP          Kind = "rtsp"           // RFC 7826: a camera or player
	SIP           Kind = "sip"            // RFC 3261
	ProxyProtocol Kind = "proxy-protocol" // a load balancer that is set up for another kind of service
	Random        Kind = "random"         // octets that are nothing known
	Silence       Kind = "silence"        // a connection on which nothing came in time
	HangUp        Kind = "hang-up"        // a connection that was closed before anything came
)

// Kinds of handshakes that failed, of TLS over TCP and of QUIC over UDP.
const (
	TLSOld       Kind = "tls-old"        // no version in common (AM-11.2)
	TLSNoALPN    Kind = "tls-no-alpn"    // TLS 1.3 by a client that names no protocol
	TLSOtherALPN Kind = "tls-other-alpn" // TLS 1.3 of another protocol (AM-11.3)
	TLSRefused   Kind = "tls-refused"    // the client ended it, for instance over the certificate
	TLSStalled   Kind = "tls-stalled"    // it did not end in time
	TLSBroken    Kind = "tls-broken"     // it began and was cut, or is against the protocol
)

// Kinds of datagrams that are no QUIC.
const (
	DNS       Kind = "dns"       // RFC 1035, a query
	STUN      Kind = "stun"      // RFC 8489
	DTLS      Kind = "dtls"      // RFC 9147 and older
	NTP       Kind = "ntp"       // RFC 5905, a client
	SNMP      Kind = "snmp"      // RFC 3416, community string "public" and its kin
	WireGuard Kind = "wireguard" // a handshake initiation
	UDPOther  Kind = "udp-other" // anything else
)

var kinds = [...]Kind{
	HTTP, HTTP10, HTTP2Clear, SSH, SMTP, RDP, SMB, SOCKS, RTSP, SIP, ProxyProtocol, Random, Silence, HangUp,
	TLSOld, TLSNoALPN, TLSOtherALPN, TLSRefused, TLSStalled, TLSBroken,
	DNS, STUN, DTLS, NTP, SNMP, WireGuard, UDPOther,
}

// Kinds returns every kind, sorted.
func Kinds() []Kind {
	all := slices.Clone(kinds[:])
	slices.Sort(all)
	return all
}
