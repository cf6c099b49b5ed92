package daemon_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/netem"
	"github.com/videoactivmail/vam/internal/telemetry"
	"github.com/videoactivmail/vam/internal/userclient"
	"github.com/videoactivmail/vam/internal/userwire"
)

// TestEverySeriesIsFed: whatever docs/metrics.md lists comes to life between two servers.
func TestEverySeriesIsFed(t *testing.T) {
	t.Parallel()
	a, b, link := linked(t, time.Second)
	// A transfer that is cut and goes on.
	id, data := stalled(t, a, b, link, 14*vam.MiB)
	must(t, <-a.signal())
	link.SetShape(netem.ToClient, netem.Shape{})
	link.Cut(netem.Rst)
	a.options.Config.Limits.Senders.Messages.Burst = 2
	a.start()
	a.settles(id, vam.Stored)
	b.has("a.test", id, data)
	small := a.send([]byte("small"), b)
	a.settles(small, vam.Stored)

	// Somebody whom nobody knows, a limit, a stranger, and one who is not there.
	a.send([]byte("x"), &node{account: vam.Address{Local: "nobody", Domain: "b.test"}})
	impatient := userclient.New(userclient.Options{Address: a.listen, ServerName: "a.test", Token: a.setup.Token, Roots: a.ca.Pool()})
	defer impatient.Close()
	up := userclient.Upload{Client: impatient, ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{To: []string{"bob@b.test"}}}
	_, err := up.Send(t.Context(), strings.NewReader(""), 0)
	wantKind(t, err, vam.Busy, "this server's limit")
	if res, err := http.Get("http://" + b.listen + "/"); err == nil {
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}

	// What waits and what runs is there while it does.
	link.Stall()
	b.options.Config.Limits.Reserve = vam.MiB
	waiting := b.client()
	up = userclient.Upload{Client: waiting, ID: vam.NewMessageID(time.Now()), Draft: userwire.Draft{To: []string{"alice@a.test"}}}
	_, err = up.Send(t.Context(), strings.NewReader("hello"), 5)
	must(t, err)
	eventually(t, "a job waits", func() bool { return b.metric("vam_queue_jobs") > 0 && b.metric("vam_queue_oldest_seconds") > 0 })
	link.Resume()

	_, fromA := a.get("/metrics")
	_, fromB := b.get("/metrics")
	transient := []string{"vam_queue_jobs", "vam_queue_oldest_seconds", "vam_pulls_open", "vam_media_jobs", "vam_media_oldest_seconds"}
	for _, d := range telemetry.NewMetrics("", "").Definitions() {
		switch {
		case d.Name == "vam_media_work_total": // these servers have no ffmpeg; see TestMediaWorkIsCounted
		case !strings.Contains(fromA+fromB, "\n# TYPE "+d.Name+" "+d.Type):
			t.Errorf("%s is not there", d.Name)
		case slices.Contains(transient, d.Name):
		case sum(t, fromA, d.Name)+sum(t, fromB, d.Name) <= 0:
			t.Errorf("%s is not fed", d.Name)
		}
	}
	for _, c := range []struct {
		text   string
		name   string
		labels []string
		want   float64
	}{
		{fromA, "vam_offers_total", []string{`direction="out"`, `result="accepted"`}, 1},
		{fromB, "vam_offers_total", []string{`direction="in"`, `result="accepted"`}, 2},
		{fromB, "vam_offers_total", []string{`direction="in"`, `result="rejected"`}, 1},
		{fromA, "vam_limited_total", []string{`limit="limits.senders.messages"`}, 1},
		{fromB, "vam_pulls_total", []string{`result="done"`}, 2},
		{fromB, "vam_first_part_seconds_count", nil, 2},
		{fromA, "vam_build_info", []string{`version="test"`}, 1},
	} {
		if got := sum(t, c.text, c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, not %v", c.name, c.labels, got, c.want)
		}
	}
	if in, all := sum(t, fromB, "vam_media_bytes_total", `direction="in"`), float64(len(data)+len("small")); in < all || in > all+4*float64(vam.MiB) {
		t.Errorf("%v octets of media came in, %v were wanted", in, all)
	}
	// Nobody can make a series by what they ask for.
	if strings.Contains(fromB, "bob@") || strings.Contains(fromB, string(id)) {
		t.Error("a metric names a person or a message")
	}
}

// TestUserRequestsAreCountedByRoute: also those that no route takes, in one series.
func TestUserRequestsAreCountedByRoute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	n := w.node("a.test", "alice").start()
	c := n.client()
	_, err := c.Me(t.Context())
	must(t, err)
	for range 3 {
		_, err = c.Message(t.Context(), vam.NewMessageID(time.Now()))
		wantKind(t, err, vam.NotFound)
	}
	if got := n.metric("vam_requests_total", `role="user"`, `operation="GET /vam/v1/me"`, `status="200"`); got != 1 {
		t.Errorf("%v requests for me", got)
	}
	if got := n.metric("vam_requests_total", `operation="GET /vam/v1/m/{mid}"`, `status="404"`); got != 3 {
		t.Errorf("%v requests for a message", got)
	}
	tr := http.Transport{TLSClientConfig: n.tls(), ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	for _, path := range []string{"/random-1", "/random-2"} {
		req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), "PROPFIND", "https://a.test"+path, nil)
		must(t, err)
		req.URL.Host = n.listen
		req.Host = "a.test"
		req.Header.Set("Authorization", "Bearer "+string(n.setup.Token))
		res, err := tr.RoundTrip(req)
		must(t, err)
		_ = res.Body.Close()
	}
	if got := n.metric("vam_requests_total", `operation="other other"`); got != 2 {
		t.Errorf("%v other requests", got)
	}
	if _, text := n.get("/metrics"); strings.Contains(text, "random") {
		t.Error("a path became a label")
	}
}
