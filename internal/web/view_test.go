package web_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/videoactivmail/vam/internal/grant"
	"github.com/videoactivmail/vam/internal/media"
	"github.com/videoactivmail/vam/internal/submission"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

const (
	iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1"
	chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
)

// film is a recording made by ffmpeg with its index where it is told to be.
func film(t *testing.T, name string, flags ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	args := append([]string{
		"-hide_banner", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
		"-t", "9", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-c:a", "aac",
	}, flags...)
	if out, err := exec.Command("ffmpeg", append(args, path)...).CombinedOutput(); err != nil {
		t.Fatalf("ffmpeg: %v\n%s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// frames are the hashes of all decoded pictures and sounds.
func frames(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.mp4")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ffmpeg", "-hide_banner", "-loglevel", "error", "-nostdin", "-i", path, "-map", "0:v", "-f", "framemd5", "-").Output()
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for line := range strings.Lines(string(out)) {
		if fields := strings.Split(strings.TrimSpace(line), ","); len(fields) == 6 {
			hashes = append(hashes, fields[5])
		}
	}
	return fmt.Sprint(len(hashes), hashes)
}

// TestView: an index at the end, or another brand, costs no conversion: the recording is
// played in boxes that are computed, with a known size and ranges.
func TestView(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	data := film(t, "clip.mov")
	m := d.Send(submission.Draft{Name: "clip.mov"}, data)
	link := d.Link(m.Key, grant.Terms{})
	page := d.Get(d.URL(link, ""), "User-Agent", chrome)
	wantWords(t, page, "/play/view\" type=\"video/mp4; codecs=&#34;avc1.", `width="320" height="180"`)
	whole := d.Get(d.URL(link, "play/view"))
	wantStatus(t, whole, http.StatusOK)
	if whole.Header.Get("Content-Type") != "video/mp4" || whole.Header.Get("ETag") == d.Get(d.URL(link, "original")).Header.Get("ETag") {
		t.Errorf("the view has the headers %v", whole.Header)
	}
	if got, want := frames(t, []byte(whole.Body)), frames(t, data); got != want {
		t.Errorf("the view has other pictures:\n%s\n%s", got, want)
	}
	part := d.Get(d.URL(link, "play/view"), "Range", "bytes=5000-69999")
	wantStatus(t, part, http.StatusPartialContent)
	wantBody(t, part, []byte(whole.Body)[5000:70000])
	if a := d.Get(d.URL(link, "play/original")); a.Status != http.StatusNotFound {
		t.Errorf("the original is played as it is: %d", a.Status)
	}
	wantBody(t, d.Get(d.URL(link, "original")), data)
}

// TestHLS is what Safari gets: a playlist, an init segment and segments that together are
// the recording.
func TestHLS(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	data := film(t, "clip.mp4", "-movflags", "+faststart")
	m := d.Send(submission.Draft{Name: "clip.mp4"}, data)
	link := d.Link(m.Key, grant.Terms{})
	page := d.Get(d.URL(link, ""), "User-Agent", iphone).Body
	if first, second := strings.Index(page, "/hls/index.m3u8"), strings.Index(page, "/play/original"); first < 0 || second < first {
		t.Error("an iPhone is not offered HLS first")
	}
	page = d.Get(d.URL(link, ""), "User-Agent", chrome).Body
	if first, second := strings.Index(page, "/play/original"), strings.Index(page, "/hls/index.m3u8"); first < 0 || second < first {
		t.Error("Chrome is not offered the original first")
	}
	rendition := media.NewWork(media.Rendition)
	d.Know(m, ordinary())
	d.Make(m, rendition, map[string][]byte{"rendition.mp4": data})
	index := d.Get(d.URL(link, "hls/index.m3u8"))
	wantStatus(t, index, http.StatusOK)
	if got := index.Header.Get("Content-Type"); got != "application/vnd.apple.mpegurl" {
		t.Errorf("the playlist has the type %q", got)
	}
	wantWords(t, index, "original/index.m3u8", "rendition/index.m3u8", `CODECS="avc1.`)
	for _, track := range []string{"original", "rendition"} {
		list := d.Get(d.URL(link, "hls/"+track+"/index.m3u8"))
		wantStatus(t, list, http.StatusOK)
		wantWords(t, list, "#EXT-X-ENDLIST", `#EXT-X-MAP:URI="init.mp4"`)
		all := []byte(d.Get(d.URL(link, "hls/"+track+"/init.mp4")).Body)
		segments := 0
		for line := range strings.Lines(list.Body) {
			if name := strings.TrimSpace(line); strings.HasSuffix(name, ".m4s") {
				a := d.Get(d.URL(link, "hls/"+track+"/"+name))
				wantStatus(t, a, http.StatusOK)
				all = append(all, a.Body...)
				segments++
			}
		}
		if segments < 2 {
			t.Errorf("%s has %d segments", track, segments)
		}
		if frames(t, all) != frames(t, data) {
			t.Errorf("the segments of %s have other pictures", track)
		}
	}
	for _, bad := range []string{"hls/original/99.m4s", "hls/rendition-480/index.m3u8", "hls/../original", "hls/original/x.mp4", "hls/original/-1.m4s"} {
		if a := d.Get(d.URL(link, bad)); a.Status != http.StatusNotFound {
			t.Errorf("%s: %d", bad, a.Status)
		}
	}
	if d.Plays(link) != 0 {
		t.Error("segments are counted as a view")
	}
}

// TestHLSRange: a player is told of a high dynamic range before it reads a segment.
func TestHLSRange(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	data := film(t, "clip.mp4", "-movflags", "+faststart")
	for transfer, want := range map[string]string{"smpte2084": ",VIDEO-RANGE=PQ\n", "arib-std-b67": ",VIDEO-RANGE=HLG\n"} {
		m := d.Send(submission.Draft{Name: "clip.mp4"}, data)
		d.Know(m, media.Info{Container: "mp4", Tracks: []media.Track{{Type: media.Video, Codec: "hevc", Colour: media.Colour{Transfer: transfer}}}})
		wantWords(t, d.Get(d.URL(d.Link(m.Key, grant.Terms{}), "hls/index.m3u8")), want)
	}
}

// TestNoView: where there is none, the original is played in its place.
func TestNoView(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	m := d.Send(submission.Draft{Name: "x.mov"}, noise(1000))
	info := ordinary()
	info.Container = "mov"
	d.Know(m, info)
	wantBody(t, d.Get(d.URL(d.Link(m.Key, grant.Terms{}), "play/view")), noise(1000))
}

// TestManyViewersShare: everybody gets the right octets, whoever else watches.
func TestManyViewersShare(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	data := film(t, "clip.mp4")
	m := d.Send(submission.Draft{Name: "clip.mp4"}, data)
	link := d.Link(m.Key, grant.Terms{})
	want := []byte(d.Get(d.URL(link, "play/view")).Body)
	errs := make(chan error)
	const viewers = 20
	for i := range viewers {
		go func() {
			from := i * len(want) / viewers
			r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, d.URL(link, "play/view"), nil)
			if err != nil {
				errs <- err
				return
			}
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
			a, err := d.Server.Client().Do(r)
			if err != nil {
				errs <- err
				return
			}
			defer a.Body.Close()
			var got bytes.Buffer
			if _, err = got.ReadFrom(a.Body); err == nil && !bytes.Equal(got.Bytes(), want[from:]) {
				err = fmt.Errorf("viewer %d got other octets", i)
			}
			errs <- err
		}()
	}
	for range viewers {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
