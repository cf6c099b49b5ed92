package amclient_test

import (
	"net/netip"
	"testing"

	"github.com/videoactivmail/vam"
	"github.com/videoactivmail/vam/activmail/amclient"
)

// AM-2.7: what reaches this machine, its network, a group, or a translator to them is
// not dialled, in whatever form it is written.
func TestPublicUnicast(t *testing.T) {
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.255.255.255",
		"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.31.196.1",
		"192.52.193.1", "192.88.99.1", "192.168.0.1", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
		"64:ff9b:1::1", "100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1",
		"2620:4f:8000::1", "3ffe::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1",
		"ff02::1", "2600::1%eth0",
	} {
		if err := amclient.PublicUnicast(netip.MustParseAddr(s)); vam.KindOf(err) != vam.Denied || err == nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	for _, s := range []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.255.255.255", "128.0.0.1",
		"169.253.255.255", "169.255.0.1", "172.15.255.255", "172.32.0.1", "192.0.1.1", "192.0.3.1", "192.167.255.255", "192.169.0.1",
		"198.17.255.255", "198.20.0.1", "203.0.112.1", "203.0.114.1", "223.255.255.255",
		"2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2600::1", "2620:4f:8001::1", "2a00::1", "3ff0::1", "3ffd::1", "3fff:1000::1",
	} {
		if err := amclient.PublicUnicast(netip.MustParseAddr(s)); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
	if err := amclient.PublicUnicast(netip.Addr{}); err == nil {
		t.Error("no address is a public one")
	}
}

func TestAllowNetworks(t *testing.T) {
	allow := amclient.AllowNetworks(netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00:1::/32"))
	for s, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "fd00:1::5": true, "8.8.8.8": true,
		"10.2.0.1": false, "::ffff:10.2.0.1": false, "fd00:2::5": false, "127.0.0.1": false,
	} {
		if err := allow(netip.MustParseAddr(s)); (err == nil) != ok {
			t.Errorf("%s: %v", s, err)
		}
	}
}
