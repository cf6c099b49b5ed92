package amserver

import "testing"

// FuzzHeaderWatch: what is open does not depend on the pieces in which octets are read,
// and is what a plain walk over the frames says.
func FuzzHeaderWatch(f *testing.F) {
	preface := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	add := func(split uint8, frames ...byte) {
		f.Add(append(preface[:len(preface):len(preface)], frames...), split)
	}
	add(1)
	add(7, 0, 0, 0, 4, 0, 0, 0, 0, 0)
	add(3, 0, 0, 2, 1, 0, 0, 0, 0, 1, 9, 9, 0, 0, 1, 9, 4, 0, 0, 0, 1, 9)
	add(5, 0, 0, 2, 1, 4, 0, 0, 0, 1, 9, 9, 0, 0, 3, 0, 1, 0, 0, 0, 1, 9)
	add(30, 0, 0, 100, 1, 4, 0, 0, 0, 1, 9)
	f.Fuzz(func(t *testing.T, sent []byte, split uint8) {
		var whole, pieces headerWatch
		whole.feed(sent)
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), int(split)+1)
			pieces.feed(rest[:n])
			rest = rest[n:]
		}
		if whole.open() != pieces.open() || whole.open() != openSection(sent) {
			t.Errorf("%x: open %v in one piece, %v in pieces of %d, and it is %v", sent, whole.open(), pieces.open(), int(split)+1, openSection(sent))
		}
	})
}

// openSection walks over complete octets.
func openSection(sent []byte) bool {
	in := false
	for rest := sent[min(prefaceOctets, len(sent)):]; len(rest) > 0; {
		if len(rest) < frameHeaderOctets {
			return true
		}
		size := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
		kind, last := rest[3], rest[4]&flagEndHeaders != 0
		rest = rest[frameHeaderOctets:]
		if kind == frameHeaders || kind == frameContinuation {
			in = !last || len(rest) < size
			if in && last {
				return true
			}
		}
		rest = rest[min(size, len(rest)):]
	}
	return in
}
