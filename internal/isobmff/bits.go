package isobmff

// A bitReader reads the bits of a parameter set, the emulation prevention octets of H.264
// taken out. Past the end it gives zeros and says so. It belongs to one goroutine.
type bitReader struct {
	raw   []byte
	at    int // in bits
	short bool
}

func (b *bitReader) bit() uint32 {
	i := b.at >> 3
	if i >= len(b.raw) {
		b.short = true
		return 0
	}
	v := b.raw[i] >> (7 - b.at&7) & 1
	b.at++
	return uint32(v)
}

func (b *bitReader) bits(n int) uint32 {
	var v uint32
	for range n {
		v = v<<1 | b.bit()
	}
	return v
}

func (b *bitReader) flag() bool { return b.bit() == 1 }

// golomb reads ue(v) (ITU-T H.264 section 9.1).
func (b *bitReader) golomb() uint32 {
	zeros := 0
	for b.bit() == 0 {
		if zeros++; zeros > 31 || b.short {
			b.short = true
			return 0
		}
	}
	return 1<<zeros - 1 + b.bits(zeros)
}

// signed reads se(v).
func (b *bitReader) signed() int32 {
	v := b.golomb()
	if v&1 == 1 {
		return int32(v/2) + 1
	}
	return -int32(v / 2)
}

// unescape takes out the third octet of 00 00 03.
func unescape(nal []byte) []byte {
	out := make([]byte, 0, len(nal))
	zeros := 0
	for _, c := range nal {
		if zeros >= 2 && c == 3 {
			zeros = 0
			continue
		}
		if c == 0 {
			zeros++
		} else {
			zeros = 0
		}
		out = append(out, c)
	}
	return out
}
