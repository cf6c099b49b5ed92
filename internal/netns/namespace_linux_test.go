package netns_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/netns"
)

// need skips where namespaces cannot be made, and fails loudly where the
// environment promises them.
func need(t *testing.T) *netns.Namespace {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		if os.Getenv("VAM_CI") == "1" {
			t.Fatalf("VAM_CI=1 promises network namespaces: %v", err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	})
	return ns
}

func TestSocketsStayInside(t *testing.T) {
	ns := need(t)
	l, err := ns.Listen(t.Context(), net.ListenConfig{}, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = io.Copy(c, c)
		_ = c.Close()
	}()

	c, err := ns.Dial(t.Context(), net.Dialer{}, "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("inside")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 6)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != "inside" {
		t.Fatalf("echo %q, %v", got, err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	other := need(t)
	if c, err := other.Dial(ctx, net.Dialer{}, "tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Fatal("the port is reachable from another namespace")
	}
}

func TestDialRefusesNames(t *testing.T) {
	ns := need(t)
	if _, err := ns.Dial(t.Context(), net.Dialer{}, "tcp", "localhost:1"); err == nil || !strings.Contains(err.Error(), "IP literal") {
		t.Fatalf("got %v", err)
	}
}

func TestDevicesAddressesAndCommands(t *testing.T) {
	ns := need(t)
	if err := ns.SetAddress("lo", netip.MustParsePrefix("10.9.8.7/24")); err != nil {
		t.Fatal(err)
	}
	if err := ns.SetMTU("lo", 1400); err != nil {
		t.Fatal(err)
	}
	if err := ns.SetTxQueue("lo", 77); err != nil {
		t.Fatal(err)
	}
	if err := ns.SetUp("no-such-device"); err == nil {
		t.Fatal("a device that is not there came up")
	}
	cmd := exec.Command("cat", "/proc/net/fib_trie", "/proc/net/dev")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := ns.Start(cmd); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "10.9.8.7") {
		t.Fatalf("the command does not see the namespace's address:\n%s", out.String())
	}
	if strings.Contains(out.String(), "eth0") {
		t.Fatal("the command sees a device of the machine")
	}
}

func TestSysctlStaysInside(t *testing.T) {
	ns := need(t)
	const file = "/proc/sys/net/ipv4/tcp_fin_timeout"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Sysctl("ipv4.tcp_fin_timeout", "17"); err != nil {
		t.Fatal(err)
	}
	err = ns.Do(func() error {
		in, err := os.ReadFile(file)
		if strings.TrimSpace(string(in)) != "17" {
			t.Errorf("inside: %q", in)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Fatalf("the machine's value changed from %q to %q", before, after)
	}
}

// No thread of the program is left in a namespace, the first one least of all.
func TestTheProgramStaysOutside(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		ns := need(t)
		wg.Go(func() {
			if err := ns.Do(func() error { return nil }); err != nil {
				t.Error(err)
			}
		})
		if after, _ := os.Readlink("/proc/self/ns/net"); after != before {
			t.Fatalf("the first thread moved from %s to %s", before, after)
		}
	}
	wg.Wait()
	if after, _ := os.Readlink("/proc/self/ns/net"); after != before {
		t.Fatalf("the first thread moved from %s to %s", before, after)
	}
}
