package web_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/web"
	"github.com/videoactivmail/vam/internal/web/webtest"
)

const nginxConf = `daemon off;
worker_processes 1;
%s
pid %s/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %[2]s/body;
    proxy_temp_path %[2]s/proxy;
    fastcgi_temp_path %[2]s/fastcgi;
    uwsgi_temp_path %[2]s/uwsgi;
    scgi_temp_path %[2]s/scgi;
    server { listen %[3]s; root %[2]s/root; }
}
`

// startNginx serves content as /file and returns its URL. The listening socket is handed
// to it as it hands one to its successor: as a descriptor by number.
func startNginx(t *testing.T, content []byte, modified time.Time) string {
	t.Helper()
	bin, err := exec.LookPath("nginx")
	if err != nil {
		bin = "/usr/sbin/nginx"
	}
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("VAM_CI") == "1" {
			t.Fatal("nginx is not installed, and this run must leave nothing out")
		}
		t.Skip("nginx is not installed")
	}
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "root", "file")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, modified, modified); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	conf := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, user, dir, l.Addr()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-p", dir, "-c", conf, "-e", "stderr")
	cmd.ExtraFiles, cmd.Env = []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() && said.Len() > 0 {
			t.Log(said.String())
		}
	})
	return "http://" + l.Addr().String() + "/file"
}

// ask makes a request; TAG and DATE in a header stand for what that server says itself.
func ask(t *testing.T, client *http.Client, target, method string, headers map[string]string, tag, date string) webtest.Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, strings.NewReplacer("TAG", tag, "DATE", date).Replace(value))
	}
	a, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return webtest.Answer{Status: a.StatusCode, Header: a.Header, Body: string(body)}
}

// parts is a body without what servers choose as they like: of an answer with many ranges
// its parts, of an error nothing.
func parts(t *testing.T, a webtest.Answer) string {
	t.Helper()
	kind, params, _ := mime.ParseMediaType(a.Header.Get("Content-Type"))
	switch {
	case a.Status >= 400 || a.Body == "":
		return ""
	case kind != "multipart/byteranges":
		return a.Header.Get("Content-Range") + "|" + a.Body
	}
	var out strings.Builder
	for r := multipart.NewReader(strings.NewReader(a.Body), params["boundary"]); ; {
		p, err := r.NextPart()
		if err == io.EOF {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(p)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s|%s\n", p.Header.Get("Content-Range"), data)
	}
}

// TestRangesAreThoseOfNginx asks both servers the same.
func TestRangesAreThoseOfNginx(t *testing.T) {
	const size = 100_000
	d := webtest.New(t, webtest.Options{})
	m, link := sent(t, d, size)
	other := startNginx(t, noise(size), m.Head.SealedAt)
	ours := d.URL(link, "play/original")
	// HTTP/1.1 on both sides.
	oneOne := d.Server.Client().Transport.(*http.Transport).Clone()
	oneOne.ForceAttemptHTTP2, oneOne.TLSClientConfig.NextProtos = false, []string{"http/1.1"}
	mine := &http.Client{Transport: oneOne}
	t.Cleanup(oneOne.CloseIdleConnections)
	first, theirs := ask(t, mine, ours, http.MethodGet, nil, "", ""), ask(t, http.DefaultClient, other, http.MethodGet, nil, "", "")
	if first.Body != theirs.Body || first.Header.Get("ETag") == "" || first.Header.Get("Last-Modified") != theirs.Header.Get("Last-Modified") {
		t.Fatalf("they do not serve the same: %v, %v", first.Header, theirs.Header)
	}
	past := m.Head.SealedAt.Add(-time.Hour).UTC().Format(http.TimeFormat)
	future := m.Head.SealedAt.Add(time.Hour).UTC().Format(http.TimeFormat)
	var requests []map[string]string
	for _, r := range []string{
		"bytes=0-0", "bytes=0-", "bytes=0-99999", "bytes=0-100000", "bytes=500-999", "bytes=99999-", "bytes=99999-99999", "bytes=100000-", "bytes=100000-100001",
		"bytes=-1", "bytes=-500", "bytes=-100000", "bytes=-200000", "bytes=-0", "bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=0-0-0", "bytes=1-2x",
		"items=0-5", "BYTES=0-5", "Bytes=10-12", "bytes= 0-5", "bytes=0 - 5", "bytes=0-5 ", "bytes =0-5",
		"bytes=99999999999999999999-", "bytes=0-99999999999999999999", "bytes=-99999999999999999999",
		"bytes=0-1,5-6", "bytes=0-1, 5-6", "bytes=5-6,0-1", "bytes=0-10,5-15", "bytes=0-0,-1", "bytes=0-1,200000-", "bytes=200000-,300000-", "bytes=0-1,x",
		"bytes=0-99999,0-0", "bytes=0-,0-", "bytes=0-50000,40000-90000", "bytes=0-60000,0-60000",
		"bytes=0-1,10-11,20-21,30-31,40-41",
	} {
		requests = append(requests, map[string]string{"Range": r})
	}
	for _, c := range []map[string]string{
		{"If-Range": "TAG"},
		{"If-Range": `"another"`},
		{"If-Range": "W/TAG"},
		{"If-Range": "DATE"},
		{"If-Range": past},
		{"If-Range": future},
		{"If-Range": "nonsense"},
		{"If-Match": "TAG"},
		{"If-Match": `"another"`},
		{"If-Match": "*"},
		{"If-None-Match": "TAG"},
		{"If-None-Match": `"another"`},
		{"If-None-Match": "*"},
		{"If-None-Match": `"another", TAG`},
		{"If-Modified-Since": "DATE"},
		{"If-Modified-Since": past},
		{"If-Modified-Since": "nonsense"},
		{"If-Unmodified-Since": "DATE"},
		{"If-Unmodified-Since": past},
		{"If-Unmodified-Since": future},
	} {
		requests = append(requests, c)
		c2 := map[string]string{"Range": "bytes=10-19"}
		for name, value := range c {
			c2[name] = value
		}
		requests = append(requests, c2)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, headers := range requests {
			got := ask(t, mine, ours, method, headers, first.Header.Get("ETag"), first.Header.Get("Last-Modified"))
			want := ask(t, http.DefaultClient, other, method, headers, theirs.Header.Get("ETag"), theirs.Header.Get("Last-Modified"))
			if got.Status != want.Status || parts(t, got) != parts(t, want) {
				t.Errorf("%s %v: %d %q with %d octets, nginx has %d %q with %d", method, headers,
					got.Status, got.Header.Get("Content-Range"), len(got.Body), want.Status, want.Header.Get("Content-Range"), len(want.Body))
			}
			if got.Status == http.StatusRequestedRangeNotSatisfiable && got.Header.Get("Content-Range") != fmt.Sprintf("bytes */%d", size) {
				t.Errorf("%s %v: Content-Range %q", method, headers, got.Header.Get("Content-Range"))
			}
		}
	}
}

// TestEmptyListElements is where this server follows RFC 9110 section 5.6.1.2 and nginx
// does not: a list may have empty elements.
func TestEmptyListElements(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 100)
	a := d.Get(d.URL(link, "original"), "Range", "bytes=,0-1,,")
	wantStatus(t, a, http.StatusPartialContent)
	wantBody(t, a, noise(100)[:2])
}

