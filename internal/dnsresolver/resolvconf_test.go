package dnsresolver_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/dnsresolver"
)

// TestResolvConf: the file is read again when it changes, and what it said stays in use
// while it is missing or empty.
func TestResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	clock := time.Now()
	write := func(text string) {
		t.Helper()
		must(t, os.WriteFile(path, []byte(text), 0o600))
		// Two writes within a tick of the file system's clock are two.
		clock = clock.Add(time.Second)
		must(t, os.Chtimes(path, clock, clock))
	}
	var dialled []string
	o := dnsresolver.Options{ResolvConf: path, Rounds: 1, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		return nil, errors.New("not today")
	}}
	if _, err := dnsresolver.New(o); vam.KindOf(err) != vam.Unavailable || !strings.Contains(vam.Public(err), path) {
		t.Errorf("without a file: %v", err)
	}
	write("search example\n")
	if _, err := dnsresolver.New(o); vam.KindOf(err) != vam.Unavailable {
		t.Errorf("without a server: %v", err)
	}
	write("# first\nnameserver 192.0.2.1\nnameserver 2001:db8::1\nnameserver fe80::1%eth0\nnameserver not-an-address\noptions edns0\n")
	r, err := dnsresolver.New(o)
	must(t, err)
	want := func(when string, servers ...string) {
		t.Helper()
		dialled = nil
		if _, err := r.LookupTXT(t.Context(), "a.test"); vam.KindOf(err) != vam.Unavailable {
			t.Errorf("%s: %v", when, err)
		}
		if !slices.Equal(dialled, servers) {
			t.Errorf("%s: asked %q, want %q", when, dialled, servers)
		}
	}
	first := []string{"192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53"}
	want("at first", first...)
	must(t, os.Remove(path))
	want("missing", first...)
	write("")
	want("empty", first...)
	write("nameserver 192.0.2.7\n")
	want("changed", "192.0.2.7:53")
	write("nameserver 192.0.2.8\n") // of the same length
	want("changed again", "192.0.2.8:53")
	write(strings.Repeat("# padding\n", 7000) + "nameserver 192.0.2.9\n")
	want("far too long", "192.0.2.8:53")
}
