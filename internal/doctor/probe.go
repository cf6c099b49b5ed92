package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/videoactivmail/vam/activmail"
)

// Networks.
const (
	TCP = "tcp"
	UDP = "udp"
)

// Target is one address to be asked.
type Target struct {
	Network string // TCP or UDP
	Addr    netip.AddrPort
	// ServerName is the name in SNI and ":authority".
	ServerName string
}

// Answer is what answered. Exactly one of Speaks and Found is the result: who does
// not speak VAM/1 is described by Found.
type Answer struct {
	// Speaks says that it is VAM/1.
	Speaks bool
	// Found describes it in a few words, with what a stranger sent quoted.
	Found string
	// Silent says that nothing came back at all: closed, filtered or down.
	Silent bool
	// TLS is the state of the connection, nil where none came about. The certificate
	// was not verified.
	TLS *tls.ConnectionState
	// Date is that of the answer, zero where it had none, and At this machine's time
	// when it came.
	Date, At time.Time
}

// Prober asks what answers at an address. It is safe for concurrent use.
type Prober interface {
	Probe(ctx context.Context, t Target) Answer
}

// probePath does not exist on any server; its answer is a problem document of
// VAM/1, whoever asks.
const probePath = "/vam/v1/doctor"

// NetProber asks over the network. Timeout bounds one probe; 0 is 5 seconds over
// TCP and 3 over UDP, as long as a sender waits (AM-11.11).
type NetProber struct {
	Timeout time.Duration
	Now     func() time.Time
}

// Probe implements Prober.
func (p NetProber) Probe(ctx context.Context, t Target) Answer {
	timeout := p.Timeout
	switch {
	case timeout == 0 && t.Network == UDP:
		timeout = 3 * time.Second
	case timeout == 0:
		timeout = 5 * time.Second
	}
	now := p.Now
	if now == nil {
		now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var a Answer
	if t.Network == UDP {
		a = probeUDP(ctx, t)
	} else {
		a = probeTCP(ctx, t)
	}
	a.At = now()
	return a
}

// tlsConfig does not verify: a doctor wants to see the certificate that is wrong.
// Who uses an Answer verifies its TLS state.
func tlsConfig(t Target, alpn string) *tls.Config {
	return &tls.Config{
		ServerName: t.ServerName, NextProtos: []string{alpn},
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true,
	}
}

func probeTCP(ctx context.Context, t Target) Answer {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", t.Addr.String())
	if err != nil {
		return Answer{Silent: true, Found: "no connection: " + cause(err)}
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = raw.SetDeadline(deadline)
	}
	conn := tls.Client(raw, tlsConfig(t, "h2"))
	if err := conn.HandshakeContext(ctx); err != nil {
		return Answer{Found: describeHandshake(err)}
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != "h2" {
		return Answer{TLS: &state, Found: "a TLS service that does not choose HTTP/2 by ALPN"}
	}
	used := false
	transport := &http.Transport{
		Protocols: new(http.Protocols),
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) {
			if used {
				return nil, errors.New("the connection was closed")
			}
			used = true
			return conn, nil
		},
	}
	transport.Protocols.SetHTTP2(true)
	defer transport.CloseIdleConnections()
	return ask(ctx, transport, t, &state)
}

func probeUDP(ctx context.Context, t Target) Answer {
	var state tls.ConnectionState
	transport := &http3.Transport{
		TLSClientConfig: tlsConfig(t, "h3"),
		Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			conn, err := quic.DialAddr(ctx, t.Addr.String(), tc, qc)
			if err == nil {
				state = conn.ConnectionState().TLS
			}
			return conn, err
		},
	}
	defer transport.Close()
	return ask(ctx, transport, t, &state)
}

