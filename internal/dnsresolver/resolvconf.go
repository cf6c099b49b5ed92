package dnsresolver

import (
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/videoactivmail/vam"
)

// resolvConf is the system's list of servers, read again when the file has changed:
// a machine that moves between networks keeps its mail going.
type resolvConf struct {
	path string

	mu      sync.Mutex
	changed time.Time
	size    int64
	last    []netip.AddrPort
}

// servers returns the list. A file that went missing or broke leaves the last good
// list in place. Errors: Unavailable.
func (f *resolvConf) servers() ([]netip.AddrPort, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err == nil && f.last != nil && info.ModTime().Equal(f.changed) && info.Size() == f.size {
		return f.last, nil
	}
	var list []netip.AddrPort
	if err == nil {
		list, err = readResolvConf(f.path)
	}
	switch {
	case err == nil && len(list) > 0:
		f.last, f.changed, f.size = list, info.ModTime(), info.Size()
	case f.last == nil:
		return nil, vam.Wrap(vam.Unavailable, err, "%s names no DNS server", f.path)
	}
	return f.last, nil
}

func readResolvConf(path string) ([]netip.AddrPort, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	const limit = 64 << 10
	conf, err := dns.ClientConfigFromReader(io.LimitReader(file, limit))
	if err != nil {
		return nil, err
	}
	var out []netip.AddrPort
	for _, s := range conf.Servers {
		if addr, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.AddrPortFrom(addr, 53))
		}
	}
	return out, nil
}
