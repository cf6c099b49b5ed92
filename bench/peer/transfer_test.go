package peer_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam/bench/peer"
	"github.com/videoactivmail/vam/internal/netem"
)

func TestBareTransfers(t *testing.T) {
	f := file(t, small)
	for name, track := range map[string]*peer.Track{
		"loopback": peer.Loopback("reno"),
		"counted":  peer.Counted(""),
		"delayed":  peer.Relayed("", netem.Even(4*time.Millisecond, 0)), // with a rate, what its queue drops is sent and counted twice
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			got, err := peer.TLSCopy(t.Context(), track, f, dir, true)
			ran(t, got, err)
			counted(t, name, got)
			got, err = peer.TLSCopy(t.Context(), track, f, dir, false)
			ran(t, got, err)
			got, err = peer.TCPCopy(t.Context(), track, f, dir)
			ran(t, got, err)
			got, err = peer.H2Get(t.Context(), track, f, dir, true)
			ran(t, got, err)
			counted(t, name, got)
			got, err = peer.QUICGet(t.Context(), track, f, dir, true)
			ran(t, got, err)
			counted(t, name, got)
			empty(t, dir)
		})
	}
}

// counted: a track that counts finds all of the file and not much more.
func counted(t *testing.T, track string, got peer.Transfer) {
	t.Helper()
	if track == "loopback" {
		if got.Wire != 0 {
			t.Errorf("a direct track counted %d octets", got.Wire)
		}
		return
	}
	if got.Wire < got.Bytes || got.Wire > got.Bytes*6/5 {
		t.Errorf("%d octets on the wire for a file of %d", got.Wire, got.Bytes)
	}
}

func TestOverWire(t *testing.T) {
	f := file(t, 300_000)
	w := wire(t, netem.WireConfig{Shapes: netem.Even(2*time.Millisecond, 0)})
	dir := t.TempDir()
	for _, cc := range []string{"reno", "cubic"} {
		track := peer.OverWire(w, cc)
		got, err := peer.TLSCopy(t.Context(), track, f, dir, true)
		ran(t, got, err)
		got, err = peer.QUICGet(t.Context(), track, f, dir, true)
		ran(t, got, err)
		n, err := peer.StartNginx(t.Context(), track, f, dir)
		skipMissing(t, err)
		got, err = n.Curl(t.Context(), dir)
		n.Stop()
		ran(t, got, err)
	}
	empty(t, dir)
}

func TestNginx(t *testing.T) {
	f, dir := file(t, small), t.TempDir()
	n, err := peer.StartNginx(t.Context(), peer.Counted(""), f, dir)
	skipMissing(t, err)
	defer n.Stop()
	got, err := n.Curl(t.Context(), dir)
	ran(t, got, err)
	counted(t, "counted", got)
}

func TestUnknownCongestionControl(t *testing.T) {
	if len(peer.Congestions()) == 0 || peer.DefaultCongestion() == "" {
		t.Skip("the kernel does not say which it has")
	}
	_, err := peer.TLSCopy(t.Context(), peer.Loopback("nonesuch"), file(t, 1), t.TempDir(), true)
	if err == nil || !strings.Contains(err.Error(), "nonesuch") {
		t.Fatalf("got %v", err)
	}
}

// What arrives is compared with what was sent: a peer cannot win by losing octets.
func TestWrongOctetsAreNoticed(t *testing.T) {
	f := file(t, 100_000)
	if err := os.WriteFile(f.Path, make([]byte, f.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, checked := range []bool{true, false} {
		_, err := peer.TLSCopy(t.Context(), peer.Loopback(""), f, t.TempDir(), checked)
		if err == nil || !strings.Contains(err.Error(), "hash") {
			t.Fatalf("got %v", err)
		}
	}
}