// ask makes the one request and judges its answer.
func ask(ctx context.Context, rt http.RoundTripper, t Target, state *tls.ConnectionState) Answer {
	host := t.ServerName
	if host == "" {
		host = t.Addr.Addr().String()
	}
	authority := net.JoinHostPort(host, fmt.Sprint(t.Addr.Port()))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+authority+probePath, nil)
	if err != nil {
		return Answer{Found: "no request could be made: " + cause(err)}
	}
	resp, err := rt.RoundTrip(req)
	a := Answer{}
	if state.HandshakeComplete {
		a.TLS = state
	}
	if err != nil {
		a.Silent = a.TLS == nil && silent(err)
		a.Found = "no answer: " + cause(err)
		return a
	}
	defer resp.Body.Close()
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		a.Date = date
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		a.Found = "an answer that was cut: " + cause(err)
		return a
	}
	if isVAM(resp, body) {
		a.Speaks = true
		return a
	}
	a.Found = fmt.Sprintf("an HTTP server that is not VAM: status %d, %q", resp.StatusCode, clip(resp.Header.Get("Content-Type")))
	return a
}

// isVAM recognises a problem document of VAM/1, or the refusal of a busy server.
func isVAM(resp *http.Response, body []byte) bool {
	media, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return strings.EqualFold(strings.TrimSpace(media), activmail.ProblemType) && strings.Contains(string(body), activmail.ProblemBase)
}

// describeHandshake says what answers a TLS greeting in its own language.
func describeHandshake(err error) string {
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		first := string(record.RecordHeader[:])
		switch {
		case strings.HasPrefix(first, "SSH-"):
			return "an SSH server"
		case strings.HasPrefix(first, "HTTP/"):
			return "an HTTP server without TLS"
		case strings.HasPrefix(first, "220"):
			return "a mail or FTP server"
		}
		return fmt.Sprintf("a server without TLS; its answer begins %q", first)
	}
	if alert, ok := alertOf(err); ok {
		switch alert {
		case alertNoApplicationProtocol:
			return "a TLS server of something else: it refuses HTTP/2 by ALPN"
		case alertProtocolVersion:
			return "a TLS server that does not speak TLS 1.3"
		case alertUnrecognizedName:
			return "a TLS server that does not know this name"
		}
		return "a TLS server that ends the handshake: " + cause(err)
	}
	if silent(err) {
		return "a connection and then silence"
	}
	return "no TLS: " + cause(err)
}

// alertOf is the TLS alert that the other side sent. crypto/tls exports no type for
// it over TCP; it is a number inside the error, which reflection reads without
// looking at the text.
func alertOf(err error) (uint8, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Err == nil {
		return 0, false
	}
	if v := reflect.ValueOf(op.Err); v.Kind() == reflect.Uint8 {
		return uint8(v.Uint()), true
	}
	return 0, false
}

// Alerts of RFC 8446 section 6 and RFC 7301 section 3.2.
const (
	alertProtocolVersion       = 70
	alertUnrecognizedName      = 112
	alertNoApplicationProtocol = 120
)

// silent reports whether err is an answer that did not come.
func silent(err error) bool {
	var (
		ne      net.Error
		idle    *quic.IdleTimeoutError
		shaking *quic.HandshakeTimeoutError
	)
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &idle) || errors.As(err, &shaking) ||
		errors.As(err, &ne) && ne.Timeout()
}

// cause is the innermost part of a network error, which is what a person can use.
func cause(err error) string {
	if silent(err) {
		return "time ran out"
	}
	var app *quic.ApplicationError
	var trans *quic.TransportError
	switch {
	case errors.As(err, &trans) && trans.ErrorCode.IsCryptoError():
		if uint8(trans.ErrorCode) == alertNoApplicationProtocol {
			return "QUIC of something else: it refuses HTTP/3 by ALPN"
		}
		return "the QUIC handshake was refused: " + clip(trans.Error())
	case errors.As(err, &app):
		return "the QUIC connection was closed: " + clip(app.Error())
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err
	}
	return clip(err.Error())
}

// clip keeps a stranger's words short.
func clip(s string) string {
	const limit = 120
	if r := []rune(s); len(r) > limit {
		return string(r[:limit]) + "…"
	}
	return s
}
