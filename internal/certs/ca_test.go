package certs_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
)

func TestCAIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	first, err := certs.NewCA(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, certs.CAFile)); err != nil {
		t.Fatal(err)
	}
	second, err := certs.NewCA(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.PEM(), second.PEM()) {
		t.Error("the second start made another authority")
	}
	public, err := os.ReadFile(filepath.Join(dir, certs.CAFile))
	if err != nil || !bytes.Equal(public, first.PEM()) {
		t.Errorf("the public file was not written again: %v", err)
	}
	pair, err := first.Issue(certs.Leaf{DNSNames: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: second.Pool(), DNSName: "a.test"}); err != nil {
		t.Error(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Errorf("the folder holds %v", files)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		if f.Name() != certs.CAFile && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", f.Name(), info.Mode())
		}
	}
}

func TestCARefusesWhatIsNone(t *testing.T) {
	dir := t.TempDir()
	if _, err := certs.NewCA(dir, nil); err != nil {
		t.Fatal(err)
	}
	later := func() time.Time { return time.Now().Add(11 * 365 * 24 * time.Hour) }
	if _, err := certs.NewCA(dir, later); vam.KindOf(err) != vam.Invalid {
		t.Errorf("an expired authority: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*key*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	write(t, files[0], "junk")
	if _, err := certs.NewCA(dir, nil); vam.KindOf(err) != vam.Invalid {
		t.Errorf("junk: %v", err)
	}
	write(t, files[0], leafPEM(t))
	if _, err := certs.NewCA(dir, nil); vam.KindOf(err) != vam.Invalid {
		t.Errorf("a leaf: %v", err)
	}
}

// leafPEM is a certificate that is no authority, with its key.
func leafPEM(t *testing.T) string {
	t.Helper()
	p := issued(t, newCA(t), t.TempDir(), "leaf", certs.Leaf{DNSNames: []string{"a.test"}})
	var all []byte
	for _, name := range []string{p.Cert, p.Key} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return string(all)
}

func TestIssue(t *testing.T) {
	ca := newCA(t)
	if _, err := ca.Issue(certs.Leaf{}); vam.KindOf(err) != vam.Invalid {
		t.Errorf("without a name: %v", err)
	}
	pair, err := ca.Issue(certs.Leaf{
		DNSNames: []string{"vam.a.test", "a.test"}, SRV: []vam.Domain{"a.test"},
		IPs: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"vam.a.test", "a.test", "127.0.0.2", "[::1]"} {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			t.Error(err)
		}
	}
	if len(pair.Certificate) != 2 {
		t.Error("the chain lacks the authority")
	}
}

// TestEveryKindOfName: with an SRV-ID all names are written here and not by the library.
func TestEveryKindOfName(t *testing.T) {
	pair, err := newCA(t).Issue(certs.Leaf{
		DNSNames: []string{"vam.a.test", "*.a.test"}, SRV: []vam.Domain{"a.test", "b.test"},
		IPs: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("2001:db8::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"vam.a.test", "*.a.test", "_video-activmail.a.test", "_video-activmail.b.test", "127.0.0.2", "2001:db8::1"}
	if diff := cmp.Diff(want, discovery.CertNames(pair.Leaf)); diff != "" {
		t.Error(diff)
	}
}

func TestLocal(t *testing.T) {
	ca := newCA(t)
	pair, err := ca.Issue(certs.Leaf{DNSNames: []string{"a.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if !certs.Local(pair.Leaf) || !certs.Local(ca.Certificate()) {
		t.Error("what this package issued is not known")
	}
	if other := (&x509.Certificate{Subject: ca.Certificate().Subject}); certs.Local(other) {
		t.Error("a certificate with that subject alone is taken for one")
	}
}

// TestIssueFilesSaysWhatFails, and leaves no half.
func TestIssueFilesSaysWhatFails(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	leaf := certs.Leaf{DNSNames: []string{"a.test"}}
	if err := ca.IssueFiles(pairIn(filepath.Join(dir, "absent"), "a"), leaf); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	if err := ca.IssueFiles(pairIn(dir, "a"), certs.Leaf{}); vam.KindOf(err) != vam.Invalid {
		t.Errorf("no name: %v", err)
	}
	taken := pairIn(dir, "taken")
	if err := os.MkdirAll(filepath.Join(taken.Key, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ca.IssueFiles(taken, leaf); err == nil {
		t.Error("a folder was written over")
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}
