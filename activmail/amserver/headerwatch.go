package amserver

// The parts of HTTP/2 framing that say where a header section begins and ends (RFC 9113
// sections 3.4, 4.1, 6.2 and 6.10).
const (
	prefaceOctets     = 24
	frameHeaderOctets = 9
	frameHeaders      = 0x1
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// headerWatch follows the frames that a client sends, to know when a header section has
// begun and not ended: net/http gives it all the time that a client answers its pings
// for. It is for one goroutine. Its zero value is a connection before its preface.
type headerWatch struct {
	begun bool
	skip  int // octets of the preface or of a payload still to come
	head  [frameHeaderOctets]byte
	have  int  // octets of head that are there
	last  bool // the payload to come ends its header section
	in    bool // a header section has begun
}

// feed takes octets in the order in which they were read.
func (w *headerWatch) feed(p []byte) {
	if !w.begun {
		w.begun, w.skip = true, prefaceOctets
	}
	for len(p) > 0 {
		if w.skip > 0 {
			n := min(w.skip, len(p))
			w.skip -= n
			p = p[n:]
			w.endPayload()
			continue
		}
		n := copy(w.head[w.have:], p)
		w.have += n
		p = p[n:]
		if w.have == frameHeaderOctets {
			w.beginFrame()
		}
	}
}

func (w *headerWatch) beginFrame() {
	w.have = 0
	w.skip = int(w.head[0])<<16 | int(w.head[1])<<8 | int(w.head[2])
	if kind := w.head[3]; kind == frameHeaders || kind == frameContinuation {
		w.in, w.last = true, w.head[4]&flagEndHeaders != 0
	}
	w.endPayload()
}

func (w *headerWatch) endPayload() {
	if w.skip == 0 && w.last {
		w.in, w.last = false, false
	}
}

// open reports whether a header section, or the header of a frame, is not complete.
func (w *headerWatch) open() bool { return w.in || w.have > 0 }
