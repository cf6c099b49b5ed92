package discovery_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/internal/certs"
	"github.com/videoactivmail/vam/internal/discovery"
)

func TestSRVIDs(t *testing.T) {
	ca := authority(t, newClock())
	pair, err := ca.Issue(certs.Leaf{
		DNSNames: []string{"vam1.b.example"},
		SRV:      []vam.Domain{"b.example", "c.example"},
		IPs:      []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"_video-activmail.b.example", "_video-activmail.c.example"}
	if diff := cmp.Diff(want, discovery.SRVIDs(pair.Leaf)); diff != "" {
		t.Error(diff)
	}
	names := []string{"vam1.b.example", want[0], want[1], "127.0.0.1", "::1"}
	if diff := cmp.Diff(names, discovery.CertNames(pair.Leaf)); diff != "" {
		t.Error(diff)
	}
	plain, err := ca.Issue(certs.Leaf{DNSNames: []string{"b.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := discovery.SRVIDs(plain.Leaf); got != nil {
		t.Errorf("SRVIDs = %v without any", got)
	}
}

func TestSRVIDsLeavesOutTheMalformed(t *testing.T) {
	good := srvOnly(t, "b.example").Value
	for i := range good {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			der := append([]byte(nil), good...)
			der[i] ^= bit
			for _, id := range idsIn(der) {
				if !strings.HasPrefix(id, "_") || id != strings.ToLower(id) {
					t.Errorf("octet %d: %q", i, id)
				}
			}
		}
		if got := idsIn(good[:i]); got != nil {
			t.Errorf("cut at %d: %v", i, got)
		}
	}
}

func idsIn(san []byte) []string {
	return discovery.SRVIDs(&x509.Certificate{Extensions: []pkix.Extension{{Id: discovery.OIDSubjectAltName(), Value: san}}})
}

func FuzzSRVIDs(f *testing.F) {
	f.Add(srvOnly(f, "b.example").Value)
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, san []byte) {
		for _, id := range idsIn(san) {
			_, domain, _ := strings.Cut(id, ".")
			if _, err := vam.ParseDomain(domain); err != nil || id[0] != '_' {
				t.Errorf("SRVIDs gives %q", id)
			}
		}
	})
}
