package wire

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3/qlog"
	"github.com/quic-go/quic-go/qlogwriter"
)

// ServerQUIC are the QUIC settings of a server. There is no 0-RTT: what a peer asks for
// must not be replayed (AM-11.4) (AM-11.9).
func ServerQUIC(count *Counter) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           5 * time.Second,
		MaxIdleTimeout:                 60 * time.Second,
		InitialStreamReceiveWindow:     512 << 10,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: 1 << 20,
		MaxConnectionReceiveWindow:     connWindow,
		MaxIncomingStreams:             250,
		MaxIncomingUniStreams:          8,
		Allow0RTT:                      false,
		Tracer:                         tracer(count),
	}
}

// KeepAlive is how often a client that hears nothing says that it is there. A receiver
// is otherwise silent when its NAT gave it another port, and the transfer stalls until
// it is given up.
const KeepAlive = 2 * time.Second

// ClientQUIC are the QUIC settings of a client (AM-11.7, AM-11.13).
func ClientQUIC(count *Counter) *quic.Config {
	return &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           5 * time.Second,
		MaxIdleTimeout:                 15 * time.Second,
		KeepAlivePeriod:                KeepAlive,
		InitialStreamReceiveWindow:     2 << 20,
		MaxStreamReceiveWindow:         streamWindow,
		InitialConnectionReceiveWindow: 4 << 20,
		MaxConnectionReceiveWindow:     connWindow,
		MaxIncomingStreams:             -1,
		MaxIncomingUniStreams:          8,
		Tracer:                         tracer(count),
	}
}

func tracer(count *Counter) func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
	if count == nil {
		return nil
	}
	return func(context.Context, bool, quic.ConnectionID) qlogwriter.Trace {
		return &frameTrace{count: count}
	}
}

// frameTrace counts HTTP/3 frames by the events that quic-go makes for qlog: streams
// cannot be wrapped. The first producer is the QUIC connection, which would report
// every packet; it gets no recorder, and the cost stays at one event per HTTP frame.
type frameTrace struct {
	count  *Counter
	inside atomic.Bool
}

// AddProducer returns nil for the QUIC connection and a recorder for HTTP/3.
func (t *frameTrace) AddProducer() qlogwriter.Recorder {
	if !t.inside.Swap(true) {
		return nil
	}
	return frameRecorder{t.count}
}

type frameRecorder struct{ count *Counter }

// RecordEvent counts a frame; the payload of DATA is counted where it is read or
// written, since an aborted stream carries less than its frame announced.
func (r frameRecorder) RecordEvent(event qlogwriter.Event) {
	switch e := event.(type) {
	case qlog.FrameCreated:
		r.count.Sent(frameOctets(e.Frame, e.Raw))
	case qlog.FrameParsed:
		r.count.Received(frameOctets(e.Frame, e.Raw))
	}
}

func frameOctets(f qlog.Frame, raw qlog.RawInfo) int {
	if _, data := f.Frame.(qlog.DataFrame); data {
		return raw.Length - raw.PayloadLength
	}
	return max(raw.Length, raw.PayloadLength)
}

// Close does nothing.
func (frameRecorder) Close() error { return nil }
