// Package watch opens watch pages in real browsers. The pages are those of internal/web
// over the real services; the browsers are driven by the program in ui.
package watch

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Job is one page to open; ui/README.md describes the fields.
type Job struct {
	Name       string    `json:"name"`
	URL        string    `json:"url"`
	Viewport   *Viewport `json:"viewport,omitempty"`
	Dark       bool      `json:"dark,omitempty"`
	Calm       bool      `json:"calm,omitempty"`
	Lang       string    `json:"lang,omitempty"`
	NoScript   bool      `json:"noScript,omitempty"`
	Throttle   *Throttle `json:"throttle,omitempty"`
	WaitFor    string    `json:"waitFor,omitempty"`
	SettleMS   int       `json:"settleMs,omitempty"`
	TimeoutMS  int       `json:"timeout,omitempty"`
	Axe        bool      `json:"axe,omitempty"`
	Tabs       int       `json:"tabs,omitempty"`
	Screenshot string    `json:"screenshot,omitempty"`
	After      string    `json:"after,omitempty"`
	Play       bool      `json:"play,omitempty"`
	PlayMS     int       `json:"playMs,omitempty"`
	Seek       *float64  `json:"seek,omitempty"`
	Sound      bool      `json:"sound,omitempty"`
	Keys       []string  `json:"keys,omitempty"`
	Evaluate   string    `json:"evaluate,omitempty"`
}

// Viewport is a window in CSS pixels.
type Viewport struct {
	Width    int  `json:"width"`
	Height   int  `json:"height"`
	Mobile   bool `json:"isMobile,omitempty"`
	Touch    bool `json:"hasTouch,omitempty"`
	PerPixel int  `json:"deviceScaleFactor,omitempty"`
}

// Throttle slows a browser down.
type Throttle struct {
	Down    int     `json:"down"`    // octets per second
	Latency int     `json:"latency"` // ms
	CPU     float64 `json:"cpu"`     // factor
}

// Result is what happened.
type Result struct {
	Name    string  `json:"name"`
	Browser string  `json:"browser"`
	Version string  `json:"version"`
	URL     string  `json:"url"` // at the end
	Status  int     `json:"status"`
	Title   string  `json:"title"`
	LoadMS  float64 `json:"loadMs"`
	Error   string  `json:"error"`
	Started struct {
		By      string  `json:"by"`
		FirstMS float64 `json:"firstMs"`
		Ready   string  `json:"ready"` // "plays", "error" or what went wrong
	} `json:"started"`
	Player   *Player         `json:"player"`
	Sound    *Sound          `json:"sound"`
	Axe      []Finding       `json:"axe"`
	Tabs     []*Stop         `json:"tabs"`
	Value    json.RawMessage `json:"value"`
	Requests []Request       `json:"requests"`
	Console  []string        `json:"console"`
	Cookies  string          `json:"cookies"`
	Weight   struct {
		PaintMS float64 `json:"paintMs"` // first contentful paint
		Entries []Entry `json:"entries"`
	} `json:"weight"`
}

// Player is what the player did.
type Player struct {
	Src      string   `json:"src"`
	First    float64  `json:"first"`   // seconds of the first look
	Reached  float64  `json:"reached"` // and of the last
	Sought   *float64 `json:"sought"`
	Ended    bool     `json:"ended"`
	Paused   bool     `json:"paused"`
	Stalls   int      `json:"stalls"`
	Duration float64  `json:"duration"` // seconds, -1: not known
	Width    int      `json:"width"`
	Height   int      `json:"height"`
	Frames   int      `json:"frames"`
	Dropped  int      `json:"dropped"`
	Pictures int      `json:"pictures"` // that differ
	Light    float64  `json:"light"`    // 0 to 255, the lightest picture
	Colours  [][]int  `json:"colours"`  // RGB at the four corners (top left first) and in the middle
	// AudioBytes is what Chromium decoded, -1 elsewhere; HasAudio is what Firefox says of a
	// video, nil elsewhere.
	AudioBytes  int     `json:"audioBytes"`
	HasAudio    *bool   `json:"hasAudio"`
	SeekableEnd float64 `json:"seekableEnd"`
	Error       string  `json:"error"`
}

