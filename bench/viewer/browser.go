package viewer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/videoactivmail/vam/bench/peer"
)

// Browser is a running Chromium, driven by ui/test/first.mjs. It is not safe for
// concurrent use. Close it.
type Browser struct {
	// Version is what it calls itself.
	Version string

	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Scanner
	home  string
	stop  context.CancelFunc
	stern *os.File // what it complains about
}

// Visit is how soon a page played. Times are in ms after the navigation began.
type Visit struct {
	PaintMS  float64 `json:"paintMs"`  // first contentful paint
	PlayerMS float64 `json:"playerMs"` // the player stands in the page
	FrameMS  float64 `json:"frameMs"`  // its first picture is shown
	Source   string  `json:"source"`   // what plays
	// Requests are all until then. Octets, headers included, are those of the page, its style
	// and its script; pictures and media are counted apart.
	Requests    int    `json:"requests"`
	Octets      int    `json:"octets"`
	ImageOctets int    `json:"imageOctets"`
	MediaOctets int    `json:"mediaOctets"`
	Error       string `json:"error"`
}

// StartBrowser starts Chromium; ui is the folder with its program, whose modules are
// installed when they are missing, scratch where its profile lies. Names of hosts lead to
// the addresses that are given. Errors: peer.ErrMissing.
func StartBrowser(ctx context.Context, ui, scratch string, hosts map[string]netip.AddrPort) (_ *Browser, err error) {
	executable, err := findBrowser()
	if err != nil {
		return nil, err
	}
	if err := modules(ctx, ui); err != nil {
		return nil, err
	}
	b := new(Browser)
	if b.home, err = os.MkdirTemp(scratch, "browser-*"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	if b.stern, err = os.Create(filepath.Join(b.home, "stderr")); err != nil {
		return nil, err
	}
	ctx, b.stop = context.WithCancel(ctx)
	b.cmd = exec.CommandContext(ctx, "node", "test/first.mjs")
	b.cmd.Dir, b.cmd.Stderr = ui, b.stern
	b.cmd.Env = append(os.Environ(), "HOME="+b.home, "XDG_CONFIG_HOME="+b.home, "XDG_CACHE_HOME="+b.home)
	// Kindly: it ends its browser.
	b.cmd.Cancel = func() error { return b.cmd.Process.Signal(os.Interrupt) }
	b.cmd.WaitDelay = 10 * time.Second
	if b.in, err = b.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	b.out = bufio.NewScanner(out)
	b.out.Buffer(nil, 1<<20)
	if err := b.cmd.Start(); err != nil {
		b.cmd = nil
		return nil, err
	}
	var rules []string
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		rules = append(rules, fmt.Sprintf("MAP %s %s", name, hosts[name]))
	}
	var hello struct{ Version string }
	err = b.ask(map[string]string{"executable": executable, "hosts": strings.Join(rules, ",")}, &hello)
	b.Version = hello.Version
	return b, err
}

// Visit opens a page, presses play at once, and returns when the first picture was shown.
// Its processor seems slower by the factor cpu.
func (b *Browser) Visit(url string, cpu float64) (Visit, error) {
	var v Visit
	err := b.ask(map[string]any{"url": url, "cpu": cpu}, &v)
	if err == nil && v.Error != "" {
		err = errors.New(v.Error)
	}
	return v, err
}

func (b *Browser) ask(question, answer any) error {
	line, err := json.Marshal(question)
	if err != nil {
		return err
	}
	if _, err := b.in.Write(append(line, '\n')); err != nil {
		return b.died(err)
	}
	if !b.out.Scan() {
		return b.died(errors.Join(b.out.Err(), io.ErrUnexpectedEOF))
	}
	return json.Unmarshal(b.out.Bytes(), answer)
}

func (b *Browser) died(err error) error {
	text, _ := os.ReadFile(b.stern.Name())
	return fmt.Errorf("the browser: %w\n%s", err, text[max(0, len(text)-2<<10):])
}

// Close ends the browser and removes its profile.
func (b *Browser) Close() error {
	if b.cmd != nil {
		_ = b.in.Close()
		late := time.AfterFunc(10*time.Second, b.stop)
		_ = b.cmd.Wait()
		late.Stop()
	}
	if b.stop != nil {
		b.stop()
	}
	if b.stern != nil {
		_ = b.stern.Close()
	}
	return os.RemoveAll(b.home)
}

func findBrowser() (string, error) {
	if _, err := exec.LookPath("node"); err != nil {
		return "", fmt.Errorf("%w: node is not installed", peer.ErrMissing)
	}
	for _, name := range []string{"chromium", "google-chrome", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%w: Chromium is not installed", peer.ErrMissing)
}

// modules installs what ui/package-lock.json names, unless it is there.
func modules(ctx context.Context, ui string) error {
	if _, err := os.Stat(filepath.Join(ui, "node_modules", ".package-lock.json")); err == nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = ui
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm ci: %w\n%s", peer.ErrMissing, err, out)
	}
	return nil
}
