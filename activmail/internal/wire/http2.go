package wire

import (
	"net/http"
	"time"
)

// The HTTP/2 and QUIC windows of VAM/1. Go's own keep a transfer to 1 MiB (as server)
// or 4 MiB (as client) per round trip.
const (
	streamWindow = 8 << 20  // one transfer: 160 MB/s at 50 ms
	connWindow   = 16 << 20 // all transfers of a connection
)

// ServerHTTP2 are the settings of a server. A server receives offers, receipts and the
// blobs of its own users; frames of 256 KiB bound what an idle connection keeps of
// them.
func ServerHTTP2() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxConcurrentStreams:          250,
		MaxReadFrameSize:              256 << 10,
		MaxReceiveBufferPerConnection: connWindow,
		MaxReceiveBufferPerStream:     streamWindow,
		SendPingTimeout:               45 * time.Second,
		PingTimeout:                   15 * time.Second,
		WriteByteTimeout:              75 * time.Second,
	}
}

// ClientHTTP2 are the settings of a client; bulk is for a connection that carries
// media. An octet reaches the reader when its whole frame is there, and so does the
// answer to a PING: 256 KiB take the ten seconds of PingTimeout at 26 kB/s. A megabyte
// spares a twentieth of the processor time and ends every transfer below 105 kB/s.
func ClientHTTP2(bulk bool) *http.HTTP2Config {
	frame := 64 << 10
	if bulk {
		frame = 256 << 10
	}
	return &http.HTTP2Config{
		MaxReadFrameSize:              frame,
		MaxReceiveBufferPerConnection: connWindow,
		MaxReceiveBufferPerStream:     streamWindow,
		SendPingTimeout:               10 * time.Second,
		PingTimeout:                   10 * time.Second,
		WriteByteTimeout:              30 * time.Second,
	}
}
