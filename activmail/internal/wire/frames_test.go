package wire_test

import (
	"testing"

	"github.com/videoactivmail/vam/activmail/internal/wire"
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// FuzzFrames: what is seen does not depend on the pieces in which octets are read, and
// is what a plain walk over the frames says.
func FuzzFrames(f *testing.F) {
	for _, frames := range [][]byte{
		{},
		{0, 0, 0, 4, 0, 0, 0, 0, 0},
		{0, 0, 2, 1, 0, 0, 0, 0, 1, 9, 9, 0, 0, 1, 9, 4, 0, 0, 0, 1, 9},
		{0, 0, 2, 1, 4, 0, 0, 0, 1, 9, 9, 0, 0, 3, 0, 1, 0, 0, 0, 1, 9},
		{0, 0, 3, 0, 1, 0, 0, 0, 1, 9, 9, 9, 0, 0, 3},
		{0, 0, 100, 1, 4, 0, 0, 0, 1, 9},
	} {
		f.Add(frames, uint8(1), false)
		f.Add(append([]byte(preface), frames...), uint8(7), true)
	}
	f.Fuzz(func(t *testing.T, sent []byte, split uint8, server bool) {
		var whole, pieces wire.Frames
		if server {
			whole.OfServer()
			pieces.OfServer()
		}
		whole.Feed(sent)
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), int(split)+1)
			pieces.Feed(rest[:n])
			rest = rest[n:]
		}
		open, data := walk(sent, server)
		if whole.HeaderOpen() != open || pieces.HeaderOpen() != open || whole.Data() != data || pieces.Data() != data {
			t.Errorf("%x: open %v and %d octets of data in one piece, %v and %d in pieces of %d; it is %v and %d", sent,
				whole.HeaderOpen(), whole.Data(), pieces.HeaderOpen(), pieces.Data(), int(split)+1, open, data)
		}
	})
}

// walk goes over octets that are all there.
func walk(rest []byte, server bool) (open bool, data int64) {
	if server {
		rest = rest[min(len(preface), len(rest)):]
	}
	for len(rest) > 0 {
		if len(rest) < 9 {
			return true, data
		}
		size, kind, last := int(rest[0])<<16|int(rest[1])<<8|int(rest[2]), rest[3], rest[4]&4 != 0
		payload := rest[9:min(9+size, len(rest))]
		switch kind {
		case 0:
			data += int64(len(payload))
		case 1, 9:
			open = !last || len(payload) < size
		}
		if rest = rest[9+len(payload):]; len(payload) < size {
			break
		}
	}
	return open, data
}