// FuzzRange: whatever is asked for, an answer in part is within the whole.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-0", "bytes=-5", "bytes=5-", "bytes=0-1,5-6", "bytes=-0", "BYTES=1-1", "items=1-2", "bytes=9-1", "bytes=,,", "bytes=99999999999999999999-"} {
		f.Add(s)
	}
	plain := regexp.MustCompile(`^bytes=(\d+-\d*)(,\d+-\d+)*$`)
	f.Fuzz(func(t *testing.T, header string) {
		const size = 1000
		got := web.ReadRange(header, size)
		if got != "" && !plain.MatchString(got) {
			t.Fatalf("%q becomes %q", header, got)
		}
		if again := web.ReadRange(got, size); again != got {
			t.Errorf("%q becomes %q, and that %q", header, got, again)
		}
		for spec := range strings.SplitSeq(strings.TrimPrefix(got, "bytes="), ",") {
			var from, to int
			if n, _ := fmt.Sscanf(spec, "%d-%d", &from, &to); n == 2 && (from > to || to >= size) {
				t.Errorf("%q becomes %q", header, got)
			}
		}
	})
}

// TestRangesAreBounded: of very many ranges the whole is served, which costs less.
func TestRangesAreBounded(t *testing.T) {
	d := webtest.New(t, webtest.Options{})
	_, link := sent(t, d, 100_000)
	ranges := func(n int) string {
		var out []string
		for i := range n {
			out = append(out, fmt.Sprintf("%d-%d", i*10, i*10))
		}
		return "bytes=" + strings.Join(out, ",")
	}
	wantStatus(t, d.Get(d.URL(link, "original"), "Range", ranges(web.MaxRanges)), http.StatusPartialContent)
	a := d.Get(d.URL(link, "original"), "Range", ranges(web.MaxRanges+1))
	wantStatus(t, a, http.StatusOK)
	wantBody(t, a, noise(100_000))
}
