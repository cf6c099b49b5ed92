package peer_test

import (
	"os"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/internal/netem"
)

// passable is a scratch folder that other users can pass through.
func passable(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "peer-*")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPostfix(t *testing.T) {
	dir := passable(t)
	p, err := peer.StartPostfix(t.Context(), peer.Counted(""), dir)
	skipMissing(t, err)
	defer func() {
		p.Stop()
		empty(t, dir)
	}()
	f := file(t, small)
	for range 2 { // the second finds an empty mailbox again
		got, err := p.Attach(t.Context(), f)
		ran(t, got, err)
		if share := float64(got.Wire) / float64(got.Bytes); share < 1.36 || share > 1.39 {
			t.Errorf("base64 in lines makes %.3f octets of one", share)
		}
	}
	for _, attached := range []bool{false, true} {
		b, err := p.Burst(t.Context(), 40, 5, 10*vam.KiB, attached)
		if err != nil {
			t.Fatal(err)
		}
		if b.Messages != 40 || b.Accepted <= 0 || b.Delivered < b.Accepted {
			t.Errorf("%+v", b)
		}
	}
}

// An attachment that is not what was sent is noticed.
func TestPostfixWrongOctets(t *testing.T) {
	p, err := peer.StartPostfix(t.Context(), peer.Loopback(""), passable(t))
	skipMissing(t, err)
	defer p.Stop()
	f := file(t, 100_000)
	if err := os.WriteFile(f.Path, make([]byte, f.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Attach(t.Context(), f); err == nil {
		t.Error("wrong octets passed")
	}
}

func TestTusd(t *testing.T) {
	installed(t, "go")
	dir := t.TempDir()
	for name, track := range map[string]*peer.Track{"counted": peer.Counted(""), "delayed": peer.Relayed("", netem.Even(2e6, 0))} {
		u, err := peer.StartTusd(t.Context(), track, "../tusd", dir)
		skipMissing(t, err)
		got, err := u.Upload(t.Context(), file(t, small))
		u.Stop()
		ran(t, got, err)
		counted(t, name, got)
	}
	empty(t, dir)
}
