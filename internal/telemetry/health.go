package telemetry

import (
	"context"
	"encoding/json"
	"net/http"
	"sort"
	"sync"
	"time"

	"github.com/videoactivmail/vam"
)

// checkTimeout is less than what supervisors usually wait for a probe.
const checkTimeout = 2 * time.Second

// Health answers the two questions of a supervisor. /healthz: is the process
// alive (if not, restart it)? /readyz: can it take work now (if not, send the
// work elsewhere)? It is safe for concurrent use.
type Health struct {
	mu       sync.RWMutex
	checks   map[string]func(context.Context) error
	draining bool
}

// NewHealth has no checks and is ready.
func NewHealth() *Health { return &Health{checks: map[string]func(context.Context) error{}} }

// Add registers a readiness check under a name that is shown to the operator. It
// must be safe for concurrent use and end when its context ends.
func (h *Health) Add(name string, check func(context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = check
}

// Drain makes /readyz say "stopping" from now on; a graceful stop calls it first.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// CheckResult is the answer of one readiness check.
type CheckResult struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Error is the operator's sentence; the listener is not for strangers.
	Error string `json:"error,omitempty"`
}

// Report is the body of /readyz.
type Report struct {
	// Status is "ready", "stopping" or "failing".
	Status string        `json:"status"`
	Checks []CheckResult `json:"checks,omitempty"`
}

// Ready runs every check at once, each for at most two seconds.
func (h *Health) Ready(ctx context.Context) Report {
	h.mu.RLock()
	draining := h.draining
	names := make([]string, 0, len(h.checks))
	for name := range h.checks {
		names = append(names, name)
	}
	sort.Strings(names)
	checks := make([]func(context.Context) error, len(names))
	for i, name := range names {
		checks[i] = h.checks[name]
	}
	h.mu.RUnlock()

	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	out := Report{Status: "ready", Checks: make([]CheckResult, len(names))}
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() {
			out.Checks[i] = CheckResult{Name: names[i], OK: true}
			if err := check(ctx); err != nil {
				out.Checks[i] = CheckResult{Name: names[i], Error: Redact(err.Error())}
			}
		})
	}
	wg.Wait()
	for _, c := range out.Checks {
		if !c.OK {
			out.Status = "failing"
		}
	}
	if draining {
		out.Status = "stopping"
	}
	return out
}

func (h *Health) serveAlive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

func (h *Health) serveReady(w http.ResponseWriter, r *http.Request) {
	report := h.Ready(r.Context())
	w.Header().Set("Content-Type", "application/json")
	if report.Status != "ready" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(report)
}

// DiskCheck fails when free returns less than reserve or an error.
func DiskCheck(free func() (vam.Bytes, error), reserve vam.Bytes) func(context.Context) error {
	return func(context.Context) error {
		n, err := free()
		if err != nil {
			return vam.Wrap(vam.Unavailable, err, "cannot tell how much space is free")
		}
		if n < reserve {
			return vam.Errorf(vam.OverQuota, "%s free, and limits.reserve wants %s: nothing new is taken", n, reserve)
		}
		return nil
	}
}
