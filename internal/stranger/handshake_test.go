package stranger_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"

	"github.com/videoactivmail/vam/internal/stranger"
)

func TestFromHandshake(t *testing.T) {
	remoteAlert := &net.OpError{Op: "remote error", Err: errors.New("bad certificate")}
	quicAlert := func(alert uint8, remote bool) error {
		return &quic.TransportError{Remote: remote, ErrorCode: 0x100 + quic.TransportErrorCode(alert)}
	}
	now := []uint16{tls.VersionTLS12, tls.VersionTLS13}
	for _, tc := range []struct {
		name     string
		err      error
		versions []uint16
		alpn     []string
		want     stranger.Kind
	}{
		{"a limit", nil, nil, nil, ""},
		{"no ALPN", nil, now, []string{}, stranger.TLSNoALPN},
		{"ALPN of mail", nil, now, []string{"smtp", "imap"}, stranger.TLSOtherALPN},
		{"an old version without ALPN", nil, []uint16{tls.VersionTLS12}, []string{}, stranger.TLSOld},
		{"no version at all", nil, []uint16{}, []string{"h2"}, stranger.TLSOld},
		{"seen below TLS", fmt.Errorf("handshake: %w", &stranger.Error{Kind: stranger.SSH}), nil, nil, stranger.SSH},
		{"the server stops", context.Canceled, nil, nil, ""},
		{"the listener closes", net.ErrClosed, nil, nil, ""},
		{"QUIC stops", quic.ErrServerClosed, nil, nil, ""},
		{"time is over", context.DeadlineExceeded, nil, nil, stranger.TLSStalled},
		{"a deadline", os.ErrDeadlineExceeded, nil, nil, stranger.TLSStalled},
		{"it went", io.EOF, nil, nil, stranger.TLSBroken},
		{"it went within a record", io.ErrUnexpectedEOF, now, []string{"h2"}, stranger.TLSBroken},
		{"an alert came", remoteAlert, nil, nil, stranger.TLSRefused},
		{"no record", tls.RecordHeaderError{RecordHeader: [5]byte{22, 9, 9, 9, 9}}, nil, nil, stranger.Random},
		{"a strange record", tls.RecordHeaderError{RecordHeader: [5]byte{22, 3, 1, 0xff, 0xff}}, nil, nil, stranger.TLSBroken},
		{"QUIC without h3", quicAlert(120, false), nil, nil, stranger.TLSOtherALPN},
		{"QUIC without TLS 1.3", quicAlert(70, false), nil, nil, stranger.TLSOld},
		{"QUIC alert came", quicAlert(42, true), nil, nil, stranger.TLSRefused},
		{"QUIC nonsense", &quic.TransportError{ErrorCode: quic.ProtocolViolation}, nil, nil, stranger.TLSBroken},
		{"QUIC too many", &quic.TransportError{ErrorCode: quic.ConnectionRefused}, nil, nil, ""},
		{"QUIC client gives up", &quic.ApplicationError{Remote: true}, nil, nil, stranger.TLSRefused},
		{"QUIC server closes", &quic.ApplicationError{}, nil, nil, ""},
		{"QUIC handshake too long", &quic.HandshakeTimeoutError{}, nil, nil, stranger.TLSStalled},
		{"QUIC silence", &quic.IdleTimeoutError{}, nil, nil, stranger.TLSStalled},
	} {
		if got := stranger.FromHandshake(tc.err, tc.versions, tc.alpn); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
		if s, ok := stranger.Handshake("tcp", netip.AddrPort{}, tc.err, tc.versions, tc.alpn); s.Kind != tc.want || ok != (tc.want != "") {
			t.Errorf("%s: sighting %v, %v", tc.name, s, ok)
		}
	}
}

func TestSightingsAreShortAndQuoted(t *testing.T) {
	from := netip.MustParseAddrPort("[2001:db8::1]:5")
	payload := []byte("\x0a\x1b[2J\n" + strings.Repeat("x", 200))
	s := stranger.Datagram(payload, from)
	if s.Kind != stranger.UDPOther || s.Network != "udp" || s.Remote != from || len(s.Sample) != 64 {
		t.Errorf("%+v", s)
	}
	clear(payload)
	line := s.String()
	if !strings.HasPrefix(line, `udp-other from [2001:db8::1]:5 over udp, it begins "\n\x1b[2J\nxxx`) || strings.ContainsAny(line, "\n\x1b") {
		t.Errorf("%q", line)
	}

	names := make([]string, 100)
	for i := range names {
		names[i] = strings.Repeat("\n", 255)
	}
	s, ok := stranger.Handshake("tcp", from, nil, []uint16{tls.VersionTLS13}, names)
	if !ok || len(s.ALPN) != 4 || len(s.ALPN[0]) != 32 {
		t.Errorf("%+v", s)
	}
	if line := s.String(); strings.Contains(line, "\n") || !strings.Contains(line, `it asks for ["\n`) {
		t.Errorf("%q", line)
	}
}
