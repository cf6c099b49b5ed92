package viewer_test

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/bench/viewer"
)

// serve is a site with that handler.
func serve(t *testing.T, protocol string, h http.Handler) viewer.Site {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig
	return viewer.Site{Host: "example.com", Addr: netip.MustParseAddrPort(s.Listener.Addr().String()), TLS: &tls.Config{RootCAs: trust.RootCAs}, Protocol: protocol}
}

func media(t *testing.T, size int64) (peer.File, http.HandlerFunc) {
	t.Helper()
	f, err := peer.MakeFile(t.TempDir(), size, 1)
	if err != nil {
		t.Fatal(err)
	}
	return f, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, f.Path) }
}

// A page that has nothing to play yet is waited for by its state; what plays then is read
// by a range.
func TestPlay(t *testing.T) {
	for _, protocol := range []string{viewer.H1, viewer.H2} {
		_, file := media(t, 1<<20)
		asked := 0
		mux := http.NewServeMux()
		mux.HandleFunc("/w/x", func(w http.ResponseWriter, r *http.Request) {
			if asked > 1 {
				_, _ = io.WriteString(w, `<video id="player"><source src="/w/x/play?a=1&amp;b=2" type="video/mp4"></video>`)
			}
		})
		mux.HandleFunc("/w/x/state", func(w http.ResponseWriter, r *http.Request) {
			asked++
			_, _ = fmt.Fprintf(w, `{"tag":"%d","live":true,"playable":%t}`, asked, asked > 1)
		})
		mux.Handle("/w/x/play", file)
		c := serve(t, protocol, mux).NewClient()
		defer c.Close()
		source, err := c.Play(t.Context(), "/w/x")
		if err != nil || source != "/w/x/play?a=1&b=2" || asked != 2 {
			t.Errorf("%s: %q after %d looks, %v", protocol, source, asked, err)
		}
		if !strings.HasPrefix(c.Cipher, "TLS 1.3 ") {
			t.Errorf("%s: %q", protocol, c.Cipher)
		}
		if _, err := c.Get(t.Context(), "/none"); !viewer.Missing(err) {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

func TestRanges(t *testing.T) {
	f, file := media(t, 3<<20+7)
	c := serve(t, viewer.H1, file).NewClient()
	defer c.Close()
	h := sha256.New()
	if err := c.Ranges(t.Context(), "/", f.Size, 1<<20, h); err != nil || hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		t.Errorf("%v", err)
	}
	if err := c.Ranges(t.Context(), "/", f.Size+1, f.Size+1, io.Discard); err == nil {
		t.Error("a short answer was taken for a whole one")
	}
}

func TestOpenHLS(t *testing.T) {
	files := map[string]string{
		"/h/index.m3u8":   "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv/media.m3u8\n",
		"/h/v/media.m3u8": "#EXTM3U\n#EXT-X-MAP:URI=\"init.mp4\"\n#EXTINF:4,\n0.m4s\n#EXTINF:4,\n1.m4s\n",
		"/h/v/init.mp4":   "header", "/h/v/0.m4s": "segment", "/h/text": "no playlist",
	}
	c := serve(t, viewer.H2, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, files[r.URL.Path]) })).NewClient()
	defer c.Close()
	got, err := c.OpenHLS(t.Context(), "/h/index.m3u8")
	if err != nil || string(got.Init) != "header" || string(got.Segment) != "segment" || got.Segments != 2 {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := c.OpenHLS(t.Context(), "/h/text"); err == nil {
		t.Error("a text was taken for a playlist")
	}
}

// Slow viewers come, read some, and go when they are told to; one that is refused is an
// error.
func TestCrowd(t *testing.T) {
	_, file := media(t, 8<<20)
	for _, protocol := range []string{viewer.H1, viewer.H2} {
		crowd, err := viewer.Gather(t.Context(), serve(t, protocol, file), "/", 5, 8<<10)
		if err != nil {
			t.Fatal(err)
		}
		if crowd.Read() < 5*(4<<10) {
			t.Errorf("%s: they have read %d octets", protocol, crowd.Read())
		}
		crowd.Close()
		if err := crowd.Err(); err != nil {
			t.Error(err)
		}
		if _, err := viewer.Gather(t.Context(), serve(t, protocol, http.NotFoundHandler()), "/", 1, 8<<10); err == nil {
			t.Errorf("%s: a refusal was taken for a video", protocol)
		}
	}
}
