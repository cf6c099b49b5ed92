package wire

import "sync/atomic"

// The parts of HTTP/2 framing that say where a header section and a body begin and end
// (RFC 9113 sections 3.4, 4.1, 6.1, 6.2 and 6.10).
const (
	prefaceOctets     = 24
	frameHeaderOctets = 9
	frameData         = 0x0
	frameHeaders      = 0x1
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// Frames follows the HTTP/2 frames that one end of a connection reads, for what net/http
// does not tell: it hands over a frame when all of it is there. One goroutine feeds it;
// Data may be called by any. The zero value is for a client.
type Frames struct {
	skip int // octets of the preface or of a payload still to come
	head [frameHeaderOctets]byte
	have int  // octets of head that are there
	kind byte // of the frame whose payload is to come
	last bool // the payload to come ends its header section
	in   bool // a header section has begun
	data atomic.Int64
}

// OfServer is for a server, which reads a preface first. Call it before the first Feed.
func (f *Frames) OfServer() { f.skip, f.kind = prefaceOctets, frameHeaders }

// Feed takes octets in the order in which they are read.
func (f *Frames) Feed(p []byte) {
	for len(p) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(p))
			f.skip -= n
			p = p[n:]
			if f.kind == frameData {
				f.data.Add(int64(n))
			}
			f.endPayload()
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have == frameHeaderOctets {
			f.beginFrame()
		}
	}
}

func (f *Frames) beginFrame() {
	f.have = 0
	f.skip = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
	f.kind = f.head[3]
	if f.kind == frameHeaders || f.kind == frameContinuation {
		f.in, f.last = true, f.head[4]&flagEndHeaders != 0
	}
	f.endPayload()
}

func (f *Frames) endPayload() {
	if f.skip == 0 && f.last {
		f.in, f.last = false, false
	}
}

// HeaderOpen reports whether a header section, or the header of a frame, has begun and
// not ended.
func (f *Frames) HeaderOpen() bool { return f.in || f.have > 0 }

// Data is how many octets of bodies were fed so far, of frames that are not complete too.
func (f *Frames) Data() int64 { return f.data.Load() }
