package stranger

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// sentence is what a person reads who came by mistake.
const sentence = "This port speaks VAM/1 (video-activmail) over TLS 1.3 with HTTP/2, or over QUIC; nothing else is here."

// Bounds of an answer: how long it may take, both ways together, and how much of a
// request that is still coming is read meanwhile.
const (
	answerTime = time.Second
	maxDrain   = 64 << 10
)

// answer is what AM-11.18 has for a kind, nil for most.
func answer(kind Kind) []byte {
	switch kind {
	case HTTP, HTTP10:
		return fmt.Appendf(nil, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"+
			"Connection: close\r\n\r\n%s\n", len(sentence)+1, sentence)
	case HTTP2Clear:
		return goAway()
	}
	return nil
}

// goAway is an empty SETTINGS frame, with which a server has to begin, and GOAWAY with
// INADEQUATE_SECURITY (RFC 9113 sections 3.4, 6.8 and 7).
func goAway() []byte {
	const settings, goaway, inadequateSecurity = 4, 7, 12
	out := []byte{0, 0, 0, settings, 0, 0, 0, 0, 0}
	n := 8 + len(sentence)
	out = append(out, 0, byte(n>>8), byte(n), goaway, 0, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint32(out, 0) // no stream was looked at
	out = binary.BigEndian.AppendUint32(out, inadequateSecurity)
	return append(out, sentence...)
}

// end answers a stranger and closes c. What is still coming is read for a moment,
// because octets that nobody read make the system reset the connection and take the
// answer back.
func end(c net.Conn, kind Kind) {
	defer c.Close()
	text := answer(kind)
	if text == nil {
		return
	}
	if c.SetDeadline(time.Now().Add(answerTime)) != nil {
		return
	}
	if _, err := c.Write(text); err != nil {
		return
	}
	half, ok := c.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, c, maxDrain)
}
