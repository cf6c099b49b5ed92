package stranger_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/stranger"
)

// streams are first octets as such clients send them.
var streams = []struct {
	name, first string
	want        stranger.Kind
}{
	{"a browser", "GET / HTTP/1.1\r\nHost: a.example:1398\r\n\r\n", stranger.HTTP},
	{"a newer HTTP", "GET / HTTP/1.9\r\n\r\n", stranger.HTTP},
	{"an upload", "POST /upload HTTP/1.1\r\n", stranger.HTTP},
	{"WebDAV", "PROPFIND /x HTTP/1.1\r\n", stranger.HTTP},
	{"an open proxy is looked for", "CONNECT mx.example:25 HTTP/1.1\r\n", stranger.HTTP},
	{"a long path", "GET /" + strings.Repeat("a", 2*stranger.Peek) + " HTTP/1.0\r\n", stranger.HTTP},
	{"a scanner", "GET / HTTP/1.0\r\n\r\n", stranger.HTTP10},
	{"HTTP/0.9", "GET /index.html\r\n", stranger.HTTP10},
	{"a bare line feed", "HEAD / HTTP/1.0\n\n", stranger.HTTP10},
	{"prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04", stranger.HTTP2Clear},
	{"ssh", "SSH-2.0-OpenSSH_9.7\r\n", stranger.SSH},
	{"smtp", "EHLO mx.example\r\n", stranger.SMTP},
	{"old smtp", "helo mx.example\r\n", stranger.SMTP},
	{"lmtp", "LHLO store.example\r\n", stranger.SMTP},
	{"rdp", "\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00", stranger.RDP},
	{"smb1", "\x00\x00\x00\x54\xffSMB\x72\x00", stranger.SMB},
	{"smb2", "\x00\x00\x00\x54\xfeSMB\x40\x00", stranger.SMB},
	{"socks 5", "\x05\x01\x00", stranger.SOCKS},
	{"socks 5 with a password", "\x05\x02\x00\x02", stranger.SOCKS},
	{"socks 4", "\x04\x01\x00\x19\x01\x02\x03\x04\x00", stranger.SOCKS},
	{"a camera", "OPTIONS rtsp://a.example/1 RTSP/1.0\r\nCSeq: 1\r\n\r\n", stranger.RTSP},
	{"a telephone", "OPTIONS sip:nm SIP/2.0\r\n", stranger.SIP},
	{"a load balancer", "PROXY TCP4 192.0.2.1 192.0.2.2 56324 1398\r\n", stranger.ProxyProtocol},
	{"a newer load balancer", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", stranger.ProxyProtocol},
	{"SSL 2 for SSL 3", "\x80\x2e\x01\x03\x00\x00\x15\x00\x00\x00\x10", stranger.TLSOld},
	{"SSL 2", "\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", stranger.TLSOld},
	{"a lone alert", "\x15\x03\x01\x00\x02\x02\x28", stranger.TLSBroken},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ""},
	{"not quite TLS", "\x16\x02\x01\x02\x00", stranger.Random},
	{"lower case", "get / http/1.1\r\n", stranger.Random},
	{"a word", "HELP\r\n", stranger.Random},
	{"no method", "HELLO world\r\n", stranger.Random},
	{"zeros", "\x00\x00\x00\x00\x00\x00", stranger.Random},
	{"octets", "\x9f\x01\x02", stranger.Random},
	{"almost ssh", "SSH_2", stranger.Random},
	{"a long word", strings.Repeat("A", 40), stranger.Random},
}

func TestFromStream(t *testing.T) {
	for _, tc := range streams {
		t.Run(tc.name, func(t *testing.T) {
			first := []byte(tc.first)
			kind, certain := stranger.FromStream(first)
			if kind != tc.want {
				t.Fatalf("%q, want %q", kind, tc.want)
			}
			whole := strings.Contains(tc.first, "\n") || len(first) >= stranger.Peek || kind != stranger.Random
			if whole && !certain {
				t.Errorf("%q is not certain", kind)
			}
			for n := range first {
				checkPrefix(t, first[:n], first)
			}
		})
	}
	if kind, certain := stranger.FromStream(nil); kind != stranger.Silence || certain {
		t.Errorf("nothing: %q, certain %v", kind, certain)
	}
}

// checkPrefix asserts that a certain answer stays and that nothing is kept waiting
// longer than Peek octets.
func checkPrefix(t *testing.T, prefix, whole []byte) {
	t.Helper()
	kind, certain := stranger.FromStream(prefix)
	if kind != "" && !slices.Contains(stranger.Kinds(), kind) {
		t.Fatalf("%q is not among the kinds", kind)
	}
	if !certain {
		if len(prefix) >= stranger.Peek {
			t.Fatalf("no answer after %d octets of %q", len(prefix), prefix)
		}
		return
	}
	if later, still := stranger.FromStream(whole); later != kind || !still {
		t.Fatalf("%q was certainly %q, and %q is %q (certain %v)", prefix, kind, whole, later, still)
	}
}

func TestKindsAreLabels(t *testing.T) {
	kinds := stranger.Kinds()
	if !slices.IsSorted(kinds) || len(slices.Compact(slices.Clone(kinds))) != len(kinds) {
		t.Errorf("not a sorted set: %q", kinds)
	}
	for _, tc := range streams {
		if tc.want != "" && !slices.Contains(kinds, tc.want) {
			t.Errorf("%q is missing", tc.want)
		}
	}
	kinds[0] = "changed"
	if slices.Contains(stranger.Kinds(), "changed") {
		t.Error("the list is shared")
	}
}

func FuzzFromStream(f *testing.F) {
	for _, tc := range streams {
		f.Add([]byte(tc.first), len(tc.first)/2)
	}
	f.Fuzz(func(t *testing.T, first []byte, n int) {
		before := bytes.Clone(first)
		checkPrefix(t, first[:min(max(n, 0), len(first))], first)
		checkPrefix(t, first, first)
		if !bytes.Equal(first, before) {
			t.Error("the octets were changed")
		}
	})
}
