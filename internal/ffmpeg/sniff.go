package ffmpeg

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// sniffed is how much of a file is looked at, in octets; MPEG transport streams show their
// pattern only after some packets.
const sniffed = 2048

// demuxers name, for each container, the reader of ffmpeg that is forced on it.
func demuxer(container string) string {
	switch container {
	case "mp4", "mov", "3gp":
		return "mov"
	case "webm", "matroska":
		return "matroska"
	case "mpegps":
		return "mpeg"
	case "adts":
		return "aac"
	case "mpegts", "avi", "flv", "ogg", "mp3", "wav", "flac", "amr", "asf", "aiff":
		return container
	}
	return ""
}

// sniff names the container by its magic octets; "" is none that is read here: every text
// (playlists, HTML, SVG, subtitles) and every picture ends here, before any process.
// Errors: those of reading.
func sniff(r io.ReaderAt) (string, error) {
	b := make([]byte, sniffed)
	n, err := r.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	b = b[:n]
	if skip := id3(b); skip > 0 {
		after := make([]byte, sniffed)
		n, err := r.ReadAt(after, skip)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if name := sniffSound(after[:n]); name != "" {
			return name, nil
		}
		return "", nil
	}
	return sniffBytes(b), nil
}

func sniffBytes(b []byte) string {
	at := func(offset int, s string) bool {
		return len(b) >= offset+len(s) && string(b[offset:offset+len(s)]) == s
	}
	switch {
	case at(4, "ftyp"):
		return sniffBrand(b)
	case at(4, "moov"), at(4, "mdat"), at(4, "wide"), at(4, "pnot"), at(4, "free"), at(4, "skip"):
		return "mov" // QuickTime before 2001 had no brand
	case at(4, "styp"), at(4, "moof"), at(4, "sidx"):
		return "mp4"
	case at(0, "\x1a\x45\xdf\xa3"):
		// The element DocType, its size in one octet, and the type (RFC 8794 section 11.2.5).
		if _, after, ok := bytes.Cut(b[:min(len(b), 128)], []byte("\x42\x82")); ok && len(after) > 0 && bytes.HasPrefix(after[1:], []byte("webm")) {
			return "webm"
		}
		return "matroska"
	case at(0, "OggS"):
		return "ogg"
	case at(0, "RIFF") && at(8, "WAVE"):
		return "wav"
	case at(0, "RIFF") && at(8, "AVI "):
		return "avi"
	case at(0, "FLV\x01"):
		return "flv"
	case at(0, "#!AMR"):
		return "amr"
	case at(0, "FORM") && (at(8, "AIFF") || at(8, "AIFC")):
		return "aiff"
	case at(0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"):
		return "asf"
	case at(0, "\x00\x00\x01\xba"):
		return "mpegps"
	case transportStream(b):
		return "mpegts"
	}
	return sniffSound(b)
}

func sniffBrand(b []byte) string {
	if len(b) < 12 {
		return "mp4"
	}
	brand := string(b[8:12])
	switch {
	case brand == "qt  ":
		return "mov"
	case strings.HasPrefix(brand, "3g"):
		return "3gp"
	case brand == "heic", brand == "heix", brand == "mif1", brand == "msf1", brand == "avif", brand == "avis", brand == "heim", brand == "heis", brand == "crx ":
		return "heif"
	}
	return "mp4"
}

// transportStream finds the sync octet five times in its distance: 188, or 192 of cameras.
func transportStream(b []byte) bool {
	for _, form := range []struct{ start, step int }{{0, 188}, {4, 192}} {
		found := 0
		for i := form.start; i < len(b) && b[i] == 0x47; i += form.step {
			found++
		}
		if found >= 5 {
			return true
		}
	}
	return false
}

// sniffSound knows streams of frames without a container: two frames in a row, or a mark.
func sniffSound(b []byte) string {
	if bytes.HasPrefix(b, []byte("fLaC")) {
		return "flac"
	}
	if n := adtsFrame(b); n > 0 && (n >= len(b) || adtsFrame(b[n:]) > 0) {
		return "adts"
	}
	if n := mpegFrame(b); n > 0 && (n >= len(b) || mpegFrame(b[n:]) > 0) {
		return "mp3"
	}
	return ""
}

// id3 is the size of a tag of ID3 version 2 at the beginning; 0 is none.
func id3(b []byte) int64 {
	if len(b) < 10 || string(b[:3]) != "ID3" || b[6]|b[7]|b[8]|b[9] >= 0x80 {
		return 0
	}
	return 10 + int64(b[6])<<21 + int64(b[7])<<14 + int64(b[8])<<7 + int64(b[9])
}

// adtsFrame is the length of a frame of AAC (ISO/IEC 13818-7 section 6.2); 0 is none.
func adtsFrame(b []byte) int {
	if len(b) < 7 || b[0] != 0xff || b[1]&0xf6 != 0xf0 {
		return 0
	}
	n := int(b[3]&3)<<11 | int(b[4])<<3 | int(b[5])>>5
	if n < 7 {
		return 0
	}
	return n
}

// mpegFrame is the length of a frame of layer III or II (ISO/IEC 11172-3 section 2.4.1.3,
// 13818-3); 0 is none.
func mpegFrame(b []byte) int {
	if len(b) < 4 || b[0] != 0xff || b[1]&0xe0 != 0xe0 {
		return 0
	}
	version, layer := b[1]>>3&3, b[1]>>1&3
	rate, sampling := int(b[2]>>4), int(b[2]>>2&3)
	if version == 1 || (layer != 1 && layer != 2) || rate == 0 || rate == 15 || sampling == 3 {
		return 0
	}
	kbit := [...][15]int{
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}, // MPEG-1 layer III
		{0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}, // MPEG-2
	}
	hertz, table, samples := [...]int{44100, 48000, 32000}[sampling], 2, 144
	switch {
	case version == 3 && layer == 1:
		table = 0
	case version == 3:
		table = 1
	case layer == 1:
		samples = 72
	}
	if version != 3 {
		hertz /= 2
	}
	if version == 0 {
		hertz /= 2
	}
	return samples*kbit[table][rate]*1000/hertz + int(b[2]>>1&1)
}
