package stranger

import (
	"bytes"
	"slices"
)

// Peek is how many octets of a stream [FromStream] looks at.
const Peek = 512

// Record types of TLS (RFC 8446 section 5.1) and the major version of each of them.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordMajor     = 3
)

// signature recognises a protocol by its first octets. An octet of mask says which bits
// of value count; where mask ends, all do.
type signature struct {
	kind        Kind
	value, mask string
}

// Masks: letter makes a letter count in either case, and any lets an octet pass.
const (
	letter4 = "\xdf\xdf\xdf\xdf"
	any1    = "\x00"
)

var signatures = [...]signature{
	{SSH, "SSH-", ""},
	{SMTP, "EHLO", letter4},
	{SMTP, "HELO", letter4},
	{SMTP, "LHLO", letter4},
	{ProxyProtocol, "PROXY ", ""},
	{ProxyProtocol, "\r\n\r\n\x00\r\nQUIT\n", ""},
	{HTTP2Clear, "PRI * HTTP/2.0\r\n", ""},
	{RDP, "\x03\x00\x00\x00\x00\xe0", "\xff\xff" + any1 + any1 + any1},
	{SMB, "\x00\x00\x00\x00\xffSMB", "\xff\xff" + any1 + any1 + "\xff"},
	{SMB, "\x00\x00\x00\x00\xfeSMB", "\xff\xff" + any1 + any1 + "\xff"},
	{SOCKS, "\x04\x01", ""},
	{SOCKS, "\x05\x01\x00", ""},
	{SOCKS, "\x05\x01\x02", ""},
	{SOCKS, "\x05\x02\x00", ""},
	{TLSBroken, string([]byte{recordAlert, recordMajor}), ""},
	// The hello of SSL 2.0, in which clients of old also asked for SSL 3.0 and TLS 1.0.
	{TLSOld, "\x80\x00\x01\x03", "\xff" + any1},
	{TLSOld, "\x80\x00\x01\x00\x02", "\xff" + any1},
}

// match says whether first begins with the signature, or may come to.
func (s signature) match(first []byte) (full, maybe bool) {
	for i := range min(len(first), len(s.value)) {
		mask := byte(0xff)
		if i < len(s.mask) {
			mask = s.mask[i]
		}
		if first[i]&mask != s.value[i]&mask {
			return false, false
		}
	}
	return len(first) >= len(s.value), true
}

// FromStream says what a client looks like whose first octets are first; "" is TLS, and
// Silence nothing at all. certain says that no octet that may follow changes the
// answer; until then it is what the client would be if nothing more came. At most Peek
// octets are looked at, and with as many the answer is certain.
func FromStream(first []byte) (kind Kind, certain bool) {
	first = first[:min(len(first), Peek)]
	switch {
	case len(first) == 0:
		return Silence, false
	case first[0] == recordHandshake && len(first) == 1:
		return "", false
	case first[0] == recordHandshake && first[1] == recordMajor:
		return "", true
	}
	undecided := false
	for _, s := range signatures {
		full, maybe := s.match(first)
		if full {
			return s.kind, true
		}
		undecided = undecided || maybe
	}
	kind, certain = fromRequestLine(first)
	return kind, certain && !undecided
}

// maxMethod is more than the longest registered HTTP method.
const maxMethod = 20

// fromRequestLine recognises HTTP and what was modelled on it by the version at the end
// of its request line (RFC 9112 section 3), and HTTP/0.9, which has none, by its
// method.
func fromRequestLine(first []byte) (kind Kind, certain bool) {
	method, rest, spaced := bytes.Cut(first, []byte(" "))
	if len(method) == 0 || len(method) > maxMethod || slices.ContainsFunc(method, func(b byte) bool { return !isMethod(b) }) {
		return Random, true
	}
	if !spaced {
		return Random, false
	}
	line, _, ended := bytes.Cut(rest, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	// A line that is cut off counts by its method.
	certain = ended || len(first) == Peek
	if ended {
		version := line[bytes.LastIndexByte(line, ' ')+1:]
		switch {
		case bytes.HasPrefix(version, []byte("HTTP/1.0")) || bytes.HasPrefix(version, []byte("HTTP/0")):
			return HTTP10, true
		case bytes.HasPrefix(version, []byte("HTTP/")):
			return HTTP, true
		case bytes.HasPrefix(version, []byte("RTSP/")):
			return RTSP, true
		case bytes.HasPrefix(version, []byte("SIP/")):
			return SIP, true
		}
	}
	switch string(method) {
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE":
		if ended {
			return HTTP10, true
		}
		return HTTP, certain
	}
	return Random, certain
}

// isMethod is stricter than the token of HTTP: every registered method is of these.
func isMethod(b byte) bool { return 'A' <= b && b <= 'Z' || b == '-' || b == '_' }