// Sound is what of the sound was decoded apart from the player.
type Sound struct {
	Seconds  float64 `json:"seconds"`
	Channels int     `json:"channels"`
	Rate     int     `json:"rate"`
	Peak     float64 `json:"peak"`
	Error    string  `json:"error"`
}

// Finding is one rule of axe that the page breaks.
type Finding struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Nodes  []string `json:"nodes"`
}

// Stop is where the Tab key led; nil is the page itself.
type Stop struct {
	Tag     string  `json:"tag"`
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Outline float64 `json:"outline"` // CSS pixels
}

// Request is one answer that the browser got.
type Request struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	Type   string `json:"type"`
}

// Entry is what something weighed.
type Entry struct {
	URL      string `json:"url"`
	Type     string `json:"type"`
	Transfer int    `json:"transfer"` // octets on the wire
	Body     int    `json:"body"`     // octets of the body, decoded
}

// The browsers.
const (
	Chromium = "chromium"
	Firefox  = "firefox"
)

// limit is for one run of a browser.
const limit = 4 * time.Minute

// Run opens the pages one after the other in a browser of its own and returns what
// happened, in order. A machine without node or the browser skips the test; with VAM_CI=1
// that is a failure.
func Run(t testing.TB, browser string, jobs ...Job) []Result {
	t.Helper()
	ui, executable := prepare(t, browser)
	input, err := json.Marshal(map[string]any{"browser": browser, "executable": executable, "jobs": jobs})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "test/play.mjs")
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = ui, bytes.NewReader(input), time.Second
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	if browser == Firefox {
		cmd.Env = append(cmd.Env, soundCard(t, home)...)
	}
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	var results []Result
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatalf("the browser's program said %.200q: %v", lines.Text(), err)
		}
		results = append(results, r)
	}
	if err != nil || len(results) != len(jobs) {
		t.Fatalf("%s: %v; %d of %d pages were opened\n%s", browser, err, len(results), len(jobs), complaints.String())
	}
	return results
}

// soundCard starts a sound server that nobody hears, and returns what a program needs to
// find it: without one Firefox plays no sound at all.
func soundCard(t testing.TB, dir string) []string {
	t.Helper()
	bin, err := exec.LookPath("pulseaudio")
	if err != nil {
		unavailable(t, "pulseaudio is not installed")
	}
	runtimeDir := filepath.Join(dir, "run")
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(runtimeDir, "sound")
	env := []string{"XDG_RUNTIME_DIR=" + runtimeDir, "PULSE_SERVER=unix:" + socket}
	cmd := exec.Command(bin, "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=300", "-n",
		"--load=module-null-sink", "--load=module-native-protocol-unix auth-anonymous=1 socket="+socket)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+runtimeDir)
	var complaints bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &complaints, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
	for range 500 {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return env
		}
		select {
		case <-ended:
			t.Fatalf("pulseaudio ended: %s", complaints.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatal("pulseaudio does not answer")
	return nil
}

// prepare finds what is needed and installs the modules of ui once.
func prepare(t testing.TB, browser string) (ui, executable string) {
	t.Helper()
	names := map[string][]string{Chromium: {"chromium", "google-chrome", "chromium-browser"}, Firefox: {"firefox-esr", "firefox"}}[browser]
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil && executable == "" {
			executable = path
		}
	}
	if executable == "" {
		unavailable(t, browser+" is not installed")
	}
	if _, err := exec.LookPath("node"); err != nil {
		unavailable(t, "node is not installed")
	}
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("where this package lies is not known")
	}
	ui = filepath.Join(filepath.Dir(here), "..", "..", "ui")
	if err := modules(ui); err != nil {
		unavailable(t, err.Error())
	}
	return ui, executable
}

func unavailable(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("VAM_CI") == "1" {
		t.Fatalf("%s, and this run must leave nothing out", why)
	}
	t.Skip(why)
}

var installing sync.Mutex

// modules installs what ui/package-lock.json names, unless it is there.
func modules(ui string) error {
	installing.Lock()
	defer installing.Unlock()
	if _, err := os.Stat(filepath.Join(ui, "node_modules", ".package-lock.json")); err == nil {
		return nil
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = ui
	if out, err := cmd.CombinedOutput(); err != nil {
		return &exec.Error{Name: "npm ci: " + string(bytes.TrimSpace(out)), Err: err}
	}
	return nil
}
