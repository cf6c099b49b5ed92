package stranger

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"github.com/quic-go/quic-go"
)

// FromHandshake says what a client looked like whose handshake failed, over TCP or
// QUIC. err is how it ended, which may be the [Error] of a connection of [Wrap].
// versions and alpn are what its hello offered; nil is not known, and an empty list is
// a hello without any. "" is no stranger: nothing is known of it but that a limit was
// met, or the server itself ended it.
func FromHandshake(err error, versions []uint16, alpn []string) Kind {
	if known := (*Error)(nil); errors.As(err, &known) {
		return known.Kind
	}
	switch {
	case versions != nil && !slices.Contains(versions, tls.VersionTLS13):
		return TLSOld
	case alpn != nil && len(alpn) == 0:
		return TLSNoALPN
	case alpn != nil && !slices.Contains(alpn, "h2") && !slices.Contains(alpn, "h3"):
		return TLSOtherALPN
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, quic.ErrServerClosed):
		return ""
	}
	// Before net.ErrClosed, which every error of QUIC also is.
	if kind, ok := fromQUIC(err); ok {
		return kind
	}
	var (
		record  tls.RecordHeaderError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case errors.Is(err, net.ErrClosed):
		return ""
	case errors.As(err, &record):
		if kind, _ := FromStream(record.RecordHeader[:]); kind != "" {
			return kind
		}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TLSStalled
	case errors.As(err, &op) && op.Op == "remote error": // how crypto/tls marks an alert that came
		return TLSRefused
	}
	return TLSBroken
}

// Alerts of RFC 8446 section 6 as QUIC reports them (RFC 9001 section 4.8).
const (
	cryptoError           = quic.TransportErrorCode(0x100)
	protocolVersion       = cryptoError + 70
	noApplicationProtocol = cryptoError + 120
)

func fromQUIC(err error) (Kind, bool) {
	var (
		transport *quic.TransportError
		app       *quic.ApplicationError
		shaking   *quic.HandshakeTimeoutError
		idle      *quic.IdleTimeoutError
	)
	switch {
	case errors.As(err, &shaking), errors.As(err, &idle):
		return TLSStalled, true
	case errors.As(err, &app) && app.Remote:
		return TLSRefused, true
	case !errors.As(err, &transport):
		return "", false
	case transport.ErrorCode == quic.ConnectionRefused && !transport.Remote:
		return "", true // too many at a time
	case transport.ErrorCode == noApplicationProtocol:
		return TLSOtherALPN, true
	case transport.ErrorCode == protocolVersion:
		return TLSOld, true
	case transport.Remote:
		return TLSRefused, true
	}
	return TLSBroken, true
}
