// Package isobmfftest writes small ISO base media files for tests: sound ones of every
// layout, and the parts of which a test makes a broken one.
package isobmfftest

import (
	"encoding/binary"
	"slices"
)

// Box is a box with a head of eight octets around its parts.
func Box(kind string, parts ...[]byte) []byte {
	content := slices.Concat(parts...)
	return slices.Concat(U32(uint32(8+len(content))), []byte(kind), content)
}

// Full is a box with a version and flags.
func Full(kind string, version byte, flags uint32, parts ...[]byte) []byte {
	return Box(kind, append([][]byte{U32(uint32(version)<<24 | flags)}, parts...)...)
}

// Long is a box whose size is written in 64 bits and may be a lie.
func Long(kind string, size uint64, parts ...[]byte) []byte {
	return slices.Concat(U32(1), []byte(kind), U64(size), slices.Concat(parts...))
}

// U16, U32 and U64 are numbers in the order of the net.
func U16(vs ...uint16) []byte { return numbers(binary.BigEndian.AppendUint16, vs) }

// U32 writes numbers of four octets.
func U32(vs ...uint32) []byte { return numbers(binary.BigEndian.AppendUint32, vs) }

// U64 writes numbers of eight octets.
func U64(vs ...uint64) []byte { return numbers(binary.BigEndian.AppendUint64, vs) }

func numbers[T any](add func([]byte, T) []byte, vs []T) []byte {
	var out []byte
	for _, v := range vs {
		out = add(out, v)
	}
	return out
}

// Picture is a sample entry for pictures of that size; parts are the boxes within.
func Picture(kind string, width, height int, parts ...[]byte) []byte {
	return Box(kind, make([]byte, 6), U16(1), make([]byte, 16), U16(uint16(width), uint16(height)),
		U32(72<<16, 72<<16, 0), U16(1), make([]byte, 32), U16(24, 0xffff), slices.Concat(parts...))
}

// Sound is a sample entry for sound.
func Sound(kind string, channels, rate int, parts ...[]byte) []byte {
	return Box(kind, make([]byte, 6), U16(1), make([]byte, 8), U16(uint16(channels), 16), U32(0, uint32(rate)<<16),
		slices.Concat(parts...))
}

// AVC is an entry of H.264, High profile at level 3.1; its parameter sets are none that
// pictures could be decoded with.
func AVC(width, height int) []byte {
	sps := []byte{0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50}
	return Picture("avc1", width, height, Box("avcC", []byte{1, 0x64, 0, 0x1f, 0xff, 0xe1}, U16(uint16(len(sps))), sps,
		[]byte{1, 0, 4, 0x68, 0xeb, 0xe3, 0xcb}))
}

// AAC is an entry of AAC-LC in stereo at 48 kHz.
func AAC() []byte { return Sound("mp4a", 2, 48000, ESDS(0x40, []byte{0x11, 0x90})) }

// ESDS is the description of MPEG-4 systems, with an object type and the decoder's own
// configuration.
func ESDS(object byte, config []byte) []byte {
	specific := append([]byte{5, byte(len(config))}, config...)
	decoder := slices.Concat([]byte{4, byte(13 + len(specific)), object, 0x15}, make([]byte, 11), specific)
	return Full("esds", 0, 0, []byte{3, byte(3 + len(decoder) + 3), 0, 0, 0}, decoder, []byte{6, 1, 2})
}
