package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/golden"
	"github.com/videoactivmail/vam/internal/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var secret = "vp_" + strings.Repeat("Ab9-_", 8) + "xyz"

func TestNoCredentialReachesTheLog(t *testing.T) {
	type request struct{ Header http.Header }
	for _, asJSON := range []bool{false, true} {
		var out bytes.Buffer
		log := telemetry.NewLogger(&out, telemetry.LogOptions{JSON: asJSON})
		log.With("with", "Authorization: Bearer "+secret).WithGroup("g").Error("sent "+secret,
			slog.Any("err", errors.New("GET /w/"+secret+" failed")),
			slog.Any("request", request{http.Header{"Authorization": {"bearer " + secret}}}),
			slog.Group("inner", slog.String("token", "x"+secret+"\n")))
		if strings.Contains(out.String(), secret[3:]) {
			t.Errorf("a token was logged: %s", out.String())
		}
		if n := strings.Count(out.String(), "[redacted]"); n != 5 {
			t.Errorf("%d places redacted, want 5: %s", n, out.String())
		}
		if strings.Count(out.String(), "\n") != 1 {
			t.Errorf("more than one line: %q", out.String())
		}
	}
}

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"":                                      "",
		"nothing here":                          "nothing here",
		"basic training":                        "basic training",
		"a basic misunderstanding":              "a basic [redacted]", // rather too much than too little
		"/w/short":                              "/w/short",
		secret:                                  "vp_[redacted]",
		"Basic dXNlcjpwYXNzd29yZA==, next":      "Basic [redacted], next",
		"https://v.a.example/w/" + secret + "?": "https://v.a.example/w/[redacted]?",
		"BEARER abcdefgh":                       "BEARER [redacted]",
	} {
		if got := telemetry.Redact(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("before ", " after")
	f.Add("vp_", "/w/")
	f.Fuzz(func(t *testing.T, before, after string) {
		if got := telemetry.Redact(before + secret + after); strings.Contains(got, secret[3:]) {
			t.Fatalf("%q still has the token", got)
		}
	})
}

func TestLevels(t *testing.T) {
	var out bytes.Buffer
	level := new(slog.LevelVar)
	log := telemetry.NewLogger(&out, telemetry.LogOptions{Level: level})
	log.Debug("one")
	level.Set(slog.LevelDebug)
	log.Debug("two")
	if got := out.String(); strings.Contains(got, "one") || !strings.Contains(got, "two") {
		t.Error(got)
	}
	for _, s := range []string{"debug", "info", "warn", "error"} {
		if l, err := telemetry.ParseLevel(s); err != nil || !strings.EqualFold(l.String(), s) {
			t.Errorf("%s: %v, %v", s, l, err)
		}
	}
	if _, err := telemetry.ParseLevel("INFO+3"); vam.KindOf(err) != vam.Invalid || err == nil {
		t.Errorf("got %v", err)
	}
}

// TestThrottle is AM-11.19.
func TestThrottle(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	th := telemetry.NewThrottle(telemetry.NewLogger(&out, telemetry.LogOptions{}), time.Minute, func() time.Time { return now })
	lines := func() []string {
		defer out.Reset()
		return strings.Split(strings.TrimSpace(out.String()), "\n")
	}
	for range 5 {
		th.Log(t.Context(), slog.LevelInfo, "ssh", "a stranger")
	}
	th.Log(t.Context(), slog.LevelInfo, "smtp", "a stranger")
	if got := lines(); len(got) != 2 || strings.Contains(got[0], "suppressed") {
		t.Errorf("%q", got)
	}
	now = now.Add(time.Minute)
	th.Log(t.Context(), slog.LevelInfo, "ssh", "a stranger", slog.String("from", "192.0.2.1"))
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "from=192.0.2.1 suppressed=4") {
		t.Errorf("%q", got)
	}
	th.Log(t.Context(), slog.LevelDebug, "new", "below the level")
	for i := range 5000 {
		th.Log(t.Context(), slog.LevelInfo, strings.Repeat("k", i), "key of a stranger")
	}
	if got := lines(); len(got) > 1100 {
		t.Errorf("%d lines for 5000 keys", len(got))
	}
	now = now.Add(time.Hour)
	th.Log(t.Context(), slog.LevelInfo, "fresh", "after the flood")
	if got := lines(); len(got) != 1 || !strings.Contains(got[0], "after the flood") {
		t.Errorf("%q", got)
	}
}

func TestOperatorListener(t *testing.T) {
	m := telemetry.NewMetrics("1.2.3", "abc")
	m.Strangers.WithLabelValues("ssh").Inc()
	m.Watch(telemetry.Gauges{QueueJobs: func() float64 { return 7 }})
	h := telemetry.NewHealth()
	var broken error
	h.Add("database", func(context.Context) error { return broken })
	h.Add("disk", telemetry.DiskCheck(func() (vam.Bytes, error) { return 2 * vam.GiB, nil }, vam.GiB))

	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := telemetry.Serve(ln, telemetry.Handler(m.Gatherer(), h), slog.New(slog.DiscardHandler))
	defer func() {
		if err := s.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) (int, string) {
		resp, err := client.Get("http://" + s.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}

	if code, body := get("/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("%d %q", code, body)
	}
	_, body := get("/metrics")
	for _, want := range []string{`vam_strangers_total{kind="ssh"} 1`, "vam_queue_jobs 7", `vam_build_info{revision="abc",version="1.2.3"} 1`, "go_goroutines", "vam_resumed_bytes_total 0"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(body, "vam_store_bytes") {
		t.Error("a gauge without a source is shown")
	}
	if code, body := get("/readyz"); code != 200 || body != `{"status":"ready","checks":[{"name":"database","ok":true},{"name":"disk","ok":true}]}`+"\n" {
		t.Errorf("%d %q", code, body)
	}
	broken = errors.New("locked by another process")
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, `"failing"`) || !strings.Contains(body, "locked by") {
		t.Errorf("%d %q", code, body)
	}
	h.Drain()
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, `"stopping"`) {
		t.Errorf("%d %q", code, body)
	}
	if code, _ := get("/"); code != 404 {
		t.Errorf("/ is %d", code)
	}
}

func TestDiskCheck(t *testing.T) {
	low := telemetry.DiskCheck(func() (vam.Bytes, error) { return vam.MiB, nil }, vam.GiB)
	if err := low(t.Context()); vam.KindOf(err) != vam.OverQuota || !strings.Contains(err.Error(), "1 MiB free") {
		t.Errorf("got %v", err)
	}
	failing := telemetry.DiskCheck(func() (vam.Bytes, error) { return 0, os.ErrPermission }, vam.GiB)
	if err := failing(t.Context()); vam.KindOf(err) != vam.Unavailable || !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

func TestMetricsReferenceIsUpToDate(t *testing.T) {
	var got bytes.Buffer
	if err := telemetry.NewMetrics("", "").WriteReference(&got); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "../../docs/metrics.md", got.String())
}
