package wire_test

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3/qlog"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

// AM-11.7: both ends take at least 8 MiB for a stream and 16 MiB for a connection, over
// both transports, and frames that carry more than the 16 KiB of the default.
func TestWindows(t *testing.T) {
	const stream, conn = 8 << 20, 16 << 20
	for name, c := range map[string]struct{ stream, conn, frame int }{
		"server": {wire.ServerHTTP2().MaxReceiveBufferPerStream, wire.ServerHTTP2().MaxReceiveBufferPerConnection, wire.ServerHTTP2().MaxReadFrameSize},
		"client": {wire.ClientHTTP2(false).MaxReceiveBufferPerStream, wire.ClientHTTP2(false).MaxReceiveBufferPerConnection, wire.ClientHTTP2(false).MaxReadFrameSize},
		"bulk":   {wire.ClientHTTP2(true).MaxReceiveBufferPerStream, wire.ClientHTTP2(true).MaxReceiveBufferPerConnection, wire.ClientHTTP2(true).MaxReadFrameSize},
	} {
		if c.stream < stream || c.conn < conn || c.frame <= 16<<10 {
			t.Errorf("HTTP/2, %s: %+v", name, c)
		}
	}
	for name, c := range map[string]*quic.Config{"server": wire.ServerQUIC(nil), "client": wire.ClientQUIC(nil)} {
		if c.MaxStreamReceiveWindow < stream || c.MaxConnectionReceiveWindow < conn {
			t.Errorf("QUIC, %s: %d and %d", name, c.MaxStreamReceiveWindow, c.MaxConnectionReceiveWindow)
		}
		if c.Allow0RTT { // AM-11.4
			t.Errorf("QUIC, %s: 0-RTT is allowed", name)
		}
		if len(c.Versions) != 1 || c.Versions[0] != quic.Version1 { // AM-11.1
			t.Errorf("QUIC, %s: versions %v", name, c.Versions)
		}
	}
}

// AM-11.6 and AM-11.13.
func TestStreamsAndKeepAlives(t *testing.T) {
	if n := wire.ServerHTTP2().MaxConcurrentStreams; n < 100 {
		t.Errorf("HTTP/2 takes %d requests at a time", n)
	}
	if n := wire.ServerQUIC(nil).MaxIncomingStreams; n < 100 {
		t.Errorf("HTTP/3 takes %d requests at a time", n)
	}
	if d := wire.ClientQUIC(nil).KeepAlivePeriod; d <= 0 || d.Seconds() > 2 {
		t.Errorf("a receiver over QUIC says something every %v", d)
	}
	if d := wire.ClientHTTP2(true).SendPingTimeout; d <= 0 || d.Seconds() > 30 {
		t.Errorf("a client over TCP pings after %v", d)
	}
	if n := wire.ClientQUIC(nil).MaxIncomingStreams; n >= 0 {
		t.Errorf("a server may open %d streams of its own", n)
	}
}

func TestCounter(t *testing.T) {
	var c wire.Counter
	c.Sent(3)
	c.Sent(-1) // an unknown length of qlog
	c.Received(4)
	(*wire.Counter)(nil).Sent(5)
	(*wire.Counter)(nil).Received(5)
	for _, r := range []io.ReadCloser{
		c.Reader(io.NopCloser(strings.NewReader("12345"))),
		c.SentReader(io.NopCloser(strings.NewReader("1234567"))),
	} {
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
	}
	if sent, received := c.Totals(); sent != 10 || received != 9 {
		t.Errorf("%d sent, %d received", sent, received)
	}
}

// HTTP/3 frames are counted without the payload of DATA, which is counted where it is
// read or written, and the QUIC connection itself is not traced.
func TestFramesAreCounted(t *testing.T) {
	var c wire.Counter
	trace := wire.ServerQUIC(&c).Tracer(t.Context(), false, quic.ConnectionID{})
	if r := trace.AddProducer(); r != nil {
		t.Error("the QUIC connection has a recorder")
	}
	r := trace.AddProducer()
	r.RecordEvent(qlog.FrameCreated{Frame: qlog.Frame{Frame: qlog.HeadersFrame{}}, Raw: qlog.RawInfo{Length: 50, PayloadLength: 48}})
	r.RecordEvent(qlog.FrameCreated{Frame: qlog.Frame{Frame: qlog.DataFrame{}}, Raw: qlog.RawInfo{Length: 1003, PayloadLength: 1000}})
	r.RecordEvent(qlog.FrameParsed{Frame: qlog.Frame{Frame: qlog.DataFrame{}}, Raw: qlog.RawInfo{Length: 102, PayloadLength: 100}})
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if sent, received := c.Totals(); sent != 53 || received != 2 {
		t.Errorf("%d sent, %d received", sent, received)
	}
	if wire.ServerQUIC(nil).Tracer != nil {
		t.Error("without a counter there is a tracer")
	}
}

// The kernel always has reno; what it does not have leaves the socket as it was.
func TestSetCongestion(t *testing.T) {
	dialled, _ := pipe(t)
	raw, err := dialled.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	before := wire.SetCongestion(raw, "")
	if before == "" {
		t.Log("this system does not tell the congestion control of a socket")
		return
	}
	if got := wire.SetCongestion(raw, "no-such-control"); got != before {
		t.Errorf("an unknown name changed %q to %q", before, got)
	}
	if got := wire.SetCongestion(raw, "reno"); got != "reno" {
		t.Errorf("reno was asked for, %q is in use", got)
	}
}
