package main

import (
	"bytes"
	"path/filepath"
	"strings"

	"github.com/videoactivmail/vam"
)

// guessKind says what a file is by its name, as long as its first octets do not
// contradict: a program that shows it looks closer.
func guessKind(name string, head []byte) (vam.Kind, string) {
	mediaType, ok := mediaTypes()[strings.ToLower(filepath.Ext(name))]
	if !ok || !container(head) {
		return vam.File, "application/octet-stream"
	}
	if strings.HasPrefix(mediaType, "audio/") {
		return vam.Voice, mediaType
	}
	return vam.Video, mediaType
}

// mediaTypes are those of the IANA registry for the usual extensions.
func mediaTypes() map[string]string {
	return map[string]string{
		".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".mkv": "video/matroska",
		".avi": "video/x-msvideo", ".3gp": "video/3gpp", ".3g2": "video/3gpp2", ".ts": "video/mp2t", ".mts": "video/mp2t",
		".mpg": "video/mpeg", ".mpeg": "video/mpeg", ".ogv": "video/ogg", ".flv": "video/x-flv", ".wmv": "video/x-ms-wmv",
		".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".aac": "audio/aac", ".wav": "audio/wav", ".ogg": "audio/ogg",
		".oga": "audio/ogg", ".opus": "audio/ogg", ".flac": "audio/flac", ".amr": "audio/amr", ".weba": "audio/webm",
	}
}

// container reports whether a file begins as a media container does.
func container(head []byte) bool {
	if len(head) >= 12 && bytes.Contains([]byte("ftyp moov mdat free wide skip styp pnot"), head[4:8]) {
		return true
	}
	for _, magic := range []string{"\x1aE\xdf\xa3", "RIFF", "OggS", "FLV", "fLaC", "ID3", "#!AMR", "\x30\x26\xb2\x75", "\x00\x00\x01\xba", "\x00\x00\x01\xb3"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	const packet = 188 // of an MPEG transport stream; each begins with a G
	if len(head) > packet && head[0] == 'G' && head[packet] == 'G' {
		return true
	}
	return len(head) > 1 && head[0] == 0xff && head[1]&0xe0 == 0xe0 // a frame of MPEG audio
}
